//! Both ends of a command that waits for its answer.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::{
    sync::{oneshot, watch},
    time::{Instant, timeout_at},
};

use super::LIMIT;
use crate::{error::Error, traces::CommandSpan};
use tidegate_domain::command::{Command, Submission};

/// A command on its way, with the place for its answer.
pub(super) struct Pending<C: Command> {
    pub(super) submission: Submission<C>,
    /// Its caller was told that it was not done. Not so when the caller has just gone away: then it is done.
    refused: Arc<AtomicBool>,
    pub(super) since: Instant,
    /// The span of the call that it is of, where that is traced.
    pub(super) span: Option<CommandSpan>,
    /// What was decided, to be told once it is durable.
    pub(super) outcome: Result<C::Answer, Error>,
    pub(super) answer: oneshot::Sender<Result<C::Answer, Error>>,
}

/// The caller's side of a pending command.
pub(super) struct Waiting<C: Command> {
    answer: oneshot::Receiver<Result<C::Answer, Error>>,
    refused: Arc<AtomicBool>,
    since: Instant,
}

impl<C: Command> Pending<C> {
    pub(super) fn new(submission: Submission<C>) -> (Self, Waiting<C>) {
        let (answer, answered) = oneshot::channel();
        let refused = Arc::<AtomicBool>::default();
        let since = Instant::now();
        let waiting = Waiting {
            answer: answered,
            refused: Arc::clone(&refused),
            since,
        };
        let span = CommandSpan::current();
        if let (Some(span), Some(request)) = (&span, &submission.request) {
            span.request(&request.request_id);
        }
        let pending = Self {
            submission,
            refused,
            since,
            span,
            outcome: Err(Error::ShuttingDown),
            answer,
        };
        (pending, waiting)
    }

    pub(super) fn was_refused(&self) -> bool {
        self.refused.load(Ordering::Acquire)
    }
}

impl<C: Command> Waiting<C> {
    /// Waits for as long as the database does what the writer asks; `done` says when it last did.
    pub(super) async fn wait(
        mut self,
        done: &watch::Receiver<Instant>,
    ) -> Result<C::Answer, Error> {
        let limit = |since: Instant| since.max(*done.borrow()) + LIMIT;
        loop {
            let end = limit(self.since);
            match timeout_at(end, &mut self.answer).await {
                Ok(answer) => return answer.unwrap_or(Err(Error::ShuttingDown)),
                Err(_) if limit(self.since) > end => {}
                Err(_) => break,
            }
        }
        self.refused.store(true, Ordering::Release);
        // What was begun before that may have been answered just now.
        let answer = self.answer.try_recv();
        answer.unwrap_or_else(|_| Err(Error::late()))
    }
}
