//! The writer task: takes what has queued up, decides it, commits it in one transaction, then answers.

use std::{sync::atomic::Ordering, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

#[cfg(feature = "planted-bugs")]
use super::planted;
use super::{BATCH, Outcome, PATIENCE, Pending, draft::Draft, load::load, time::Time};
use crate::{
    domain::{command::Order, event::Event, status::TransferStatus},
    error::Error,
    failpoint,
    feed::Feed,
    store::{Store, StoreError},
};

/// How often a batch is tried when it meets a conflict that another try can resolve.
const TRIES: u32 = 5;

pub(super) struct Writer {
    pub(super) store: Store,
    pub(super) time: Time,
    pub(super) feed: Feed,
    /// When it last got something done.
    pub(super) done: watch::Sender<Instant>,
}

impl Writer {
    /// Runs until the queue is closed and empty.
    ///
    /// No timer gathers a batch: while one commits, the next one gathers by itself.
    ///
    /// # Errors
    /// [`StoreError::Lost`] when the process must end.
    pub(super) async fn run(
        self,
        mut commands: mpsc::Receiver<Pending>,
        stop: CancellationToken,
    ) -> Result<(), StoreError> {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                biased;
                count = commands.recv_many(&mut batch, BATCH) => if count == 0 { return Ok(()) },
                () = stop.cancelled(), if !commands.is_closed() => commands.close(),
                // With or without callers.
                () = self.store.recovery_is_due() => give_up_if_lost(self.store.recover().await)?,
            }
            if batch.is_empty() {
                continue;
            }
            if let Err(error) = self.settle(&mut batch).await {
                // Whoever queued up meanwhile would only wait for the same answer.
                while let Ok(pending) = commands.try_recv() {
                    _ = pending.answer.send(Err(error.clone()));
                }
            } else {
                self.done.send_replace(Instant::now());
            }
        }
    }

    /// Commits and answers a batch. An error, which the whole batch was answered with, says that the database is away.
    async fn settle(&self, batch: &mut Vec<Pending>) -> Result<(), Error> {
        match self.commit(batch).await {
            Ok(answers) => answer(batch.drain(..), answers),
            // One poisonous command must not take its neighbours along: each gets a transaction of its own.
            Err(StoreError::Internal(_)) if batch.len() > 1 => {
                for pending in batch.drain(..) {
                    let one = std::slice::from_ref(&pending);
                    let answers = match self.commit(one).await {
                        Ok(answers) => answers,
                        Err(error) => vec![Err(failure(error))],
                    };
                    answer(std::iter::once(pending), answers);
                }
            }
            Err(error) => {
                let error = failure(error);
                answer(batch.drain(..), std::iter::repeat(Err(error.clone())));
                return Err(error);
            }
        }
        Ok(())
    }

    /// Commits a batch, trying again on a conflict while anybody waits, and wakes the feed.
    async fn commit(&self, batch: &[Pending]) -> Result<Vec<Result<Outcome, Error>>, StoreError> {
        let limit = Instant::now() + PATIENCE;
        let mut tries = 0;
        let draft = loop {
            tries += 1;
            match self.store.by(limit, self.attempt(batch)).await {
                Ok(draft) => break draft,
                Err(StoreError::Conflict(error)) if tries < TRIES && Instant::now() < limit => {
                    tracing::debug!(error = %error, tries, "the batch met a conflict and is tried again");
                    let jitter = rand::random_range(1..=10) * u64::from(tries);
                    tokio::time::sleep(Duration::from_millis(jitter)).await;
                }
                Err(error) => return Err(error),
            }
        };
        self.feed.committed(&draft.changes(), draft.appended());
        self.feed.tell_rights(draft.events());
        log(draft.events());
        failpoint::pass("before-answer");
        Ok(draft.into_answers())
    }

    async fn attempt(&self, batch: &[Pending]) -> Result<Draft, StoreError> {
        let orders: Vec<&Order> = batch.iter().map(|pending| &pending.order).collect();
        let transaction = self.store.begin().await?;
        let mut draft = Draft::new(load(&transaction, &orders, &self.time).await?);
        let now = draft.now();
        for pending in batch {
            if !pending.refused.load(Ordering::Acquire) {
                draft.carry_out(&pending.order, || self.time.clock().identity(now));
            } else {
                draft.pass_over(Error::late());
            }
        }
        draft.write(&transaction).await?;
        // A batch of refusals and repetitions has nothing to make durable.
        if draft.is_clean() {
            transaction.rollback().await?;
        } else {
            #[cfg(feature = "planted-bugs")]
            let Some(transaction) = planted::before_commit(self, &draft, transaction).await else {
                return Ok(draft);
            };
            failpoint::pass("before-commit");
            let announcement = self.feed.announce(draft.appended());
            transaction.commit().await?;
            announcement.stands();
            failpoint::pass("after-commit");
            #[cfg(feature = "planted-bugs")]
            planted::after_commit(self, &mut draft).await?;
        }
        Ok(draft)
    }
}

/// Passes on only what ends the process; anything else is tried again.
fn give_up_if_lost(recovered: Result<(), StoreError>) -> Result<(), StoreError> {
    match recovered {
        Err(error @ StoreError::Lost(_)) => Err(error),
        _ => Ok(()),
    }
}

fn answer(
    batch: impl Iterator<Item = Pending>,
    answers: impl IntoIterator<Item = Result<Outcome, Error>>,
) {
    for (pending, answer) in batch.zip(answers) {
        // A caller who has gone away does not need an answer; the change stands.
        _ = pending.answer.send(answer);
    }
}

fn log(events: &[Event]) {
    for event in events {
        let occurrence = &event.occurrence;
        tracing::info!(
            sequence = event.sequence,
            transfer_uuid = event.transfer_uuid.map(tracing::field::display),
            connection_uuid = event.connection_uuid.map(tracing::field::display),
            action = occurrence.action.name(),
            status = occurrence.to_status.map(TransferStatus::name),
            actor = event.actor,
            "committed"
        );
    }
}

fn failure(error: StoreError) -> Error {
    let error = Error::from(error);
    tracing::error!(error = %chain(&error), "a batch could not be committed");
    error
}

/// An error with its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
