//! How single values are read from the command line.

use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Local, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Utc};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::{Map, Value};
use tidegate_client::{
    ApprovalMode, BulkResult, BulkVerb, ConflictStrategy, ConnectionDirection, ConnectionStatus,
    Direction, FailureCode, Phase, ReconciliationState, Role, SortOrder, TableCase, TransferStatus,
    VerificationResult,
};

use crate::text::now;

/// The direction of a transfer.
pub(super) fn direction() -> impl TypedValueParser<Value = Direction> {
    one_of(&["send", "receive"])
}

/// The direction of a connection.
pub(super) fn connection_direction() -> impl TypedValueParser<Value = ConnectionDirection> {
    one_of(&["sender", "receiver"])
}

/// Where a connection stands.
pub(super) fn connection_status() -> impl TypedValueParser<Value = ConnectionStatus> {
    one_of(&["pending", "active", "suspended", "revoked", "expired"])
}

/// Which transfers need an approval; said with dashes.
pub(super) fn approval_mode() -> impl TypedValueParser<Value = ApprovalMode> {
    PossibleValuesParser::new(["auto-approve", "require-approval", "per-table"])
        .try_map(|name| name.replace('-', "_").parse::<ApprovalMode>())
}

/// Whether case matters to the names of tables.
pub(super) fn table_case() -> impl TypedValueParser<Value = TableCase> {
    one_of(&["sensitive", "insensitive"])
}

/// What a bulk operation does to each transfer.
pub(super) fn bulk_verb() -> impl TypedValueParser<Value = BulkVerb> {
    one_of(&["cancel", "retry", "delete"])
}

/// What came of one transfer of a bulk operation.
pub(super) fn bulk_result() -> impl TypedValueParser<Value = BulkResult> {
    one_of(&["succeeded", "refused"])
}

/// What a credential may do.
pub(super) fn role() -> impl TypedValueParser<Value = Role> {
    one_of(&["viewer", "agent", "approver", "admin"])
}

/// What happens to rows that the target has already.
pub(super) fn conflict_strategy() -> impl TypedValueParser<Value = ConflictStrategy> {
    one_of(&["skip", "overwrite", "merge", "append"])
}

/// The order of a list.
pub(super) fn order() -> impl TypedValueParser<Value = SortOrder> {
    one_of(&["asc", "desc"])
}

/// What came of a verification; said with dashes.
pub(super) fn verification() -> impl TypedValueParser<Value = VerificationResult> {
    PossibleValuesParser::new(["not-done", "passed", "failed"])
        .try_map(|name| name.replace('-', "_").parse::<VerificationResult>())
}

/// Whether both sides of a movement agree; said with dashes.
pub(super) fn reconciliation() -> impl TypedValueParser<Value = ReconciliationState> {
    PossibleValuesParser::new(["pending", "one-sided", "matched", "diverged"])
        .try_map(|name| name.replace('-', "_").parse::<ReconciliationState>())
}

/// What part a run is in.
pub(super) fn phase() -> impl TypedValueParser<Value = Phase> {
    one_of(&["preparing", "transferring", "verifying", "finalizing"])
}

/// Where the cause of a failure lies.
pub(super) fn failure_code() -> impl TypedValueParser<Value = FailureCode> {
    one_of(&[
        "config",
        "source",
        "target",
        "network",
        "data",
        "verification",
        "policy",
        "cancelled",
        "internal",
    ])
}

/// A status, in any case and with either dash.
pub(super) fn status(text: &str) -> Result<TransferStatus, String> {
    let name = text.to_ascii_lowercase().replace('-', "_");
    name.parse().map_err(|_| {
        let known: Vec<String> = TransferStatus::ALL
            .iter()
            .map(ToString::to_string)
            .collect();
        format!("one of {}", known.join(", "))
    })
}

/// A length of time such as `30s` or `1h 30m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let length =
        humantime::parse_duration(text).map_err(|error| format!("{error}, e.g. 30s or 1h"))?;
    if length.is_zero() {
        Err("it must be longer than 0s".to_owned())
    } else {
        Ok(length)
    }
}

/// As [`duration`], or none at all.
pub(super) fn duration_or_zero(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(length) if length.is_zero() => Ok(length),
        _ => duration(text),
    }
}

/// A point in time, also as how long ago it was.
pub(super) fn past(text: &str) -> Result<DateTime<Utc>, String> {
    let now = now();
    if let Ok(length) = humantime::parse_duration(text) {
        let then = TimeDelta::from_std(length)
            .ok()
            .and_then(|length| now.checked_sub_signed(length));
        return then.ok_or_else(|| "it is too long ago".to_owned());
    }
    moment(text, now, &Local)
        .ok_or_else(|| format!("it must be how long ago, such as 2h, or a time: {TIME_FORMS}"))
}

/// A point in time, also as how far ahead it is.
pub(super) fn future(text: &str) -> Result<DateTime<Utc>, String> {
    let now = now();
    if let Ok(length) = humantime::parse_duration(text) {
        let then = TimeDelta::from_std(length)
            .ok()
            .and_then(|length| now.checked_add_signed(length));
        return then.ok_or_else(|| "it is too far ahead".to_owned());
    }
    moment(text, now, &Local)
        .ok_or_else(|| format!("it must be how far ahead, such as 2h, or a time: {TIME_FORMS}"))
}

/// A point in time.
pub(super) fn time(text: &str) -> Result<DateTime<Utc>, String> {
    moment(text, now(), &Local).ok_or_else(|| format!("it must be a time: {TIME_FORMS}"))
}

const TIME_FORMS: &str = "yesterday, 2026-01-31, \"2026-01-31 08:00\" or 2026-01-31T08:00:00Z";

/// A moment in any of its forms. A day is its beginning, and what has no zone is in `zone`.
fn moment(text: &str, now: DateTime<Utc>, zone: &impl TimeZone) -> Option<DateTime<Utc>> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.to_utc());
    }
    let today = now.with_timezone(zone).date_naive();
    let day = match text {
        "now" => return Some(now),
        "today" => Some(today),
        "yesterday" => today.pred_opt(),
        "tomorrow" => today.succ_opt(),
        _ => text.parse::<NaiveDate>().ok(),
    };
    let local = day.map(|day| day.and_time(NaiveTime::MIN)).or_else(|| {
        let parse = |form| NaiveDateTime::parse_from_str(text, form).ok();
        let forms = [
            "%Y-%m-%d %H:%M",
            "%Y-%m-%d %H:%M:%S",
            "%Y-%m-%dT%H:%M",
            "%Y-%m-%dT%H:%M:%S",
        ];
        forms.into_iter().find_map(parse)
    })?;
    zone.from_local_datetime(&local)
        .earliest()
        .map(|time| time.to_utc())
}

/// A name with a value.
pub(super) fn tag(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    if name.is_empty() {
        return Err("it must be NAME=VALUE".to_owned());
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// A JSON object.
pub(super) fn object(text: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(text) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err("it must be a JSON object, as in {\"ticket\": \"4711\"}".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn one_of<T>(names: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T: FromStr + Clone + Send + Sync + 'static,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    PossibleValuesParser::new(names).try_map(|name| name.parse::<T>())
}

#[cfg(test)]
mod tests {
    use chrono::FixedOffset;

    use super::*;

    #[test]
    fn what_is_ahead_is_said_as_a_length_or_a_time() {
        let before = now();
        let then = future("2h").expect("a length");
        let hours = TimeDelta::hours(2);
        assert!(before + hours <= then && then <= now() + hours);
        let then = future("2031-01-31T08:00:00Z").expect("a time");
        assert_eq!(then.to_rfc3339(), "2031-01-31T08:00:00+00:00");
        assert!(future("soon").is_err() && future("600000000y").is_err());
    }

    #[test]
    fn times_are_said_in_many_ways() {
        let zone = FixedOffset::east_opt(2 * 3600).unwrap();
        let at = |text: &str| DateTime::parse_from_rfc3339(text).unwrap().to_utc();
        // There it is half past one on the first of March.
        let now = at("2026-02-28T23:30:00Z");
        for (text, wanted) in [
            ("2026-01-31T08:00:00+01:00", "2026-01-31T07:00:00Z"),
            ("now", "2026-02-28T23:30:00Z"),
            ("today", "2026-02-28T22:00:00Z"),
            ("yesterday", "2026-02-27T22:00:00Z"),
            ("tomorrow", "2026-03-01T22:00:00Z"),
            ("2026-01-31", "2026-01-30T22:00:00Z"),
            ("2026-01-31 08:00", "2026-01-31T06:00:00Z"),
            ("2026-01-31T08:00:30", "2026-01-31T06:00:30Z"),
        ] {
            assert_eq!(moment(text, now, &zone), Some(at(wanted)), "{text}");
        }
        for text in ["", "2h", "noon", "2026-02-30", "31.1.2026"] {
            assert_eq!(moment(text, now, &zone), None, "{text}");
        }
        let ago = now_is_about(past("2h").unwrap() + TimeDelta::hours(2));
        assert!(ago && past("soon").is_err() && time("2h").is_err());
    }

    fn now_is_about(time: DateTime<Utc>) -> bool {
        (now() - time).num_seconds().abs() < 60
    }

    #[test]
    fn every_word_of_the_client_can_be_said() {
        assert_eq!(Direction::ALL.len(), 2);
        assert_eq!(ConnectionDirection::ALL.len(), 2);
        assert_eq!(ConnectionStatus::ALL.len(), 5);
        assert_eq!(ApprovalMode::ALL.len(), 3);
        assert_eq!(ConflictStrategy::ALL.len(), 4);
        assert_eq!(SortOrder::ALL.len(), 2);
        assert_eq!(Role::ALL.len(), 4);
        for known in TransferStatus::ALL {
            assert_eq!(status(&known.to_string()).as_ref(), Ok(known));
        }
        assert!(status("unknown_1").is_err());
    }
}
