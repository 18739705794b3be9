//! The part of the day in which transfers may be created and started.

use std::str::FromStr;

use crate::{status::serde_as_text, time::Timestamp};

const MINUTES_A_DAY: i64 = 24 * 60;
const MICROS_A_MINUTE: i64 = 60_000_000;

/// A part of the day in UTC, over midnight where it ends before it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllowedHours {
    /// First minute of the day, 0 to 1439.
    start: u16,
    /// The minute after the last one, 0 to 1440.
    end: u16,
}

impl AllowedHours {
    pub(super) fn contain(self, now: Timestamp) -> bool {
        let minute = now
            .as_micros()
            .div_euclid(MICROS_A_MINUTE)
            .rem_euclid(MINUTES_A_DAY);
        let (start, end) = (i64::from(self.start), i64::from(self.end));
        if start < end {
            (start..end).contains(&minute)
        } else {
            minute >= start || minute < end
        }
    }

    /// When they begin next, after `now`.
    pub fn next_start(self, now: Timestamp) -> Timestamp {
        const DAY: i64 = MINUTES_A_DAY * MICROS_A_MINUTE;
        let start = i64::from(self.start) * MICROS_A_MINUTE;
        let days = (now.as_micros() - start).div_euclid(DAY) + 1;
        Timestamp::from_micros(days * DAY + start)
    }
}

impl FromStr for AllowedHours {
    type Err = &'static str;

    /// `HH:MM-HH:MM`, the end excluded.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "must be HH:MM-HH:MM in UTC, such as 22:00-06:00";
        let (start, end) = text.split_once('-').ok_or(FORM)?;
        let start = minute_of_day(start)
            .filter(|minute| *minute < 1_440)
            .ok_or(FORM)?;
        let end = minute_of_day(end).ok_or(FORM)?;
        if start == end % 1_440 && end != 1_440 {
            return Err("must not start when it ends; leave it empty for the whole day");
        }
        Ok(Self { start, end })
    }
}

impl std::fmt::Display for AllowedHours {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { start, end } = self;
        write!(
            f,
            "{:02}:{:02}-{:02}:{:02}",
            start / 60,
            start % 60,
            end / 60,
            end % 60
        )
    }
}

serde_as_text!(AllowedHours);

/// 0 to 1440; 24:00 is the last.
fn minute_of_day(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let two_digits = |part: &str| {
        let is_plain = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        is_plain.then(|| part.parse::<u16>().ok())?
    };
    let minute = two_digits(hours)? * 60 + two_digits(minutes).filter(|minutes| *minutes < 60)?;
    (minute <= 1_440).then_some(minute)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;

    fn at(hours: i64, minutes: i64) -> Timestamp {
        // Some day before the epoch, and one after it.
        Timestamp::from_micros((hours * 60 + minutes) * MICROS_A_MINUTE + 59_999_999)
    }

    #[test]
    fn hours_may_wrap_midnight() {
        let night: AllowedHours = "22:00-06:00".parse().expect("it is well formed");
        let answers = [
            (21, 59),
            (22, 0),
            (23, 59),
            (0, 0),
            (5, 59),
            (6, 0),
            (12, 0),
        ]
        .map(|(hours, minutes)| night.contain(at(hours, minutes)));
        assert_eq!(answers, [false, true, true, true, true, false, false]);
        let day: AllowedHours = "09:30-17:00".parse().expect("it is well formed");
        let answers = [(9, 29), (9, 30), (16, 59), (17, 0)]
            .map(|(hours, minutes)| day.contain(at(hours, minutes)));
        assert_eq!(answers, [false, true, true, false]);
        let before_the_epoch = Timestamp::from_micros(-MICROS_A_MINUTE);
        assert!(night.contain(before_the_epoch), "23:59 of 1969-12-31");
    }

    #[test]
    fn hours_begin_once_a_day() {
        let night: AllowedHours = "22:00-06:00".parse().expect("it is well formed");
        let minute = |hours: i64, minutes: i64| {
            Timestamp::from_micros((hours * 60 + minutes) * MICROS_A_MINUTE)
        };
        for (now, next) in [
            (minute(21, 59), minute(22, 0)),
            (minute(22, 0), minute(46, 0)),
            (minute(6, 0), minute(22, 0)),
            (minute(-3, 0), minute(-2, 0)),
        ] {
            assert_eq!(night.next_start(now), next, "{now}");
        }
    }

    #[test]
    fn hours_are_written_as_they_are_read() {
        for text in ["00:00-24:00", "22:00-06:00", "23:59-00:00", "09:30-17:00"] {
            let hours: AllowedHours = text.parse().expect(text);
            assert_eq!(hours.to_string(), text);
        }
        for text in [
            "",
            "9-17",
            "09:00",
            "09:00-09:00",
            "00:00-00:00",
            "24:00-06:00",
            "09:60-10:00",
            "09:60-11:00",
            "25:00-26:00",
            "+9:00-10:00",
            "09:00-10:00 ",
            "09:00–10:00",
        ] {
            assert!(text.parse::<AllowedHours>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_policy_without_hours_admits_any_time() {
        let policy = |hours: &str| Policy {
            allowed_hours: hours.parse().ok(),
            ..Policy::default()
        };
        assert!(policy("").admits_time(at(12, 0)));
        assert!(policy("12:00-12:01").admits_time(at(12, 0)));
        assert!(!policy("12:00-12:01").admits_time(at(12, 1)));
        assert!(policy("00:00-24:00").admits_time(at(23, 59)));
    }
}
