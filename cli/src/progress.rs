//! How a transfer's progress is told while it runs. Calls no server.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tidegate_client::{Transfer, TransferStatus};

use crate::output::Look;
use crate::text;
use crate::view::transfer::{reason, rows};

/// The rate is that of so long.
const WINDOW: Duration = Duration::from_secs(10);

/// How fast rows move, over the last seconds.
#[derive(Debug, Default)]
pub(crate) struct Rate {
    samples: VecDeque<(Instant, i64)>,
}

impl Rate {
    /// Takes note of the rows done at a moment.
    pub(crate) fn push(&mut self, now: Instant, done: i64) {
        self.samples.push_back((now, done));
        // One sample from before the window stays, so that slow reporters have a rate too.
        while self
            .samples
            .get(1)
            .is_some_and(|(then, _)| now.duration_since(*then) > WINDOW)
        {
            self.samples.pop_front();
        }
    }

    /// Rows a second; none before two moments are known that are far enough apart.
    pub(crate) fn per_second(&self) -> Option<f64> {
        let ((start, before), (end, after)) = (self.samples.front()?, self.samples.back()?);
        let seconds = end.duration_since(*start).as_secs_f64();
        // Counts are far below 2^52, and a rate for people need not be exact.
        let moved = u32::try_from(after.saturating_sub(*before)).unwrap_or(u32::MAX);
        (seconds >= 0.2).then(|| f64::from(moved) / seconds)
    }

    /// Whether it still holds when nothing was heard for so long: twice as long as it took before, or the window.
    pub(crate) fn holds(&self, silent: Duration) -> bool {
        let mut last = self.samples.iter().rev().map(|(then, _)| *then);
        let (end, before) = (last.next(), last.next());
        let usual = end
            .zip(before)
            .map(|(end, before)| end.duration_since(before));
        silent <= WINDOW.max(usual.unwrap_or_default() * 2)
    }

    /// Time until `expected` rows are done, at this rate.
    pub(crate) fn time_left(&self, expected: i64) -> Option<Duration> {
        let rate = self.per_second().filter(|rate| *rate > 0.0)?;
        let left = u32::try_from(expected.saturating_sub(self.samples.back()?.1)).ok()?;
        Duration::try_from_secs_f64(f64::from(left) / rate).ok()
    }
}

/// What is worth telling about a transfer beside its status: counts, percent, rate, size, time left or taken, reason.
pub(crate) fn facts(transfer: &Transfer, rate: &Rate) -> String {
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
            facts.extend(
                rate.per_second()
                    .map(|rate| format!("{} rows/s", text::count(whole(rate)))),
            );
            let left = rate.time_left(expected).filter(|_| expected > 0);
            facts.extend(left.map(|left| format!("{} left", text::span(left))));
        }
        TransferStatus::PendingApproval => {
            let deadline = transfer.approval_expires_at;
            facts.extend(
                deadline.map(|deadline| {
                    format!("{} left to decide", text::left(deadline, text::now()))
                }),
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
pub(crate) fn line(transfer: &Transfer, rate: &Rate, look: &Look) -> String {
    format!(
        "{:16}  {}  {}",
        transfer.status.to_string(),
        look.name(&transfer.table_name),
        facts(transfer, rate)
    )
}

/// A rate as a count.
pub(crate) fn whole(rate: f64) -> i64 {
    // There is no other way that loses nothing silently.
    format!("{rate:.0}").parse().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let start = Instant::now();
        let mut rate = Rate::default();
        rate.push(start, 1_000_000);
        assert_eq!(rate.per_second(), None);
        for second in 1..=30 {
            rate.push(
                start + Duration::from_secs(second),
                1_000_000 + 100 * i64::try_from(second).unwrap(),
            );
        }
        assert_eq!(rate.per_second(), Some(100.0));
        assert_eq!(rate.time_left(1_004_000), Some(Duration::from_secs(10)));
        assert_eq!(rate.time_left(1_000), None);
        assert!(rate.samples.len() < 20);
    }

    #[test]
    fn a_rate_holds_until_something_should_have_been_heard() {
        let seconds = Duration::from_secs;
        let start = Instant::now();
        let mut rate = Rate::default();
        rate.push(start, 0);
        rate.push(start + seconds(1), 100);
        assert!(rate.holds(seconds(10)) && !rate.holds(seconds(11)));
        rate.push(start + seconds(31), 3_000);
        assert!(rate.holds(seconds(60)) && !rate.holds(seconds(61)));
    }

    #[test]
    fn a_rate_of_nothing_promises_nothing() {
        let start = Instant::now();
        let mut rate = Rate::default();
        rate.push(start, 5);
        rate.push(start + Duration::from_secs(1), 5);
        assert_eq!(rate.per_second(), Some(0.0));
        assert_eq!(rate.time_left(10), None);
        assert_eq!(whole(12_345.6), 12_346);
    }
}
