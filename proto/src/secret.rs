//! `Debug` of the messages that hold a token or a session code: all but that.

use std::fmt::{Debug, Formatter, Result};

use crate::v1;

/// Stands for a secret; an empty one, as in the answer to a repetition, is none.
struct Hidden<'a>(&'a str);

impl Debug for Hidden<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(if self.0.is_empty() {
            "none"
        } else {
            "(secret)"
        })
    }
}

macro_rules! hide {
    ($($message:ident { $secret:ident $(, $shown:ident)* })+) => {$(
        impl Debug for v1::$message {
            fn fmt(&self, f: &mut Formatter<'_>) -> Result {
                f.debug_struct(stringify!($message))
                    $(.field(stringify!($shown), &self.$shown))*
                    .field(stringify!($secret), &Hidden(&self.$secret))
                    .finish()
            }
        }
    )+};
}

hide! {
    CreateCredentialResponse { token, credential }
    RotateCredentialResponse { token, credential }
    RotateConnectionTokenResponse { token, credential }
    CreateSessionResponse { session_code, expires_at }
    RedeemSessionRequest { session_code }
    RedeemSessionResponse { token, credential }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_secret_is_not_shown() {
        let answer = v1::RedeemSessionResponse {
            credential: Some(v1::Credential::default()),
            token: "s3cret".to_owned(),
        };
        let shown = format!("{answer:?}");
        assert!(
            shown.contains("(secret)") && !shown.contains("s3cret"),
            "{shown}"
        );
        let repeated = v1::RotateCredentialResponse::default();
        assert!(format!("{repeated:?}").contains("none"), "{repeated:?}");
    }
}
