//! The text of a token and what is kept of it.
//!
//! `tdg_ID_SECRET_CHECKSUM`: the id finds the record, the secret of 256 bits is kept as a digest alone, and the checksum
//! lets a scanner of leaked text, or a client, tell a token from a mistake without asking the server.

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// Bytes of a token's id.
pub const ID_BYTES: usize = 10;
/// Bytes of a token's secret.
pub const SECRET_BYTES: usize = 32;
/// Characters of a session code.
pub const CODE_LENGTH: usize = 8;
/// The characters of session codes: none that is mistaken for another.
pub const CODE_ALPHABET: &[u8; 31] = b"23456789ABCDEFGHJKMNPQRSTUVWXYZ";

const PREFIX: &str = "tdg";

/// A key that the digests depend on, kept outside the database; without one they are plain SHA-256.
#[derive(Clone, Default)]
pub struct Pepper(Option<Vec<u8>>);

impl Pepper {
    /// A key; should have 32 bytes or more.
    pub const fn new(key: Vec<u8>) -> Self {
        Self(Some(key))
    }

    /// What is kept of a secret. `purpose` keeps the digest of one kind of secret from passing for another's.
    pub fn digest(&self, purpose: &str, secret: &[u8]) -> Vec<u8> {
        let parts = [purpose.as_bytes(), &[0], secret];
        if let Some(key) = &self.0
            && let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key)
        {
            for part in parts {
                mac.update(part);
            }
            return mac.finalize().into_bytes().to_vec();
        }
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(part);
        }
        hash.finalize().to_vec()
    }
}

impl std::fmt::Debug for Pepper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() {
            "Pepper(set)"
        } else {
            "Pepper(none)"
        })
    }
}

/// Whether two digests are the same, in a time that does not depend on where they differ.
pub fn is_same(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

/// A token as it is shown and presented. Neither `Debug` nor an error shows the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    id: String,
    secret: String,
}

impl Token {
    /// A token of random bytes.
    pub fn of(id: [u8; ID_BYTES], secret: [u8; SECRET_BYTES]) -> Self {
        let text = |bytes: &[u8]| BASE32_NOPAD.encode(bytes).to_ascii_lowercase();
        Self {
            id: text(&id),
            secret: text(&secret),
        }
    }

    /// The token in a text; `None` when it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let (body, checksum) = text.rsplit_once('_')?;
        let mut parts = body.split('_');
        let (prefix, id, secret) = (parts.next()?, parts.next()?, parts.next()?);
        let is_plain = |part: &str, bytes: usize| {
            part.len() == (bytes * 8).div_ceil(5)
                && part
                    .bytes()
                    .all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'))
        };
        let is_token = prefix == PREFIX
            && parts.next().is_none()
            && is_plain(id, ID_BYTES)
            && is_plain(secret, SECRET_BYTES)
            && checksum == self::checksum(body);
        is_token.then(|| Self {
            id: id.to_owned(),
            secret: secret.to_owned(),
        })
    }

    /// The public part, by which its record is found.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What is kept of the secret.
    pub fn digest(&self, pepper: &Pepper) -> Vec<u8> {
        pepper.digest("token", self.secret.as_bytes())
    }

    /// The text for its owner.
    pub fn reveal(&self) -> String {
        let body = format!("{PREFIX}_{}_{}", self.id, self.secret);
        let checksum = checksum(&body);
        format!("{body}_{checksum}")
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token({PREFIX}_{}_…)", self.id)
    }
}

fn checksum(body: &str) -> String {
    HEXLOWER.encode(&crc32fast::hash(body.as_bytes()).to_be_bytes())
}

/// A session code from random numbers, which must be evenly distributed over the alphabet.
pub fn session_code(places: [usize; CODE_LENGTH]) -> String {
    let letter = |place: usize| char::from(CODE_ALPHABET[place % CODE_ALPHABET.len()]);
    places.into_iter().map(letter).collect()
}

/// A session code as it was made, from what somebody typed; `None` when it cannot be one.
pub fn parse_session_code(text: &str) -> Option<String> {
    let code: String = text
        .chars()
        .filter(|c| !matches!(c, ' ' | '-'))
        .map(|c| c.to_ascii_uppercase())
        .take(CODE_LENGTH + 1)
        .collect();
    let is_code =
        code.len() == CODE_LENGTH && code.bytes().all(|byte| CODE_ALPHABET.contains(&byte));
    is_code.then_some(code)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> Token {
        Token::of([7; ID_BYTES], [9; SECRET_BYTES])
    }

    #[test]
    fn a_token_is_read_as_it_is_written_and_hides_its_secret() {
        let text = sample().reveal();
        assert_eq!(text.len(), 3 + 1 + 16 + 1 + 52 + 1 + 8, "{text}");
        assert_eq!(Token::parse(&text), Some(sample()));
        let shown = format!("{:?}", sample());
        assert!(!shown.contains(&sample().secret), "{shown}");
        assert!(shown.contains(sample().id()), "{shown}");
    }

    #[test]
    fn a_token_is_kept_by_its_id_and_the_digest_of_its_secret() {
        let text = sample().reveal();
        let parts: Vec<_> = text.split('_').collect();
        assert_eq!(parts[1], sample().id());
        let pepper = Pepper::new(vec![1; 32]);
        let kept = pepper.digest("token", parts[2].as_bytes());
        assert_eq!(sample().digest(&pepper), kept);
    }

    #[test]
    fn a_checksum_makes_no_token_of_another_form() {
        let Token { id, secret } = sample();
        let (short, long) = (&id[1..], format!("{secret}a"));
        let (upper, zero) = (id.to_uppercase(), format!("{}0", &id[1..]));
        for (body, is_token) in [
            (format!("tdg_{id}_{secret}"), true),
            (format!("tdh_{id}_{secret}"), false),
            (format!("tdg_{id}_{secret}_{id}"), false),
            (format!("tdg_{short}_{secret}"), false),
            (format!("tdg_{id}_{long}"), false),
            (format!("tdg_{upper}_{secret}"), false),
            (format!("tdg_{zero}_{secret}"), false),
        ] {
            let text = format!("{body}_{}", checksum(&body));
            assert_eq!(Token::parse(&text).is_some(), is_token, "{text}");
        }
    }

    #[test]
    fn a_pepper_is_not_shown() {
        let shown = [Pepper::default(), Pepper::new(vec![1; 32])].map(|it| format!("{it:?}"));
        assert_eq!(shown, ["Pepper(none)", "Pepper(set)"]);
    }

    #[test]
    fn one_wrong_character_is_noticed() {
        let text = sample().reveal();
        for place in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[place] = if bytes[place] == b'a' { b'b' } else { b'a' };
            let wrong = String::from_utf8(bytes).expect("it is ASCII");
            assert_eq!(Token::parse(&wrong), None, "{wrong}");
        }
        for wrong in [
            "",
            "_",
            "tdg___",
            "tdg_a_b_c",
            &text[1..],
            &text.to_uppercase(),
            &format!("{text} "),
        ] {
            assert_eq!(Token::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_digest_depends_on_the_pepper_and_on_the_purpose() {
        let (plain, keyed) = (Pepper::default(), Pepper::new(vec![1; 32]));
        assert_eq!(plain.digest("token", b"s").len(), 32);
        assert!(is_same(
            &plain.digest("token", b"s"),
            &plain.digest("token", b"s")
        ));
        assert!(!is_same(
            &plain.digest("token", b"s"),
            &keyed.digest("token", b"s")
        ));
        assert!(!is_same(
            &plain.digest("token", b"s"),
            &plain.digest("session", b"s")
        ));
        assert!(!is_same(b"", &plain.digest("token", b"s")));
    }

    #[test]
    fn a_code_is_read_as_people_type_it() {
        let code = session_code([0, 1, 2, 3, 27, 28, 29, 30]);
        assert_eq!(code, "2345WXYZ");
        assert_eq!(parse_session_code(" 2345-wxyz "), Some(code));
        for wrong in ["", "2345WXY", "2345WXYZ2", "0O1IL234", "2345WXYÄ"] {
            assert_eq!(parse_session_code(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_token_or_not(text in ".*") {
            let _ = Token::parse(&text);
            let _ = parse_session_code(&text);
        }

        #[test]
        fn every_token_comes_back(id: [u8; ID_BYTES], secret: [u8; SECRET_BYTES]) {
            let token = Token::of(id, secret);
            prop_assert_eq!(Token::parse(&token.reveal()), Some(token));
        }
    }
}
