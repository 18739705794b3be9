//! Requests about credentials and sessions. What is secret was made before: a request never brings it along, but for the
//! code that is redeemed.

use std::time::Duration;

use prost::Message;
use tidegate_proto::v1;
use tonic::Request;

use super::{Mutation, duration, submission_by, unknown};
use crate::rpc::caller::Caller;
use tidegate_domain::{
    access::AccessRefusal,
    caller::Role,
    command::{Command, Submission},
    credential::{
        CODE_LIFE_DEFAULT, CredentialVerb, NewCredential, NewSession, NewToken, OVERLAP_MAX,
        SESSION_LIFE, SESSION_TOKEN_LIFE_DEFAULT, TOKEN_LIFE, TOKEN_LIFE_DEFAULT,
    },
    query::CredentialFilter,
    refusal::Refusal,
    token::{Pepper, Token, parse_session_code},
    validate::{Check, NAME_MAX},
};

/// What the digest of a session code is made for.
const CODE: &str = "session";

/// A request that a new token is made for.
pub(in crate::rpc) trait TokenRequest: Message + Default {
    /// As [`Mutation::METHOD`].
    const METHOD: &'static str;

    fn request_id(&mut self) -> &mut String;
    fn expires_in(&self) -> Option<prost_types::Duration>;
    fn command(self, check: &mut Check, token: NewToken) -> Command;
}

/// The order to keep `token`.
pub(in crate::rpc) fn token_submission<M: TokenRequest>(
    request: Request<M>,
    token: &Token,
    pepper: &Pepper,
) -> Result<Submission, Refusal> {
    submission_by(
        request,
        M::METHOD,
        true,
        M::request_id,
        |message, check, _| {
            let new = NewToken {
                id: token.id().to_owned(),
                digest: token.digest(pepper),
                expires_in: or_default(
                    check,
                    "expires_in",
                    message.expires_in(),
                    TOKEN_LIFE,
                    TOKEN_LIFE_DEFAULT,
                ),
            };
            message.command(check, new)
        },
    )
}

impl TokenRequest for v1::CreateCredentialRequest {
    const METHOD: &'static str = "CreateCredential";

    fn request_id(&mut self) -> &mut String {
        &mut self.request_id
    }

    fn expires_in(&self) -> Option<prost_types::Duration> {
        self.expires_in
    }

    fn command(self, check: &mut Check, token: NewToken) -> Command {
        let known = role(check, self.role);
        if self.role == 0 {
            check.add("role", "is required");
        }
        let new = match known {
            Some(role) => NewCredential::declare(
                check,
                &self.name,
                role,
                &self.connection_uuid,
                self.acts_for_others,
            ),
            // What goes with the role cannot be said without one.
            None => NewCredential::declare(check, &self.name, Role::Viewer, "", false),
        };
        Command::CreateCredential {
            new: Box::new(new),
            token,
        }
    }
}

impl TokenRequest for v1::RotateCredentialRequest {
    const METHOD: &'static str = "RotateCredential";

    fn request_id(&mut self) -> &mut String {
        &mut self.request_id
    }

    fn expires_in(&self) -> Option<prost_types::Duration> {
        self.expires_in
    }

    fn command(self, check: &mut Check, token: NewToken) -> Command {
        let uuid = check.uuid("uuid", &self.uuid);
        let overlap = overlap(check, self.overlap);
        Command::ChangeCredential {
            uuid,
            verb: CredentialVerb::Rotate { token, overlap },
        }
    }
}

impl TokenRequest for v1::RotateConnectionTokenRequest {
    const METHOD: &'static str = "RotateConnectionToken";

    fn request_id(&mut self) -> &mut String {
        &mut self.request_id
    }

    fn expires_in(&self) -> Option<prost_types::Duration> {
        self.expires_in
    }

    fn command(self, check: &mut Check, token: NewToken) -> Command {
        Command::RotateAgent {
            connection_uuid: check.uuid("uuid", &self.uuid),
            token,
            overlap: overlap(check, self.overlap),
        }
    }
}

impl Mutation for v1::RevokeCredentialRequest {
    const METHOD: &'static str = "RevokeCredential";

    fn request_id(&mut self) -> &mut String {
        &mut self.request_id
    }

    fn command(self, check: &mut Check, _: &Caller) -> Command {
        let uuid = check.uuid("uuid", &self.uuid);
        let reason = check.remark("reason", &self.reason, NAME_MAX);
        Command::ChangeCredential {
            uuid,
            verb: CredentialVerb::Revoke { reason },
        }
    }
}

/// The order to open a session that `code` redeems.
pub(in crate::rpc) fn session_submission(
    request: Request<v1::CreateSessionRequest>,
    code: &str,
    pepper: &Pepper,
) -> Result<Submission, Refusal> {
    submission_by(
        request,
        "CreateSession",
        true,
        |message: &mut v1::CreateSessionRequest| &mut message.request_id,
        |message, check, _| {
            Command::OpenSession(NewSession {
                connection_uuid: check.uuid("connection_uuid", &message.connection_uuid),
                digest: code_digest(code, pepper),
                expires_in: or_default(
                    check,
                    "expires_in",
                    message.expires_in,
                    SESSION_LIFE,
                    CODE_LIFE_DEFAULT,
                ),
                token_expires_in: or_default(
                    check,
                    "token_expires_in",
                    message.token_expires_in,
                    SESSION_LIFE,
                    SESSION_TOKEN_LIFE_DEFAULT,
                ),
            })
        },
    )
}

/// Puts another code into the order of a session.
pub(in crate::rpc) fn with_code(submission: &mut Submission, code: &str, pepper: &Pepper) {
    if let Command::OpenSession(new) = &mut submission.command {
        new.digest = code_digest(code, pepper);
    }
}

/// The order to redeem a code for `token`. What cannot be a code is refused like a wrong one.
pub(in crate::rpc) fn redemption(
    request: Request<v1::RedeemSessionRequest>,
    token: &Token,
    pepper: &Pepper,
) -> Result<Submission, Refusal> {
    let caller = Caller::of(&request).who;
    let code = parse_session_code(&request.into_inner().session_code)
        .ok_or(AccessRefusal::SessionCodeInvalid)?;
    Ok(Submission {
        command: Command::RedeemSession {
            digest: code_digest(&code, pepper),
            code,
            token_id: token.id().to_owned(),
            token_digest: token.digest(pepper),
        },
        caller,
        request: None,
    })
}

/// What is kept of a session code.
fn code_digest(code: &str, pepper: &Pepper) -> Vec<u8> {
    pepper.digest(CODE, code.as_bytes())
}

pub(in crate::rpc) fn credential_filter(
    check: &mut Check,
    request: &v1::ListCredentialsRequest,
) -> CredentialFilter {
    CredentialFilter {
        role: role(check, request.role),
        connection_uuid: check.optional_uuid("connection_uuid", &request.connection_uuid),
    }
}

fn role(check: &mut Check, value: i32) -> Option<Role> {
    match v1::Role::try_from(value) {
        Ok(v1::Role::Viewer) => Some(Role::Viewer),
        Ok(v1::Role::Agent) => Some(Role::Agent),
        Ok(v1::Role::Approver) => Some(Role::Approver),
        Ok(v1::Role::Admin) => Some(Role::Admin),
        Ok(v1::Role::Unspecified) => None,
        Err(_) => unknown(check, "role", value),
    }
}

fn overlap(check: &mut Check, wire: Option<prost_types::Duration>) -> Duration {
    let limits = (Duration::ZERO, OVERLAP_MAX);
    let backward = wire.is_some_and(|time| time.seconds < 0 || time.nanos < 0);
    if backward {
        check.add("overlap", "must not be negative");
        return Duration::ZERO;
    }
    or_default(check, "overlap", wire, limits, Duration::ZERO)
}

fn or_default(
    check: &mut Check,
    field: &str,
    wire: Option<prost_types::Duration>,
    limits: (Duration, Duration),
    default: Duration,
) -> Duration {
    wire.map_or(default, |time| duration(check, field, time, limits))
}
