//! What happened: one event for each transition, and the request that caused it.

use std::{net::IpAddr, time::Duration};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    bulk::{BulkState, BulkVerb},
    caller::Role,
    chain::Hash,
    outcome::FailureCode,
    receipt::Receipt,
    status::{ExpiryReason, TransferStatus, named},
    stop::StopCause,
    time::Timestamp,
};
use crate::id::{ConnectionId, CredentialId, TransferId};

mod about;

pub use about::{About, EventLease};

/// The least time that events are kept for: they remember the ids of requests, and callers rely on a day of that.
pub const RETENTION_MIN: Duration = Duration::from_secs(24 * 60 * 60);

named! {
    /// What happened, to a transfer unless the name says otherwise.
    EventType {
        /// It was created.
        Created = "CREATED",
        /// A decision was asked for.
        ApprovalRequested = "APPROVAL_REQUESTED",
        /// It was approved.
        Approved = "APPROVED",
        /// It was denied.
        Denied = "DENIED",
        /// Its time to be decided on, or to be started, was over.
        Expired = "EXPIRED",
        /// An agent started it.
        Started = "STARTED",
        /// The agent completed it.
        Completed = "COMPLETED",
        /// The agent failed it, or fell silent.
        Failed = "FAILED",
        /// Its agent fell silent, and it waits for the next one.
        Requeued = "REQUEUED",
        /// Its agent was asked to stop, for it is to be cancelled.
        CancelRequested = "CANCEL_REQUESTED",
        /// It was cancelled.
        Cancelled = "CANCELLED",
        /// Its agent was asked to stop, for it is to be paused.
        PauseRequested = "PAUSE_REQUESTED",
        /// It waits until it is resumed.
        Paused = "PAUSED",
        /// A pause, or the request for one, was taken back.
        Resumed = "RESUMED",
        /// Its side of the movement stated what it counted and saw.
        ReceiptSubmitted = "RECEIPT_SUBMITTED",
        /// Its row was deleted.
        Deleted = "DELETED",
        /// Another transfer tries it again.
        Retried = "RETRIED",
        /// The server did not try it again, and will later or not at all.
        RetryPostponed = "RETRY_POSTPONED",
        /// A connection was created.
        ConnectionCreated = "CONNECTION_CREATED",
        /// A connection's fields or policy were changed.
        ConnectionUpdated = "CONNECTION_UPDATED",
        /// A connection was put into use.
        ConnectionApproved = "CONNECTION_APPROVED",
        /// A connection was paused.
        ConnectionSuspended = "CONNECTION_SUSPENDED",
        /// A connection was put into use again.
        ConnectionReactivated = "CONNECTION_REACTIVATED",
        /// A connection was ended.
        ConnectionRevoked = "CONNECTION_REVOKED",
        /// A connection's end has passed.
        ConnectionExpired = "CONNECTION_EXPIRED",
        /// A connection's row was deleted.
        ConnectionDeleted = "CONNECTION_DELETED",
        /// A credential was created.
        CredentialCreated = "CREDENTIAL_CREATED",
        /// A credential got a new token.
        CredentialRotated = "CREDENTIAL_ROTATED",
        /// A credential was revoked.
        CredentialRevoked = "CREDENTIAL_REVOKED",
        /// The row of a credential that had ended was deleted.
        CredentialDeleted = "CREDENTIAL_DELETED",
        /// A session was opened.
        SessionCreated = "SESSION_CREATED",
        /// A session code was redeemed.
        SessionRedeemed = "SESSION_REDEEMED",
        /// The row of a session that was over was deleted.
        SessionDeleted = "SESSION_DELETED",
        /// An agent said for the first time who it is, or that it has another version.
        AgentRegistered = "AGENT_REGISTERED",
        /// An agent that said nothing any more was forgotten.
        AgentRemoved = "AGENT_REMOVED",
        /// Somebody asked for a change and was refused.
        Refused = "REFUSED",
        /// A bulk operation was started.
        BulkOperationStarted = "BULK_OPERATION_STARTED",
        /// A bulk operation was through, or was stopped.
        BulkOperationEnded = "BULK_OPERATION_ENDED",
    }
}

/// The kind of thing that something happened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventSubject {
    /// A transfer.
    Transfer,
    /// A connection.
    Connection,
    /// A credential.
    Credential,
    /// A session.
    Session,
    /// A bulk operation.
    BulkOperation,
    /// An agent.
    Agent,
    /// Nothing: it did not happen.
    Nothing,
}

impl EventType {
    /// What it happened to.
    pub const fn subject(self) -> EventSubject {
        match self {
            Self::Created
            | Self::ApprovalRequested
            | Self::Approved
            | Self::Denied
            | Self::Expired
            | Self::Started
            | Self::Completed
            | Self::Failed
            | Self::Requeued
            | Self::CancelRequested
            | Self::Cancelled
            | Self::PauseRequested
            | Self::Paused
            | Self::Resumed
            | Self::ReceiptSubmitted
            | Self::Deleted
            | Self::Retried
            | Self::RetryPostponed => EventSubject::Transfer,
            Self::ConnectionCreated
            | Self::ConnectionUpdated
            | Self::ConnectionApproved
            | Self::ConnectionSuspended
            | Self::ConnectionReactivated
            | Self::ConnectionRevoked
            | Self::ConnectionExpired
            | Self::ConnectionDeleted => EventSubject::Connection,
            Self::CredentialCreated
            | Self::CredentialRotated
            | Self::CredentialRevoked
            | Self::CredentialDeleted => EventSubject::Credential,
            Self::SessionCreated | Self::SessionRedeemed | Self::SessionDeleted => {
                EventSubject::Session
            }
            Self::BulkOperationStarted | Self::BulkOperationEnded => EventSubject::BulkOperation,
            Self::AgentRegistered | Self::AgentRemoved => EventSubject::Agent,
            Self::Refused => EventSubject::Nothing,
        }
    }
}

/// The part of an event that the rules decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventBody {
    /// What happened.
    pub event_type: EventType,
    /// Status before; `None` for a creation.
    pub from_status: Option<TransferStatus>,
    /// Status after; for a deletion the one that the row had; `None` when it is not about a status.
    pub to_status: Option<TransferStatus>,
    /// Who did it, where the command names somebody.
    pub actor_uuid: Option<Uuid>,
    /// What there is to tell beyond that.
    pub detail: Option<EventDetail>,
}

/// What an event tells beyond its type. It is stored as it is serialized.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum EventDetail {
    /// What the caller said.
    Comment {
        /// The comment or reason, never empty.
        text: String,
    },
    /// Why a transfer failed.
    Failure {
        /// The transfer's message.
        error_message: String,
        /// Where the cause lies, where it was said.
        code: Option<FailureCode>,
        /// Whether it may well succeed if it is tried again.
        retryable: bool,
    },
    /// Why a transfer has expired.
    Expiry {
        /// The deadline that has passed.
        reason: ExpiryReason,
    },
    /// What a claim has started beside this, on the event of the first of them: what remembers the claim.
    Claim {
        /// The other transfers, in the order in which they were chosen.
        claimed_with: Vec<TransferId>,
    },
    /// Why a transfer was stopped, or is to be.
    Stop {
        /// What led to it.
        cause: StopCause,
        /// What the caller said; may be empty.
        reason: String,
        /// Until when whoever runs it has to confirm; not set where nobody ran it.
        expires_at: Option<Timestamp>,
        /// Whether it was stopped without the word of whoever ran it.
        forced: bool,
    },
    /// What a side of a movement stated.
    Receipt(Box<Receipt>),
    /// What was changed of a connection.
    ConnectionUpdate {
        /// The paths of the fields: names of today, which a later version may not have any more.
        fields: Vec<String>,
    },
    /// What credential was created or deleted.
    Credential {
        /// Its role.
        role: Role,
        /// Its name.
        name: String,
    },
    /// What a session code was redeemed for.
    Redemption {
        /// The agent that was made.
        agent_uuid: CredentialId,
    },
    /// What tries a transfer again.
    Retry {
        /// The new transfer.
        retried_by_uuid: TransferId,
    },
    /// What a bulk operation does, and how far it is.
    BulkOperation {
        /// What is done to each transfer.
        verb: BulkVerb,
        /// Whether it has just begun, or how it ended.
        state: BulkState,
        /// How many transfers were found when it was started.
        matched: i64,
        /// How many the verb was carried out on.
        succeeded: i64,
        /// How many it was refused for.
        refused: i64,
    },
    /// Which agent came or went.
    Agent {
        /// What it calls itself.
        agent_instance: String,
        /// Its version; may be empty.
        version: String,
        /// The machine that it runs on; may be empty.
        host: String,
    },
    /// What was refused.
    Refusal {
        /// The name of the refusal.
        reason: String,
        /// The call.
        method: String,
        /// What the call named.
        uuid: Option<Uuid>,
        /// How many more were refused since the one before, and are told by this number alone.
        dropped: i64,
    },
}

impl EventDetail {
    /// What the caller said, if anything.
    pub fn comment(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self::Comment {
            text: text.to_owned(),
        })
    }
}

/// What makes a repeated request recognisable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
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
    /// The transfer that it happened to, if any.
    pub transfer_uuid: Option<TransferId>,
    /// That transfer's connection, or the connection that it happened to.
    pub connection_uuid: Option<ConnectionId>,
    /// The credential, session, agent or bulk operation that it happened to, or the operation that did it to the transfer,
    /// if any.
    pub subject_uuid: Option<Uuid>,
    /// What is told of those.
    pub about: About,
    /// What happened.
    pub body: EventBody,
    /// In what role it was done.
    pub actor: String,
    /// The request that caused it, where it carried an id.
    pub request: Option<IdempotencyKey>,
    /// The revision after it of what it happened to; 0 where that has none.
    pub revision: i64,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// Where the call came from, for events that note it.
    pub address: Option<IpAddr>,
    /// Chains it to everything before it; `None` until it is written.
    pub hash: Option<Hash>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_kept_for_a_day_at_least() {
        assert_eq!(RETENTION_MIN.as_secs(), 86_400);
    }
}
