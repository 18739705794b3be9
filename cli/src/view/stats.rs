//! How sums look.

use std::time::Duration;

use tidegate_client::{ConnectionStats, TableStats, TransferDurations};

use crate::output::{Column, Look};
use crate::text;

/// The columns of the sums by table.
pub(crate) const COLUMNS: &[Column<TableStats>] = &[
    Column::name("TABLE", |stats, _| stats.table_name.clone()),
    Column::number("TRANSFERS", |stats, _| text::count(stats.count)),
    Column::number("ROWS", |stats, _| text::count(stats.records)),
    Column::number("BYTES", |stats, _| text::bytes(stats.bytes)),
    Column::number("SUCCESS", |stats, _| success(stats.success_rate)),
    Column::number("MEDIAN", |stats, _| {
        told(stats.durations.as_ref(), |all| all.p50)
    }),
    Column::number("P95", |stats, _| {
        told(stats.durations.as_ref(), |all| all.p95)
    }),
];

fn success(rate: f64) -> String {
    format!("{:.1}%", rate * 100.0)
}

fn told(
    durations: Option<&TransferDurations>,
    which: fn(&TransferDurations) -> Duration,
) -> String {
    durations.map_or_else(String::new, |all| text::fine_span(which(all)))
}

/// The sums of one connection.
pub(crate) fn details(stats: &ConnectionStats, look: &Look) -> Vec<(&'static str, String)> {
    let mut values = vec![("transfers", text::count(stats.total_transfers))];
    let statuses = stats
        .by_status
        .iter()
        .map(|(status, count)| ("", format!("{} {status}", text::count(*count))));
    values.extend(statuses);
    values.push(("rows", text::count(stats.total_records)));
    values.push(("bytes", text::bytes(stats.total_bytes)));
    if let Some(rate) = stats.success_rate {
        values.push(("success rate", success(rate)));
    }
    if let Some(durations) = &stats.durations {
        let spans = [
            ("mean duration", durations.mean),
            ("median", durations.p50),
            ("95th percentile", durations.p95),
        ];
        values.extend(spans.map(|(name, span)| (name, text::fine_span(span))));
    }
    if let Some(time) = stats.last_completed_at {
        values.push(("last completed", look.moment(time)));
    }
    values
}
