//! Sums over transfers.

use serde::Serialize;

use super::TransferStatus;

/// The sums of one connection, over its transfers in every status. All zero when there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ConnectionStats {
    /// Transfers in every status.
    pub total_transfers: i64,
    /// Completed transfers.
    pub completed: i64,
    /// Failed transfers.
    pub failed: i64,
    /// Rows transferred by all of them.
    pub total_records: i64,
    /// Bytes transferred by all of them.
    pub total_bytes: i64,
    /// How many transfers stand in each status that occurs.
    pub by_status: Vec<(TransferStatus, i64)>,
}

/// The sums of the completed transfers of one table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TableStats {
    /// The table.
    pub table_name: String,
    /// Completed transfers of it.
    pub count: i64,
    /// Rows that they transferred.
    pub records: i64,
    /// Bytes that they transferred.
    pub bytes: i64,
}
