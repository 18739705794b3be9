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
