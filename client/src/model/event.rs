//! The event: one transition of one transfer, as the log holds it.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::{
    BulkState, BulkVerb, Direction, EventType, ExpiryReason, FailureCode, LogPosition, Receipt,
    Role, StopCause, TransferStatus, text,
};
use crate::error::OneLine;

/// One transition of one transfer. Progress is not an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Event {
    /// Position in the log: 1, 2, 3 and so on, without gaps, in commit order.
    #[serde(serialize_with = "text::number")]
    pub sequence: i64,
    /// The transfer that it happened to; `None` when it concerns none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transfer_uuid: Option<Uuid>,
    /// That transfer's connection, or the connection that it happened to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_uuid: Option<Uuid>,
    /// The credential, session or bulk operation that it happened to, or the operation that did it to the transfer, if
    /// any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_uuid: Option<Uuid>,
    /// The table of that transfer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table_name: Option<String>,
    /// Its direction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// What the connection was called when it happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_name: Option<String>,
    /// What happened.
    #[serde(rename = "type")]
    pub event_type: EventType,
    /// Status before; `None` when the transfer was created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_status: Option<TransferStatus>,
    /// Status after; for a deletion the status that it had; `None` when it is not about a status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_status: Option<TransferStatus>,
    /// Who did it, where the request named a person or agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor_uuid: Option<Uuid>,
    /// In what role it was done, such as `anonymous` or `sweeper`.
    pub actor: String,
    /// The request id of the call that caused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The transfer's revision after the event; 0 when it concerns no transfer.
    #[serde(serialize_with = "text::number")]
    pub revision: i64,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
    /// Where the call came from, for events that note it and callers who may see it: an IP address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// SHA-256 in lower-case hex that chains the event to all before it. Serialized as base64.
    #[serde(serialize_with = "text::hex", skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// The run that it is about, for what began, went on or ended with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease: Option<EventLease>,
    /// For an approval: by whoever declared or initiated the transfer, or by an agent of its connection.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub self_approval: bool,
    /// For a cancellation or a pause: of somebody else's run, at once and without the word of its agent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub overridden: bool,
    /// What there is to tell beyond that; `None` where the type says it all, and for a kind that this version of the
    /// client does not know.
    #[serde(flatten)]
    pub detail: Option<EventDetail>,
}

/// Whose run an event is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct EventLease {
    /// The number of the lease.
    #[serde(serialize_with = "text::number")]
    pub lease_epoch: i64,
    /// What the agent calls itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_instance: Option<String>,
    /// The credential that holds it, or held it; `None` where callers need none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner_uuid: Option<Uuid>,
}

/// What an event tells beyond its type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum EventDetail {
    /// What the caller said with an approval, a denial, a suspension or a revocation.
    Comment {
        /// The comment or reason.
        text: String,
    },
    /// Why a transfer failed.
    Failure {
        /// The transfer's error message.
        error_message: String,
        /// Where the cause lies, where it was said.
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<FailureCode>,
        /// Whether the same transfer may well succeed if it is tried again.
        retryable: bool,
    },
    /// Why a transfer has expired.
    Expiry {
        /// The deadline that has passed.
        reason: ExpiryReason,
    },
    /// What one claim has started beside this.
    Claim {
        /// The other transfers.
        claimed_with_uuids: Vec<Uuid>,
    },
    /// What tried a transfer again.
    Retry {
        /// The new transfer.
        retried_by_uuid: Uuid,
    },
    /// Why a transfer was stopped, or is to be.
    Stop {
        /// What led to it.
        cause: StopCause,
        /// Why.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// Until when its agent has to confirm; `None` where nobody ran it.
        #[serde(skip_serializing_if = "Option::is_none")]
        expires_at: Option<DateTime<Utc>>,
        /// Whether it was stopped without the word of its agent.
        forced: bool,
    },
    /// What a side of a movement stated.
    Receipt(Box<Receipt>),
    /// What was changed of a connection.
    ConnectionUpdate {
        /// The paths of the update mask, such as `policy.max_transfers`.
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
        /// The agent's credential, which was created with it.
        agent_uuid: Uuid,
    },
    /// What a bulk operation does, and how far it is.
    BulkOperation {
        /// What is done to each transfer.
        verb: BulkVerb,
        /// Running where it was started, otherwise how it ended.
        state: BulkState,
        /// How many transfers were found when it was started.
        #[serde(serialize_with = "text::number")]
        matched: i64,
        /// How many the verb was carried out on.
        #[serde(serialize_with = "text::number")]
        succeeded: i64,
        /// How many it was refused for.
        #[serde(serialize_with = "text::number")]
        refused: i64,
    },
    /// Which agent came or went.
    Agent {
        /// What it calls itself.
        agent_instance: String,
        /// Its version.
        #[serde(skip_serializing_if = "Option::is_none")]
        version: Option<String>,
        /// The machine that it runs on.
        #[serde(skip_serializing_if = "Option::is_none")]
        host: Option<String>,
    },
    /// What was refused, and why.
    Refusal {
        /// The reason, as [`Error::reason`](crate::Error::reason) gives it to the caller.
        reason: String,
        /// The call, such as `StartTransfer`.
        method: String,
        /// The transfer, connection or credential that the call named, whether or not it exists.
        #[serde(skip_serializing_if = "Option::is_none")]
        uuid: Option<Uuid>,
        /// How many more of the caller were refused since the event before that tells of one, and are told by this number
        /// alone.
        #[serde(serialize_with = "text::number")]
        dropped: i64,
    },
}

impl EventDetail {
    /// One line for people. Programs read the fields.
    #[must_use]
    pub fn summary(&self) -> String {
        let text = match self {
            Self::Comment { text }
            | Self::Failure {
                error_message: text,
                ..
            } => text.clone(),
            Self::Expiry { reason } => reason.to_string(),
            Self::Claim { claimed_with_uuids } => {
                format!("claimed with {} more", claimed_with_uuids.len())
            }
            Self::Retry { retried_by_uuid } => format!("by {retried_by_uuid}"),
            Self::Stop {
                cause,
                reason,
                forced,
                ..
            } => {
                let cause = (*cause != StopCause::Request).then(|| cause.to_string());
                let forced = forced.then(|| "forced".to_owned());
                let parts: Vec<_> = [forced, cause, reason.clone()]
                    .into_iter()
                    .flatten()
                    .collect();
                parts.join(": ")
            }
            Self::Receipt(receipt) => {
                let Receipt { number, own, .. } = &**receipt;
                let rows = own.records_transferred;
                format!("receipt {number}: {rows} rows")
            }
            Self::ConnectionUpdate { fields } => fields.join(", "),
            Self::Credential { role, name } => format!("{role} {name}"),
            Self::Redemption { agent_uuid } => format!("agent {agent_uuid}"),
            Self::BulkOperation {
                verb,
                matched,
                succeeded,
                refused,
                ..
            } => format!("{verb}: {succeeded} of {matched}, {refused} refused"),
            Self::Agent {
                agent_instance,
                version,
                ..
            } => {
                let parts = [Some(agent_instance.clone()), version.clone()];
                let parts: Vec<_> = parts.into_iter().flatten().collect();
                parts.join(" ")
            }
            Self::Refusal {
                reason,
                method,
                uuid,
                dropped,
            } => {
                let uuid = uuid.map(|uuid| format!(" {uuid}")).unwrap_or_default();
                let more = match dropped {
                    0 => String::new(),
                    more => format!(" (and {more} more)"),
                };
                format!("{reason} {method}{uuid}{more}")
            }
        };
        OneLine(&text).to_string()
    }
}

impl Event {
    /// One line for people: how it was done, and what there is to tell beyond its type. Programs read the fields.
    #[must_use]
    pub fn summary(&self) -> String {
        let flag = if self.self_approval {
            Some("self-approval".to_owned())
        } else {
            self.overridden.then(|| "overridden".to_owned())
        };
        let begins = self.event_type == EventType::Started;
        let lease = self.lease.as_ref().filter(|_| begins);
        let lease = lease.map(|lease| match &lease.agent_instance {
            Some(name) => format!("lease {} {}", lease.lease_epoch, OneLine(name)),
            None => format!("lease {}", lease.lease_epoch),
        });
        let detail = self.detail.as_ref().map(EventDetail::summary);
        let parts = [flag, lease, detail].into_iter().flatten();
        let parts: Vec<_> = parts.filter(|part| !part.is_empty()).collect();
        parts.join(": ")
    }

    /// Its place in the log, to go on from.
    #[must_use]
    pub fn position(&self) -> LogPosition {
        LogPosition {
            sequence: self.sequence,
            hash: self.hash.clone(),
        }
    }
}

/// What was found of the chain of hashes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct LogVerification {
    /// What was verified comes after this position.
    #[serde(serialize_with = "text::number")]
    pub after_sequence: i64,
    /// Everything up to this position is sound.
    #[serde(serialize_with = "text::number")]
    pub sequence: i64,
    /// The hash there, in lower-case hex. Serialized as base64.
    #[serde(serialize_with = "text::hex", skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// Whether there is nothing to go on with: the log ends here, or something is wrong.
    pub done: bool,
    /// What is wrong with what follows, in one line; `None` when nothing was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

impl LogVerification {
    /// The place up to which it is sound: to verify on from, or to keep.
    #[must_use]
    pub fn position(&self) -> LogPosition {
        LogPosition {
            sequence: self.sequence,
            hash: self.hash.clone(),
        }
    }
}

impl fmt::Display for LogVerification {
    /// One line for people, as `tidegate-server audit verify` has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(fault) = &self.fault {
            return write!(f, "{}", OneLine(fault));
        }
        let (first, last) = (self.after_sequence + 1, self.sequence);
        if first > last {
            f.write_str("no events to verify")?;
        } else {
            write!(f, "events {first}–{last} verified")?;
        }
        write!(f, ", head {}", self.position())
    }
}
