//! Bulk operations, and what came of their transfers.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::{BulkResult, BulkState, BulkVerb, Transfer, TransferFilter, text};

/// One verb for every transfer that a filter means, carried out by the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct BulkOperation {
    /// Identity, made by the server. It is the `subject_uuid` of the events of what it does.
    pub uuid: Uuid,
    /// What is done to each transfer.
    pub verb: BulkVerb,
    /// Which transfers are meant, as it was asked for.
    pub filter: TransferFilter,
    /// Why, for a cancellation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How long whoever runs a transfer has to confirm that it stops.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "text::duration"
    )]
    pub grace: Option<Duration>,
    /// How far it is.
    pub state: BulkState,
    /// How many transfers were found just before it was started.
    #[serde(serialize_with = "text::number")]
    pub matched: i64,
    /// How many the verb was carried out on.
    #[serde(serialize_with = "text::number")]
    pub succeeded: i64,
    /// How many it was refused for.
    #[serde(serialize_with = "text::number")]
    pub refused: i64,
    /// The credential that started it; `None` where callers need none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by_uuid: Option<Uuid>,
    /// When it was started: no transfer that is declared later is covered.
    pub inserted_at: DateTime<Utc>,
    /// When it last went on.
    pub updated_at: DateTime<Utc>,
    /// When it was through, or was stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<DateTime<Utc>>,
    /// 1 when started, one more with every change.
    #[serde(serialize_with = "text::number")]
    pub revision: i64,
}

/// What came of one transfer of a bulk operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct BulkOutcome {
    /// Its place among those of the operation: 1, 2, 3 and so on.
    #[serde(serialize_with = "text::number")]
    pub number: i64,
    /// The transfer.
    pub transfer_uuid: Uuid,
    /// What came of it.
    pub result: BulkResult,
    /// The reason of the refusal, as [`Error::reason`](crate::Error::reason) has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// For a retry: the transfer that tries it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retried_by_uuid: Option<Uuid>,
}

/// What a bulk operation would cover.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct BulkPreview {
    /// How many transfers match.
    #[serde(serialize_with = "text::number")]
    pub matched: i64,
    /// The first of them in the order of their turns, at most 10.
    pub sample: Vec<Transfer>,
}
