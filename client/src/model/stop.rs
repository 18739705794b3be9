//! Stops: asked for, and what came of it.

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::{StopCause, StopKind};

/// A request to cancel or to pause a transfer, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Stop {
    /// What it is for.
    pub kind: StopKind,
    /// What led to it.
    pub cause: StopCause,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it was asked for.
    pub requested_at: DateTime<Utc>,
    /// The credential that asked for it; `None` where callers need none, and when the server itself did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested_by_uuid: Option<Uuid>,
    /// Until when whoever runs the transfer has to confirm; `None` where nobody ran it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    /// When the transfer stopped; `None` while it has not, and when it ended in another way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<DateTime<Utc>>,
    /// Whether it was stopped without the word of whoever ran it.
    pub forced: bool,
}
