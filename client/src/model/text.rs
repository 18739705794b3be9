//! How values are serialized: as protobuf's JSON mapping writes them, so that what is read of the models is what other
//! tools of the contract read, too.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serializer;

use super::position;

/// Bytes as standard base64.
pub(super) fn bytes<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(bytes))
}

/// A hash as bytes.
#[expect(
    clippy::ref_option,
    reason = "serde hands a reference to the field itself"
)]
pub(super) fn hex<S: Serializer>(hash: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    bytes(
        &hash
            .as_deref()
            .and_then(position::bytes)
            .unwrap_or_default(),
        serializer,
    )
}

/// A number of 64 bits as text: many readers of JSON have no such numbers.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands a reference to the field itself"
)]
pub(super) fn number<S: Serializer>(number: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}

/// The same where there is one.
#[expect(
    clippy::ref_option,
    reason = "serde hands a reference to the field itself"
)]
pub(super) fn optional_number<S: Serializer>(
    number: &Option<i64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match number {
        Some(number) => serializer.collect_str(number),
        None => serializer.serialize_none(),
    }
}

/// A duration in seconds with the suffix `s` and 0, 3, 6 or 9 digits after the point, such as `1.500s`.
#[expect(
    clippy::ref_option,
    reason = "serde hands a reference to the field itself"
)]
pub(super) fn duration<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match duration {
        Some(duration) => span(duration, serializer),
        None => serializer.serialize_none(),
    }
}

/// The same where there always is one.
pub(super) fn span<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    let (seconds, nanos) = (duration.as_secs(), duration.subsec_nanos());
    match nanos {
        0 => serializer.collect_str(&format_args!("{seconds}s")),
        _ if nanos % 1_000_000 == 0 => {
            serializer.collect_str(&format_args!("{seconds}.{:03}s", nanos / 1_000_000))
        }
        _ if nanos % 1_000 == 0 => {
            serializer.collect_str(&format_args!("{seconds}.{:06}s", nanos / 1_000))
        }
        _ => serializer.collect_str(&format_args!("{seconds}.{nanos:09}s")),
    }
}
