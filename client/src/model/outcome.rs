//! How a run goes and how it ended, beyond its totals.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{FailureCode, Phase, text};

/// When a run was in a phase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PhaseTime {
    /// The phase.
    pub phase: Phase,
    /// When it was entered.
    pub started_at: DateTime<Utc>,
    /// When it was left: for the next one, or with the end of the transfer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<DateTime<Utc>>,
}

/// Why an agent gives a transfer up. A text is one with nothing more to say.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// What went wrong, in 1 to 2,000 characters.
    pub error_message: String,
    /// Where the cause lies; `None` leaves that open.
    pub code: Option<FailureCode>,
    /// Whether the same transfer may well succeed if it is tried again.
    pub retryable: bool,
}

impl Failure {
    /// One with this message.
    pub fn new(error_message: impl Into<String>) -> Self {
        Self {
            error_message: error_message.into(),
            code: None,
            retryable: false,
        }
    }

    /// Where the cause lies.
    #[must_use]
    pub const fn code(mut self, code: FailureCode) -> Self {
        self.code = Some(code);
        self
    }

    /// Whether the same transfer may well succeed if it is tried again.
    #[must_use]
    pub const fn retryable(mut self, retryable: bool) -> Self {
        self.retryable = retryable;
        self
    }
}

impl From<&str> for Failure {
    fn from(error_message: &str) -> Self {
        Self::new(error_message)
    }
}

impl From<String> for Failure {
    fn from(error_message: String) -> Self {
        Self::new(error_message)
    }
}

/// Records that made one kind of trouble, whether or not the transfer went on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordProblems {
    /// The kind.
    pub code: FailureCode,
    /// How many there are in all, at least as many as there are samples.
    #[serde(serialize_with = "text::number")]
    pub count: i64,
    /// Some of them, at most 10.
    pub samples: Vec<RecordProblem>,
}

/// A record that made trouble. Never write into it what the record holds: every reader of the transfer sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordProblem {
    /// Its key, at most 255 characters.
    pub key: String,
    /// What is wrong with it, at most 255 characters.
    pub reason: String,
}
