//! How much of something each of many may do: a bucket for each that leaks steadily.
//!
//! The generic cell rate algorithm: of each bucket one time is kept, when it will be empty. Unlike what crates offer it
//! can be asked without being filled, so that only failures count, and each of many can have a quota of its own.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Buckets that are kept at once; beyond it nobody new is let in until some are empty.
const MOST: usize = 65_536;
/// A table that is full is searched for empty buckets at most so often.
const SWEEP: Duration = Duration::from_secs(1);

/// How much fits into a bucket, and how fast it leaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quota {
    every: Duration,
    burst: u32,
}

impl Quota {
    /// So many at once, and one more whenever `every` has passed.
    pub(super) const fn new(burst: u32, every: Duration) -> Self {
        Self { every, burst }
    }

    /// So many at once, and as many in each minute. At least one.
    pub(super) fn per_minute(count: u32) -> Self {
        let count = count.max(1);
        Self::new(count, Duration::from_secs(60) / count)
    }
}

/// The buckets of one kind.
pub(super) struct Buckets<K> {
    inner: Mutex<Inner<K>>,
    most: usize,
}

struct Inner<K> {
    /// When each will be empty.
    empty_at: HashMap<K, Instant>,
    swept: Option<Instant>,
}

impl<K> Default for Buckets<K> {
    fn default() -> Self {
        Self {
            inner: Mutex::new(Inner {
                empty_at: HashMap::new(),
                swept: None,
            }),
            most: MOST,
        }
    }
}

impl<K: Eq + Hash> Buckets<K> {
    /// Whether one more fits; otherwise how long until it does.
    pub(super) fn ask(&self, key: &K, quota: Quota, now: Instant) -> Result<(), Duration> {
        let inner = self.inner();
        fill(inner.empty_at.get(key).copied(), quota, now).map(drop)
    }

    /// Puts one more in if it fits; otherwise says how long until it does.
    pub(super) fn take(&self, key: K, quota: Quota, now: Instant) -> Result<(), Duration> {
        let mut inner = self.inner();
        let kept = inner.empty_at.get(&key).copied();
        let filled = fill(kept, quota, now)?;
        if kept.is_none() && !inner.has_room(self.most, now) {
            return Err(SWEEP);
        }
        inner.empty_at.insert(key, filled);
        Ok(())
    }

    fn inner(&self) -> MutexGuard<'_, Inner<K>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash> Inner<K> {
    /// Whether there is room for one more, after forgetting the empty ones where that is needed.
    fn has_room(&mut self, most: usize, now: Instant) -> bool {
        if self.empty_at.len() < most {
            return true;
        }
        if self.swept.is_some_and(|swept| now < swept + SWEEP) {
            return false;
        }
        self.swept = Some(now);
        self.empty_at.retain(|_, empty_at| *empty_at > now);
        self.empty_at.shrink_to_fit();
        self.empty_at.len() < most
    }
}

/// When a bucket that will be empty at `empty_at` is so with one more in it, if that fits.
fn fill(empty_at: Option<Instant>, quota: Quota, now: Instant) -> Result<Instant, Duration> {
    let filled = empty_at.map_or(now, |time| time.max(now)) + quota.every;
    let over = (filled - now).saturating_sub(quota.every * quota.burst);
    if over.is_zero() {
        Ok(filled)
    } else {
        Err(over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const THREE: Quota = Quota::new(3, SECOND);

    #[test]
    fn a_burst_fits_and_then_one_at_a_time() {
        let (buckets, now) = (Buckets::default(), Instant::now());
        for _ in 0..3 {
            assert_eq!(buckets.take("a", THREE, now), Ok(()));
        }
        assert_eq!(buckets.take("a", THREE, now), Err(SECOND));
        let soon = now + SECOND / 2;
        assert_eq!(buckets.ask(&"a", THREE, soon), Err(SECOND / 2));
        assert_eq!(buckets.take("b", THREE, soon), Ok(()), "another's");
        let later = now + SECOND;
        assert_eq!(buckets.take("a", THREE, later), Ok(()));
        assert_eq!(buckets.take("a", THREE, later), Err(SECOND));
        let rested = now + 60 * SECOND;
        for _ in 0..3 {
            assert_eq!(buckets.take("a", THREE, rested), Ok(()));
        }
        assert!(
            buckets.take("a", THREE, rested).is_err(),
            "rest adds up to a burst at most"
        );
    }

    #[test]
    fn asking_takes_nothing() {
        let (buckets, now) = (Buckets::default(), Instant::now());
        let one = Quota::per_minute(1);
        for _ in 0..10 {
            assert_eq!(buckets.ask(&1, one, now), Ok(()));
        }
        assert_eq!(buckets.take(1, one, now), Ok(()));
        assert_eq!(buckets.ask(&1, one, now), Err(60 * SECOND));
    }

    #[test]
    fn a_quota_of_nothing_is_one() {
        assert_eq!(Quota::per_minute(0), Quota::per_minute(1));
        assert_eq!(Quota::per_minute(6_000).every, Duration::from_millis(10));
    }

    #[test]
    fn a_full_table_lets_nobody_new_in_until_some_are_empty() {
        let buckets = Buckets {
            most: 4,
            ..Buckets::default()
        };
        let now = Instant::now();
        for key in 0..4 {
            assert_eq!(buckets.take(key, THREE, now), Ok(()));
        }
        assert_eq!(buckets.take(4, THREE, now), Err(SWEEP));
        assert_eq!(buckets.take(0, THREE, now), Ok(()), "who is in stays in");
        let later = now + 2 * SECOND;
        assert_eq!(buckets.take(4, THREE, later), Ok(()));
        assert_eq!(
            buckets.inner().empty_at.len(),
            1,
            "the empty ones are forgotten"
        );
    }
}
