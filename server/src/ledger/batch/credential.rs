//! Credentials and sessions in a batch. No secret comes here: tokens and codes are digests, but for a code that is being
//! redeemed and is good for nothing more.

use std::{sync::Arc, time::Duration};

use uuid::Uuid;

use super::{BatchState, ChangeSet, EventRefs, Row};
use crate::ledger::Outcome;
use tidegate_domain::{
    access::AccessRefusal,
    authorize,
    caller::Role,
    command::Submission,
    connection::ConnectionStatus,
    credential::{
        Credential, CredentialVerb, NewCredential, NewSession, NewToken, Session, decide_credential,
    },
    event::{EventBody, EventType},
    limit::ConnectionRefusal,
    refusal::Refusal,
    time::Timestamp,
    validate::NAME_MAX,
};
use tidegate_store::{Effect, StoreError, WriteTransaction};

/// What a code is redeemed with.
pub(super) struct Redemption<'a> {
    /// Digest of the code.
    pub(super) digest: &'a [u8],
    /// The code.
    pub(super) code: &'a str,
    /// The public part of the agent's token.
    pub(super) token_id: &'a str,
    /// Digest of its secret.
    pub(super) token_digest: &'a [u8],
}

impl BatchState {
    pub(super) fn issue(
        &mut self,
        submission: &Submission,
        new: &NewCredential,
        token: &NewToken,
        uuid: Uuid,
    ) -> Result<Outcome, Refusal> {
        if let Some(connection) = new.connection_uuid {
            self.connection(connection)?;
        }
        let credential = Credential::create(uuid, new.clone(), token, self.now);
        let reason = format!("{} {}", new.role, new.name);
        Ok(self.hand_out(submission, credential, reason))
    }

    pub(super) fn change_credential(
        &mut self,
        submission: &Submission,
        uuid: Uuid,
        verb: &CredentialVerb,
    ) -> Result<Outcome, Refusal> {
        let credential = Arc::clone(self.credential(uuid)?);
        let Some((after, event_type, reason)) = decide_credential(&credential, verb, self.now)?
        else {
            return Ok(granted(&credential));
        };
        let after = Arc::new(after);
        self.log_credential(&after, event_type, reason, submission);
        if let Some(row) = self.credentials.get_mut(&uuid) {
            row.after = Some(Arc::clone(&after));
            row.transitioned = true;
        }
        Ok(granted(&after))
    }

    pub(super) fn rotate_agent(
        &mut self,
        submission: &Submission,
        uuid: Uuid,
        token: &NewToken,
        overlap: Duration,
        identity: impl FnOnce() -> Uuid,
    ) -> Result<Outcome, Refusal> {
        let connection = Arc::clone(self.connection(uuid)?);
        let status = connection.status;
        if status == ConnectionStatus::Revoked {
            return Err(ConnectionRefusal::NotActive { uuid, status }.into());
        }
        if let Some(agent) = self.own_agent(uuid) {
            let token = token.clone();
            let verb = CredentialVerb::Rotate { token, overlap };
            return self.change_credential(submission, agent, &verb);
        }
        let name = format!("agent of {}", connection.declared.name);
        let new = NewCredential {
            name: name.chars().take(NAME_MAX).collect(),
            role: Role::Agent,
            connection_uuid: Some(uuid),
            acts_for_others: false,
            session_code: String::new(),
        };
        self.issue(submission, &new, token, identity())
    }

    pub(super) fn open_session(
        &mut self,
        submission: &Submission,
        new: &NewSession,
        uuid: Uuid,
    ) -> Result<Outcome, Refusal> {
        authorize::in_use(self.connection(new.connection_uuid)?, self.now)?;
        if self.session(&new.digest).is_some() {
            return Ok(Outcome::CodeTaken);
        }
        let session = Arc::new(Session::open(uuid, new.clone(), self.now));
        self.remember(Some(submission), Effect::Session(uuid));
        self.log_session(
            &session,
            EventType::SessionCreated,
            String::new(),
            submission,
        );
        self.sessions
            .insert(uuid, Row::created(Arc::clone(&session)));
        Ok(Outcome::Session(Session::clone(&session)))
    }

    pub(super) fn redeem(
        &mut self,
        submission: &Submission,
        with: &Redemption<'_>,
        agent: Uuid,
    ) -> Result<Outcome, Refusal> {
        let session = self.session(with.digest).map(Arc::clone);
        let session = session.ok_or(AccessRefusal::SessionCodeInvalid)?;
        let connection = self.connection(session.declared.connection_uuid).ok();
        // One whose end has passed is no longer in use, whether or not somebody has noted it already.
        let status = connection.map(|it| match authorize::in_use(it, self.now) {
            Err(ConnectionRefusal::Expired { .. }) => ConnectionStatus::Expired,
            _ => it.status,
        });
        let (after, new) = session.redeem(with.code, status, self.now)?;
        let token = NewToken {
            id: with.token_id.to_owned(),
            digest: with.token_digest.to_vec(),
            expires_in: session.declared.token_expires_in,
        };
        let credential = Arc::new(Credential::create(agent, new, &token, self.now));
        // One event for both: the session is over, and the reason says who its agent is.
        let after = Arc::new(after);
        self.log_session(
            &after,
            EventType::SessionRedeemed,
            agent.to_string(),
            submission,
        );
        if let Some(row) = self.sessions.get_mut(&after.uuid) {
            row.after = Some(after);
        }
        self.credentials
            .insert(agent, Row::created(Arc::clone(&credential)));
        Ok(granted(&credential))
    }

    /// Notes a use, unless a later one was noted.
    pub(super) fn note_use(
        &mut self,
        submission: &Submission,
        uuid: Uuid,
        at: Timestamp,
    ) -> Result<Outcome, Refusal> {
        let mut after = Credential::clone(self.credential(uuid)?);
        if after.last_used_at.is_none_or(|earlier| earlier < at) {
            after.last_used_at = Some(at);
            after.last_used_address = submission.caller.address;
            if let Some(row) = self.credentials.get_mut(&uuid) {
                row.after = Some(Arc::new(after));
            }
        }
        Ok(Outcome::Noted)
    }

    pub(super) fn note_refusal(&mut self, submission: &Submission, reason: &str) -> Outcome {
        let refs = EventRefs {
            connection_uuid: submission.caller.confined_to(),
            ..EventRefs::default()
        };
        let body = happened(EventType::Refused, reason.to_owned());
        self.log(refs, body, Some(submission));
        Outcome::Noted
    }

    pub(super) fn credential(&self, uuid: Uuid) -> Result<&Arc<Credential>, Refusal> {
        self.credentials
            .get(&uuid)
            .and_then(|row| row.after.as_ref())
            .ok_or_else(|| AccessRefusal::CredentialNotFound { uuid }.into())
    }

    /// A session by its own identity, for the answer to a repetition.
    pub(super) fn session_again(&self, uuid: Uuid) -> Result<Outcome, Refusal> {
        let session = self.sessions.get(&uuid).and_then(|row| row.after.as_ref());
        let session = session.ok_or(AccessRefusal::SessionCodeInvalid)?;
        Ok(Outcome::Session(Session::clone(session)))
    }

    fn session(&self, digest: &[u8]) -> Option<&Arc<Session>> {
        let mut sessions = self.sessions.values().filter_map(|row| row.after.as_ref());
        sessions.find(|session| session.declared.digest == digest)
    }

    /// The agent that a connection's token is rotated for: the newest that was neither revoked nor made by a session.
    fn own_agent(&self, connection: Uuid) -> Option<Uuid> {
        let agents = self.credentials.values().filter_map(|row| {
            row.after.as_ref().filter(|it| {
                it.declared.connection_uuid == Some(connection)
                    && it.declared.role == Role::Agent
                    && it.declared.session_code.is_empty()
                    && it.revoked_at.is_none()
            })
        });
        let newest = agents.max_by_key(|agent| (agent.inserted_at, agent.uuid));
        newest.map(|agent| agent.uuid)
    }

    fn hand_out(
        &mut self,
        submission: &Submission,
        credential: Credential,
        reason: String,
    ) -> Outcome {
        let credential = Arc::new(credential);
        self.log_credential(
            &credential,
            EventType::CredentialCreated,
            reason,
            submission,
        );
        self.credentials
            .insert(credential.uuid, Row::created(Arc::clone(&credential)));
        granted(&credential)
    }

    fn log_credential(
        &mut self,
        credential: &Credential,
        event_type: EventType,
        reason: String,
        submission: &Submission,
    ) {
        self.remember(Some(submission), Effect::Credential(credential.uuid));
        let refs = EventRefs {
            transfer_uuid: None,
            connection_uuid: credential.declared.connection_uuid,
            subject_uuid: Some(credential.uuid),
            revision: credential.revision,
        };
        self.log(refs, happened(event_type, reason), Some(submission));
    }

    fn log_session(
        &mut self,
        session: &Session,
        event_type: EventType,
        reason: String,
        submission: &Submission,
    ) {
        let refs = EventRefs {
            transfer_uuid: None,
            connection_uuid: Some(session.declared.connection_uuid),
            subject_uuid: Some(session.uuid),
            revision: 0,
        };
        self.log(refs, happened(event_type, reason), Some(submission));
    }

    pub(super) async fn write_credentials(
        &self,
        transaction: &WriteTransaction,
    ) -> Result<(), StoreError> {
        let credentials = ChangeSet::of(&self.credentials);
        if !credentials.created.is_empty() {
            transaction.insert_credentials(&credentials.created).await?;
        }
        if !credentials.changed.is_empty() {
            transaction.update_credentials(&credentials.changed).await?;
            transaction.replace_tokens(&credentials.changed).await?;
        }
        if !credentials.touched.is_empty() {
            transaction.update_credentials(&credentials.touched).await?;
        }
        let sessions = ChangeSet::of(&self.sessions);
        if !sessions.created.is_empty() {
            transaction.insert_sessions(&sessions.created).await?;
        }
        if !sessions.touched.is_empty() {
            transaction.update_sessions(&sessions.touched).await?;
        }
        Ok(())
    }
}

pub(super) fn granted(credential: &Arc<Credential>) -> Outcome {
    Outcome::Credential(Box::new(Credential::clone(credential)))
}

fn happened(event_type: EventType, reason: String) -> EventBody {
    EventBody {
        event_type,
        from_status: None,
        to_status: None,
        actor_uuid: None,
        reason,
    }
}

#[cfg(test)]
mod tests;
