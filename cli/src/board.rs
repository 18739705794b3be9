//! Transfers under way as somebody follows them, and how long nothing was heard of each. Calls no server.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tidegate_client::{Transfer, TransferStatus};
use uuid::Uuid;

use crate::progress::{time_left, whole};
use crate::text;

/// What was heard last says how fast a run is for so long, or twice as long as it took to hear anything before.
const HOLDS: Duration = Duration::from_secs(10);

/// A transfer that is followed.
#[derive(Debug)]
pub(crate) struct Followed {
    pub(crate) transfer: Transfer,
    heard: Instant,
    /// How long nothing was heard of it before it was heard of last.
    usual: Duration,
    /// How long nothing was heard of it.
    silent: Duration,
    /// Whether it was heard of more than once: before that, only its own times say how long it has been quiet.
    is_known: bool,
}

impl Followed {
    /// The transfer as it is known at first.
    pub(crate) const fn new(transfer: Transfer, now: Instant) -> Self {
        Self {
            transfer,
            heard: now,
            usual: Duration::ZERO,
            silent: Duration::ZERO,
            is_known: false,
        }
    }

    /// Takes note of its newest state.
    fn update(&mut self, transfer: Transfer, now: Instant) {
        self.transfer = transfer;
        self.usual = now.saturating_duration_since(self.heard);
        self.heard = now;
        self.silent = Duration::ZERO;
        self.is_known = true;
    }

    fn tick(&mut self, now: Instant, clock: DateTime<Utc>) {
        let heard = now.saturating_duration_since(self.heard);
        let quiet = (clock - self.transfer.updated_at).to_std();
        let quiet = quiet.unwrap_or_default();
        self.silent = if self.is_known {
            heard
        } else {
            heard.max(quiet)
        };
    }

    fn is_running(&self) -> bool {
        self.transfer.status == TransferStatus::InProgress
    }

    /// Which way, and what.
    pub(crate) fn what(&self) -> String {
        let Transfer {
            direction,
            table_name,
            ..
        } = &self.transfer;
        format!("{direction} {table_name}")
    }

    /// Rows done, of those expected where that is known.
    pub(crate) fn rows(&self) -> String {
        let done = text::short(self.transfer.progress.records_transferred);
        match self.transfer.records_requested {
            0 => done,
            expected => format!("{done}/{}", text::short(expected)),
        }
    }

    pub(crate) fn percent(&self) -> String {
        let done = self.transfer.progress.records_transferred;
        let percent = text::percent(done, self.transfer.records_requested);
        percent.map(|it| format!("{it}%")).unwrap_or_default()
    }

    /// Rows a second, while rows are heard of.
    pub(crate) fn speed(&self) -> String {
        let rate = self.transfer.records_per_second;
        let rate = rate.filter(|_| self.has_pace());
        rate.map(whole).map(text::short).unwrap_or_default()
    }

    /// Time left until it is done, or to decide about it.
    pub(crate) fn time_left(&self, now: DateTime<Utc>) -> String {
        if let Some(deadline) = self.transfer.approval_expires_at
            && self.transfer.status == TransferStatus::PendingApproval
        {
            return text::left(deadline, now);
        }
        let left = time_left(&self.transfer, now).filter(|_| self.has_pace());
        left.map(text::span).unwrap_or_default()
    }

    /// How long nothing was heard of one that runs.
    pub(crate) fn silence(&self) -> String {
        if self.is_running() {
            format!("{}s", self.silent.as_secs())
        } else {
            String::new()
        }
    }

    /// Whether what was heard still says how fast it is.
    fn has_pace(&self) -> bool {
        self.is_running() && self.silent <= HOLDS.max(self.usual * 2)
    }
}

/// Transfers that are followed, in the order in which they were first heard of.
#[derive(Debug, Default)]
pub(crate) struct Board {
    rows: Vec<Followed>,
}

impl Board {
    /// Takes note of a state. One that has ended is followed no longer and given back.
    pub(crate) fn tell(&mut self, transfer: Transfer, now: Instant) -> Option<Followed> {
        let has_ended = transfer.status.is_terminal();
        let at = self.position(transfer.uuid);
        let at = match at {
            Some(at) => {
                if let Some(followed) = self.rows.get_mut(at) {
                    followed.update(transfer, now);
                }
                at
            }
            None => {
                self.rows.push(Followed::new(transfer, now));
                self.rows.len() - 1
            }
        };
        has_ended.then(|| self.rows.remove(at))
    }

    /// Follows one no longer.
    pub(crate) fn forget(&mut self, uuid: Uuid) {
        self.rows.retain(|followed| followed.transfer.uuid != uuid);
    }

    /// Follows none any longer.
    pub(crate) fn clear(&mut self) {
        self.rows.clear();
    }

    /// All of them, as they were at the last [`tick`](Self::tick).
    pub(crate) fn rows(&self) -> &[Followed] {
        &self.rows
    }

    /// Takes note of how long nothing was heard.
    pub(crate) fn tick(&mut self, now: Instant, clock: DateTime<Utc>) {
        for followed in &mut self.rows {
            followed.tick(now, clock);
        }
    }

    fn position(&self, uuid: Uuid) -> Option<usize> {
        let mut rows = self.rows.iter();
        rows.position(|followed| followed.transfer.uuid == uuid)
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use tidegate_client::Direction;

    use super::*;

    fn transfer(status: TransferStatus, done: i64) -> Transfer {
        let uuid = Uuid::from_u128(7);
        let created = DateTime::UNIX_EPOCH;
        let mut transfer = Transfer::example(uuid, Direction::Receive, "orders", status, created);
        transfer.progress.records_transferred = done;
        transfer.records_requested = 1_000;
        transfer.lease_epoch = 1;
        transfer
    }

    #[test]
    fn pace_and_silence_are_those_of_what_runs() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let running = |done, rate| {
            let mut transfer = transfer(TransferStatus::InProgress, done);
            transfer.records_per_second = rate;
            let left = rate.map(|_| DateTime::UNIX_EPOCH + TimeDelta::seconds(8));
            transfer.estimated_completion = left;
            transfer
        };
        let mut board = Board::default();
        board.tell(running(0, None), start);
        let said = |board: &Board| {
            let it = board.rows().first().expect("it is followed");
            let left = it.time_left(DateTime::UNIX_EPOCH);
            [it.percent(), it.speed(), left, it.silence()]
        };
        assert_eq!(said(&board), ["0%", "", "", "0s"]);
        // It was quiet before somebody looked.
        board.tick(after(1), DateTime::UNIX_EPOCH + TimeDelta::seconds(40));
        assert_eq!(said(&board), ["0%", "", "", "40s"]);
        board.tell(running(200, Some(100.0)), after(2));
        board.tick(after(5), DateTime::UNIX_EPOCH);
        assert_eq!(said(&board), ["20%", "100", "8s", "3s"]);
        // Nothing is promised of one that has fallen silent.
        board.tick(after(13), DateTime::UNIX_EPOCH);
        assert_eq!(said(&board), ["20%", "", "", "11s"]);
        // One that is heard of once in a while may take its time.
        board.tell(running(400, Some(100.0)), after(32));
        board.tick(after(92), DateTime::UNIX_EPOCH);
        assert_eq!(said(&board), ["40%", "100", "8s", "60s"]);
        board.tick(after(93), DateTime::UNIX_EPOCH);
        assert_eq!(said(&board), ["40%", "", "", "61s"]);
    }

    #[test]
    fn what_has_ended_is_given_back() {
        let now = Instant::now();
        let mut board = Board::default();
        assert!(
            board
                .tell(transfer(TransferStatus::Pending, 0), now)
                .is_none()
        );
        let ended = board.tell(transfer(TransferStatus::Failed, 5), now);
        assert_eq!(ended.expect("it has ended").rows(), "5/1,000");
        assert!(board.rows().is_empty());
        let unknown = board.tell(transfer(TransferStatus::Denied, 0), now);
        assert!(unknown.is_some() && board.rows().is_empty());
    }

    #[test]
    fn what_waits_has_its_deadline() {
        let now = DateTime::UNIX_EPOCH;
        let mut waiting = transfer(TransferStatus::PendingApproval, 0);
        waiting.approval_expires_at = Some(now + TimeDelta::seconds(90));
        let followed = Followed::new(waiting, Instant::now());
        assert_eq!(followed.time_left(now), "1m 30s");
        assert_eq!(followed.silence(), "");
    }
}
