//! Between credentials, tokens and sessions and their rows.

use tidegate_entity::{
    access_token, credential, session,
    stored::{Stored, StoredId},
};

use crate::{
    error::StoreError,
    value::{from_duration, optional, to_duration},
};
use tidegate_domain::{
    credential::{Credential, NewCredential, NewSession, Session, TokenRecord},
    id::CredentialId,
    time::Timestamp,
};

pub(crate) fn from_credential(credential: &Credential) -> credential::Model {
    let declared = &credential.declared;
    credential::Model {
        uuid: credential.uuid.into(),
        name: declared.name.clone(),
        role: Stored(declared.role),
        connection_uuid: declared.connection_uuid.map(StoredId),
        acts_for_others: declared.acts_for_others,
        session_code: optional(&declared.session_code),
        inserted_at: credential.inserted_at.as_micros(),
        revoked_at: credential.revoked_at.map(Timestamp::as_micros),
        last_used_at: credential.last_used_at.map(Timestamp::as_micros),
        last_used_address: credential.last_used_address.map(Stored),
        revision: credential.revision,
    }
}

pub(crate) fn from_token(credential: CredentialId, token: &TokenRecord) -> access_token::Model {
    access_token::Model {
        id: token.id.clone(),
        credential_uuid: credential.into(),
        digest: token.digest.clone(),
        inserted_at: token.inserted_at.as_micros(),
        expires_at: token.expires_at.as_micros(),
    }
}

/// A credential with its tokens, oldest first.
pub(crate) fn to_credential(
    row: credential::Model,
    tokens: Vec<access_token::Model>,
) -> Credential {
    let mut tokens: Vec<_> = tokens
        .into_iter()
        .map(|token| TokenRecord {
            id: token.id,
            digest: token.digest,
            inserted_at: Timestamp::from_micros(token.inserted_at),
            expires_at: Timestamp::from_micros(token.expires_at),
        })
        .collect();
    tokens.sort_by(|one, other| (one.inserted_at, &one.id).cmp(&(other.inserted_at, &other.id)));
    Credential {
        uuid: row.uuid.0,
        declared: NewCredential {
            name: row.name,
            role: row.role.0,
            connection_uuid: row.connection_uuid.map(|stored| stored.0),
            acts_for_others: row.acts_for_others,
            session_code: row.session_code.unwrap_or_default(),
        },
        tokens,
        inserted_at: Timestamp::from_micros(row.inserted_at),
        revoked_at: row.revoked_at.map(Timestamp::from_micros),
        last_used_at: row.last_used_at.map(Timestamp::from_micros),
        last_used_address: row.last_used_address.map(|stored| stored.0),
        revision: row.revision,
    }
}

pub(crate) fn from_session(session: &Session) -> session::Model {
    session::Model {
        uuid: session.uuid.into(),
        connection_uuid: session.declared.connection_uuid.into(),
        digest: session.declared.digest.clone(),
        inserted_at: session.inserted_at.as_micros(),
        expires_at: session.expires_at.as_micros(),
        token_expires_in: from_duration(session.declared.token_expires_in),
        redeemed_at: session.redeemed_at.map(Timestamp::as_micros),
    }
}

pub(crate) fn to_session(row: session::Model) -> Result<Session, StoreError> {
    let (inserted_at, expires_at) = (
        Timestamp::from_micros(row.inserted_at),
        Timestamp::from_micros(row.expires_at),
    );
    Ok(Session {
        uuid: row.uuid.0,
        declared: NewSession {
            connection_uuid: row.connection_uuid.0,
            digest: row.digest,
            expires_in: expires_at.since(inserted_at),
            token_expires_in: to_duration(row.token_expires_in)?,
        },
        inserted_at,
        expires_at,
        redeemed_at: row.redeemed_at.map(Timestamp::from_micros),
    })
}
