//! How sums look.

use tidegate_client::{ConnectionStats, TableStats};

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
