//! How transfers that have ended are summed up: by periods of time, and by classes of how long they took.

use std::{ops::Range, time::Duration};

use super::{status::named, time::Timestamp};

named! {
    /// A period for which sums are kept.
    Period {
        /// All time.
        All = "ALL",
        /// A day of UTC.
        Day = "DAY",
        /// An hour.
        Hour = "HOUR",
    }
}

impl Period {
    /// Its length in microseconds; 0 for all time.
    pub const fn micros(self) -> i64 {
        match self {
            Self::All => 0,
            Self::Day => 24 * Self::Hour.micros(),
            Self::Hour => 3_600_000_000,
        }
    }
}

/// What a span of time is put together from. All ranges are microseconds, and leave their ends out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cover {
    /// Whole periods, by when they begin. All time begins at 0.
    pub periods: Vec<(Period, Range<i64>)>,
    /// What lies between them and the ends of the span.
    pub edges: Vec<Range<i64>>,
}

impl Cover {
    /// Of the span from `from` to `to`, both a part of it; `None` is no end. No instant is covered twice.
    pub fn new(from: Option<Timestamp>, to: Option<Timestamp>) -> Self {
        let mut cover = Self::default();
        if from.is_none() && to.is_none() {
            cover.add(Period::All, 0..1);
            return cover;
        }
        let begin = from.map_or(i64::MIN, Timestamp::as_micros);
        let end = to.map_or(i64::MAX, |to| to.as_micros().saturating_add(1));
        let hours = whole(Period::Hour, &(begin..end));
        if hours.is_empty() {
            cover.edge(begin..end);
            return cover;
        }
        cover.edge(begin..hours.start);
        cover.edge(hours.end..end);
        let days = whole(Period::Day, &hours);
        if days.is_empty() {
            cover.add(Period::Hour, hours);
        } else {
            cover.add(Period::Hour, hours.start..days.start);
            cover.add(Period::Hour, days.end..hours.end);
            cover.add(Period::Day, days);
        }
        cover
    }

    fn add(&mut self, period: Period, range: Range<i64>) {
        if !range.is_empty() {
            self.periods.push((period, range));
        }
    }

    fn edge(&mut self, range: Range<i64>) {
        if !range.is_empty() {
            self.edges.push(range);
        }
    }
}

/// The whole periods within `range`. An end that is none stays none.
fn whole(period: Period, range: &Range<i64>) -> Range<i64> {
    let length = period.micros();
    let start = match range.start {
        i64::MIN => i64::MIN,
        start => start.saturating_add((-start).rem_euclid(length)),
    };
    let end = match range.end {
        i64::MAX => i64::MAX,
        end => end.saturating_sub(end.rem_euclid(length)),
    };
    start..end
}

/// Where the classes of durations begin, as the first two digits of a number of microseconds.
///
/// With each there are as many for every number of digits, each about a fifth wider than the one before.
pub const STEPS: [i64; 12] = [10, 12, 15, 18, 22, 27, 33, 39, 47, 56, 68, 82];

/// The class of what has no duration.
pub const NO_CLASS: i64 = -1;

/// Classes for each number of digits. A class is the number of digits times this, and the index in [`STEPS`].
#[expect(clippy::cast_possible_wrap, reason = "a small constant")]
pub const CLASSES: i64 = STEPS.len() as i64;

/// Where a class begins, in microseconds.
fn begin(class: i64) -> f64 {
    let step = usize::try_from(class.rem_euclid(CLASSES)).map_or(0, |index| STEPS[index]);
    let digits = i32::try_from(class.div_euclid(CLASSES)).unwrap_or(i32::MAX);
    f64::from(i32::try_from(step).unwrap_or(0)) * 10_f64.powi(digits - 2)
}

/// A duration in the middle of `class`: at most 12 % away from any other of it.
fn middle(class: i64) -> Duration {
    let micros = (begin(class) * begin(class + 1)).sqrt();
    Duration::try_from_secs_f64(micros / 1e6).unwrap_or(Duration::MAX)
}

/// How long transfers took, from the start of the run that completed them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Durations {
    /// Their mean, exact.
    pub mean: Duration,
    /// What half of them did not exceed, at most 12 % off.
    pub p50: Duration,
    /// What 95 of 100 did not exceed, at most 12 % off.
    pub p95: Duration,
}

impl Durations {
    /// Of so many transfers in each class that took `micros` together; `None` when there are none.
    pub fn new(classes: impl IntoIterator<Item = (i64, i64)>, micros: i128) -> Option<Self> {
        let mut classes: Vec<(i64, i64)> = classes.into_iter().collect();
        classes.sort_unstable();
        let total: i128 = classes.iter().map(|(_, count)| i128::from(*count)).sum();
        if total <= 0 {
            return None;
        }
        let mean = u64::try_from(micros / total).unwrap_or(u64::MAX);
        Some(Self {
            mean: Duration::from_micros(mean),
            p50: percentile(&classes, total, 50),
            p95: percentile(&classes, total, 95),
        })
    }
}

/// What `percent` of `total` transfers did not exceed; classes in their order.
fn percentile(classes: &[(i64, i64)], total: i128, percent: i128) -> Duration {
    let mut left = (total * percent + 99) / 100;
    for (class, count) in classes {
        left -= i128::from(*count);
        if left <= 0 {
            return middle(*class);
        }
    }
    Duration::ZERO
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: i64 = Period::Hour.micros();
    const DAY: i64 = Period::Day.micros();

    fn at(micros: i64) -> Option<Timestamp> {
        Some(Timestamp::from_micros(micros))
    }

    fn one<T>(it: T) -> Vec<T> {
        vec![it]
    }

    #[test]
    fn a_span_is_whole_periods_and_what_is_left() {
        let (all, hour, day) = (Period::All, Period::Hour, Period::Day);
        for (from, to, periods, edges) in [
            (None, None, vec![(all, 0..1)], vec![]),
            (at(5), at(9), vec![], one(5..10)),
            (at(0), at(HOUR - 1), vec![(hour, 0..HOUR)], vec![]),
            (at(0), at(HOUR), vec![(hour, 0..HOUR)], one(HOUR..HOUR + 1)),
            (at(9), at(8), vec![], vec![]),
            (
                at(-1),
                at(2 * DAY + HOUR),
                vec![(hour, 2 * DAY..2 * DAY + HOUR), (day, 0..2 * DAY)],
                vec![-1..0, 2 * DAY + HOUR..2 * DAY + HOUR + 1],
            ),
            (
                at(1),
                None,
                vec![(hour, HOUR..DAY), (day, DAY..i64::MAX)],
                one(1..HOUR),
            ),
            (None, at(-1), vec![(day, i64::MIN..0)], vec![]),
        ] {
            let cover = Cover::new(from, to);
            assert_eq!(cover, Cover { periods, edges }, "{from:?} {to:?}");
        }
    }

    proptest! {
        #[test]
        fn every_instant_of_a_span_is_covered_once(
            from in -3 * DAY..3 * DAY, length in 0..4 * DAY, instant in -4 * DAY..8 * DAY
        ) {
            let to = from + length;
            let cover = Cover::new(at(from), at(to));
            let periods = cover.periods.iter().filter(|(period, range)| {
                range.contains(&(instant - instant.rem_euclid(period.micros())))
            });
            let edges = cover.edges.iter().filter(|range| range.contains(&instant));
            let wanted = usize::from((from..=to).contains(&instant));
            prop_assert_eq!(periods.count() + edges.count(), wanted);
        }
    }

    #[test]
    fn classes_follow_one_another() {
        for class in CLASSES..19 * CLASSES {
            let (from, to) = (begin(class), begin(class + 1));
            assert!(from < to && to <= from * 1.25, "{class}: {from} {to}");
            let middle = middle(class).as_secs_f64() * 1e6;
            assert!(middle * 1.001 > from && middle < to, "{class}: {middle}");
        }
    }

    #[test]
    fn durations_are_told_by_their_classes() {
        let seconds = 7 * CLASSES;
        assert_eq!(Durations::new([], 0), None);
        let one = Durations::new([(seconds, 1)], 1_100_000).expect("there is one");
        assert_eq!(one.mean, Duration::from_millis(1_100));
        assert_eq!((one.p50, one.p95), (middle(seconds), middle(seconds)));
        // The order of the classes is not that of the argument.
        let many = [(seconds + 5, 5), (seconds, 50), (seconds + 1, 45)];
        let many = Durations::new(many, 100).expect("there are some");
        assert_eq!(many.mean, Duration::from_micros(1));
        assert_eq!((many.p50, many.p95), (middle(seconds), middle(seconds + 1)));
        let late = Durations::new([(seconds, 94), (seconds + 5, 6)], 100).expect("there are some");
        assert_eq!(late.p95, middle(seconds + 5));
        assert_eq!(
            Durations::new([(seconds, 1)], i128::MAX).map(|it| it.mean),
            Some(Duration::from_micros(u64::MAX))
        );
    }
}
