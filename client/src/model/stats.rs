//! Sums over transfers.

use serde::{Serialize, Serializer};

use super::{TransferStatus, text};

/// The sums of one connection, over its transfers in every status. All zero when there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
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
}

/// The sums of the completed transfers of one table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
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
