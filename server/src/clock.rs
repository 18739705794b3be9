//! The only source of time and of identities. Never goes backwards, not even when the machine's clock does (P35).

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicI64, Ordering},
};
use std::time::Duration;

use uuid::{ContextV7, Uuid};

use crate::domain::time::Timestamp;

/// A clock that is cheap to clone; all clones agree.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    source: Source,
    /// The latest time that was told, in microseconds.
    latest: AtomicI64,
    identities: Mutex<ContextV7>,
}

#[derive(Clone, Copy, Debug)]
enum Source {
    Machine,
    Hand,
}

impl Clock {
    /// The machine's clock.
    pub fn machine() -> Self {
        Self::new(Source::Machine, i64::MIN)
    }

    /// A clock that stands still until somebody moves it, for tests.
    pub fn hand(start: Timestamp) -> Self {
        Self::new(Source::Hand, start.as_micros())
    }

    /// Whether a test moves it. Such a clock rules even where the database has one of its own.
    pub fn is_hand_moved(&self) -> bool {
        matches!(self.0.source, Source::Hand)
    }

    fn new(source: Source, latest: i64) -> Self {
        Self(Arc::new(Inner {
            source,
            latest: AtomicI64::new(latest),
            identities: Mutex::new(ContextV7::new()),
        }))
    }

    /// The time now: never earlier than any time told before.
    pub fn now(&self) -> Timestamp {
        match self.0.source {
            Source::Machine => {
                #[expect(clippy::disallowed_methods, reason = "this is the one place")]
                let machine = chrono::Utc::now().timestamp_micros();
                self.not_before(Timestamp::from_micros(machine))
            }
            Source::Hand => Timestamp::from_micros(self.0.latest.load(Ordering::SeqCst)),
        }
    }

    /// Moves the clock forward to `time` unless it is past it already, and tells the time. A server starts with the
    /// time of its last event, so that a machine whose clock was set back does not write a past that comes later.
    pub fn not_before(&self, time: Timestamp) -> Timestamp {
        let before = self.0.latest.fetch_max(time.as_micros(), Ordering::SeqCst);
        Timestamp::from_micros(before.max(time.as_micros()))
    }

    /// Moves a hand-moved clock forward. On the machine's clock it only holds the time back until the machine catches up.
    pub fn advance(&self, by: Duration) {
        let now = self.now();
        self.not_before(now.after(by));
    }

    /// A new `UUIDv7` for something that happens at `time`. Those of one clock ascend.
    pub fn identity(&self, time: Timestamp) -> Uuid {
        let micros = u64::try_from(time.as_micros()).unwrap_or(0);
        let nanos = u32::try_from(micros % 1_000_000).unwrap_or(0) * 1_000;
        let context = self
            .0
            .identities
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Uuid::new_v7(uuid::Timestamp::from_unix(
            &*context,
            micros / 1_000_000,
            nanos,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_goes_back() {
        let clock = Clock::machine();
        let ahead = clock.now().after(Duration::from_secs(3_600));
        clock.not_before(ahead);
        assert_eq!(clock.now(), ahead);
    }

    #[test]
    fn a_hand_moved_clock_stands_still() {
        let clock = Clock::hand(Timestamp::from_micros(5));
        assert_eq!(clock.now(), clock.now());
        clock.advance(Duration::from_micros(2));
        assert_eq!(clock.now(), Timestamp::from_micros(7));
    }

    #[test]
    fn identities_of_one_moment_ascend() {
        let clock = Clock::hand(Timestamp::from_micros(1_700_000_000_000_000));
        let ids: Vec<_> = (0..1_000).map(|_| clock.identity(clock.now())).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
