//! Single values: ids, times, spans and texts, with the name of the field for the error.

use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::Error;

pub(super) fn uuid(field: &str, text: &str) -> Result<Uuid, Error> {
    Uuid::try_parse(text).map_err(|_| Error::malformed(&format!("{field} is no UUID")))
}

pub(super) fn optional_uuid(field: &str, text: &str) -> Result<Option<Uuid>, Error> {
    if text.is_empty() {
        Ok(None)
    } else {
        uuid(field, text).map(Some)
    }
}

pub(super) fn name(uuid: Option<Uuid>) -> String {
    uuid.map(|uuid| uuid.to_string()).unwrap_or_default()
}

pub(super) fn text(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// In lower case.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        text.extend(
            [byte >> 4, byte & 15].map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])),
        );
        text
    })
}

pub(super) fn time(
    field: &str,
    time: Option<prost_types::Timestamp>,
) -> Result<DateTime<Utc>, Error> {
    optional_time(field, time)?.ok_or_else(|| Error::malformed(&format!("{field} is missing")))
}

pub(super) fn optional_time(
    field: &str,
    time: Option<prost_types::Timestamp>,
) -> Result<Option<DateTime<Utc>>, Error> {
    time.map(|time| {
        u32::try_from(time.nanos)
            .ok()
            .and_then(|nanos| DateTime::from_timestamp(time.seconds, nanos))
            .ok_or_else(|| Error::malformed(&format!("{field} is no time")))
    })
    .transpose()
}

pub(super) fn span(
    field: &str,
    span: Option<prost_types::Duration>,
) -> Result<Option<Duration>, Error> {
    let malformed = || Error::malformed(&format!("{field} is no span of time"));
    span.map(|span| {
        // A negative span is none here; prost's conversion would overflow on the lowest number.
        if span.seconds < 0 || span.nanos < 0 {
            return Err(malformed());
        }
        Duration::try_from(span).map_err(|_| malformed())
    })
    .transpose()
}
