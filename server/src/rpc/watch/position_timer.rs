//! When a watcher of transfers is told how far it has come.

use std::time::Duration;

use tidegate_proto::v1;
use tokio::time::Instant;

use super::super::encode;
use tidegate_domain::chain::Head;

/// Least time between two positions.
const PACE: Duration = Duration::from_secs(1);
/// A watcher that nothing was sent to for this time is sent its position.
const IDLE: Duration = Duration::from_secs(10);

/// The positions of one watch.
pub(super) struct PositionTimer {
    /// The last place sent.
    at: Head,
    /// When it was sent.
    positioned: Instant,
    /// When anything was sent last.
    sent: Instant,
    /// Something that the last position does not cover may have been sent since.
    news: bool,
    /// Not before this time is the next one looked for.
    due: Instant,
}

impl PositionTimer {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            at: Head::default(),
            positioned: now,
            sent: now,
            news: false,
            due: now + IDLE,
        }
    }

    /// When a position is to be looked for.
    pub(super) const fn due(&self) -> Instant {
        self.due
    }

    /// Notes that a change is being sent.
    pub(super) fn news(&mut self) {
        self.sent = Instant::now();
        if !self.news {
            self.news = true;
            self.due = self.positioned + PACE;
        }
    }

    /// The message for a place that everything before it was sent for, while nothing that was sent rests on an event
    /// after `newest`; `None` when it would say nothing new and the watcher has heard something a moment ago.
    pub(super) fn reached(&mut self, at: Head, newest: i64) -> Option<v1::WatchPosition> {
        let now = Instant::now();
        if at.sequence > self.at.sequence || self.sent + IDLE <= now {
            return Some(self.told(at, newest));
        }
        // Progress alone moves no position; what this replica has committed before it has read all before it soon will.
        self.news = newest > self.at.sequence;
        self.due = if self.news {
            now + PACE
        } else {
            self.sent + IDLE
        };
        None
    }

    /// The message for a position that is sent in any case.
    pub(super) fn told(&mut self, at: Head, newest: i64) -> v1::WatchPosition {
        self.at = self.at.later(at);
        let newest = newest.max(self.at.sequence);
        let now = Instant::now();
        self.positioned = now;
        self.sent = now;
        self.news = newest > self.at.sequence;
        self.due = now + if self.news { PACE } else { IDLE };
        v1::WatchPosition {
            sequence: self.at.sequence,
            newest_sequence: newest,
            hash: encode::hash(&self.at),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, pause};

    use super::*;

    fn head(sequence: i64) -> Head {
        Head {
            sequence,
            hash: [1; 32],
        }
    }

    #[tokio::test]
    async fn positions_follow_news_at_a_distance_and_silence_after_a_while() {
        pause();
        let begun = Instant::now();
        let mut timer = PositionTimer::new();
        timer.told(head(5), 5);
        assert_eq!(timer.due(), begun + IDLE);
        timer.news();
        timer.news();
        assert_eq!(timer.due(), begun + PACE);
        advance(PACE).await;
        let position = timer.reached(head(6), 6).expect("it is a new one");
        assert_eq!((position.sequence, position.newest_sequence), (6, 6));
        assert_eq!(timer.due(), begun + PACE + IDLE);
        advance(IDLE).await;
        assert!(timer.reached(head(6), 6).is_some(), "it was silent");
    }

    #[tokio::test]
    async fn a_position_that_lags_is_looked_for_again_soon_and_progress_is_not() {
        pause();
        let mut timer = PositionTimer::new();
        timer.told(head(5), 5);
        timer.news();
        advance(PACE).await;
        assert_eq!(timer.reached(head(5), 7), None);
        assert_eq!(timer.due(), Instant::now() + PACE);
        advance(PACE).await;
        assert_eq!(timer.reached(head(5), 5), None);
        assert!(timer.due() > Instant::now() + PACE);
    }
}
