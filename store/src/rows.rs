//! Between rows and the domain's values. A row that has no meaning is an error, never a guess.

use std::time::Duration;

use tidegate_entity::{
    event,
    stored::{JsonText, Stored},
    transfer,
};
use uuid::Uuid;

use crate::error::{Inconsistency, StoreError};
use tidegate_domain::{
    chain::Hash,
    event::{Event, EventBody, IdempotencyKey},
    progress::Totals,
    time::Timestamp,
    transfer::{Decision, NewTransfer, Transfer},
};

mod connection;
mod credential;

pub(super) use connection::{from_connection, to_connection};
pub(super) use credential::{from_credential, from_session, from_token, to_credential, to_session};

pub(super) fn from_transfer(transfer: &Transfer) -> transfer::Model {
    let Transfer {
        declared,
        totals,
        approved,
        denied,
        ..
    } = transfer;
    transfer::Model {
        uuid: transfer.uuid,
        direction: Stored(declared.direction),
        connection_uuid: declared.connection_uuid,
        session_code: optional(&declared.session_code),
        remote_site_url: optional(&declared.remote_site_url),
        table_name: declared.table_name.clone(),
        records_requested: declared.records_requested,
        conflict_strategy: declared.conflict_strategy.map(Stored),
        status: Stored(transfer.status),
        requires_approval: transfer.requires_approval,
        records_transferred: totals.records_transferred,
        records_created: totals.records_created,
        records_updated: totals.records_updated,
        records_skipped: totals.records_skipped,
        records_failed: totals.records_failed,
        bytes_transferred: totals.bytes_transferred,
        approved_at: approved.map(|decision| decision.at.as_micros()),
        approved_by_uuid: approved.map(|decision| decision.by),
        denied_at: denied.map(|decision| decision.at.as_micros()),
        denied_by_uuid: denied.map(|decision| decision.by),
        denial_reason: optional(&transfer.denial_reason),
        approval_expires_at: transfer.approval_expires_at.map(Timestamp::as_micros),
        requester_ip: optional(&declared.requester_ip),
        observed_ip: transfer.observed_ip.map(Stored),
        requester_user_agent: optional(&declared.requester_user_agent),
        initiated_by_uuid: declared.initiated_by_uuid,
        acted_by_uuid: transfer.acted_by_uuid,
        error_message: optional(&transfer.error_message),
        cancel_reason: optional(&transfer.cancel_reason),
        started_at: transfer.started_at.map(Timestamp::as_micros),
        completed_at: transfer.completed_at.map(Timestamp::as_micros),
        inserted_at: transfer.inserted_at.as_micros(),
        updated_at: transfer.updated_at.as_micros(),
        metadata: JsonText(declared.metadata.clone()),
        checkpoint: transfer.checkpoint.clone(),
        heartbeat_timeout: transfer.heartbeat_timeout.map(from_duration),
        heartbeat_expires_at: transfer.heartbeat_expires_at.map(Timestamp::as_micros),
        retry_of_uuid: declared.retry_of_uuid,
        self_approval: transfer.self_approval,
        policy_revision: transfer.policy_revision,
        revision: transfer.revision,
    }
}

pub(super) fn to_transfer(row: transfer::Model) -> Result<Transfer, StoreError> {
    Ok(Transfer {
        uuid: row.uuid,
        acted_by_uuid: row.acted_by_uuid,
        observed_ip: row.observed_ip.map(|stored| stored.0),
        status: row.status.0,
        requires_approval: row.requires_approval,
        totals: Totals {
            records_transferred: row.records_transferred,
            records_created: row.records_created,
            records_updated: row.records_updated,
            records_skipped: row.records_skipped,
            records_failed: row.records_failed,
            bytes_transferred: row.bytes_transferred,
        },
        approved: to_decision(row.approved_at, row.approved_by_uuid),
        denied: to_decision(row.denied_at, row.denied_by_uuid),
        denial_reason: row.denial_reason.unwrap_or_default(),
        approval_expires_at: row.approval_expires_at.map(Timestamp::from_micros),
        error_message: row.error_message.unwrap_or_default(),
        cancel_reason: row.cancel_reason.unwrap_or_default(),
        started_at: row.started_at.map(Timestamp::from_micros),
        completed_at: row.completed_at.map(Timestamp::from_micros),
        inserted_at: Timestamp::from_micros(row.inserted_at),
        updated_at: Timestamp::from_micros(row.updated_at),
        checkpoint: row.checkpoint,
        heartbeat_timeout: row.heartbeat_timeout.map(to_duration).transpose()?,
        heartbeat_expires_at: row.heartbeat_expires_at.map(Timestamp::from_micros),
        self_approval: row.self_approval,
        policy_revision: row.policy_revision,
        revision: row.revision,
        declared: NewTransfer {
            direction: row.direction.0,
            table_name: row.table_name,
            connection_uuid: row.connection_uuid,
            session_code: row.session_code.unwrap_or_default(),
            remote_site_url: row.remote_site_url.unwrap_or_default(),
            records_requested: row.records_requested,
            conflict_strategy: row.conflict_strategy.map(|stored| stored.0),
            // What was declared is not kept apart from what holds now; nothing asks for it after the creation.
            requires_approval: row.requires_approval,
            requester_ip: row.requester_ip.unwrap_or_default(),
            requester_user_agent: row.requester_user_agent.unwrap_or_default(),
            initiated_by_uuid: row.initiated_by_uuid,
            metadata: row.metadata.0,
            retry_of_uuid: row.retry_of_uuid,
        },
    })
}

pub(super) fn from_event(event: &Event) -> event::Model {
    let (request_id, request_digest) = from_request(event.request.as_ref());
    let body = &event.body;
    event::Model {
        sequence: event.sequence,
        transfer_uuid: event.transfer_uuid,
        subject_uuid: event.subject_uuid,
        connection_uuid: event.connection_uuid,
        event_type: Stored(body.event_type),
        from_status: body.from_status.map(Stored),
        to_status: body.to_status.map(Stored),
        actor_uuid: body.actor_uuid,
        actor: event.actor.clone(),
        reason: optional(&body.reason),
        request_id,
        request_digest,
        revision: event.revision,
        occurred_at: event.occurred_at.as_micros(),
        hash: event.hash.map(Vec::from).unwrap_or_default(),
        address: event.address.map(Stored),
    }
}

pub(super) fn to_event(row: event::Model) -> Result<Event, StoreError> {
    Ok(Event {
        sequence: row.sequence,
        subject_uuid: row.subject_uuid,
        transfer_uuid: row.transfer_uuid,
        connection_uuid: row.connection_uuid,
        body: EventBody {
            event_type: row.event_type.0,
            from_status: row.from_status.map(|stored| stored.0),
            to_status: row.to_status.map(|stored| stored.0),
            actor_uuid: row.actor_uuid,
            reason: row.reason.unwrap_or_default(),
        },
        actor: row.actor,
        request: to_request(row.request_id, row.request_digest),
        revision: row.revision,
        occurred_at: Timestamp::from_micros(row.occurred_at),
        address: row.address.map(|stored| stored.0),
        hash: Some(to_hash(row.hash)?),
    })
}

pub(super) fn to_hash(bytes: Vec<u8>) -> Result<Hash, StoreError> {
    Hash::try_from(bytes).map_err(|bytes| {
        Inconsistency::Value {
            column: "event.hash",
            value: format!("{} bytes", bytes.len()),
        }
        .into()
    })
}

/// An empty text is an absent one.
fn optional(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

pub(super) fn to_request(id: Option<String>, digest: Option<Vec<u8>>) -> Option<IdempotencyKey> {
    Some(IdempotencyKey {
        request_id: id?,
        digest: digest?,
    })
}

fn from_request(request: Option<&IdempotencyKey>) -> (Option<String>, Option<Vec<u8>>) {
    request
        .map(|mark| (mark.request_id.clone(), mark.digest.clone()))
        .unzip()
}

fn to_decision(at: Option<i64>, by: Option<Uuid>) -> Option<Decision> {
    Some(Decision {
        at: Timestamp::from_micros(at?),
        by: by?,
    })
}

fn from_duration(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn to_duration(micros: i64) -> Result<Duration, StoreError> {
    u64::try_from(micros)
        .map(Duration::from_micros)
        .map_err(|_| {
            Inconsistency::Value {
                column: "a duration",
                value: micros.to_string(),
            }
            .into()
        })
}
