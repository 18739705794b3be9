//! How values without a JSON form of their own are serialized: as protobuf's JSON mapping writes them.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serializer;

/// Bytes as standard base64.
pub(super) fn bytes<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(bytes))
}

/// A duration in decimal seconds with the suffix `s`, such as `1.5s`.
#[expect(
    clippy::ref_option,
    reason = "serde hands a reference to the field itself"
)]
pub(super) fn duration<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match duration {
        Some(duration) => serializer.collect_str(&format_args!("{}s", duration.as_secs_f64())),
        None => serializer.serialize_none(),
    }
}
