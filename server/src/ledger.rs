//! The only way to change anything: commands go through one bounded queue, are decided by [`domain`](tidegate_domain) and
//! written in group commits.
//!
//! Knows the rules and the store, nothing of gRPC.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rand::random_range;
use tokio::{
    sync::{Notify, mpsc, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use tidegate_domain::{
    authorize::RunDefaults,
    command::{Note, Submission},
};
use tidegate_store::Store;

mod batch;
pub mod bulk;
mod execute;
mod held;
mod load;
mod pending;
pub mod retention;
pub mod secret;
pub mod sweeper;
mod writer;

use crate::{
    error::Error,
    feed::Feed,
    metrics::Metrics,
    supervisor::{Fatal, Supervisor},
    time::Time,
};
pub(crate) use execute::Execute;
use execute::{Work, enqueue};
use writer::Writer;
pub(crate) use writer::chain;

/// Commands that may wait for one writer; above it callers are told to come back.
pub const QUEUE: usize = 4_096;
/// Time that a batch may take, with all its tries, and that a command may wait for a row that somebody else has locked.
const PATIENCE: Duration = Duration::from_millis(2_300);
/// Time after which a caller is answered when the database does nothing.
const LIMIT: Duration = Duration::from_millis(2_600);
/// Commands that one transaction may carry.
pub const BATCH: usize = 512;

/// The queue of one writer.
struct Queue {
    commands: mpsc::Sender<Box<dyn Work>>,
    /// When the database last did what the writer asked.
    done: watch::Receiver<Instant>,
}

/// Handle on the ledger, cheap to clone.
#[derive(Clone)]
pub struct Ledger {
    /// One queue for each writer.
    queues: Arc<[Queue]>,
    /// A change has failed for the database's sake.
    failed: Arc<Notify>,
    /// How many have.
    failures: Arc<AtomicU64>,
    /// A bulk operation was started here.
    bulk: Arc<Notify>,
    metrics: Arc<Metrics>,
}

impl Ledger {
    /// Starts the writers under `supervisor`, as many as the store takes. They end, with everything that was queued written,
    /// after `stop` is cancelled.
    pub fn start(
        store: &Store,
        time: &Time,
        feed: &Feed,
        defaults: RunDefaults,
        metrics: &Arc<Metrics>,
        supervisor: &Supervisor,
        stop: &CancellationToken,
    ) -> Self {
        let queues = (0..store.writers()).map(|_| {
            let (queue, commands) = mpsc::channel(QUEUE);
            let (done, last_done) = watch::channel(Instant::now());
            let writer = Writer {
                store: store.clone(),
                time: time.clone(),
                feed: feed.clone(),
                defaults,
                metrics: Arc::clone(metrics),
                done,
            };
            let writing = writer.run(commands, stop.clone());
            supervisor.spawn("writer", stop, async {
                let ended = writing.await;
                ended.map_err(|error| Fatal::untrusted(chain(&error)))
            });
            Queue {
                commands: queue,
                done: last_done,
            }
        });
        Self {
            queues: queues.collect(),
            failed: Arc::default(),
            failures: Arc::default(),
            bulk: Arc::default(),
            metrics: Arc::clone(metrics),
        }
    }

    /// Carries out one command. Once this returns `Ok`, what it did is on disk.
    ///
    /// Dropping the future does not undo the command: it is the ledger's from here on, since a transaction that is
    /// dropped half-way may stay open on its pooled connection.
    ///
    /// # Errors
    /// [`Error::Refused`] with the reason, [`Error::QueueFull`], or that the database or the server is going away. What
    /// the database does not answer in time may or may not stand.
    pub(crate) async fn submit<C: Execute>(
        &self,
        submission: Submission<C>,
    ) -> Result<C::Answer, Error> {
        let queue = self.queue(&submission);
        let (work, waiting) = enqueue(submission);
        let answer = match queue.commands.try_send(work) {
            Ok(()) => waiting.wait(&queue.done).await,
            Err(mpsc::error::TrySendError::Full(_)) => Err(Error::QueueFull),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(Error::ShuttingDown),
        };
        self.note_outcome(answer)
    }

    /// Commands that wait for a writer.
    pub fn queued(&self) -> usize {
        let queues = self.queues.iter().map(|queue| &queue.commands);
        queues
            .map(|queue| queue.max_capacity() - queue.capacity())
            .sum()
    }

    /// Resolves once a change has failed for the database's sake since it resolved before.
    pub async fn next_failure(&self) {
        self.failed.notified().await;
    }

    /// Has a bulk operation that was just started go on at once.
    pub(crate) fn drive_bulk(&self) {
        self.bulk.notify_one();
    }

    /// Resolves once one was started since it resolved before.
    async fn bulk_started(&self) {
        self.bulk.notified().await;
    }

    /// How many changes have failed for the database's sake.
    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    fn note_outcome<T>(&self, answer: Result<T, Error>) -> Result<T, Error> {
        if let Err(Error::DatabaseUnavailable(_) | Error::DatabaseFull(_)) = answer {
            self.failures.fetch_add(1, Ordering::Relaxed);
            self.failed.notify_one();
        }
        if let Err(error) = &answer {
            self.metrics.refused.inc(error.reason());
        }
        answer
    }

    /// Queues a command that nobody waits for, if there is room. It is lost with the process.
    #[must_use]
    pub(crate) fn note(&self, note: Submission<Note>) -> bool {
        let queue = self.queue(&note);
        queue.commands.try_send(enqueue(note).0).is_ok()
    }

    /// As [`submit`](Self::submit), but waits for a place in the queue: for callers that can hold back what comes next.
    ///
    /// # Errors
    /// As [`submit`](Self::submit), without [`Error::QueueFull`].
    pub(crate) async fn submit_patiently<C: Execute>(
        &self,
        submission: Submission<C>,
    ) -> Result<C::Answer, Error> {
        let queue = self.queue(&submission);
        let (work, waiting) = enqueue(submission);
        // A full queue empties as soon as anything is done, or all of it is refused.
        let sent = queue.commands.send(work).await;
        sent.map_err(|_| Error::ShuttingDown)?;
        self.note_outcome(waiting.wait(&queue.done).await)
    }

    /// The queue that a command belongs to: always the same one for a transfer, a connection or a credential, so that its
    /// changes are written and told in the order in which they came, and always the same one for a request that makes
    /// something new, so that its repetition meets it.
    fn queue<C: Execute>(&self, submission: &Submission<C>) -> &Queue {
        let mut hash = DefaultHasher::new();
        match (submission.command.subject(), &submission.request) {
            (Some(uuid), _) => uuid.hash(&mut hash),
            (None, Some(request)) => request.request_id.hash(&mut hash),
            (None, None) => random_range(0..u64::MAX).hash(&mut hash),
        }
        let count = self.queues.len() as u64;
        let place = usize::try_from(hash.finish() % count).unwrap_or(0);
        &self.queues[place]
    }
}
