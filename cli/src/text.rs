//! Words and numbers for people: counts, sizes, ages, and text that cannot disturb a terminal.

use std::time::Duration;

use chrono::{DateTime, Utc};
use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{DefaultIgnorableCodePoint, GeneralCategory},
};
use indicatif::{HumanBytes, HumanCount};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Text from elsewhere, safe to show: what is not seen by itself is escaped, so that no name can move the cursor, hide a
/// part of itself or look like another one.
pub(crate) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if is_disturbing(c) {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    safe
}

/// Whether a character does something other than to stand there and be seen.
pub(crate) fn is_disturbing(c: char) -> bool {
    if c.is_ascii() {
        return c.is_control();
    }
    let category = CodePointMapData::<GeneralCategory>::new().get(c);
    matches!(
        category,
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
    ) || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
        // A space that is not the plain one looks like it.
        || c.is_whitespace()
}

/// How many columns of a terminal a text takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// A text of at most so many columns: what does not fit is left out in the middle, since names differ at both ends.
pub(crate) fn cut(text: &str, limit: usize) -> String {
    if width(text) <= limit {
        return text.to_owned();
    }
    let room = limit.saturating_sub(1);
    let start: String = fitting(text.chars(), room.div_ceil(2));
    let end: String = fitting(text.chars().rev(), room - room.div_ceil(2));
    let end: String = end.chars().rev().collect();
    format!("{start}…{end}")
}

/// A text of at most so many columns, without its end where it does not fit.
pub(crate) fn cut_end(text: &str, limit: usize) -> String {
    if width(text) <= limit {
        return text.to_owned();
    }
    format!("{}…", fitting(text.chars(), limit.saturating_sub(1)))
}

fn fitting(text: impl Iterator<Item = char>, room: usize) -> String {
    let mut taken = 0;
    text.take_while(|c| {
        taken += c.width().unwrap_or(0);
        taken <= room
    })
    .collect()
}

/// A count with thousands separators.
pub(crate) fn count(number: i64) -> String {
    let sign = if number < 0 { "-" } else { "" };
    format!("{sign}{}", HumanCount(number.unsigned_abs()))
}

/// A count in as few digits as tell how large it is: 99,999, then 100.0k.
pub(crate) fn short(number: i64) -> String {
    const UNITS: [(i64, &str); 4] = [
        (1_000_000_000_000, "T"),
        (1_000_000_000, "G"),
        (1_000_000, "M"),
        (1_000, "k"),
    ];
    if number < 100_000 {
        return count(number);
    }
    let unit = UNITS.into_iter().find(|(size, _)| number >= *size);
    let (size, unit) = unit.unwrap_or((1, ""));
    let tenths = number / (size / 10).max(1);
    format!("{}.{}{unit}", count(tenths / 10), tenths % 10)
}

/// A number of bytes in binary units.
pub(crate) fn bytes(number: i64) -> String {
    HumanBytes(u64::try_from(number).unwrap_or(0)).to_string()
}

/// Rows done, of those expected where that is known.
pub(crate) fn rows(done: i64, expected: i64) -> String {
    if expected > 0 {
        format!("{}/{}", count(done), count(expected))
    } else {
        count(done)
    }
}

/// How much is done, in percent; nothing when the total is not known.
pub(crate) fn percent(done: i64, expected: i64) -> Option<i64> {
    (expected > 0)
        .then(|| i64::try_from(i128::from(done) * 100 / i128::from(expected)).unwrap_or(i64::MAX))
}

/// A length of time in its two largest units.
pub(crate) fn span(length: Duration) -> String {
    let seconds = length.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, _, _) => format!("{hours}h {}m", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}

/// A length of time that may be shorter than a second, which then counts in milliseconds.
pub(crate) fn fine_span(length: Duration) -> String {
    match length.as_secs() {
        0 => format!("{}ms", length.as_millis()),
        1..10 => format!("{:.1}s", length.as_secs_f64()),
        _ => span(length),
    }
}

/// The present time by this machine's clock, against which ages are told.
#[expect(
    clippy::disallowed_methods,
    reason = "nothing here is decided by it: an age is only shown"
)]
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now()
}

/// How long ago something was, in its largest unit.
pub(crate) fn age(then: DateTime<Utc>, now: DateTime<Utc>) -> String {
    // The server's clock may be a little ahead of this one.
    let seconds = (now - then).num_seconds().max(0);
    match seconds {
        0..60 => format!("{seconds}s ago"),
        60..3600 => format!("{}m ago", seconds / 60),
        3600..172_800 => format!("{}h ago", seconds / 3600),
        _ => format!("{}d ago", seconds / 86400),
    }
}

/// How long there is until a deadline.
pub(crate) fn left(deadline: DateTime<Utc>, now: DateTime<Utc>) -> String {
    (deadline - now)
        .to_std()
        .map_or_else(|_| "overdue".to_owned(), span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_disturb_the_terminal() {
        assert_eq!(
            escape("a\u{1b}[2Jb\n\u{9b}\u{202e}ü"),
            "a\\u{1b}[2Jb\\n\\u{9b}\\u{202e}ü"
        );
        assert_eq!(escape("plain 'text' \\"), "plain 'text' \\");
        assert_eq!(
            escape("us\u{200b}\u{ad}\u{e0041}\u{fe0f}\u{3164}ers\u{a0}"),
            "us\\u{200b}\\u{ad}\\u{e0041}\\u{fe0f}\\u{3164}ers\\u{a0}"
        );
    }

    #[test]
    fn long_names_are_cut_in_the_middle() {
        let name = "warehouse.a_rather_long_name_2026";
        assert_eq!(cut(name, 40), name);
        assert_eq!(cut(name, 15), "warehou…me_2026");
        assert_eq!(cut(name, 14), "warehou…e_2026");
        assert_eq!(cut("表表表表", 6), "表…表");
        assert_eq!(cut(name, 1), "…");
        assert_eq!(cut_end("by the end of it", 7), "by the…");
    }

    #[test]
    fn counts_are_grouped() {
        assert_eq!(count(0), "0");
        assert_eq!(count(34_924), "34,924");
        assert_eq!(count(i64::MIN), "-9,223,372,036,854,775,808");
        assert_eq!(rows(1_000, 34_924), "1,000/34,924");
        assert_eq!(rows(1_000, 0), "1,000");
        assert_eq!(bytes(3 * 1024), "3.00 KiB");
    }

    #[test]
    fn large_counts_are_short() {
        for (number, text) in [
            (0, "0"),
            (99_999, "99,999"),
            (100_000, "100.0k"),
            (999_999, "999.9k"),
            (1_000_000, "1.0M"),
            (1_234_567_890, "1.2G"),
            (i64::MAX, "9,223,372.0T"),
        ] {
            assert_eq!(short(number), text);
        }
    }

    #[test]
    fn percents_need_a_total_and_are_not_clamped() {
        assert_eq!(percent(1, 0), None);
        assert_eq!(percent(999, 1_000), Some(99));
        assert_eq!(percent(3, 2), Some(150));
        assert_eq!(percent(i64::MAX, i64::MAX), Some(100));
    }

    #[test]
    fn lengths_of_time_are_short() {
        let spans = [
            (0, "0s"),
            (59, "59s"),
            (61, "1m 1s"),
            (3_725, "1h 2m"),
            (90_000, "1d 1h"),
        ];
        for (seconds, text) in spans {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn ages_and_deadlines_are_relative() {
        let now = DateTime::from_timestamp(1_000_000_000, 0).unwrap();
        let at = |seconds: i64| DateTime::from_timestamp(1_000_000_000 + seconds, 0).unwrap();
        let ages = [
            (5, "0s ago"),
            (-59, "59s ago"),
            (-60, "1m ago"),
            (-7_200, "2h ago"),
            (-172_800, "2d ago"),
        ];
        for (seconds, text) in ages {
            assert_eq!(age(at(seconds), now), text);
        }
        assert_eq!(left(at(90), now), "1m 30s");
        assert_eq!(left(at(-1), now), "overdue");
    }
}
