//! The event: one transition of one transfer, as the log holds it.

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::{EventType, LogPosition, TransferStatus};

/// One transition of one transfer. Progress is not an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Event {
    /// Position in the log: 1, 2, 3 and so on, without gaps, in commit order.
    pub sequence: i64,
    /// The transfer that it happened to; `None` when it concerns none.
    pub transfer_uuid: Option<Uuid>,
    /// That transfer's connection, or the connection that it happened to.
    pub connection_uuid: Option<Uuid>,
    /// The credential or session that it happened to, if any.
    pub subject_uuid: Option<Uuid>,
    /// What happened.
    #[serde(rename = "type")]
    pub event_type: EventType,
    /// Status before; `None` when the transfer was created.
    pub from_status: Option<TransferStatus>,
    /// Status after; for a deletion the status that it had; `None` when it is not about a status.
    pub to_status: Option<TransferStatus>,
    /// Who did it, where the request named a person or agent.
    pub actor_uuid: Option<Uuid>,
    /// In what role it was done, such as `anonymous` or `sweeper`.
    pub actor: String,
    /// The comment, denial reason, cancel reason or error message.
    pub reason: Option<String>,
    /// The request id of the call that caused it.
    pub request_id: Option<String>,
    /// The transfer's revision after the event; 0 when it concerns no transfer.
    pub revision: i64,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
    /// Where the call came from, for events that note it and callers who may see it: an IP address.
    pub address: Option<String>,
    /// SHA-256 in lower-case hex that chains the event to all before it.
    pub hash: Option<String>,
}

impl Event {
    /// Its place in the log, to go on from.
    #[must_use]
    pub fn position(&self) -> LogPosition {
        LogPosition {
            sequence: self.sequence,
            hash: self.hash.clone(),
        }
    }
}
