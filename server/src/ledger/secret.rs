//! New tokens and session codes.
//!
//! Their bytes come from the operating system, not from a generator in memory: no state of this process, and no copy of
//! it, tells what comes next. They are made a few times a day, so that the system call costs nothing.

use std::sync::Arc;

use rand::{TryRngCore as _, rngs::OsRng};

use crate::error::Error;
use tidegate_domain::token::{
    CODE_ALPHABET, CODE_LENGTH, ID_BYTES, SECRET_BYTES, Token, session_code,
};

/// A token that nobody has yet.
///
/// # Errors
/// [`Error::Internal`] when the operating system has no random bytes.
pub fn new_token() -> Result<Token, Error> {
    Ok(Token::of(random::<ID_BYTES>()?, random::<SECRET_BYTES>()?))
}

/// A session code; all are equally likely.
///
/// # Errors
/// As [`new_token`].
pub fn new_session_code() -> Result<String, Error> {
    let mut places = [0; CODE_LENGTH];
    let mut filled = 0;
    while filled < CODE_LENGTH {
        let fair = random::<{ 2 * CODE_LENGTH }>()?
            .into_iter()
            .filter_map(place);
        for (slot, place) in places[filled..].iter_mut().zip(fair) {
            *slot = place;
            filled += 1;
        }
    }
    Ok(session_code(places))
}

/// The place in the alphabet that a random byte stands for. The few highest bytes would favour its beginning: none.
fn place(byte: u8) -> Option<usize> {
    let letters = CODE_ALPHABET.len();
    let byte = usize::from(byte);
    (byte < 256 / letters * letters).then_some(byte % letters)
}

fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    OsRng
        .try_fill_bytes(&mut bytes)
        .map_err(|error| Error::Internal(Arc::new(error)))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use tidegate_domain::token::parse_session_code;

    #[test]
    fn no_two_are_alike() {
        let tokens: HashSet<_> = (0..1_000)
            .map(|_| new_token().expect("a token").reveal())
            .collect();
        assert_eq!(tokens.len(), 1_000);
        for _ in 0..1_000 {
            let code = new_session_code().expect("a code");
            assert_eq!(parse_session_code(&code), Some(code));
        }
    }

    #[test]
    fn every_letter_is_as_likely_as_any_other() {
        let mut count = [0; CODE_ALPHABET.len()];
        for byte in 0..=u8::MAX {
            if let Some(place) = place(byte) {
                count[place] += 1;
            }
        }
        assert_eq!(count, [8; CODE_ALPHABET.len()]);
    }
}
