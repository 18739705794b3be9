//! Sessions in a batch: opened with the digest of a code, and redeemed for an agent's credential.

use std::sync::Arc;

use uuid::Uuid;

use super::{BatchState, Cause, EventRefs, Row, credential::happened};
use crate::ledger::{
    execute::{Execute, Identities},
    load::LockPlan,
};
use tidegate_domain::{
    authorize,
    command::{DeleteSession, OpenSession, Opened, Redemption, Submission, Target},
    connection::ConnectionStatus,
    credential::{Credential, NewSession, NewToken, Session},
    event::{EventDetail, EventType},
    id::{CredentialId, SessionId},
    refusal::Refusal,
};
use tidegate_store::Effect;

impl Execute for OpenSession {
    fn subject(&self) -> Option<Uuid> {
        None
    }

    fn plan<'a>(&'a self, plan: &mut LockPlan<'a>) {
        plan.free_code(self.0.digest.clone());
        plan.connection(self.0.connection_uuid, false);
    }

    fn is_held(&self, state: &BatchState) -> bool {
        state.held.has_connection(Some(self.0.connection_uuid))
            || state.held.sessions.contains(&self.0.digest)
    }

    fn decide(
        submission: &Submission<Self>,
        state: &mut BatchState,
        identities: Identities<'_>,
    ) -> Result<Self::Answer, Refusal> {
        let cause = Cause::of(submission);
        state.open_session(cause, &submission.command.0, identities().into())
    }

    fn target(&self, state: &BatchState) -> Target {
        let connection = Some(self.0.connection_uuid);
        Target {
            named: connection.map(Uuid::from),
            connection_uuid: state.existing(connection),
            ..Target::default()
        }
    }

    fn repeated(state: &BatchState, effect: &Effect) -> Option<Result<Self::Answer, Refusal>> {
        match effect {
            Effect::Session(uuid) => Some(state.session_again(*uuid)),
            _ => None,
        }
    }
}

impl Execute for DeleteSession {
    fn subject(&self) -> Option<Uuid> {
        None
    }

    fn plan<'a>(&'a self, plan: &mut LockPlan<'a>) {
        plan.free_code(self.digest.clone());
    }

    fn is_held(&self, state: &BatchState) -> bool {
        state.held.sessions.contains(&self.digest)
    }

    fn decide(
        submission: &Submission<Self>,
        state: &mut BatchState,
        _: Identities<'_>,
    ) -> Result<Self::Answer, Refusal> {
        let command = &submission.command;
        let session = state.session(&command.digest).map(Arc::clone);
        let Some(session) = session.filter(|it| it.was_over(command.ended_before)) else {
            return Ok(false);
        };
        let cause = Cause::of(submission);
        state.log_session(&session, EventType::SessionDeleted, None, cause);
        if let Some(row) = state.sessions.get_mut(&session.uuid) {
            row.after = None;
        }
        Ok(true)
    }

    fn repeated(_: &BatchState, _: &Effect) -> Option<Result<Self::Answer, Refusal>> {
        None
    }
}

impl BatchState {
    fn open_session(
        &mut self,
        cause: Cause<'_>,
        new: &NewSession,
        uuid: SessionId,
    ) -> Result<Opened, Refusal> {
        authorize::in_use(self.connection(new.connection_uuid)?, self.now)?;
        if self.session(&new.digest).is_some() {
            return Ok(Opened::CodeTaken);
        }
        let session = Arc::new(Session::open(uuid, new.clone(), self.now));
        self.remember(Some(cause), Effect::Session(uuid));
        self.log_session(&session, EventType::SessionCreated, None, cause);
        self.sessions
            .insert(uuid, Row::created(Arc::clone(&session)));
        Ok(Opened::Session(session))
    }

    pub(super) fn redeem(
        &mut self,
        cause: Cause<'_>,
        with: &Redemption,
        agent: CredentialId,
    ) -> Result<Arc<Credential>, Refusal> {
        let session = self.session(&with.digest).map(Arc::clone);
        let session = session.ok_or(Refusal::SessionCodeInvalid)?;
        let connection = self.connection(session.declared.connection_uuid).ok();
        // One whose end has passed is no longer in use, whether or not somebody has noted it already.
        let status = connection.map(|it| match authorize::in_use(it, self.now) {
            Err(Refusal::ConnectionExpired { .. }) => ConnectionStatus::Expired,
            _ => it.status,
        });
        let (after, new) = session.redeem(&with.code, status, self.now)?;
        let token = NewToken {
            id: with.token_id.clone(),
            digest: with.token_digest.clone(),
            expires_in: session.declared.token_expires_in,
        };
        let credential = Arc::new(Credential::create(agent, new, &token, self.now));
        // One event for both: the session is over, and the detail says who its agent is.
        let after = Arc::new(after);
        let detail = Some(EventDetail::Redemption { agent_uuid: agent });
        self.log_session(&after, EventType::SessionRedeemed, detail, cause);
        if let Some(row) = self.sessions.get_mut(&after.uuid) {
            row.after = Some(after);
        }
        self.credentials
            .insert(agent, Row::created(Arc::clone(&credential)));
        Ok(credential)
    }

    /// A session by its own identity, for the answer to a repetition.
    fn session_again(&self, uuid: SessionId) -> Result<Opened, Refusal> {
        let session = self.sessions.get(&uuid).and_then(|row| row.after.as_ref());
        let session = session.ok_or(Refusal::SessionCodeInvalid)?;
        Ok(Opened::Session(Arc::clone(session)))
    }

    fn session(&self, digest: &[u8]) -> Option<&Arc<Session>> {
        let mut sessions = self.sessions.values().filter_map(|row| row.after.as_ref());
        sessions.find(|session| session.declared.digest == digest)
    }

    fn log_session(
        &mut self,
        session: &Session,
        event_type: EventType,
        detail: Option<EventDetail>,
        cause: Cause<'_>,
    ) {
        let refs = EventRefs {
            connection_uuid: Some(session.declared.connection_uuid),
            subject_uuid: Some(session.uuid.into()),
            ..EventRefs::default()
        };
        self.log(refs, happened(event_type, detail), Some(cause));
    }
}
