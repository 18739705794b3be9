//! How far a transfer has come, as a request says it and as a transfer holds it.

use serde::Serialize;

use super::{Phase, text};

/// Absolute totals as a request carries them: since the transfer was started, never differences.
///
/// A field that is `None` leaves the stored total as it is. A negative one is refused with `INVALID_ARGUMENT`, one below
/// the stored total with `FAILED_PRECONDITION` (`PROGRESS_REGRESSED`), and totals that cannot be true with
/// `INVALID_ARGUMENT` (`TOTALS_INCONSISTENT`): created, updated, skipped and failed together are at most the transferred
/// ones, and equal to them at completion, unless none of them was ever counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Rows read from the source so far.
    #[serde(
        serialize_with = "text::optional_number",
        skip_serializing_if = "Option::is_none"
    )]
    pub records_transferred: Option<i64>,
    /// Rows that the target did not have.
    #[serde(
        serialize_with = "text::optional_number",
        skip_serializing_if = "Option::is_none"
    )]
    pub records_created: Option<i64>,
    /// Rows that replaced or changed one in the target.
    #[serde(
        serialize_with = "text::optional_number",
        skip_serializing_if = "Option::is_none"
    )]
    pub records_updated: Option<i64>,
    /// Rows left out because the target had them.
    #[serde(
        serialize_with = "text::optional_number",
        skip_serializing_if = "Option::is_none"
    )]
    pub records_skipped: Option<i64>,
    /// Rows that the target refused.
    #[serde(
        serialize_with = "text::optional_number",
        skip_serializing_if = "Option::is_none"
    )]
    pub records_failed: Option<i64>,
    /// Bytes moved so far, as the agent counts them.
    #[serde(
        serialize_with = "text::optional_number",
        skip_serializing_if = "Option::is_none"
    )]
    pub bytes_transferred: Option<i64>,
    /// The part that the run is in. One before the stored one is refused with `PHASE_REGRESSED`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
}

/// Absolute totals as a transfer holds them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// Rows read from the source so far.
    #[serde(serialize_with = "text::number")]
    pub records_transferred: i64,
    /// Rows that the target did not have.
    #[serde(serialize_with = "text::number")]
    pub records_created: i64,
    /// Rows that replaced or changed one in the target.
    #[serde(serialize_with = "text::number")]
    pub records_updated: i64,
    /// Rows left out because the target had them.
    #[serde(serialize_with = "text::number")]
    pub records_skipped: i64,
    /// Rows that the target refused.
    #[serde(serialize_with = "text::number")]
    pub records_failed: i64,
    /// Bytes moved so far, as the agent counts them.
    #[serde(serialize_with = "text::number")]
    pub bytes_transferred: i64,
}

impl From<Totals> for Progress {
    fn from(totals: Totals) -> Self {
        Self {
            records_transferred: Some(totals.records_transferred),
            records_created: Some(totals.records_created),
            records_updated: Some(totals.records_updated),
            records_skipped: Some(totals.records_skipped),
            records_failed: Some(totals.records_failed),
            bytes_transferred: Some(totals.bytes_transferred),
            phase: None,
        }
    }
}
