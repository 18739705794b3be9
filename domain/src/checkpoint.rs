//! Signed checkpoints: what the log was at a time, in a form that outlives the database.
//!
//! The text is a signed note, as transparency logs write them: where it is from, a position, the hash there in base64 and a
//! line with the time; then an empty line, and the signature. The log is a chain and no Merkle tree, so the hash proves
//! what is in the log only to whoever has the log, or a copy.

use std::{collections::BTreeMap, fmt};

use chrono::DateTime;
use data_encoding::{BASE64, HEXLOWER};
use sha2::{Digest as _, Sha256};

use crate::{
    chain::{Hash, Head},
    time::Timestamp,
};

#[cfg(test)]
mod tests;

/// A public key of Ed25519.
pub type PublicKey = [u8; 32];
/// A signature of Ed25519.
pub type Signature = [u8; 64];

/// What the origin of each checkpoint begins with.
const PREFIX: &str = "tidegate.v1/";
/// What the line with the signature begins with.
const DASH: &str = "— ";
/// The kind of key in a signed note.
const ED25519: u8 = 1;
/// The lines of a checkpoint.
const LINES: usize = 6;
/// The bytes of its last line.
const LAST_LINE: usize = DASH.len() + PREFIX.len() + 16 + 1 + 92;

/// What is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The key that it is to be signed with.
    pub key: PublicKey,
    /// The newest event.
    pub head: Head,
    /// When that was looked up.
    pub time: Timestamp,
}

impl Checkpoint {
    /// The text that the signature covers.
    pub fn text(&self) -> String {
        text(&origin(&self.key), &self.head, self.time)
    }

    /// With its signature.
    pub fn signed(&self, signature: Signature) -> Signed {
        let origin = origin(&self.key);
        Signed {
            key_id: key_id(&origin, &self.key),
            origin,
            head: self.head,
            time: self.time,
            signature,
        }
    }
}

/// The name of a key, which says where a checkpoint is from: a ledger has a key of its own.
pub fn origin(key: &PublicKey) -> String {
    let digest: Hash = Sha256::digest(key).into();
    format!("{PREFIX}{}", HEXLOWER.encode(&digest[..8]))
}

fn key_id(origin: &str, key: &PublicKey) -> [u8; 4] {
    let mut hash = Sha256::new();
    hash.update(origin);
    hash.update([b'\n', ED25519]);
    hash.update(key);
    let [a, b, c, d, ..]: Hash = hash.finalize().into();
    [a, b, c, d]
}

fn text(origin: &str, head: &Head, time: Timestamp) -> String {
    let (sequence, hash) = (head.sequence, BASE64.encode(&head.hash));
    format!("{origin}\n{sequence}\n{hash}\ntime {time}\n")
}

/// A checkpoint with its signature, which is nobody's word until it was verified. Written as a signed note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    origin: String,
    key_id: [u8; 4],
    head: Head,
    time: Timestamp,
    signature: Signature,
}

impl Signed {
    /// Whether it says that it is signed with this key.
    pub fn is_of(&self, key: &PublicKey) -> bool {
        let origin = origin(key);
        self.key_id == key_id(&origin, key) && self.origin == origin
    }

    /// The text that the signature covers.
    pub fn text(&self) -> String {
        text(&self.origin, &self.head, self.time)
    }

    /// The signature.
    pub const fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The name of its key.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// What it says of the log.
    pub const fn head(&self) -> Head {
        self.head
    }

    /// When it was signed, as it says.
    pub const fn time(&self) -> Timestamp {
        self.time
    }

    fn parse(lines: &[&str]) -> Option<Self> {
        let [origin, sequence, hash, time, "", signature] = lines else {
            return None;
        };
        let time = DateTime::parse_from_rfc3339(time.strip_prefix("time ")?).ok()?;
        let (name, signature) = signature.strip_prefix(DASH)?.split_once(' ')?;
        let signature = BASE64.decode(signature.as_bytes()).ok()?;
        let (key_id, signature) = signature.split_first_chunk()?;
        let signed = Self {
            origin: (*origin).to_owned(),
            key_id: *key_id,
            head: Head {
                sequence: sequence.parse().ok()?,
                hash: BASE64.decode(hash.as_bytes()).ok()?.try_into().ok()?,
            },
            time: Timestamp::from(time.to_utc()),
            signature: signature.try_into().ok()?,
        };
        // Nothing is written in two ways.
        let is_exact = signed.to_string().lines().eq(lines.iter().copied());
        (name == *origin && is_exact).then_some(signed)
    }
}

impl fmt::Display for Signed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signature = BASE64.encode(&[&self.key_id[..], &self.signature[..]].concat());
        let (text, origin) = (self.text(), &self.origin);
        writeln!(out, "{text}\n{DASH}{origin} {signature}")
    }
}

/// A part of a file of checkpoints, with the line that it begins at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// A whole checkpoint.
    Whole(usize, Signed),
    /// One that was not written to its end, as when the server was killed or the disk was full.
    Cut(usize),
    /// What is no checkpoint.
    Nonsense(usize),
}

/// What a file of checkpoints holds, in its order.
pub fn parts(file: &str) -> Vec<Part> {
    let mut found: Vec<(usize, Vec<&str>)> = Vec::new();
    for (number, line) in (1..).zip(file.split_inclusive('\n')) {
        let is_first = line.starts_with(PREFIX);
        match found.last_mut() {
            Some((_, lines)) if lines.len() < LINES && !is_first => lines.push(line),
            _ if line == "\n" => {}
            _ => found.push((number, vec![line])),
        }
    }
    found
        .into_iter()
        .map(|(at, lines)| part(at, &lines))
        .collect()
}

fn part(at: usize, lines: &[&str]) -> Part {
    let whole: Vec<_> = lines
        .iter()
        .filter_map(|line| line.strip_suffix('\n'))
        .collect();
    let is_cut = whole.len() < LINES || whole.last().is_some_and(|line| line.len() < LAST_LINE);
    match Signed::parse(&whole) {
        Some(signed) => Part::Whole(at, signed),
        None if is_cut => Part::Cut(at),
        None => Part::Nonsense(at),
    }
}

/// What is wrong with the log, or with checkpoints, in one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// What was altered so that it can no longer be read.
    #[error("line {0} of the checkpoints: no checkpoint")]
    Nonsense(usize),
    /// A key that was not given.
    #[error("line {line} of the checkpoints: signed with another key than those given, {origin}")]
    UnknownKey {
        /// Where the checkpoint begins.
        line: usize,
        /// The name of its key.
        origin: String,
    },
    /// The signature is not that of the key.
    #[error("line {0} of the checkpoints: the signature is wrong, the checkpoint was altered")]
    Forged(usize),
    /// The log is another one.
    #[error(
        "event {sequence} does not have the hash that was signed at {time} (line {line} of the checkpoints): the log up to \
         there was rewritten"
    )]
    Rewritten {
        /// Where the checkpoint begins.
        line: usize,
        /// The position.
        sequence: i64,
        /// When it was signed.
        time: Timestamp,
    },
    /// The log is shorter than it was.
    #[error(
        "events after {last} are missing: {sequence} was signed at {time} (line {line} of the checkpoints)"
    )]
    Rewound {
        /// Where the checkpoint begins.
        line: usize,
        /// The position.
        sequence: i64,
        /// When it was signed.
        time: Timestamp,
        /// The newest position.
        last: i64,
    },
}

/// Compares a log, as one goes along it, with checkpoints whose signatures were verified.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    signed: BTreeMap<i64, Vec<(usize, Signed)>>,
    met: usize,
    mismatch: Option<Mismatch>,
}

impl Comparison {
    /// With one more; `line` is where it begins.
    pub fn add(&mut self, line: usize, signed: Signed) {
        let at = self.signed.entry(signed.head.sequence).or_default();
        at.push((line, signed));
    }

    /// The log leads here.
    pub fn meet(&mut self, head: &Head) {
        for (line, signed) in self.signed.get(&head.sequence).into_iter().flatten() {
            self.met += 1;
            if signed.head.hash != head.hash && self.mismatch.is_none() {
                self.mismatch = Some(Mismatch::Rewritten {
                    line: *line,
                    sequence: head.sequence,
                    time: signed.time,
                });
            }
        }
    }

    /// The log ends at `last`; what is before `floor` was removed by retention.
    ///
    /// # Errors
    /// The first checkpoint, in the order of the log, that it does not agree with.
    pub fn finish(self, floor: i64, last: i64) -> Result<Agreement, Mismatch> {
        if let Some(mismatch) = self.mismatch {
            return Err(mismatch);
        }
        let beyond = self.signed.range(last + 1..).next();
        if let Some((&sequence, (line, signed))) =
            beyond.and_then(|(at, all)| Some((at, all.first()?)))
        {
            return Err(Mismatch::Rewound {
                line: *line,
                sequence,
                time: signed.time,
                last,
            });
        }
        Ok(Agreement {
            met: self.met,
            removed: self.signed.range(..floor).map(|(_, all)| all.len()).sum(),
        })
    }
}

/// Checkpoints that a log does not contradict; written in one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// Those that it agrees with.
    pub met: usize,
    /// Those of events that retention removed.
    pub removed: usize,
}

impl fmt::Display for Agreement {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.met {
            1 => out.write_str("1 checkpoint agrees")?,
            met => write!(out, "{met} checkpoints agree")?,
        }
        match self.removed {
            0 => Ok(()),
            removed => write!(
                out,
                "; {removed} of events that retention removed cannot be compared"
            ),
        }
    }
}
