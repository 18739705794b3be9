//! Credentials in a batch. No secret comes here: tokens and codes are digests, but for a code that is being redeemed and
//! is good for nothing more.

use std::{sync::Arc, time::Duration};

use uuid::Uuid;

use super::{BatchState, Cause, ChangeSet, EventRefs, Row};
use crate::ledger::{
    execute::{Execute, Identities},
    load::LockPlan,
};
use tidegate_domain::{
    caller::Role,
    command::{CredentialCommand, Submission, Target},
    connection::ConnectionStatus,
    credential::{Credential, CredentialVerb, NewCredential, NewToken, decide_credential},
    event::{EventBody, EventDetail, EventType},
    id::{ConnectionId, CredentialId},
    refusal::Refusal,
    validate::NAME_MAX,
};
use tidegate_store::{Effect, StoreError, WriteTransaction};

impl Execute for CredentialCommand {
    fn subject(&self) -> Option<Uuid> {
        match self {
            Self::Create { .. } | Self::Redeem(_) => None,
            Self::Change { uuid, .. } => Some(uuid.0),
            Self::RotateAgent {
                connection_uuid, ..
            } => Some(connection_uuid.0),
        }
    }

    fn plan<'a>(&'a self, plan: &mut LockPlan<'a>) {
        match self {
            Self::Create { new, .. } => {
                if let Some(connection) = new.connection_uuid {
                    plan.connection(connection, false);
                }
            }
            Self::Change { uuid, .. } => {
                plan.credential(*uuid);
                plan.tells_access();
            }
            Self::RotateAgent {
                connection_uuid, ..
            } => plan.agents_of(*connection_uuid),
            Self::Redeem(with) => plan.session(with.digest.clone()),
        }
    }

    fn is_held(&self, state: &BatchState) -> bool {
        let held = &state.held;
        match self {
            Self::Create { new, .. } => held.has_connection(new.connection_uuid),
            Self::Change { uuid, .. } => held.credentials.contains(uuid),
            // Which of the credentials are the connection's is known for those alone that could be read.
            Self::RotateAgent {
                connection_uuid, ..
            } => held.has_connection(Some(*connection_uuid)) || !held.credentials.is_empty(),
            // As above.
            Self::Redeem(with) => {
                held.sessions.contains(&with.digest) || !held.connections.is_empty()
            }
        }
    }

    fn decide(
        submission: &Submission<Self>,
        state: &mut BatchState,
        identities: Identities<'_>,
    ) -> Result<Self::Answer, Refusal> {
        let cause = Cause::of(submission);
        match &submission.command {
            Self::Create { new, token } => state.issue(cause, new, token, identities().into()),
            Self::Change { uuid, verb } => state.change_credential(cause, *uuid, verb),
            Self::RotateAgent {
                connection_uuid,
                token,
                overlap,
            } => state.rotate_agent(cause, *connection_uuid, token, *overlap, identities),
            Self::Redeem(with) => state.redeem(cause, with, identities().into()),
        }
    }

    fn target(&self, state: &BatchState) -> Target {
        let (credential, connection) = match self {
            Self::Create { new, .. } => (None, new.connection_uuid),
            Self::Change { uuid, .. } => (Some(*uuid), None),
            Self::RotateAgent {
                connection_uuid, ..
            } => (None, Some(*connection_uuid)),
            // Whoever redeems is not known yet.
            Self::Redeem(_) => (None, None),
        };
        let found = credential.and_then(|uuid| state.credential(uuid).ok());
        Target {
            named: credential.map(Uuid::from).or(connection.map(Uuid::from)),
            connection_uuid: match found {
                Some(credential) => credential.declared.connection_uuid,
                None => state.existing(connection),
            },
            subject_uuid: found.map(|credential| credential.uuid.into()),
            ..Target::default()
        }
    }

    fn repeated(state: &BatchState, effect: &Effect) -> Option<Result<Self::Answer, Refusal>> {
        match effect {
            Effect::Credential(uuid) => Some(state.credential(*uuid).cloned()),
            _ => None,
        }
    }
}

impl BatchState {
    fn issue(
        &mut self,
        cause: Cause<'_>,
        new: &NewCredential,
        token: &NewToken,
        uuid: CredentialId,
    ) -> Result<Arc<Credential>, Refusal> {
        if let Some(connection) = new.connection_uuid {
            self.connection(connection)?;
        }
        let credential = Credential::create(uuid, new.clone(), token, self.now);
        let detail = credential.detail();
        Ok(self.hand_out(cause, credential, detail))
    }

    fn change_credential(
        &mut self,
        cause: Cause<'_>,
        uuid: CredentialId,
        verb: &CredentialVerb,
    ) -> Result<Arc<Credential>, Refusal> {
        let credential = Arc::clone(self.credential(uuid)?);
        let Some((after, event_type, detail)) = decide_credential(&credential, verb, self.now)?
        else {
            return Ok(credential);
        };
        let after = Arc::new(after);
        self.log_credential(&after, event_type, detail, cause);
        if let Some(row) = self.credentials.get_mut(&uuid) {
            let stays = event_type != EventType::CredentialDeleted;
            row.after = stays.then(|| Arc::clone(&after));
            row.transitioned = true;
        }
        Ok(after)
    }

    fn rotate_agent(
        &mut self,
        cause: Cause<'_>,
        uuid: ConnectionId,
        token: &NewToken,
        overlap: Duration,
        identities: Identities<'_>,
    ) -> Result<Arc<Credential>, Refusal> {
        let connection = Arc::clone(self.connection(uuid)?);
        let status = connection.status;
        if status == ConnectionStatus::Revoked {
            return Err(Refusal::ConnectionNotActive {
                connection_uuid: uuid,
                status,
            });
        }
        if let Some(agent) = self.own_agent(uuid) {
            let token = token.clone();
            let verb = CredentialVerb::Rotate { token, overlap };
            return self.change_credential(cause, agent, &verb);
        }
        let name = format!("agent of {}", connection.declared.name);
        let new = NewCredential {
            name: name.chars().take(NAME_MAX).collect(),
            role: Role::Agent,
            connection_uuid: Some(uuid),
            acts_for_others: false,
            session_code: String::new(),
        };
        self.issue(cause, &new, token, identities().into())
    }

    pub(super) fn credential(&self, uuid: CredentialId) -> Result<&Arc<Credential>, Refusal> {
        self.credentials
            .get(&uuid)
            .and_then(|row| row.after.as_ref())
            .ok_or(Refusal::CredentialNotFound { uuid })
    }

    /// The agent that a connection's token is rotated for: the newest that was neither revoked nor made by a session.
    fn own_agent(&self, connection: ConnectionId) -> Option<CredentialId> {
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
        cause: Cause<'_>,
        credential: Credential,
        detail: EventDetail,
    ) -> Arc<Credential> {
        let credential = Arc::new(credential);
        let event_type = EventType::CredentialCreated;
        self.log_credential(&credential, event_type, Some(detail), cause);
        self.credentials
            .insert(credential.uuid, Row::created(Arc::clone(&credential)));
        credential
    }

    fn log_credential(
        &mut self,
        credential: &Credential,
        event_type: EventType,
        detail: Option<EventDetail>,
        cause: Cause<'_>,
    ) {
        self.remember(Some(cause), Effect::Credential(credential.uuid));
        let refs = EventRefs {
            connection_uuid: credential.declared.connection_uuid,
            subject_uuid: Some(credential.uuid.into()),
            revision: credential.revision,
            ..EventRefs::default()
        };
        self.log(refs, happened(event_type, detail), Some(cause));
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
        if !credentials.deleted.is_empty() {
            transaction.delete_credentials(&credentials.deleted).await?;
        }
        let sessions = ChangeSet::of(&self.sessions);
        if !sessions.created.is_empty() {
            transaction.insert_sessions(&sessions.created).await?;
        }
        if !sessions.touched.is_empty() {
            transaction.update_sessions(&sessions.touched).await?;
        }
        if !sessions.deleted.is_empty() {
            transaction.delete_sessions(&sessions.deleted).await?;
        }
        Ok(())
    }
}

pub(super) fn happened(event_type: EventType, detail: Option<EventDetail>) -> EventBody {
    EventBody {
        event_type,
        from_status: None,
        to_status: None,
        actor_uuid: None,
        detail,
    }
}

#[cfg(test)]
mod tests;
