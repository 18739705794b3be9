//! Points in time as the ledger keeps them: microseconds since 1970-01-01 UTC.
//!
//! One integer on both databases sorts and compares the same everywhere, which text forms of a time do not.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A point in time with microsecond precision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest time that the wire can carry: 0001-01-01.
    pub const MIN: Self = Self(-62_135_596_800_000_000);
    /// The last microsecond that the wire can carry: the end of 9999-12-31.
    pub const MAX: Self = Self(253_402_300_799_999_999);

    /// From microseconds since the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// The same time a while later, at most [`Timestamp::MAX`].
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        let wait = i64::try_from(wait.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(wait).min(Self::MAX.0))
    }

    /// The same time a while earlier, at least [`Timestamp::MIN`].
    #[must_use]
    pub fn before(self, while_ago: Duration) -> Self {
        let while_ago = i64::try_from(while_ago.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(while_ago).max(Self::MIN.0))
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(time: DateTime<Utc>) -> Self {
        Self(time.timestamp_micros())
    }
}

impl std::fmt::Display for Timestamp {
    /// RFC 3339 with microseconds, as people and `ErrorInfo` metadata see it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match DateTime::from_timestamp_micros(self.0) {
            Some(time) => write!(
                f,
                "{}",
                time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
            ),
            None => write!(f, "{} µs", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MICROSECOND: Duration = Duration::from_micros(1);

    #[test]
    fn times_stay_within_what_the_wire_carries() {
        let (min, max) = (Timestamp::MIN, Timestamp::MAX);
        assert_eq!(min.to_string(), "0001-01-01T00:00:00.000000Z");
        assert_eq!(max.to_string(), "9999-12-31T23:59:59.999999Z");
        let next_to = Timestamp::from_micros;
        assert_eq!(min.after(MICROSECOND), next_to(min.as_micros() + 1));
        assert_eq!(max.before(MICROSECOND), next_to(max.as_micros() - 1));
        for wait in [MICROSECOND, Duration::MAX] {
            assert_eq!(max.after(wait), max);
            assert_eq!(min.before(wait), min);
        }
    }

    #[test]
    fn a_while_is_counted_from_the_earlier_time_on() {
        let (earlier, later) = (Timestamp::from_micros(-2), Timestamp::from_micros(5));
        let wait = Duration::from_micros(7);
        assert_eq!(later.since(earlier), wait);
        assert_eq!(earlier.since(later), Duration::ZERO);
        assert_eq!((earlier.after(wait), later.before(wait)), (later, earlier));
    }

    #[test]
    fn a_time_of_the_clock_is_kept_to_the_microsecond() {
        let time = DateTime::from_timestamp(1, 2_999).expect("it is a time");
        assert_eq!(Timestamp::from(time), Timestamp::from_micros(1_000_002));
    }

    #[test]
    fn a_time_beyond_the_calendar_is_shown_in_microseconds() {
        assert_eq!(
            Timestamp::from_micros(i64::MAX).to_string(),
            "9223372036854775807 µs"
        );
    }
}
