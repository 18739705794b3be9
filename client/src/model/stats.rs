//! Sums over transfers.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};

use super::{TransferStatus, text};

/// How long completed transfers took: from the start of the run that completed each of them to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TransferDurations {
    /// Their mean, exact.
    #[serde(serialize_with = "text::span")]
    pub mean: Duration,
    /// What half of them did not exceed, at most 12 % off.
    #[serde(serialize_with = "text::span")]
    pub p50: Duration,
    /// What 95 % of them did not exceed, at most 12 % off.
    #[serde(serialize_with = "text::span")]
    pub p95: Duration,
}

/// The sums of one connection, over its transfers in every status, deleted or not. All zero when there are none.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ConnectionStats {
    /// Transfers in every status.
    #[serde(serialize_with = "text::number")]
    pub total_transfers: i64,
    /// Completed transfers.
    #[serde(serialize_with = "text::number")]
    pub completed: i64,
    /// Failed transfers.
    #[serde(serialize_with = "text::number")]
    pub failed: i64,
    /// Rows transferred by all of them.
    #[serde(serialize_with = "text::number")]
    pub total_records: i64,
    /// Bytes transferred by all of them.
    #[serde(serialize_with = "text::number")]
    pub total_bytes: i64,
    /// How many transfers stand in each status that occurs.
    #[serde(serialize_with = "counts")]
    pub by_status: Vec<(TransferStatus, i64)>,
    /// The completed among the transfers that have ended, from 0 to 1; `None` when none has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success_rate: Option<f64>,
    /// How long completed ones took; `None` when there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub durations: Option<TransferDurations>,
    /// When the last of them was completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_completed_at: Option<DateTime<Utc>>,
}

/// The sums of the completed transfers of one table, deleted or not.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TableStats {
    /// The table.
    pub table_name: String,
    /// Completed transfers of it.
    #[serde(serialize_with = "text::number")]
    pub count: i64,
    /// Rows that they transferred.
    #[serde(serialize_with = "text::number")]
    pub records: i64,
    /// Bytes that they transferred.
    #[serde(serialize_with = "text::number")]
    pub bytes: i64,
    /// Transfers of it that have ended, completed or not.
    #[serde(serialize_with = "text::number")]
    pub ended: i64,
    /// The completed among these, from 0 to 1.
    pub success_rate: f64,
    /// How long completed ones took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub durations: Option<TransferDurations>,
    /// When the last of them was completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_completed_at: Option<DateTime<Utc>>,
}

fn counts<S: Serializer>(
    counts: &[(TransferStatus, i64)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct StatusCount {
        status: TransferStatus,
        #[serde(serialize_with = "text::number")]
        count: i64,
    }
    let count = |&(status, count)| StatusCount { status, count };
    serializer.collect_seq(counts.iter().map(count))
}
