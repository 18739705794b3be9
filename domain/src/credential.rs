//! Who may call: credentials, their tokens, and the sessions that agents redeem for one.

use std::{net::IpAddr, time::Duration};

use super::{
    caller::{Identity, Role},
    connection::ConnectionStatus,
    event::{EventDetail, EventType},
    refusal::Refusal,
    time::Timestamp,
    validate::{Check, NAME_MAX},
};
use crate::id::{ConnectionId, CredentialId, SessionId};

/// Shortest and longest life of a token.
pub const TOKEN_LIFE: (Duration, Duration) = (
    Duration::from_secs(60),
    Duration::from_secs(366 * 24 * 3_600),
);
/// Life of a token when the caller names none.
pub const TOKEN_LIFE_DEFAULT: Duration = Duration::from_secs(90 * 24 * 3_600);
/// Longest time that a token stays good after it was rotated.
pub const OVERLAP_MAX: Duration = Duration::from_secs(24 * 3_600);
/// Shortest and longest life of a session code, and of the token that it is redeemed for.
pub const SESSION_LIFE: (Duration, Duration) =
    (Duration::from_secs(60), Duration::from_secs(24 * 3_600));
/// Life of a session code when the caller names none.
pub const CODE_LIFE_DEFAULT: Duration = Duration::from_secs(15 * 60);
/// Life of the token that a session code is redeemed for when the caller names none.
pub const SESSION_TOKEN_LIFE_DEFAULT: Duration = Duration::from_secs(3_600);

/// What is kept of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRecord {
    /// The public part of the token.
    pub id: String,
    /// Digest of its secret.
    pub digest: Vec<u8>,
    /// From when on it is good.
    pub inserted_at: Timestamp,
    /// From when on it is not.
    pub expires_at: Timestamp,
}

/// A token to be kept; the caller has the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// The public part of the token.
    pub id: String,
    /// Digest of its secret.
    pub digest: Vec<u8>,
    /// How long it is good.
    pub expires_in: Duration,
}

impl NewToken {
    fn issue(&self, now: Timestamp) -> TokenRecord {
        TokenRecord {
            id: self.id.clone(),
            digest: self.digest.clone(),
            inserted_at: now,
            expires_at: now.after(self.expires_in),
        }
    }
}

/// What a caller asks for; every field is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCredential {
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The connection that an agent belongs to.
    pub connection_uuid: Option<ConnectionId>,
    /// Whether it may name other people as initiators and deciders.
    pub acts_for_others: bool,
    /// The session code that it was redeemed with; empty for one that was not.
    pub session_code: String,
}

impl NewCredential {
    /// What a caller asks for by hand. Of the fields, only the role is taken as it is.
    pub fn declare(
        check: &mut Check,
        name: &str,
        role: Role,
        connection_uuid: &str,
        acts_for_others: bool,
    ) -> Self {
        check.required("name", name);
        let field = "connection_uuid";
        match (role, connection_uuid) {
            (Role::Agent, "") => check.add(field, "is required for an agent"),
            (Role::Agent, _) | (_, "") => {}
            _ => check.add(field, "is only for agents"),
        }
        if role == Role::Agent && acts_for_others {
            check.add("acts_for_others", "is not for agents");
        }
        Self {
            name: check.name("name", name, NAME_MAX),
            role,
            connection_uuid: check.optional_uuid(field, connection_uuid),
            acts_for_others,
            session_code: String::new(),
        }
    }
}

/// A credential as the ledger holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Identity.
    pub uuid: CredentialId,
    /// What was asked for.
    pub declared: NewCredential,
    /// Its tokens, oldest first; none that ended before the last change.
    pub tokens: Vec<TokenRecord>,
    /// When it was created.
    pub inserted_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, to about a minute.
    pub last_used_at: Option<Timestamp>,
    /// The address that it was last used from.
    pub last_used_address: Option<IpAddr>,
    /// 1 when created, one more with every change but its use.
    pub revision: i64,
}

/// Something to do to one existing credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialVerb {
    /// Give it a new token.
    Rotate {
        /// The token.
        token: NewToken,
        /// How long the one before stays good.
        overlap: Duration,
    },
    /// End it.
    Revoke {
        /// Why.
        reason: String,
    },
    /// Remove its row. Does nothing to a credential that has not ended by then.
    Delete {
        /// Since when it must have been over.
        ended_before: Timestamp,
    },
}

impl Credential {
    /// A credential that was just created, with its first token.
    pub fn create(
        uuid: CredentialId,
        declared: NewCredential,
        token: &NewToken,
        now: Timestamp,
    ) -> Self {
        Self {
            uuid,
            declared,
            tokens: vec![token.issue(now)],
            inserted_at: now,
            revoked_at: None,
            last_used_at: None,
            last_used_address: None,
            revision: 1,
        }
    }

    /// When its newest token ends.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.tokens.iter().map(|token| token.expires_at).max()
    }

    /// When it ends for good: when it was revoked, or, of the agent of a session, with its token. `None` while that is
    /// not known, since others can be given new tokens.
    pub fn ends_at(&self) -> Option<Timestamp> {
        let is_of_session = !self.declared.session_code.is_empty();
        let with_token = is_of_session.then(|| self.expires_at().unwrap_or(self.inserted_at));
        self.revoked_at.or(with_token)
    }

    /// What it was created as, for the log.
    pub fn detail(&self) -> EventDetail {
        EventDetail::Credential {
            role: self.declared.role,
            name: self.declared.name.clone(),
        }
    }

    /// Who calls with it.
    pub fn identity(&self) -> Identity {
        Identity {
            credential_uuid: self.uuid,
            role: self.declared.role,
            connection_uuid: self.declared.connection_uuid,
            acts_for_others: self.declared.acts_for_others,
            session_code: self.declared.session_code.clone(),
        }
    }

    /// Until when the token with this id is good at `now`; `None` when it is not. `connection` is the status of the
    /// connection that an agent belongs to: with a connection that was ended or deleted its agents end.
    pub fn good_until(
        &self,
        token_id: &str,
        connection: Option<ConnectionStatus>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let is_cut_off = self.declared.connection_uuid.is_some()
            && matches!(connection, None | Some(ConnectionStatus::Revoked));
        let token = self.tokens.iter().find(|token| token.id == token_id)?;
        (self.revoked_at.is_none() && !is_cut_off && now < token.expires_at)
            .then_some(token.expires_at)
    }
}

/// Decides `verb` on `credential` at `now`: the credential after it, as it was where it is deleted, with the event and what
/// that tells. `None`: it already is as asked.
///
/// # Errors
/// [`Refusal::CredentialRevoked`] for a rotation after the end.
pub fn decide_credential(
    credential: &Credential,
    verb: &CredentialVerb,
    now: Timestamp,
) -> Result<Option<(Credential, EventType, Option<EventDetail>)>, Refusal> {
    let uuid = credential.uuid;
    let mut after = credential.clone();
    after.revision += 1;
    match verb {
        CredentialVerb::Rotate { .. } if credential.revoked_at.is_some() => {
            Err(Refusal::CredentialRevoked { uuid })
        }
        CredentialVerb::Rotate { token, overlap } => {
            let end = now.after(*overlap);
            after.tokens.retain(|token| token.expires_at > now);
            // Two live tokens at most: the newest of the old ones overlaps.
            if let Some(surplus) = after.tokens.len().checked_sub(1) {
                after.tokens.drain(..surplus);
            }
            for old in &mut after.tokens {
                old.expires_at = old.expires_at.min(end);
            }
            after.tokens.retain(|token| token.expires_at > now);
            let mut new = token.issue(now);
            // Two rotations may share a time; the order of the tokens is kept in their times.
            if let Some(newest) = credential.tokens.last() {
                let next = newest.inserted_at.after(Duration::from_micros(1));
                new.inserted_at = new.inserted_at.max(next);
            }
            after.tokens.push(new);
            Ok(Some((after, EventType::CredentialRotated, None)))
        }
        CredentialVerb::Revoke { .. } if credential.revoked_at.is_some() => Ok(None),
        CredentialVerb::Revoke { reason } => {
            after.revoked_at = Some(now);
            after.tokens.clear();
            let detail = EventDetail::comment(reason);
            Ok(Some((after, EventType::CredentialRevoked, detail)))
        }
        CredentialVerb::Delete { ended_before } => {
            let is_over = credential.ends_at().is_some_and(|end| end < *ended_before);
            let detail = Some(credential.detail());
            Ok(is_over.then(|| (credential.clone(), EventType::CredentialDeleted, detail)))
        }
    }
}

/// A session to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSession {
    /// The connection that it is for.
    pub connection_uuid: ConnectionId,
    /// Digest of its code.
    pub digest: Vec<u8>,
    /// How long the code can be redeemed.
    pub expires_in: Duration,
    /// How long the token that it is redeemed for is good.
    pub token_expires_in: Duration,
}

/// A session as the ledger holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Identity.
    pub uuid: SessionId,
    /// What was asked for.
    pub declared: NewSession,
    /// When it was opened.
    pub inserted_at: Timestamp,
    /// Until when its code can be redeemed.
    pub expires_at: Timestamp,
    /// When it was.
    pub redeemed_at: Option<Timestamp>,
}

impl Session {
    /// A session that was just opened.
    pub fn open(uuid: SessionId, declared: NewSession, now: Timestamp) -> Self {
        Self {
            uuid,
            inserted_at: now,
            expires_at: now.after(declared.expires_in),
            redeemed_at: None,
            declared,
        }
    }

    /// Whether it was over by then, redeemed or not.
    pub fn was_over(&self, by: Timestamp) -> bool {
        self.expires_at < by
    }

    /// The session after its code was redeemed at `now`, and who its agent is. `connection` is the status of its
    /// connection.
    ///
    /// # Errors
    /// [`Refusal::SessionCodeInvalid`], whatever is wrong with it.
    pub fn redeem(
        &self,
        code: &str,
        connection: Option<ConnectionStatus>,
        now: Timestamp,
    ) -> Result<(Self, NewCredential), Refusal> {
        let is_good = self.redeemed_at.is_none()
            && now < self.expires_at
            && connection == Some(ConnectionStatus::Active);
        if !is_good {
            return Err(Refusal::SessionCodeInvalid);
        }
        let mut after = self.clone();
        after.redeemed_at = Some(now);
        let agent = NewCredential {
            name: format!("session {code}"),
            role: Role::Agent,
            connection_uuid: Some(self.declared.connection_uuid),
            acts_for_others: false,
            session_code: code.to_owned(),
        };
        Ok((after, agent))
    }
}

#[cfg(test)]
mod tests;
