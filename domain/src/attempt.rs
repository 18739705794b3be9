//! The attempts at a transfer: each start begins one.

use super::{
    event::{EventBody, EventDetail, EventType},
    progress::Totals,
    status::{TransferStatus, named},
    time::Timestamp,
    transfer::Transfer,
};
use crate::id::{CredentialId, TransferId};

named! {
    /// How an attempt has ended.
    AttemptEnd {
        /// It has not.
        Running = "RUNNING",
        /// Its agent completed the transfer.
        Completed = "COMPLETED",
        /// Its agent gave up, or fell silent in the last attempt.
        Failed = "FAILED",
        /// The transfer was cancelled.
        Cancelled = "CANCELLED",
        /// Its agent fell silent, and the transfer was queued again.
        Requeued = "REQUEUED",
        /// The transfer was paused.
        Paused = "PAUSED",
    }
}

/// From a start of a transfer to the end of that run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The transfer.
    pub transfer_uuid: TransferId,
    /// The number of the lease under which it ran: 1 for the first.
    pub epoch: i64,
    /// The credential that started it; `None` where callers need none.
    pub owner_uuid: Option<CredentialId>,
    /// What the agent called itself.
    pub agent_instance: String,
    /// When it was started.
    pub started_at: Timestamp,
    /// When it ended; `None` while it runs.
    pub ended_at: Option<Timestamp>,
    /// How it ended.
    pub end: AttemptEnd,
    /// What went wrong; empty when nothing did.
    pub error_message: String,
    /// How far it came.
    pub totals: Totals,
    /// Where its agent would have resumed.
    pub checkpoint: Vec<u8>,
}

impl Attempt {
    /// The attempt that a transfer is in, or ended with; `None` before its first start and while it is queued again.
    pub fn latest(transfer: &Transfer) -> Option<Self> {
        let end = match transfer.status {
            TransferStatus::Completed => AttemptEnd::Completed,
            TransferStatus::Failed => AttemptEnd::Failed,
            TransferStatus::Cancelled => AttemptEnd::Cancelled,
            _ => AttemptEnd::Running,
        };
        Some(Self {
            transfer_uuid: transfer.uuid,
            epoch: transfer.lease_epoch,
            owner_uuid: transfer.lease_owner_uuid,
            agent_instance: transfer.agent_instance.clone(),
            started_at: transfer.started_at?,
            ended_at: transfer.completed_at,
            end,
            error_message: transfer.error_message.clone(),
            totals: transfer.totals,
            checkpoint: transfer.checkpoint.clone(),
        })
    }

    /// The attempt that ended when `transfer`, which was in progress, became `after` and was not ended by it.
    pub fn given_up(transfer: &Transfer, after: &Transfer, event: &EventBody) -> Option<Self> {
        let end = match event.event_type {
            EventType::Requeued => AttemptEnd::Requeued,
            EventType::Paused if transfer.status == TransferStatus::InProgress => {
                AttemptEnd::Paused
            }
            _ => return None,
        };
        let error_message = match &event.detail {
            Some(EventDetail::Failure { error_message, .. }) => error_message.clone(),
            _ => String::new(),
        };
        Some(Self {
            ended_at: Some(after.updated_at),
            end,
            error_message,
            totals: after.totals,
            checkpoint: after.checkpoint.clone(),
            ..Self::latest(transfer)?
        })
    }
}
