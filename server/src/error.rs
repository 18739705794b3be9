//! What can go wrong, in the ledger's words. Knows nothing of gRPC; [`rpc`](crate::rpc) maps it to codes.

use std::{any::Any, sync::Arc, time::Duration};

use thiserror::Error;

use crate::supervisor;
use tidegate_domain::{log::Divergence, refusal::Refusal};
use tidegate_store::StoreError;

/// Why a call was not answered as asked.
///
/// Cloned to every caller of a batch that failed as a whole.
#[derive(Clone, Debug, Error)]
pub enum Error {
    /// The rules say no.
    #[error("{0}")]
    Refused(Refusal),
    /// The ledger's queue is full.
    #[error("the ledger is busy; try again")]
    QueueFull,
    /// As many streams are open as the server allows.
    #[error("the server's limit of {limit} open streams is reached; try again later")]
    TooManyStreams {
        /// The limit.
        limit: usize,
    },
    /// One caller has as many streams open as they may.
    #[error("the limit of {limit} open streams of this kind for one credential is reached")]
    TooManyOwnStreams {
        /// The limit.
        limit: usize,
    },
    /// Somebody calls too often, or shows too many bad tokens or session codes.
    #[error("there were too many calls or wrong tokens; try again later")]
    RateLimited {
        /// How long to wait.
        retry_after: Duration,
    },
    /// A watcher fell further behind than the server keeps changes for.
    #[error("the watcher fell more than {limit} transfers behind; watch again")]
    WatchTooSlow {
        /// The limit.
        limit: usize,
    },
    /// One progress stream reports more transfers than the server follows for it.
    #[error("one stream may report at most {limit} transfers; open another one")]
    TooManyTransfers {
        /// The limit.
        limit: usize,
    },
    /// A position in the log before the oldest event that is kept.
    #[error(
        "the log after {after_sequence} is no longer complete: the oldest event that is kept is {oldest_sequence}"
    )]
    CursorExpired {
        /// The position.
        after_sequence: i64,
        /// The oldest event, or the next one to come when none is kept.
        oldest_sequence: i64,
    },
    /// A position in the log that it has not reached: the cursor is of another ledger, or of one that was restored.
    #[error(
        "the log ends at {newest_sequence}; there is nothing to go on from after {after_sequence}"
    )]
    CursorAhead {
        /// The position.
        after_sequence: i64,
        /// The newest event; 0 before the first.
        newest_sequence: i64,
    },
    /// The log is another one than was read before: it was restored, or its database failed over to one that lacked the
    /// last commits.
    #[error("the log diverged: {} was known, and now it {} {}", .0.known, if .0.found.sequence < .0.known.sequence { "ends with" } else { "has" }, .0.found)]
    LogDiverged(Divergence),
    /// The database cannot be reached or written just now. Safe to repeat with the same request id.
    #[error("the database is unavailable; try again")]
    DatabaseUnavailable(#[source] Arc<StoreError>),
    /// The database has no room to write. Safe to repeat with the same request id.
    #[error("the database has no room left; it needs an operator")]
    DatabaseFull(#[source] Arc<StoreError>),
    /// Somebody else has locked a row that the call depends on. Safe to repeat with the same request id.
    #[error("a row that the call depends on is locked by another program; try again")]
    RowLocked,
    /// The server stops. Safe to repeat with the same request id.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// A defect of ours or of the database's content.
    #[error("internal error")]
    Internal(#[source] Arc<dyn std::error::Error + Send + Sync>),
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

    /// The name of the case: UPPER_SNAKE, part of the contract.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.reason(),
            Self::QueueFull => "QUEUE_FULL",
            Self::TooManyStreams { .. } | Self::TooManyOwnStreams { .. } => "TOO_MANY_STREAMS",
            Self::RateLimited { .. } => "RATE_LIMITED",
            Self::WatchTooSlow { .. } => "WATCH_TOO_SLOW",
            Self::TooManyTransfers { .. } => "TOO_MANY_TRANSFERS",
            Self::CursorExpired { .. } => "CURSOR_EXPIRED",
            Self::CursorAhead { .. } => "CURSOR_AHEAD",
            Self::LogDiverged(_) => "LOG_DIVERGED",
            Self::DatabaseUnavailable(_) => "DATABASE_UNAVAILABLE",
            Self::DatabaseFull(_) => "DATABASE_FULL",
            Self::RowLocked => "ROW_LOCKED",
            Self::ShuttingDown => "SHUTTING_DOWN",
            Self::Internal(_) => "INTERNAL",
        }
    }

    /// Every value that the text mentions, by name.
    pub fn metadata(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Refused(refusal) => refusal.metadata(),
            Self::TooManyStreams { limit }
            | Self::TooManyOwnStreams { limit }
            | Self::WatchTooSlow { limit }
            | Self::TooManyTransfers { limit } => vec![("limit", limit.to_string())],
            Self::CursorExpired {
                after_sequence,
                oldest_sequence,
            } => vec![
                ("after_sequence", after_sequence.to_string()),
                ("oldest_sequence", oldest_sequence.to_string()),
            ],
            Self::CursorAhead {
                after_sequence,
                newest_sequence,
            } => vec![
                ("after_sequence", after_sequence.to_string()),
                ("newest_sequence", newest_sequence.to_string()),
            ],
            Self::LogDiverged(Divergence { known, found }) => vec![
                ("known_sequence", known.sequence.to_string()),
                ("known_hash", known.digits()),
                ("found_sequence", found.sequence.to_string()),
                ("found_hash", found.digits()),
            ],
            Self::QueueFull
            | Self::RateLimited { .. }
            | Self::DatabaseUnavailable(_)
            | Self::DatabaseFull(_)
            | Self::RowLocked
            | Self::ShuttingDown
            | Self::Internal(_) => Vec::new(),
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
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
