//! How single values are read from the command line.

use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::{Map, Value};
use tidegate_client::{
    ApprovalMode, ConflictStrategy, ConnectionDirection, ConnectionStatus, Direction, Role,
    SortOrder, TableCase, TransferStatus,
};

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

/// A point in time in RFC 3339.
pub(super) fn time(text: &str) -> Result<DateTime<Utc>, String> {
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.to_utc())
        .map_err(|error| format!("{error}; as in 2026-01-31T08:00:00Z"))
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
    use super::*;

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
