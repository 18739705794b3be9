//! The only way to change anything: commands go through one bounded queue, are decided by [`domain`](crate::domain) and
//! written in group commits.
//!
//! Knows the rules and the store, nothing of gRPC.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use rand::random_range;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::{
    domain::{
        command::{Command, Order},
        connection::Connection,
        credential::{Credential, Session},
        transfer::Transfer,
    },
    error::Error,
    feed::Feed,
    store::Store,
    supervisor::Supervisor,
};

mod draft;
mod load;
#[cfg(feature = "planted-bugs")]
mod planted;
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
    order: Order,
    answer: oneshot::Sender<Result<Outcome, Error>>,
}

/// Handle on the ledger, cheap to clone.
#[derive(Clone)]
pub struct Ledger {
    /// One queue for each writer.
    queues: Arc<[mpsc::Sender<Pending>]>,
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
            let writer = Writer {
                store: store.clone(),
                time: time.clone(),
                feed: feed.clone(),
            };
            supervisor.spawn("writer", stop, writer.run(commands, stop.clone()));
            queue
        });
        Self {
            queues: queues.collect(),
            failed: Arc::default(),
        }
    }

    /// Carries out one command. Once this returns `Ok`, what it did is on disk.
    ///
    /// Dropping the future does not undo the command: it is the ledger's from here on (P20).
    ///
    /// # Errors
    /// [`Error::Refused`] with the reason, [`Error::QueueFull`], or that the database or the server is going away.
    pub async fn submit(&self, order: Order) -> Result<Outcome, Error> {
        let (answer, answered) = oneshot::channel();
        self.queue(&order)
            .try_send(Pending { order, answer })
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => Error::QueueFull,
                mpsc::error::TrySendError::Closed(_) => Error::ShuttingDown,
            })?;
        self.heed(answered.await.unwrap_or(Err(Error::ShuttingDown)))
    }

    /// Resolves once a change has failed for the database's sake since it resolved before.
    pub async fn next_failure(&self) {
        self.failed.notified().await;
    }

    fn heed(&self, answer: Result<Outcome, Error>) -> Result<Outcome, Error> {
        if matches!(answer, Err(Error::DatabaseUnavailable(_))) {
            self.failed.notify_one();
        }
        answer
    }

    /// Queues a command that nobody waits for. It is lost when the queue is full, and with the process.
    pub fn note(&self, order: Order) {
        let (answer, _) = oneshot::channel();
        if self
            .queue(&order)
            .try_send(Pending { order, answer })
            .is_err()
        {
            tracing::debug!("a note was lost: the ledger is busy or ends");
        }
    }

    /// As [`submit`](Self::submit), but waits for a place in the queue: for callers that can hold back what comes next.
    ///
    /// # Errors
    /// As [`submit`](Self::submit), without [`Error::QueueFull`].
    pub async fn submit_patiently(&self, order: Order) -> Result<Outcome, Error> {
        let (answer, answered) = oneshot::channel();
        self.queue(&order)
            .send(Pending { order, answer })
            .await
            .map_err(|_| Error::ShuttingDown)?;
        self.heed(answered.await.unwrap_or(Err(Error::ShuttingDown)))
    }

    /// The queue that an order belongs to: always the same one for a transfer, a connection or a credential, so that its
    /// changes are written and told in the order in which they came, and always the same one for a request that makes
    /// something new, so that its repetition meets it.
    fn queue(&self, order: &Order) -> &mpsc::Sender<Pending> {
        let mut hash = DefaultHasher::new();
        match (&order.command, &order.request) {
            (
                Command::Do { uuid, .. }
                | Command::Manage { uuid, .. }
                | Command::Credential { uuid, .. }
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
