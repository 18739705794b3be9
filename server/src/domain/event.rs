//! What happened: one event for each transition, and the request that caused it.

use uuid::Uuid;

use super::{
    status::{TransferStatus, named},
    time::Timestamp,
};

named! {
    /// What happened to a transfer.
    EventAction {
        /// It was created.
        Created = "CREATED",
        /// A decision was asked for.
        ApprovalRequested = "APPROVAL_REQUESTED",
        /// It was approved.
        Approved = "APPROVED",
        /// It was denied.
        Denied = "DENIED",
        /// Its approval deadline passed.
        Expired = "EXPIRED",
        /// An agent started it.
        Started = "STARTED",
        /// The agent completed it.
        Completed = "COMPLETED",
        /// The agent failed it, or fell silent.
        Failed = "FAILED",
        /// It was cancelled.
        Cancelled = "CANCELLED",
        /// Its row was deleted.
        Deleted = "DELETED",
    }
}

/// The part of an event that the rules decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// What happened.
    pub action: EventAction,
    /// Status before; `None` for a creation.
    pub from_status: Option<TransferStatus>,
    /// Status after; for a deletion the one that the row had.
    pub to_status: TransferStatus,
    /// Who did it, where the command names somebody.
    pub actor_uuid: Option<Uuid>,
    /// Comment, reason or message.
    pub reason: String,
}

/// What makes a repeated request recognisable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestMark {
    /// The id that the caller chose.
    pub request_id: String,
    /// SHA-256 of the call's name and its body without the id.
    pub digest: Vec<u8>,
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Position in the log, without gaps, in commit order; 0 until it is written.
    pub sequence: i64,
    /// The transfer that it happened to.
    pub transfer_uuid: Uuid,
    /// That transfer's connection.
    pub connection_uuid: Option<Uuid>,
    /// What happened.
    pub occurrence: Occurrence,
    /// In what role it was done.
    pub actor: String,
    /// The request that caused it, where it carried an id.
    pub request: Option<RequestMark>,
    /// The transfer's revision after it.
    pub revision: i64,
    /// When it happened.
    pub occurred_at: Timestamp,
}
