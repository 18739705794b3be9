//! What a side of a movement states once it is done, and whether both sides agree.

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::{FailureCode, ReconciliationState, VerificationResult, text};

/// What one side of a movement counted and saw, of the whole movement. What is `None` or empty was not counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReceiptStatement {
    /// Rows sent, or received.
    #[serde(serialize_with = "text::number")]
    pub records_transferred: i64,
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
    /// Bytes moved, counted in the same way on both sides.
    #[serde(
        serialize_with = "text::optional_number",
        skip_serializing_if = "Option::is_none"
    )]
    pub bytes_transferred: Option<i64>,
    /// A digest of the rows, at most 64 bytes. Serialized as base64.
    #[serde(serialize_with = "text::bytes", skip_serializing_if = "Vec::is_empty")]
    pub digest: Vec<u8>,
    /// How it was made, as both sides call it; at most 64 characters.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub digest_algorithm: String,
    /// A digest of the table's columns, at most 64 bytes. Serialized as base64.
    #[serde(serialize_with = "text::bytes", skip_serializing_if = "Vec::is_empty")]
    pub schema_digest: Vec<u8>,
}

/// Rows that were put aside for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QuarantinedRecords {
    /// The reason.
    pub code: FailureCode,
    /// How many; at least 1.
    #[serde(serialize_with = "text::number")]
    pub count: i64,
}

/// What one side of a movement states about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Receipt {
    /// 1 for the first receipt of its transfer, one more for each later one.
    #[serde(serialize_with = "text::number")]
    pub number: i64,
    /// The lease under which the transfer ran when the receipt came, or had run last.
    #[serde(serialize_with = "text::number")]
    pub lease_epoch: i64,
    /// When it came.
    pub submitted_at: DateTime<Utc>,
    /// The credential that it came with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub submitted_by_uuid: Option<Uuid>,
    /// What the side itself counted and saw.
    pub own: ReceiptStatement,
    /// What it heard from the other side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<ReceiptStatement>,
    /// Of which moment the rows are, such as one snapshot of the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consistency: Option<String>,
    /// How thoroughly the rows were compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verification_level: Option<String>,
    /// What came of that.
    pub verification: VerificationResult,
    /// Rows that were put aside, by reason.
    pub quarantined: Vec<QuarantinedRecords>,
}

/// Whether both sides of a movement agree, from the latest receipt of each. Where one of them has given none, or is in
/// another ledger, what the other has heard from it stands for its word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Reconciliation {
    /// What is known.
    pub state: ReconciliationState,
    /// Where they contradict each other, such as `records_transferred` or `digest`.
    pub diverged_fields: Vec<String>,
    /// The latest receipt of this transfer. All of them are events of the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Box<Receipt>>,
}
