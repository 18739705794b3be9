//! Notes about callers in a batch.

use std::sync::Arc;

use uuid::Uuid;

use super::{BatchState, Cause, EventRefs, credential::happened};
use crate::ledger::{
    execute::{Execute, Identities},
    load::LockPlan,
};
use tidegate_domain::{
    caller::Caller,
    command::{Note, Submission, Target},
    credential::Credential,
    event::{EventDetail, EventType},
    id::CredentialId,
    refusal::Refusal,
    time::Timestamp,
};
use tidegate_store::Effect;

impl Execute for Note {
    fn subject(&self) -> Option<Uuid> {
        match self {
            Self::Use { uuid, .. } => Some(uuid.0),
            Self::Refusal { .. } => None,
        }
    }

    fn plan<'a>(&'a self, plan: &mut LockPlan<'a>) {
        match self {
            Self::Use { uuid, .. } => plan.credential(*uuid),
            Self::Refusal { target, .. } => {
                target
                    .connection_uuid
                    .into_iter()
                    .for_each(|uuid| plan.name(uuid));
            }
        }
    }

    fn is_held(&self, state: &BatchState) -> bool {
        self.subject()
            .is_some_and(|uuid| state.held.credentials.contains(&uuid.into()))
    }

    fn decide(
        submission: &Submission<Self>,
        state: &mut BatchState,
        _: Identities<'_>,
    ) -> Result<(), Refusal> {
        match &submission.command {
            Self::Use { uuid, at } => state.note_use(&submission.caller, *uuid, *at),
            Self::Refusal {
                reason,
                method,
                target,
                dropped,
            } => {
                let detail = EventDetail::Refusal {
                    reason: (*reason).to_owned(),
                    method: method.clone(),
                    uuid: target.named,
                    dropped: *dropped,
                };
                state.note_refusal(Cause::of(submission), Target::clone(target), detail);
                Ok(())
            }
        }
    }

    /// Notes carry no id.
    fn repeated(_: &BatchState, _: &Effect) -> Option<Result<(), Refusal>> {
        None
    }
}

impl BatchState {
    /// Notes a use, unless a later one was noted.
    fn note_use(
        &mut self,
        caller: &Caller,
        uuid: CredentialId,
        at: Timestamp,
    ) -> Result<(), Refusal> {
        let mut after = Credential::clone(self.credential(uuid)?);
        if after.last_used_at.is_none_or(|earlier| earlier < at) {
            after.last_used_at = Some(at);
            after.last_used_address = caller.address;
            if let Some(row) = self.credentials.get_mut(&uuid) {
                row.after = Some(Arc::new(after));
            }
        }
        Ok(())
    }

    fn note_refusal(&mut self, cause: Cause<'_>, target: Target, detail: EventDetail) {
        let refs = EventRefs {
            transfer_uuid: target.transfer_uuid,
            connection_uuid: target.connection_uuid,
            subject_uuid: target.subject_uuid,
            about: target.about,
            revision: 0,
        };
        let body = happened(EventType::Refused, Some(detail));
        self.log(refs, body, Some(cause));
    }
}
