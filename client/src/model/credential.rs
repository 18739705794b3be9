//! Who may call: credentials, and the secrets that are shown once.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Role, text};

/// Declares a secret that is handed on and not shown.
macro_rules! secret {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            pub(crate) fn new(text: String) -> Option<Self> {
                (!text.is_empty()).then_some(Self(text))
            }

            /// The secret itself, to be put where it belongs and nowhere else.
            #[must_use]
            pub fn reveal(&self) -> &str {
                &self.0
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(secret)"))
            }
        }
    };
}

secret! {
    /// What a caller shows to say who calls; see [`ClientBuilder::token`](crate::ClientBuilder::token). `Debug` does not
    /// show it, and it cannot be serialized.
    Token
}

secret! {
    /// What an agent redeems, once, for a token: 8 letters and digits. `Debug` does not show it.
    SessionCode
}

/// Somebody who may call: a person, a service, or the agent of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Credential {
    /// Identity, made by the server. It is the `actor_uuid` of what is done with it.
    pub uuid: Uuid,
    /// What people call it. Not unique.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The connection that an agent belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_uuid: Option<Uuid>,
    /// Whether it may name other people as initiators and deciders.
    pub acts_for_others: bool,
    /// The session code that it was redeemed with, which is good for nothing more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_code: Option<String>,
    /// When it was created.
    pub inserted_at: DateTime<Utc>,
    /// When its newest token ends; `None` when it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<DateTime<Utc>>,
    /// When it was last used, to about a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<DateTime<Utc>>,
    /// The address that it was last used from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_address: Option<String>,
    /// 1 when created, one more with every change but its use.
    #[serde(serialize_with = "text::number")]
    pub revision: i64,
}

/// A credential with the token that was just made for it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IssuedToken {
    /// The credential as it is now.
    pub credential: Credential,
    /// Its token, which is in this answer and nowhere else. `None` when the call was a repetition of one that was carried
    /// out before: if that answer was lost, rotate.
    pub token: Option<Token>,
}

/// A session that was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenedSession {
    /// The code, which is in this answer and nowhere else. `None` when the call was a repetition.
    pub session_code: Option<SessionCode>,
    /// Until when it can be redeemed.
    pub expires_at: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_revealed_on_purpose_only() {
        let token = Token::new("tdg_s3cret".to_owned()).expect("not empty");
        assert_eq!(token.reveal(), "tdg_s3cret");
        assert_eq!(format!("{token:?}"), "Token(secret)");
        let opened = OpenedSession {
            session_code: SessionCode::new("2345WXYZ".to_owned()),
            expires_at: DateTime::UNIX_EPOCH,
        };
        assert!(!format!("{opened:?}").contains("2345"), "{opened:?}");
        assert_eq!(Token::new(String::new()), None);
    }
}
