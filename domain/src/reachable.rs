//! Since when agents could reach the ledger without a gap: nobody is silent who could not be heard.

use std::time::Duration;

use super::time::Timestamp;

/// A time in which the ledger could be reached, as far as it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reachable {
    /// Since when.
    pub since: Timestamp,
    /// Until when that can be relied on.
    pub until: Timestamp,
}

impl Reachable {
    /// Whether whoever had something to say every `limit` could say it at least once, seen from `now`.
    pub fn has_been_for(&self, limit: Duration, now: Timestamp) -> bool {
        now <= self.until && self.since.after(limit) <= now
    }
}

/// Finds the gaps: outages of the database, a process that stood still, clocks that were set.
#[derive(Debug)]
pub struct Reachability {
    /// The longest time between two looks that is no gap.
    gap: Duration,
    /// When the latest gap ended, and what both clocks said at the latest look; `None` before the first.
    known: Option<(Timestamp, Look)>,
}

/// What the clocks said at one moment.
#[derive(Clone, Copy, Debug)]
struct Look {
    now: Timestamp,
    /// Since some fixed moment, whatever is done to the other clock.
    monotonic: Duration,
}

impl Reachability {
    /// Nothing was looked at yet. Looks must not be further apart than `gap`.
    pub const fn new(gap: Duration) -> Self {
        Self { gap, known: None }
    }

    /// Notes that the ledger can be reached at `now`, which is `monotonic` by a clock that nobody sets.
    pub fn look(&mut self, now: Timestamp, monotonic: Duration) -> Reachable {
        let here = Look { now, monotonic };
        let since = match self.known {
            Some((since, last)) if !self.is_gap(last, here) => since,
            _ => now,
        };
        self.known = Some((since, here));
        Reachable {
            since,
            until: now.after(self.gap),
        }
    }

    /// Notes that somebody could not do what they wanted: the next look begins anew.
    pub const fn lose(&mut self) {
        self.known = None;
    }

    fn is_gap(&self, last: Look, here: Look) -> bool {
        here.now < last.now
            || here.now.since(last.now) > self.gap
            || here.monotonic.saturating_sub(last.monotonic) > self.gap
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const GAP: Duration = Duration::from_secs(3);
    const LIMIT: Duration = Duration::from_secs(10);

    /// Looks `count` times, a second apart by both clocks.
    fn looks(
        found: &mut Reachability,
        wall: &mut i64,
        monotonic: &mut u64,
        count: u32,
    ) -> Reachable {
        let mut last = None;
        for _ in 0..count {
            *wall += 1;
            *monotonic += 1;
            let now = Timestamp::from_micros(*wall * 1_000_000);
            last = Some(found.look(now, Duration::from_secs(*monotonic)));
        }
        last.expect("it looked")
    }

    fn at(wall: i64) -> Timestamp {
        Timestamp::from_micros(wall * 1_000_000)
    }

    #[test]
    fn a_limit_has_passed_when_it_could_be_reached_for_all_of_it() {
        let (mut found, mut wall, mut monotonic) = (Reachability::new(GAP), 100, 7);
        let first = looks(&mut found, &mut wall, &mut monotonic, 1);
        assert_eq!((first.since, first.until), (at(101), at(104)));
        let later = looks(&mut found, &mut wall, &mut monotonic, 9);
        assert!(!later.has_been_for(LIMIT, at(110)), "9 s are not 10");
        let later = looks(&mut found, &mut wall, &mut monotonic, 1);
        assert!(later.has_been_for(LIMIT, at(111)));
        assert!(
            later.has_been_for(LIMIT, at(114)),
            "as far as it was looked at"
        );
        assert!(
            !later.has_been_for(LIMIT, at(115)),
            "nobody has looked so far"
        );
        assert!(!later.has_been_for(LIMIT + SECOND, at(111)));
    }

    #[test]
    fn an_outage_a_standstill_and_a_clock_that_is_set_begin_anew() {
        // By how much each clock goes on between two looks.
        for (wall_step, monotonic_step, is_gap) in [
            (3, 3, false),
            (1, 0, false),
            (4, 4, true),
            (0, 4, true),
            (3_600, 1, true),
            (-1, 1, true),
        ] {
            let (mut found, mut wall, mut monotonic) = (Reachability::new(GAP), 100, 7);
            let before = looks(&mut found, &mut wall, &mut monotonic, 20);
            assert_eq!(before.since, at(101));
            let (now, then) = (
                at(wall + wall_step),
                Duration::from_secs(monotonic + monotonic_step),
            );
            let after = found.look(now, then);
            assert_eq!(
                after.since != before.since,
                is_gap,
                "{wall_step} {monotonic_step}"
            );
            assert_eq!(after.since == now, is_gap, "{wall_step} {monotonic_step}");
        }
    }

    #[test]
    fn a_failure_in_between_begins_anew() {
        let (mut found, mut wall, mut monotonic) = (Reachability::new(GAP), 100, 7);
        looks(&mut found, &mut wall, &mut monotonic, 20);
        found.lose();
        let after = looks(&mut found, &mut wall, &mut monotonic, 1);
        assert_eq!(after.since, at(121));
    }
}
