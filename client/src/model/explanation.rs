//! Why a transfer stands where it does.

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::{Role, Transfer, TransferStatus, UpcomingAction};

/// What [`Transfers::explain`](crate::Transfers::explain) answers.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Explanation {
    /// The transfer as it is.
    pub transfer: Transfer,
    /// Whether an agent that may call `start` would start it now.
    pub startable: bool,
    /// All that keeps it from being started now; a start would be told the first.
    pub obstacles: Vec<Obstacle>,
    /// Who may decide on it; `None` unless it waits for an approval, or for somebody to ask for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<DecisionRule>,
    /// What the server will do about it by itself, the earliest first.
    pub upcoming: Vec<Upcoming>,
}

/// Something that keeps a transfer from being started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Obstacle {
    /// The reason that a start would be refused with, such as `APPROVAL_REQUIRED`.
    pub reason: String,
    /// What a start would be told.
    pub message: String,
    /// What can be done about it.
    pub remedy: String,
    /// The field that says so: of the transfer, such as `not_before`, or of its connection, such as `policy.allowed_hours`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// When it goes by itself; `None` for never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<DateTime<Utc>>,
}

/// Who may decide on a transfer, and until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct DecisionRule {
    /// The roles whose credentials may. Empty where callers need no credential: then anybody may.
    pub roles: Vec<Role>,
    /// People and credentials that may not approve it, though they may deny it.
    pub excluded_uuids: Vec<Uuid>,
    /// The connection whose agents may not approve it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excluded_connection_uuid: Option<Uuid>,
    /// When it expires without a decision; `None` while nobody was asked for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    /// Whether the caller may approve it once somebody is asked.
    pub caller_may_approve: bool,
    /// The reason that an approval by the caller would be refused with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller_reason: Option<String>,
    /// What they would be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller_message: Option<String>,
}

/// Something that the server will do about a transfer by itself, unless somebody does something before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Upcoming {
    /// What.
    pub action: UpcomingAction,
    /// When it is due; the sweeper comes by some seconds later.
    pub at: DateTime<Utc>,
    /// The transfer's status after it.
    pub status: TransferStatus,
}
