//! Places in a list, and the opaque tokens that carry them between calls.
//!
//! A token is bound to the list, its filter and its order by a digest, so that one from elsewhere or one that was
//! tampered with is refused rather than answered with the wrong page. It is no credential.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// The place of the last row of a page: its sort key, then its uuid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The time that the list is sorted by, in microseconds.
    pub micros: i64,
    /// Decides between rows of the same time.
    pub uuid: Uuid,
}

/// What a token belongs to: the list's name, its order and the fingerprint of its filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope(String);

const VERSION: u8 = 1;
const BODY: usize = 1 + 8 + 16;
const SEAL: usize = 16;

impl Scope {
    /// The scope of one list.
    pub fn new(list: &str, order: &str, fingerprint: &str) -> Self {
        Self(format!("{list}/{order}/{fingerprint}"))
    }

    /// The token for the page after `position`.
    pub fn seal(&self, position: Position) -> String {
        let mut bytes = Vec::with_capacity(BODY + SEAL);
        bytes.push(VERSION);
        bytes.extend_from_slice(&position.micros.to_be_bytes());
        bytes.extend_from_slice(position.uuid.as_bytes());
        bytes.extend_from_slice(&self.digest(&bytes));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The place that `token` stands for; `None` when it was not made for this scope.
    pub fn open(&self, token: &str) -> Option<Position> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        if bytes.len() != BODY + SEAL {
            return None;
        }
        let (body, seal) = bytes.split_at(BODY);
        if body.first() != Some(&VERSION) || seal != self.digest(body) {
            return None;
        }
        Some(Position {
            micros: i64::from_be_bytes(body.get(1..9)?.try_into().ok()?),
            uuid: Uuid::from_slice(body.get(9..)?).ok()?,
        })
    }

    fn digest(&self, body: &[u8]) -> [u8; SEAL] {
        let mut hash = Sha256::new();
        hash.update(b"tidegate page token\0");
        hash.update(body);
        hash.update(self.0.as_bytes());
        let full = hash.finalize();
        let mut short = [0; SEAL];
        short.copy_from_slice(&full[..SEAL]);
        short
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scope() -> Scope {
        Scope::new("transfers", "desc", "table_name=1:a;")
    }

    proptest! {
        #[test]
        fn a_token_brings_back_its_place(micros: i64, uuid: u128) {
            let position = Position { micros, uuid: Uuid::from_u128(uuid) };
            prop_assert_eq!(scope().open(&scope().seal(position)), Some(position));
        }

        #[test]
        fn no_garbage_is_taken(token in ".{0,80}") {
            prop_assert_eq!(scope().open(&token), None);
        }

        #[test]
        fn a_changed_byte_is_noticed(micros: i64, uuid: u128, at in 0..(BODY + SEAL), by in 1..=255_u8) {
            let token = scope().seal(Position { micros, uuid: Uuid::from_u128(uuid) });
            let mut bytes = URL_SAFE_NO_PAD.decode(token).expect("it was just encoded");
            bytes[at] ^= by;
            prop_assert_eq!(scope().open(&URL_SAFE_NO_PAD.encode(bytes)), None);
        }
    }

    #[test]
    fn another_filter_or_order_is_another_scope() {
        let token = scope().seal(Position {
            micros: 1,
            uuid: Uuid::nil(),
        });
        for other in [
            Scope::new("transfers", "asc", "table_name=1:a;"),
            Scope::new("transfers", "desc", "table_name=1:b;"),
            Scope::new("active", "desc", "table_name=1:a;"),
        ] {
            assert_eq!(other.open(&token), None);
        }
    }
}
