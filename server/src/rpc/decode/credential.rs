//! Requests about credentials and sessions. What is secret was made before: a request never brings it along, but for the
//! code that is redeemed.

use std::time::Duration;

use tidegate_proto::v1;
use tonic::Request;

use super::{Mutation, duration, submission_with, value};
use crate::rpc::caller::Caller;
use tidegate_domain::{
    caller::Role,
    command::{CredentialCommand, OpenSession, Redemption, Submission},
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

/// What is kept of a new token.
pub(in crate::rpc) struct TokenDigest {
    id: String,
    digest: Vec<u8>,
}

/// What is kept of `token`.
pub(in crate::rpc) fn token_digest(token: &Token, pepper: &Pepper) -> TokenDigest {
    TokenDigest {
        id: token.id().to_owned(),
        digest: token.digest(pepper),
    }
}

impl TokenDigest {
    /// It, with the life that the request asks for.
    fn living(self, check: &mut Check, expires_in: Option<prost_types::Duration>) -> NewToken {
        let limits = TOKEN_LIFE;
        NewToken {
            id: self.id,
            digest: self.digest,
            expires_in: or_default(check, "expires_in", expires_in, limits, TOKEN_LIFE_DEFAULT),
        }
    }
}

impl Mutation for v1::CreateCredentialRequest {
    type Command = CredentialCommand;
    type Made = TokenDigest;
    const METHOD: &'static str = "CreateCredential";

    fn request_id(&mut self) -> &mut String {
        &mut self.request_id
    }

    fn command(self, check: &mut Check, _: &Caller, made: TokenDigest) -> CredentialCommand {
        let token = made.living(check, self.expires_in);
        let known = value(check, "role", self.role);
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
        CredentialCommand::Create {
            new: Box::new(new),
            token,
        }
    }
}

impl Mutation for v1::RotateCredentialRequest {
    type Command = CredentialCommand;
    type Made = TokenDigest;
    const METHOD: &'static str = "RotateCredential";

    fn request_id(&mut self) -> &mut String {
        &mut self.request_id
    }

    fn command(self, check: &mut Check, _: &Caller, made: TokenDigest) -> CredentialCommand {
        let token = made.living(check, self.expires_in);
        let uuid = check.uuid("uuid", &self.uuid);
        let overlap = overlap(check, self.overlap);
        CredentialCommand::Change {
            uuid,
            verb: CredentialVerb::Rotate { token, overlap },
        }
    }
}

impl Mutation for v1::RotateConnectionTokenRequest {
    type Command = CredentialCommand;
    type Made = TokenDigest;
    const METHOD: &'static str = "RotateConnectionToken";

    fn request_id(&mut self) -> &mut String {
        &mut self.request_id
    }

    fn command(self, check: &mut Check, _: &Caller, made: TokenDigest) -> CredentialCommand {
        let token = made.living(check, self.expires_in);
        CredentialCommand::RotateAgent {
            connection_uuid: check.uuid("uuid", &self.uuid),
            token,
            overlap: overlap(check, self.overlap),
        }
    }
}

impl Mutation for v1::RevokeCredentialRequest {
    type Command = CredentialCommand;
    type Made = ();
    const METHOD: &'static str = "RevokeCredential";

    fn request_id(&mut self) -> &mut String {
        &mut self.request_id
    }

    fn command(self, check: &mut Check, _: &Caller, (): ()) -> CredentialCommand {
        let uuid = check.uuid("uuid", &self.uuid);
        let reason = check.remark("reason", &self.reason, NAME_MAX);
        CredentialCommand::Change {
            uuid,
            verb: CredentialVerb::Revoke { reason },
        }
    }
}

/// The digest of a session code.
pub(in crate::rpc) struct CodeDigest(Vec<u8>);

impl Mutation for v1::CreateSessionRequest {
    type Command = OpenSession;
    type Made = CodeDigest;
    const METHOD: &'static str = "CreateSession";

    fn request_id(&mut self) -> &mut String {
        &mut self.request_id
    }

    fn command(self, check: &mut Check, _: &Caller, CodeDigest(digest): CodeDigest) -> OpenSession {
        let mut life =
            |field: &str, wire, default| or_default(check, field, wire, SESSION_LIFE, default);
        let expires_in = life("expires_in", self.expires_in, CODE_LIFE_DEFAULT);
        let token_expires_in = life(
            "token_expires_in",
            self.token_expires_in,
            SESSION_TOKEN_LIFE_DEFAULT,
        );
        OpenSession(NewSession {
            connection_uuid: check.uuid("connection_uuid", &self.connection_uuid),
            digest,
            expires_in,
            token_expires_in,
        })
    }
}

/// The wish to open a session that `code` redeems.
pub(in crate::rpc) fn session_submission(
    request: Request<v1::CreateSessionRequest>,
    code: &str,
    pepper: &Pepper,
) -> Result<Submission<OpenSession>, Refusal> {
    submission_with(request, CodeDigest(code_digest(code, pepper)))
}

/// The same session with another code.
pub(in crate::rpc) fn new_code(session: &mut OpenSession, code: &str, pepper: &Pepper) {
    session.0.digest = code_digest(code, pepper);
}

/// The wish to redeem a code for `token`. What cannot be a code is refused like a wrong one.
pub(in crate::rpc) fn redemption(
    request: Request<v1::RedeemSessionRequest>,
    token: &Token,
    pepper: &Pepper,
) -> Result<Submission<CredentialCommand>, Refusal> {
    let caller = Caller::of(&request).who;
    let code = parse_session_code(&request.into_inner().session_code)
        .ok_or(Refusal::SessionCodeInvalid)?;
    Ok(Submission {
        command: CredentialCommand::Redeem(Redemption {
            digest: code_digest(&code, pepper),
            code,
            token_id: token.id().to_owned(),
            token_digest: token.digest(pepper),
        }),
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
        role: value(check, "role", request.role),
        connection_uuid: check.optional_uuid("connection_uuid", &request.connection_uuid),
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
