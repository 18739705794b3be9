//! A place in the log that a later call can go on from.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// A place in the log: the sequence of an event, and its hash as far as it is known.
///
/// The hash is what tells an event from another one with the same sequence: a ledger that was restored from a backup, or
/// whose database failed over to a standby that lacked the last commits, uses sequences a second time. Written as
/// `950:3f0c…`, or as `950` without the hash, and read from both; the hash is also read as base64, as it is in JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct LogPosition {
    /// The last event that is known; 0 is before the first.
    pub sequence: i64,
    /// Its hash, in lower-case hex. Without it, nobody can say whether the log is still the same.
    pub hash: Option<String>,
}

impl LogPosition {
    /// The hash as the wire has it; empty when there is none.
    pub(crate) fn to_wire(&self) -> Vec<u8> {
        self.hash.as_deref().and_then(bytes).unwrap_or_default()
    }
}

impl From<i64> for LogPosition {
    fn from(sequence: i64) -> Self {
        Self {
            sequence,
            hash: None,
        }
    }
}

impl fmt::Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.hash {
            Some(hash) => write!(f, "{}:{hash}", self.sequence),
            None => self.sequence.fmt(f),
        }
    }
}

/// Why a text is no [`LogPosition`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoLogPosition;

impl fmt::Display for NoLogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be SEQUENCE or SEQUENCE:HASH, where the hash is 32 bytes in hexadecimal digits or base64")
    }
}

impl std::error::Error for NoLogPosition {}

impl FromStr for LogPosition {
    type Err = NoLogPosition;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (sequence, hash) = match text.split_once(':') {
            Some((sequence, hash)) => (sequence, Some(hash)),
            None => (text, None),
        };
        let sequence = sequence.parse().ok().filter(|sequence| *sequence >= 0);
        let hash = hash.map(|hash| read(hash).ok_or(NoLogPosition));
        Ok(Self {
            sequence: sequence.ok_or(NoLogPosition)?,
            hash: hash.transpose()?,
        })
    }
}

/// A hash in hex, from hex in either case or from the base64 that an event is serialized with.
fn read(text: &str) -> Option<String> {
    let hex = text.to_ascii_lowercase();
    if bytes(&hex).is_some() {
        return Some(hex);
    }
    let bytes = STANDARD
        .decode(text)
        .ok()
        .filter(|bytes| bytes.len() == 32)?;
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The 32 bytes that 64 hexadecimal digits stand for.
pub(super) fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = hex
        .chars()
        .map(|digit| u8::try_from(digit.to_digit(16)?).ok())
        .collect();
    let digits = digits.filter(|digits| digits.len() == 64)?;
    let pairs = digits.chunks_exact(2);
    Some(pairs.map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_as_it_is_written() {
        let hash = "0f".repeat(32);
        for text in ["0".to_owned(), "950".to_owned(), format!("950:{hash}")] {
            let position: LogPosition = text.parse().expect("a position");
            assert_eq!(position.to_string(), text);
        }
        let position: LogPosition = format!("7:{}", "0F".repeat(32))
            .parse()
            .expect("a position");
        assert_eq!(position.hash, Some(hash));
        assert_eq!(position.to_wire(), [15; 32]);
        let json = format!("7:{}", STANDARD.encode([15; 32]));
        assert_eq!(json.parse(), Ok(position));
        assert!(LogPosition::from(7).to_wire().is_empty());
    }

    #[test]
    fn what_is_no_position_is_refused() {
        let short = format!("7:{}", "0".repeat(63));
        let long = format!("7:{}", "0".repeat(65));
        let other = format!("7:{}", "x".repeat(64));
        let base64 = format!("7:{}", STANDARD.encode([15; 31]));
        for text in [
            "", "-1", "x", ":", "7:", "7:0f", &short, &long, &other, &base64,
        ] {
            assert_eq!(text.parse::<LogPosition>(), Err(NoLogPosition), "{text}");
        }
    }
}
