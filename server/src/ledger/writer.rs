//! The writer task: takes what has queued up, decides it, commits it in one transaction, then answers.

use std::{slice, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    BATCH, PATIENCE,
    batch::BatchState,
    execute::Work,
    load::{LockPlan, Patience, load},
};
use crate::{error::Error, feed::Feed, metrics::Metrics, time::Time, traces::BatchTimes};
use tidegate_domain::{authorize::RunDefaults, event::Event, status::TransferStatus};
use tidegate_store::{Store, StoreError, failpoint};

/// How often a batch is tried when it meets a conflict that another try can resolve.
const TRIES: u32 = 5;

/// Time that there must be for another try: it may wait for a lock.
const ANOTHER: Duration = Duration::from_secs(1);
/// Commands that may wait for locks of others; more are refused at once.
const HELD: usize = 2 * BATCH;
/// Pause before those are tried again, unless there is something else to write.
const AGAIN: Duration = Duration::from_millis(20);
/// Pause before those are waited for once more: what they wait for may be their turn.
const AGAIN_PATIENTLY: Duration = Duration::from_millis(1_500);

pub(super) struct Writer {
    pub(super) store: Store,
    pub(super) time: Time,
    pub(super) feed: Feed,
    /// What holds for runs where neither callers nor policies say so.
    pub(super) defaults: RunDefaults,
    pub(super) metrics: Arc<Metrics>,
    /// When the database last did what it was asked.
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
        mut commands: mpsc::Receiver<Box<dyn Work>>,
        stop: CancellationToken,
    ) -> Result<(), StoreError> {
        let mut batch = Vec::with_capacity(BATCH);
        // Commands whose rows somebody else has locked, in the order in which they came.
        let mut held = Vec::new();
        let mut waited = Instant::now();
        let mut is_open = true;
        while is_open || !held.is_empty() {
            tokio::select! {
                biased;
                count = commands.recv_many(&mut batch, BATCH), if is_open => is_open = count > 0,
                () = stop.cancelled(), if !commands.is_closed() => commands.close(),
                () = sleep(AGAIN), if !held.is_empty() => {}
                // With or without callers.
                () = self.store.recovery_is_due() => give_up_if_lost(self.store.recover().await)?,
            }
            let patience = if held.is_empty() || waited.elapsed() > AGAIN_PATIENTLY {
                waited = Instant::now();
                Patience::Short
            } else {
                Patience::None
            };
            // Before those that came later, which may be about the same rows.
            held.append(&mut batch);
            std::mem::swap(&mut held, &mut batch);
            if batch.is_empty() {
                continue;
            }
            if let Err(error) = self.settle(&mut batch, &mut held, patience).await {
                // Whoever queued up meanwhile would only wait for the same answer.
                while let Ok(mut work) = commands.try_recv() {
                    work.refuse(error.clone());
                    work.answer();
                }
                // However many callers there are: a database that cannot be trusted ends the process.
                give_up_if_lost(self.store.recover().await)?;
            } else {
                self.works();
            }
        }
        Ok(())
    }

    /// Notes that the database can be had: whoever waits may wait longer.
    fn works(&self) {
        self.done.send_replace(Instant::now());
    }

    /// Commits and answers a batch. An error, which the whole batch was answered with, says that the database is away.
    async fn settle(
        &self,
        batch: &mut Vec<Box<dyn Work>>,
        held: &mut Vec<Box<dyn Work>>,
        patience: Patience,
    ) -> Result<(), Error> {
        let mut times = BatchTimes::begin(batch.len());
        match self.commit(batch, patience, &mut times).await {
            Ok(()) => answer(batch.drain(..), held, &times),
            // One poisonous command must not take its neighbours along: each gets a transaction of its own.
            Err(StoreError::Internal(_)) if batch.len() > 1 => {
                for mut work in batch.drain(..) {
                    let mut times = BatchTimes::begin(1);
                    let alone = slice::from_mut(&mut work);
                    match self.commit(alone, Patience::None, &mut times).await {
                        Ok(()) => answer([work], held, &times),
                        Err(error) => give_up(work, failure(error), &times),
                    }
                }
            }
            Err(error) => {
                let error = failure(error);
                for work in batch.drain(..) {
                    give_up(work, error.clone(), &times);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Commits a batch, trying again on a conflict while anybody waits, and wakes the feed.
    async fn commit(
        &self,
        batch: &mut [Box<dyn Work>],
        mut patience: Patience,
        times: &mut BatchTimes,
    ) -> Result<(), StoreError> {
        let limit = times.began + PATIENCE;
        let state = loop {
            times.tries += 1;
            let tries = times.tries;
            let attempt = self.attempt(batch, patience, times);
            match self.store.by(limit, attempt).await {
                Ok(state) => break state,
                Err(StoreError::Conflict(error))
                    if tries < TRIES && Instant::now() + ANOTHER < limit =>
                {
                    patience = Patience::None;
                    self.metrics.conflicts.inc();
                    tracing::debug!(error = %error, tries, "the batch met a conflict and is tried again");
                    let jitter = rand::random_range(1..=10) * u64::from(tries);
                    sleep(Duration::from_millis(jitter)).await;
                }
                Err(error) => {
                    self.metrics.failures.inc();
                    return Err(error);
                }
            }
        };
        self.metrics.batch_commands.observe_count(batch.len());
        self.metrics.batch_duration.observe(times.began.elapsed());
        self.feed.committed(&state.changes(), state.appended());
        self.feed.tell_rights(state.events());
        for event in state.events() {
            self.metrics.events.inc(event.body.event_type.name());
        }
        log(state.events());
        failpoint::pass("before-answer");
        Ok(())
    }

    async fn attempt(
        &self,
        batch: &mut [Box<dyn Work>],
        patience: Patience,
        times: &mut BatchTimes,
    ) -> Result<BatchState, StoreError> {
        let transaction = self.store.begin().await?;
        let mut plan = LockPlan::default();
        for work in batch.iter() {
            work.plan(&mut plan);
        }
        let mut inputs = load(&transaction, plan, &self.time, patience).await?;
        inputs.defaults = self.defaults;
        let mut state = BatchState::new(inputs);
        self.works();
        let now = state.now();
        for work in batch {
            work.decide(&mut state, &mut || self.time.clock().identity(now));
        }
        state.write(&transaction).await?;
        self.works();
        // A batch of refusals and repetitions has nothing to make durable.
        if state.is_clean() {
            transaction.rollback().await?;
        } else {
            failpoint::pass("before-commit");
            let pending_commit = self.feed.begin_commit(state.appended());
            let began = Instant::now();
            let committed = transaction.commit().await;
            times.commit = Some((began, Instant::now()));
            committed?;
            self.metrics.commit_duration.observe(began.elapsed());
            pending_commit.stands();
            failpoint::pass("after-commit");
        }
        Ok(state)
    }
}

/// Passes on only what ends the process; anything else is tried again.
fn give_up_if_lost(recovered: Result<(), StoreError>) -> Result<(), StoreError> {
    match recovered {
        Err(error @ StoreError::Lost(_)) => Err(error),
        _ => Ok(()),
    }
}

/// Answers a command that was carried out in vain.
fn give_up(mut work: Box<dyn Work>, error: Error, times: &BatchTimes) {
    work.trace(times, true);
    work.refuse(error);
    work.answer();
}

/// Answers commands; those that must wait for a lock and may, go to `held` instead.
fn answer(
    batch: impl IntoIterator<Item = Box<dyn Work>>,
    held: &mut Vec<Box<dyn Work>>,
    times: &BatchTimes,
) {
    let now = Instant::now();
    for work in batch {
        if held.len() < HELD && work.may_wait(now) {
            held.push(work);
        } else {
            work.trace(times, false);
            work.answer();
        }
    }
}

fn log(events: &[Event]) {
    for event in events {
        let body = &event.body;
        tracing::debug!(
            sequence = event.sequence,
            transfer_uuid = event.transfer_uuid.map(tracing::field::display),
            connection_uuid = event.connection_uuid.map(tracing::field::display),
            event_type = body.event_type.name(),
            status = body.to_status.map(TransferStatus::name),
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
