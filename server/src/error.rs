//! What can go wrong, in the ledger's words. Knows nothing of gRPC; [`rpc`](crate::rpc) maps it to codes.

use std::{any::Any, sync::Arc, time::Duration};

use thiserror::Error;

use crate::supervisor;
use tidegate_domain::{command::Target, log::Divergence, refusal::Refusal};
use tidegate_store::StoreError;

/// When a caller should come back after a full queue or a lost database.
const RETRY_SOON: Duration = Duration::from_millis(200);
/// When a caller should come back after the server went away or its streams were used up.
pub const RETRY_LATER: Duration = Duration::from_secs(1);

tidegate_domain::reasons! {
    /// Why a call was not answered as asked.
    ///
    /// Cloned to every caller of a batch that failed as a whole.
    #[derive(Clone, Debug, Error)]
    pub enum Error, retry_after: Duration, delegate Refused(Refusal, Box<Target>) {
        #[error("the ledger is busy; try again")]
        QueueFull => ResourceExhausted "QUEUE_FULL", RETRY_SOON;

        /// Another caller has the log verified.
        #[error("the log is being verified for another caller; try again later")]
        VerificationBusy => ResourceExhausted "VERIFICATION_BUSY", RETRY_LATER;

        /// As many streams are open as the server allows.
        #[error("the server's limit of {limit} open streams is reached; try again later")]
        TooManyStreams { limit: usize } => ResourceExhausted "TOO_MANY_STREAMS", RETRY_LATER;

        /// One caller has as many streams open as they may.
        #[error("the limit of {limit} open streams of this kind for one credential is reached")]
        TooManyOwnStreams { limit: usize } => ResourceExhausted "TOO_MANY_STREAMS", RETRY_LATER;

        /// Somebody calls too often, or shows too many bad tokens or session codes.
        #[error("there were too many calls or wrong tokens; try again later")]
        RateLimited(retry_after: Duration) => ResourceExhausted "RATE_LIMITED", *retry_after;

        /// A watcher fell further behind than the server keeps changes for.
        #[error("the watcher fell more than {limit} transfers behind; watch again")]
        WatchTooSlow { limit: usize } => ResourceExhausted "WATCH_TOO_SLOW", RETRY_LATER;

        /// One progress stream reports more transfers than the server follows for it.
        #[error("one stream may report at most {limit} transfers; open another one")]
        TooManyTransfers { limit: usize } => ResourceExhausted "TOO_MANY_TRANSFERS";

        /// A position in the log before the oldest event that is kept, or that is to come when none is kept.
        #[error(
            "the log after {after_sequence} is no longer complete: the oldest event that is kept is {oldest_sequence}"
        )]
        CursorExpired { after_sequence: i64, oldest_sequence: i64 } => OutOfRange "CURSOR_EXPIRED";

        /// A position in the log that it has not reached: the cursor is of another ledger, or of one that was restored.
        #[error("the log ends at {newest_sequence}; there is nothing to go on from after {after_sequence}")]
        CursorAhead { after_sequence: i64, newest_sequence: i64 } => OutOfRange "CURSOR_AHEAD";

        /// The log is another one than was read before: it was restored, or its database failed over to one that lacked
        /// the last commits.
        #[error("the log diverged: {divergence}")]
        LogDiverged { divergence: Divergence } => DataLoss "LOG_DIVERGED";

        /// The database cannot be reached or written just now. Safe to repeat with the same request id.
        #[error("the database is unavailable; try again")]
        DatabaseUnavailable(#[source] cause: Arc<StoreError>) => Unavailable "DATABASE_UNAVAILABLE", RETRY_SOON;

        /// The database has no room to write. Safe to repeat with the same request id.
        #[error("the database has no room left; it needs an operator")]
        DatabaseFull(#[source] cause: Arc<StoreError>) => Unavailable "DATABASE_FULL", RETRY_LATER;

        /// Somebody else has locked a row that the call depends on. Safe to repeat with the same request id.
        #[error("a row that the call depends on is locked by another program; try again")]
        RowLocked => Unavailable "ROW_LOCKED", RETRY_SOON;

        /// Safe to repeat with the same request id.
        #[error("the server is shutting down")]
        ShuttingDown => Unavailable "SHUTTING_DOWN", RETRY_LATER;

        /// A defect of ours or of the database's content.
        #[error("internal error")]
        Internal(#[source] cause: Arc<dyn std::error::Error + Send + Sync>) => Internal "INTERNAL";
    }
}

impl Error {
    /// A call that has panicked.
    pub fn panicked(panic: &(dyn Any + Send)) -> Self {
        let cause = format!("it panicked: {}", supervisor::message(panic));
        let cause: Box<dyn std::error::Error + Send + Sync> = cause.into();
        Self::Internal(cause.into())
    }

    /// Something that cannot be, said for the log.
    pub(crate) fn internal(what: &'static str) -> Self {
        Self::Internal(Arc::from(Box::<dyn std::error::Error + Send + Sync>::from(
            what,
        )))
    }

    /// The time that a call may wait for the database is over.
    pub fn late() -> Self {
        StoreError::late().into()
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal, Box::default())
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            // A conflict outlives its retries only while the database is overloaded or failing over.
            StoreError::Conflict(_) | StoreError::Unavailable(_) | StoreError::Lost(_) => {
                Self::DatabaseUnavailable(Arc::new(error))
            }
            StoreError::Full(_) => Self::DatabaseFull(Arc::new(error)),
            StoreError::Internal(_) => Self::Internal(Arc::new(error)),
        }
    }
}
