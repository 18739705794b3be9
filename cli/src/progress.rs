//! How a transfer's progress is told while it runs. Calls no server.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tidegate_client::{Transfer, TransferHealth, TransferStatus};

use crate::output::Look;
use crate::text;
use crate::view::transfer::{reason, rows};

/// What is worth telling about a transfer beside its status: counts, percent, rate, size, time left or taken, reason.
pub(crate) fn facts(transfer: &Transfer, look: &Look) -> String {
    let totals = &transfer.progress;
    let (done, expected) = (totals.records_transferred, transfer.records_requested);
    let mut facts = vec![format!("{} rows", rows(transfer))];
    facts.extend(text::percent(done, expected).map(|percent| format!("{percent}%")));
    if totals.records_failed > 0 {
        facts.push(format!("{} failed", text::count(totals.records_failed)));
    }
    if totals.bytes_transferred > 0 {
        facts.push(text::bytes(totals.bytes_transferred));
    }
    match transfer.status {
        TransferStatus::InProgress => {
            facts.extend(speed(transfer));
            let left = time_left(transfer, look.now);
            facts.extend(left.map(|left| format!("{} left", text::span(left))));
            facts.extend(trouble(transfer).map(|health| health.to_string()));
        }
        TransferStatus::PendingApproval => {
            let deadline = transfer.approval_expires_at;
            facts.extend(
                deadline
                    .map(|deadline| format!("{} left to decide", text::left(deadline, look.now))),
            );
        }
        _ => {
            let taken = transfer.duration.filter(|_| transfer.status.is_terminal());
            facts.extend(taken.map(|taken| format!("in {}", text::span(taken))));
            facts.extend(reason(transfer).map(|reason| format!("({reason})")));
        }
    }
    facts.join("  ")
}

/// The whole of it in a line.
pub(crate) fn line(transfer: &Transfer, look: &Look) -> String {
    format!(
        "{:16}  {}  {}",
        transfer.status.to_string(),
        look.name(&transfer.table_name),
        facts(transfer, look)
    )
}

/// Rows a second.
pub(crate) fn speed(transfer: &Transfer) -> Option<String> {
    let rate = transfer.records_per_second?;
    Some(format!("{} rows/s", text::count(whole(rate))))
}

/// Time until all rows are moved, as the server expects it.
pub(crate) fn time_left(transfer: &Transfer, now: DateTime<Utc>) -> Option<Duration> {
    // The server's clock may be a little behind this one.
    Some(
        (transfer.estimated_completion? - now)
            .to_std()
            .unwrap_or_default(),
    )
}

/// What is wrong with a run, if anything.
pub(crate) fn trouble(transfer: &Transfer) -> Option<TransferHealth> {
    transfer
        .health
        .filter(|health| *health != TransferHealth::Healthy)
}

/// A rate as a count.
pub(crate) fn whole(rate: f64) -> i64 {
    // There is no other way that loses nothing silently.
    format!("{rate:.0}").parse().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use tidegate_client::Direction;
    use uuid::Uuid;

    use super::*;
    use crate::view::transfer::details;

    #[test]
    fn a_run_is_told_as_the_server_sees_it() {
        let now = DateTime::UNIX_EPOCH;
        let status = TransferStatus::InProgress;
        let mut transfer = Transfer::example(Uuid::nil(), Direction::Send, "orders", status, now);
        transfer.records_requested = 2_000;
        transfer.progress.records_transferred = 500;
        let told = |transfer: &Transfer| facts(transfer, &Look::at(false, now));
        assert_eq!(told(&transfer), "500/2,000 rows  25%");
        transfer.records_per_second = Some(1_234.6);
        transfer.estimated_completion = Some(now + TimeDelta::seconds(90));
        transfer.health = Some(TransferHealth::Healthy);
        let well = "500/2,000 rows  25%  1,235 rows/s  1m 30s left";
        assert_eq!(told(&transfer), well);
        transfer.health = Some(TransferHealth::Slow);
        assert_eq!(told(&transfer), format!("{well}  slow"));
        transfer.bytes_per_second = Some(2_048.0);
        transfer.estimated_completion_earliest = Some(now + TimeDelta::seconds(80));
        transfer.estimated_completion_latest = Some(now + TimeDelta::seconds(100));
        transfer.health_since = Some(now - TimeDelta::seconds(7));
        let details = details(&transfer, &Look::at(false, now));
        for (name, value) in [
            ("speed", "1,235 rows/s, 2.00 KiB/s"),
            ("time left", "1m 30s (1m 20s to 1m 40s)"),
            ("health", "slow since 1969-12-31T23:59:53Z (7s ago)"),
        ] {
            assert!(details.contains(&(name, value.to_owned())), "{details:?}");
        }
        transfer.estimated_completion = Some(now - TimeDelta::seconds(1));
        assert_eq!(time_left(&transfer, now), Some(Duration::ZERO));
    }
}
