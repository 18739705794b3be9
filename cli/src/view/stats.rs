//! How sums look.

use serde::Serialize;
use tidegate_client::{ConnectionStats, TableStats, TransferStatus};

use crate::output::Column;
use crate::text;

/// The columns of the sums by table.
pub(crate) const COLUMNS: &[Column<TableStats>] = &[
    Column::name("TABLE", |stats, _| stats.table_name.clone()),
    Column::number("TRANSFERS", |stats, _| text::count(stats.count)),
    Column::number("ROWS", |stats, _| text::count(stats.records)),
    Column::number("BYTES", |stats, _| text::bytes(stats.bytes)),
];

/// The sums of one connection.
pub(crate) fn details(stats: &ConnectionStats) -> Vec<(&'static str, String)> {
    let mut values = vec![("transfers", text::count(stats.total_transfers))];
    let statuses = stats
        .by_status
        .iter()
        .map(|(status, count)| ("", format!("{} {status}", text::count(*count))));
    values.extend(statuses);
    values.push(("rows", text::count(stats.total_records)));
    values.push(("bytes", text::bytes(stats.total_bytes)));
    values
}

/// The sums of one connection as the contract names them.
#[derive(Debug, Serialize)]
pub(crate) struct Data {
    total_transfers: i64,
    completed: i64,
    failed: i64,
    total_records: i64,
    total_bytes: i64,
    by_status: Vec<StatusCount>,
}

#[derive(Debug, Serialize)]
struct StatusCount {
    status: TransferStatus,
    count: i64,
}

/// The sums of one connection for programs.
pub(crate) fn data(stats: &ConnectionStats) -> Data {
    let by_status = stats
        .by_status
        .iter()
        .map(|&(status, count)| StatusCount { status, count })
        .collect();
    Data {
        total_transfers: stats.total_transfers,
        completed: stats.completed,
        failed: stats.failed,
        total_records: stats.total_records,
        total_bytes: stats.total_bytes,
        by_status,
    }
}
