//! How the ledger carries out a command: what it needs under which locks, and what is decided once they are held.

use tokio::time::Instant;
use uuid::Uuid;

use super::{
    PATIENCE,
    batch::BatchState,
    load::LockPlan,
    pending::{Pending, Waiting},
};
use crate::{error::Error, traces::BatchTimes};
use tidegate_domain::{
    command::{Command, Submission, Target},
    refusal::Refusal,
};
use tidegate_store::Effect;

/// Makes the identity of something new.
pub(crate) type Identities<'a> = &'a mut dyn FnMut() -> Uuid;

/// A command that the ledger knows how to carry out.
pub(crate) trait Execute: Command {
    /// Whether a repetition that meets the request under way at another replica has to wait for it: where it would find
    /// nothing to do by itself, and say so.
    const AWAITS_ITSELF: bool = false;

    /// What it is about, if that exists: commands about the same are carried out in the order in which they came.
    fn subject(&self) -> Option<Uuid>;

    /// Says what must be locked and loaded.
    fn plan<'a>(&'a self, plan: &mut LockPlan<'a>);

    /// Whether it depends on a row that somebody else has locked.
    fn is_held(&self, state: &BatchState) -> bool;

    /// Decides it against what earlier commands left.
    fn decide(
        submission: &Submission<Self>,
        state: &mut BatchState,
        identities: Identities<'_>,
    ) -> Result<Self::Answer, Refusal>
    where
        Self: Sized;

    /// What it is asked of, where a refusal of it is noted.
    fn target(&self, _: &BatchState) -> Target {
        Target::default()
    }

    /// The answer to its repetition; `None` when what was done is not of this kind.
    fn repeated(state: &BatchState, effect: &Effect) -> Option<Result<Self::Answer, Refusal>>;
}

/// A command in the queue, whatever its kind.
pub(super) trait Work: Send + Sync {
    /// Says what must be locked and loaded.
    fn plan<'a>(&'a self, plan: &mut LockPlan<'a>);

    /// Decides it against what earlier commands left; once more when the batch is tried again.
    fn decide(&mut self, state: &mut BatchState, identities: Identities<'_>);

    /// Has it answered with `error`.
    fn refuse(&mut self, error: Error);

    /// Whether it waits for a row that somebody else has locked, and may wait longer.
    fn may_wait(&self, now: Instant) -> bool;

    /// Tells the trace of its call what was done, in this batch, for it; `failed`: in vain.
    fn trace(&self, batch: &BatchTimes, failed: bool);

    /// Answers it. The change stands even if nobody waits for the answer any more.
    fn answer(self: Box<Self>);
}

impl<C: Execute> Work for Pending<C> {
    fn plan<'a>(&'a self, plan: &mut LockPlan<'a>) {
        if let Some(request) = &self.submission.request {
            plan.request(&request.request_id);
            if C::AWAITS_ITSELF {
                plan.alone(&request.request_id);
            }
        }
        self.submission.command.plan(plan);
    }

    fn decide(&mut self, state: &mut BatchState, identities: Identities<'_>) {
        let before = state.events().len();
        self.outcome = if state.has_held() && self.submission.command.is_held(state) {
            Err(Error::RowLocked)
        } else if self.was_refused() {
            Err(Error::late())
        } else {
            state.carry_out(&self.submission, identities)
        };
        if let Some(span) = &self.span {
            let event = state.events()[before..].iter();
            let made = event.clone().find_map(|event| event.transfer_uuid);
            let target = self.submission.command.target(state).transfer_uuid;
            let named = target.filter(|uuid| self.submission.command.subject() == Some(uuid.0));
            if let Some(uuid) = made.or(named) {
                span.transfer(uuid);
            }
        }
    }

    fn refuse(&mut self, error: Error) {
        self.outcome = Err(error);
    }

    fn may_wait(&self, now: Instant) -> bool {
        matches!(self.outcome, Err(Error::RowLocked)) && now < self.since + PATIENCE
    }

    fn trace(&self, batch: &BatchTimes, failed: bool) {
        if let Some(span) = &self.span {
            span.tell(self.since, batch, failed);
        }
    }

    fn answer(self: Box<Self>) {
        _ = self.answer.send(self.outcome);
    }
}

/// Puts a command in the form of the queue.
pub(super) fn enqueue<C: Execute>(submission: Submission<C>) -> (Box<dyn Work>, Waiting<C>) {
    let (pending, waiting) = Pending::new(submission);
    (Box::new(pending), waiting)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use tidegate_domain::{caller::Caller, command::Note, fixtures::id, time::Timestamp};

    #[tokio::test]
    async fn a_command_waits_for_a_locked_row_and_for_nothing_else() {
        let (mut pending, _waiting) = Pending::new(Submission {
            command: Note::Use {
                uuid: id(1),
                at: Timestamp::from_micros(0),
            },
            caller: Caller::server(),
            request: None,
        });
        let end = pending.since + PATIENCE;
        let just_before = end - Duration::from_millis(1);
        assert!(!pending.may_wait(just_before), "it was not decided yet");
        pending.refuse(Error::RowLocked);
        assert!(pending.may_wait(pending.since) && pending.may_wait(just_before));
        assert!(!pending.may_wait(end));
        pending.outcome = Ok(());
        assert!(!pending.may_wait(just_before));
    }
}
