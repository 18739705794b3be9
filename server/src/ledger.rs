//! The only way to change anything: commands go through one bounded queue, are decided by [`domain`](tidegate_domain) and
//! written in group commits.
//!
//! Knows the rules and the store, nothing of gRPC.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rand::random_range;
use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

use crate::{
    error::Error,
    feed::Feed,
    supervisor::{Fatal, Supervisor},
};
use tidegate_domain::{
    command::{Command, Submission},
    connection::Connection,
    credential::{Credential, Session},
    transfer::Transfer,
};
use tidegate_store::Store;

mod batch;
mod held;
mod load;
pub mod retention;
pub mod secret;
pub mod sweeper;
pub mod time;
mod writer;

use time::Time;
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

/// What an accepted command leaves.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The transfer as it is now.
    Transfer(Arc<Transfer>),
    /// The transfer is gone.
    Deleted,
    /// The connection as it is now.
    Connection(Arc<Connection>),
    /// The connection is gone.
    ConnectionDeleted,
    /// The credential as it is now.
    Credential(Box<Credential>),
    /// The session as it is now.
    Session(Session),
    /// Nothing was opened: another session has this code. The caller makes another one.
    CodeTaken,
    /// It was noted; there is nothing to show.
    Noted,
}

/// A command on its way, with the place for its answer.
struct Pending {
    submission: Submission,
    /// Its caller was told that it was not done. Not so when the caller has just gone away: then it is done.
    refused: Arc<AtomicBool>,
    since: Instant,
    answer: oneshot::Sender<Result<Outcome, Error>>,
}

/// The caller's side of a pending command.
struct Waiting {
    answer: oneshot::Receiver<Result<Outcome, Error>>,
    refused: Arc<AtomicBool>,
    since: Instant,
}

/// The queue of one writer.
struct Queue {
    commands: mpsc::Sender<Pending>,
    /// When the database last did what the writer asked.
    done: watch::Receiver<Instant>,
}

impl Queue {
    /// Waits for as long as the database does what the writer asks.
    async fn wait(&self, mut waiting: Waiting) -> Result<Outcome, Error> {
        loop {
            let limit = self.limit(waiting.since);
            match timeout_at(limit, &mut waiting.answer).await {
                Ok(answer) => return answer.unwrap_or(Err(Error::ShuttingDown)),
                Err(_) if self.limit(waiting.since) > limit => {}
                Err(_) => break,
            }
        }
        waiting.refused.store(true, Ordering::Release);
        // What was begun before that may have been answered just now.
        let answer = waiting.answer.try_recv();
        answer.unwrap_or_else(|_| Err(Error::late()))
    }

    /// When to give up what waits since then.
    fn limit(&self, since: Instant) -> Instant {
        since.max(*self.done.borrow()) + LIMIT
    }
}

impl Pending {
    fn new(submission: Submission) -> (Self, Waiting) {
        let (answer, answered) = oneshot::channel();
        let refused = Arc::<AtomicBool>::default();
        let since = Instant::now();
        let waiting = Waiting {
            answer: answered,
            refused: Arc::clone(&refused),
            since,
        };
        let pending = Self {
            submission,
            refused,
            since,
            answer,
        };
        (pending, waiting)
    }
}

/// Handle on the ledger, cheap to clone.
#[derive(Clone)]
pub struct Ledger {
    /// One queue for each writer.
    queues: Arc<[Queue]>,
    /// A change has failed for the database's sake.
    failed: Arc<Notify>,
}

impl Ledger {
    /// Starts the writers under `supervisor`, as many as the store takes. They end, with everything that was queued written,
    /// after `stop` is cancelled.
    pub fn start(
        store: &Store,
        time: &Time,
        feed: &Feed,
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
    pub async fn submit(&self, submission: Submission) -> Result<Outcome, Error> {
        let queue = self.queue(&submission);
        let (pending, waiting) = Pending::new(submission);
        queue
            .commands
            .try_send(pending)
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => Error::QueueFull,
                mpsc::error::TrySendError::Closed(_) => Error::ShuttingDown,
            })?;
        self.heed(queue.wait(waiting).await)
    }

    /// Resolves once a change has failed for the database's sake since it resolved before.
    pub async fn next_failure(&self) {
        self.failed.notified().await;
    }

    fn heed(&self, answer: Result<Outcome, Error>) -> Result<Outcome, Error> {
        if let Err(Error::DatabaseUnavailable(_) | Error::DatabaseFull(_)) = answer {
            self.failed.notify_one();
        }
        answer
    }

    /// Queues a command that nobody waits for. It is lost when the queue is full, and with the process.
    pub fn note(&self, submission: Submission) {
        let queue = self.queue(&submission);
        if queue.commands.try_send(Pending::new(submission).0).is_err() {
            tracing::debug!("a note was lost: the ledger is busy or ends");
        }
    }

    /// As [`submit`](Self::submit), but waits for a place in the queue: for callers that can hold back what comes next.
    ///
    /// # Errors
    /// As [`submit`](Self::submit), without [`Error::QueueFull`].
    pub async fn submit_patiently(&self, submission: Submission) -> Result<Outcome, Error> {
        let queue = self.queue(&submission);
        let (pending, waiting) = Pending::new(submission);
        // A full queue empties as soon as anything is done, or all of it is refused.
        queue
            .commands
            .send(pending)
            .await
            .map_err(|_| Error::ShuttingDown)?;
        self.heed(queue.wait(waiting).await)
    }

    /// The queue that a command belongs to: always the same one for a transfer, a connection or a credential, so that its
    /// changes are written and told in the order in which they came, and always the same one for a request that makes
    /// something new, so that its repetition meets it.
    fn queue(&self, submission: &Submission) -> &Queue {
        let mut hash = DefaultHasher::new();
        match (&submission.command, &submission.request) {
            (
                Command::ChangeTransfer { uuid, .. }
                | Command::ChangeConnection { uuid, .. }
                | Command::ChangeCredential { uuid, .. }
                | Command::NoteUse { uuid, .. }
                | Command::RotateAgent {
                    connection_uuid: uuid,
                    ..
                },
                _,
            ) => uuid.hash(&mut hash),
            (_, Some(request)) => request.request_id.hash(&mut hash),
            (_, None) => random_range(0..u64::MAX).hash(&mut hash),
        }
        let count = self.queues.len() as u64;
        let place = usize::try_from(hash.finish() % count).unwrap_or(0);
        &self.queues[place]
    }
}
