//! The only source of time and of identities. Never goes backwards, not even when the machine's clock does,
//! so that a deadline that has passed stays passed.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicI64, Ordering},
};
use std::time::{Duration, Instant};

use uuid::{ContextV7, Uuid};

use tidegate_domain::time::Timestamp;

mod steady;

use steady::{Reading, Steady};

/// A clock that is cheap to clone; all clones agree.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    source: Source,
    identities: Mutex<ContextV7>,
}

#[derive(Debug)]
enum Source {
    Machine {
        /// What the monotonic clock is read from.
        start: Instant,
        steady: Mutex<Steady>,
    },
    /// Microseconds.
    Manual(AtomicI64),
}

impl Clock {
    /// The machine's clock. When that is set back, time goes on at half speed by the monotonic clock until the machine's
    /// has caught up, which takes twice as long as it was set back by.
    pub fn machine() -> Self {
        Self::new(Source::Machine {
            start: Instant::now(),
            steady: Mutex::default(),
        })
    }

    /// A clock that stands still until somebody moves it, for tests.
    pub fn manual(start: Timestamp) -> Self {
        Self::new(Source::Manual(AtomicI64::new(start.as_micros())))
    }

    /// Whether a test moves it. Such a clock rules even where the database has one of its own.
    pub fn is_hand_moved(&self) -> bool {
        matches!(self.0.source, Source::Manual(_))
    }

    fn new(source: Source) -> Self {
        Self(Arc::new(Inner {
            source,
            identities: Mutex::new(ContextV7::new()),
        }))
    }

    /// The time now: never earlier than any time told before.
    pub fn now(&self) -> Timestamp {
        self.look(Steady::now, |latest| latest.load(Ordering::SeqCst))
    }

    /// Moves the clock forward to `time` unless it is past it already, and tells the time. A server starts with the
    /// time of its last event, so that a machine whose clock was set back does not write a past that comes later. The
    /// machine's clock is moved ahead of itself by an hour at most, since a time that is further off is more likely wrong.
    pub fn not_before(&self, time: Timestamp) -> Timestamp {
        let time = time.as_micros();
        self.look(
            |steady, reading| steady.resume(time, reading),
            |latest| latest.fetch_max(time, Ordering::SeqCst).max(time),
        )
    }

    fn look(
        &self,
        machine: impl FnOnce(&mut Steady, Reading) -> i64,
        manual: impl FnOnce(&AtomicI64) -> i64,
    ) -> Timestamp {
        Timestamp::from_micros(match &self.0.source {
            Source::Machine { start, steady } => {
                let mut steady = steady.lock().unwrap_or_else(PoisonError::into_inner);
                // Under the lock, so that readings come in their order.
                #[expect(clippy::disallowed_methods, reason = "this is the one place")]
                let reading = Reading {
                    wall: chrono::Utc::now().timestamp_micros(),
                    monotonic: start.elapsed(),
                };
                machine(&mut steady, reading)
            }
            Source::Manual(latest) => manual(latest),
        })
    }

    /// Moves a hand-moved clock forward. The machine's clock is moved as by [`not_before`](Self::not_before).
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
        let ahead = clock.now().after(Duration::from_secs(3_000));
        assert!(clock.not_before(ahead) >= ahead);
        let told: Vec<_> = (0..1_000).map(|_| clock.now()).collect();
        assert!(told[0] >= ahead && told.is_sorted());
    }

    #[test]
    fn a_hand_moved_clock_stands_still() {
        let clock = Clock::manual(Timestamp::from_micros(5));
        assert_eq!(clock.now(), clock.now());
        clock.advance(Duration::from_micros(2));
        assert_eq!(clock.now(), Timestamp::from_micros(7));
    }

    #[test]
    fn identities_of_one_moment_ascend() {
        let clock = Clock::manual(Timestamp::from_micros(1_700_000_000_000_000));
        let ids: Vec<_> = (0..1_000).map(|_| clock.identity(clock.now())).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
