//! Credentials, tokens and sessions.

use tidegate_proto::v1;

use super::value::{optional_time, optional_uuid, text, time, uuid};
use crate::{
    Credential, Error, IssuedToken, OpenedSession, Role, SessionCode, Token, model::Wire as _,
};

/// The credential of an answer that always has one.
pub(crate) fn credential(wire: Option<v1::Credential>) -> Result<Credential, Error> {
    present_credential(wire.ok_or_else(|| Error::malformed("credential is missing"))?)
}

pub(crate) fn present_credential(wire: v1::Credential) -> Result<Credential, Error> {
    Ok(Credential {
        uuid: uuid("credential.uuid", &wire.uuid)?,
        name: wire.name,
        role: Role::from_wire(wire.role),
        connection_uuid: optional_uuid("credential.connection_uuid", &wire.connection_uuid)?,
        acts_for_others: wire.acts_for_others,
        session_code: text(wire.session_code),
        inserted_at: time("credential.inserted_at", wire.inserted_at)?,
        expires_at: optional_time("credential.expires_at", wire.expires_at)?,
        revoked_at: optional_time("credential.revoked_at", wire.revoked_at)?,
        last_used_at: optional_time("credential.last_used_at", wire.last_used_at)?,
        last_used_address: text(wire.last_used_address),
        revision: wire.revision,
    })
}

pub(crate) fn issued(
    credential: Option<v1::Credential>,
    token: String,
) -> Result<IssuedToken, Error> {
    Ok(IssuedToken {
        credential: self::credential(credential)?,
        token: Token::new(token),
    })
}

pub(crate) fn opened(wire: v1::CreateSessionResponse) -> Result<OpenedSession, Error> {
    Ok(OpenedSession {
        session_code: SessionCode::new(wire.session_code),
        expires_at: time("expires_at", wire.expires_at)?,
    })
}
