//! The only way to change anything: commands go through one bounded queue, are decided by [`domain`](crate::domain) and
//! written in group commits.
//!
//! Knows the rules and the store, nothing of gRPC.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    clock::Clock,
    domain::{command::Order, connection::Connection, transfer::Transfer},
    error::Error,
    feed::Feed,
    store::Store,
};

mod draft;
pub mod sweeper;
mod writer;

use writer::Writer;
pub(crate) use writer::chain;

/// Commands that may wait; above it callers are told to come back.
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
    Connection(Connection),
}

/// A command on its way, with the place for its answer.
struct Pending {
    order: Order,
    answer: oneshot::Sender<Result<Outcome, Error>>,
}

/// Handle on the ledger, cheap to clone.
#[derive(Clone)]
pub struct Ledger {
    queue: mpsc::Sender<Pending>,
}

impl Ledger {
    /// Starts the writer on `tasks`. It ends, with everything that was queued written, after `stop` is cancelled.
    pub fn start(
        store: Store,
        clock: Clock,
        feed: Feed,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let (queue, commands) = mpsc::channel(QUEUE);
        tasks.spawn(Writer { store, clock, feed }.run(commands, stop));
        Self { queue }
    }

    /// Carries out one command. Once this returns `Ok`, what it did is on disk.
    ///
    /// Dropping the future does not undo the command: it is the ledger's from here on (P20).
    ///
    /// # Errors
    /// [`Error::Refused`] with the reason, [`Error::QueueFull`], or that the database or the server is going away.
    pub async fn submit(&self, order: Order) -> Result<Outcome, Error> {
        let (answer, answered) = oneshot::channel();
        self.queue
            .try_send(Pending { order, answer })
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => Error::QueueFull,
                mpsc::error::TrySendError::Closed(_) => Error::ShuttingDown,
            })?;
        answered.await.unwrap_or(Err(Error::ShuttingDown))
    }

    /// As [`submit`](Self::submit), but waits for a place in the queue: for callers that can hold back what comes next.
    ///
    /// # Errors
    /// As [`submit`](Self::submit), without [`Error::QueueFull`].
    pub async fn submit_patiently(&self, order: Order) -> Result<Outcome, Error> {
        let (answer, answered) = oneshot::channel();
        self.queue
            .send(Pending { order, answer })
            .await
            .map_err(|_| Error::ShuttingDown)?;
        answered.await.unwrap_or(Err(Error::ShuttingDown))
    }
}
