//! Time that follows the machine's clock forwards and never backwards.
//!
//! A clock that was ahead for a while and is set right must not make the ledger's time stand still until then: deadlines
//! would wait as long as the clock was wrong. Nor may time go back: events would come before those that they follow. So it
//! goes on by the monotonic clock, at half speed, until the machine's clock has caught up.

use std::time::Duration;

/// How far ahead of the machine's clock a time from elsewhere is believed.
const BELIEVED: i64 = 3_600 * SECOND;
/// From how far behind on the machine's clock is said to be so; less is what keeping it in step with others does.
const NOTEWORTHY: i64 = SECOND;
const SECOND: i64 = 1_000_000;

/// What the machine's two clocks say at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    /// Microseconds since 1970.
    pub(super) wall: i64,
    /// Since some fixed moment, whatever is done to the other clock.
    pub(super) monotonic: Duration,
}

/// The time that was told, and how it goes on from there.
#[derive(Debug)]
pub(super) struct Steady {
    /// A time that was told, in microseconds: the last one that was the machine's, or one that was moved to.
    base: i64,
    /// When it was, by the monotonic clock.
    at: Duration,
    /// Whether it was said that the machine's clock is behind.
    is_behind: bool,
}

impl Default for Steady {
    fn default() -> Self {
        Self {
            base: i64::MIN,
            at: Duration::ZERO,
            is_behind: false,
        }
    }
}

impl Steady {
    /// The time now, in microseconds.
    pub(super) fn now(&mut self, reading: Reading) -> i64 {
        let slow = self.at_half_speed(reading.monotonic);
        if reading.wall >= slow {
            (self.base, self.at) = (reading.wall, reading.monotonic);
            if self.is_behind {
                self.is_behind = false;
                tracing::info!("the machine's clock has caught up with the ledger's time");
            }
            return reading.wall;
        }
        let ahead = slow.saturating_sub(reading.wall);
        if ahead >= NOTEWORTHY && !self.is_behind {
            self.is_behind = true;
            tracing::warn!(
                ahead_s = ahead / SECOND,
                caught_up_in_s = 2 * (ahead / SECOND),
                "the machine's clock is behind the ledger's time, which goes on at half speed until they agree"
            );
        }
        slow
    }

    /// Moves on to `last`, as far as that can be believed, and tells the time.
    pub(super) fn resume(&mut self, last: i64, reading: Reading) -> i64 {
        let now = self.now(reading);
        let believed = last.min(reading.wall.saturating_add(BELIEVED));
        if believed < last {
            tracing::warn!(
                ahead_s = last.saturating_sub(reading.wall) / SECOND,
                believed_s = BELIEVED / SECOND,
                "the newest event is from further ahead than the machine's clock is believed to be behind; new events may \
                 have earlier times"
            );
        }
        if believed <= now {
            return now;
        }
        (self.base, self.at) = (believed, reading.monotonic);
        self.now(reading)
    }

    fn at_half_speed(&self, monotonic: Duration) -> i64 {
        let passed = monotonic.saturating_sub(self.at) / 2;
        let passed = i64::try_from(passed.as_micros()).unwrap_or(i64::MAX);
        self.base.saturating_add(passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600 * SECOND;

    /// A machine whose clocks a test sets.
    struct Machine {
        steady: Steady,
        wall: i64,
        monotonic: Duration,
    }

    impl Machine {
        fn new() -> Self {
            Self {
                steady: Steady::default(),
                wall: 1_800_000_000 * SECOND,
                monotonic: Duration::from_secs(77),
            }
        }

        fn reading(&self) -> Reading {
            Reading {
                wall: self.wall,
                monotonic: self.monotonic,
            }
        }

        fn now(&mut self) -> i64 {
            self.steady.now(self.reading())
        }

        /// Both clocks go on.
        fn pass(&mut self, micros: i64) {
            self.wall += micros;
            self.monotonic += Duration::from_micros(micros.unsigned_abs());
        }

        /// Somebody sets the clock.
        fn set(&mut self, by: i64) {
            self.wall += by;
        }
    }

    #[test]
    fn a_right_clock_is_followed() {
        let mut machine = Machine::new();
        for _ in 0..10 {
            machine.pass(SECOND);
            assert_eq!(machine.now(), machine.wall);
        }
        machine.set(6 * HOUR);
        assert_eq!(machine.now(), machine.wall, "forwards it is believed");
        assert!(!machine.steady.is_behind);
    }

    #[test]
    fn time_goes_on_when_a_clock_that_was_ahead_is_set_right() {
        let mut machine = Machine::new();
        let begin = machine.now();
        machine.set(6 * HOUR);
        assert_eq!(machine.now(), begin + 6 * HOUR);
        machine.pass(3 * SECOND);
        let wrong = machine.now();
        machine.set(-6 * HOUR);
        assert_eq!(machine.now(), wrong, "it does not go back");
        let mut before = wrong;
        for _ in 0..60 {
            machine.pass(SECOND);
            let now = machine.now();
            assert_eq!(now - before, SECOND / 2, "it goes on at half speed");
            before = now;
        }
        assert!(machine.steady.is_behind);
        // Within twice the time that it was ahead by, it is right again.
        machine.pass(12 * HOUR - 61 * SECOND);
        assert!(machine.now() > machine.wall);
        machine.pass(2 * SECOND);
        assert_eq!(machine.now(), machine.wall);
        assert!(!machine.steady.is_behind);
        machine.pass(SECOND);
        assert_eq!(machine.now(), machine.wall);
    }

    #[test]
    fn time_goes_on_when_a_right_clock_is_set_back() {
        let mut machine = Machine::new();
        let begin = machine.now();
        machine.set(-24 * HOUR);
        machine.pass(10 * SECOND);
        assert_eq!(machine.now(), begin + 5 * SECOND);
        machine.set(24 * HOUR);
        assert_eq!(
            machine.now(),
            machine.wall,
            "and follows when it is put right"
        );
    }

    #[test]
    fn time_goes_on_however_often_it_is_asked_for() {
        let mut machine = Machine::new();
        let begin = machine.now();
        machine.set(-HOUR);
        for _ in 0..1_000 {
            machine.pass(1);
            machine.now();
        }
        assert_eq!(machine.now(), begin + 500);
    }

    #[test]
    fn a_small_step_is_not_worth_a_word() {
        let mut machine = Machine::new();
        machine.now();
        machine.set(-SECOND / 2);
        machine.now();
        assert!(!machine.steady.is_behind);
        machine.set(-SECOND);
        machine.now();
        assert!(machine.steady.is_behind);
    }

    #[test]
    fn the_newest_event_is_believed_within_an_hour() {
        for (ahead, believed) in [
            (-HOUR, 0),
            (HOUR / 2, HOUR / 2),
            (HOUR, HOUR),
            (HOUR + 1, HOUR),
            (24 * 365 * HOUR, HOUR),
        ] {
            let mut machine = Machine::new();
            let reading = machine.reading();
            let now = machine.steady.resume(machine.wall + ahead, reading);
            assert_eq!(now - machine.wall, believed, "{ahead}");
            machine.pass(2 * HOUR + SECOND);
            assert_eq!(machine.now(), machine.wall);
        }
    }
}
