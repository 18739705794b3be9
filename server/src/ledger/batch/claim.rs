//! Claims in a batch: several starts by one command.

use std::sync::Arc;

use uuid::Uuid;

use super::{BatchState, Cause};
use crate::ledger::{
    execute::{Execute, Identities},
    load::LockPlan,
};
use tidegate_domain::{
    claim::Claim,
    command::{Submission, Target},
    event::{EventDetail, EventType},
    id::TransferId,
    refusal::Refusal,
    transfer::Transfer,
};
use tidegate_store::Effect;

impl Execute for Claim {
    const AWAITS_ITSELF: bool = true;

    /// Claims of one connection come one after the other, so that those of a replica do not take from each other.
    fn subject(&self) -> Option<Uuid> {
        self.filter.connection_uuid.map(Uuid::from)
    }

    fn plan<'a>(&'a self, plan: &mut LockPlan<'a>) {
        for uuid in &self.candidates {
            plan.transfer(*uuid);
            plan.connection_of(*uuid);
        }
        plan.start();
    }

    /// A transfer that somebody else has locked is passed over: it may well be the one that they start.
    fn is_held(&self, state: &BatchState) -> bool {
        state.held.has_connection(self.filter.connection_uuid)
    }

    fn decide(
        submission: &Submission<Self>,
        state: &mut BatchState,
        _: Identities<'_>,
    ) -> Result<Self::Answer, Refusal> {
        let (claim, verb) = (&submission.command, submission.command.start());
        let cause = Cause {
            caller: &submission.caller,
            request: None,
            operation: None,
        };
        let from = state.events.len();
        let mut started = Vec::new();
        for uuid in &claim.candidates {
            if started.len() >= claim.max as usize {
                break;
            }
            if !state.held.transfers.contains(uuid) {
                // Who is refused is left out.
                started.extend(state.apply(cause, *uuid, &verb).ok().flatten());
            }
        }
        state.remember_claim(submission, from, &started);
        Ok(started)
    }

    fn target(&self, state: &BatchState) -> Target {
        Target {
            named: self.subject(),
            connection_uuid: state.existing(self.filter.connection_uuid),
            ..Target::default()
        }
    }

    fn repeated(state: &BatchState, effect: &Effect) -> Option<Result<Self::Answer, Refusal>> {
        let claimed = match effect {
            Effect::Claim(claimed) => claimed.as_slice(),
            Effect::Transfer { uuid, .. } => std::slice::from_ref(uuid),
            _ => return None,
        };
        let existing = claimed.iter().filter_map(|uuid| state.current(*uuid).ok());
        Some(Ok(existing.cloned().collect()))
    }
}

impl BatchState {
    /// Puts the request of a claim on the event of its first start, with what else it has started.
    fn remember_claim(
        &mut self,
        submission: &Submission<Claim>,
        from: usize,
        started: &[Arc<Transfer>],
    ) {
        let mut events = self.events[from..].iter_mut();
        let first = events.find(|event| event.body.event_type == EventType::Started);
        let (Some(event), Some((first, rest))) = (first, started.split_first()) else {
            return;
        };
        let rest: Vec<TransferId> = rest.iter().map(|transfer| transfer.uuid).collect();
        if !rest.is_empty() {
            let claimed_with = rest.clone();
            event.body.detail = Some(EventDetail::Claim { claimed_with });
        }
        event.request.clone_from(&submission.request);
        let all = [first.uuid].into_iter().chain(rest);
        let effect = Effect::Claim(all.collect());
        self.remember(Some(Cause::of(submission)), effect);
    }
}
