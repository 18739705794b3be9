//! What the ledger holds into messages.

use tidegate_proto::v1;
use uuid::Uuid;

use super::metadata;
use crate::domain::{
    chain::{GENESIS, Head},
    connection::Connection,
    event::{Event, EventAction},
    progress::Totals,
    query::{ConnectionStats, TableStats},
    status::{ConflictStrategy, Direction, TransferStatus},
    time::Timestamp,
    transfer::Transfer,
};

mod connection;
mod credential;

pub(super) use connection::connection;
pub(super) use credential::credential;

pub(super) fn transfer(transfer: &Transfer, connection: Option<&Connection>) -> v1::Transfer {
    let declared = &transfer.declared;
    v1::Transfer {
        uuid: transfer.uuid.to_string(),
        direction: direction(declared.direction).into(),
        connection_uuid: optional(declared.connection_uuid),
        session_code: declared.session_code.clone(),
        remote_site_url: declared.remote_site_url.clone(),
        table_name: declared.table_name.clone(),
        records_requested: declared.records_requested,
        conflict_strategy: declared
            .conflict_strategy
            .map_or(0, |each| strategy(each).into()),
        status: status(transfer.status).into(),
        requires_approval: transfer.requires_approval,
        progress: Some(progress(&transfer.totals)),
        approved_at: transfer.approved.map(|decision| timestamp(decision.at)),
        approved_by_uuid: optional(transfer.approved.map(|decision| decision.by)),
        denied_at: transfer.denied.map(|decision| timestamp(decision.at)),
        denied_by_uuid: optional(transfer.denied.map(|decision| decision.by)),
        denial_reason: transfer.denial_reason.clone(),
        approval_expires_at: transfer.approval_expires_at.map(timestamp),
        requester_ip: declared.requester_ip.clone(),
        observed_ip: transfer
            .observed_ip
            .map_or_else(String::new, |address| address.to_string()),
        acted_by_uuid: optional(transfer.acted_by_uuid),
        requester_user_agent: declared.requester_user_agent.clone(),
        initiated_by_uuid: optional(declared.initiated_by_uuid),
        error_message: transfer.error_message.clone(),
        cancel_reason: transfer.cancel_reason.clone(),
        started_at: transfer.started_at.map(timestamp),
        completed_at: transfer.completed_at.map(timestamp),
        inserted_at: Some(timestamp(transfer.inserted_at)),
        updated_at: Some(timestamp(transfer.updated_at)),
        metadata: Some(metadata::to_wire(&declared.metadata)),
        checkpoint: transfer.checkpoint.clone(),
        heartbeat_timeout: transfer
            .heartbeat_timeout
            .and_then(|time| time.try_into().ok()),
        heartbeat_expires_at: transfer.heartbeat_expires_at.map(timestamp),
        retry_of_uuid: optional(declared.retry_of_uuid),
        revision: transfer.revision,
        self_approval: transfer.self_approval,
        policy_revision: transfer.policy_revision,
        connection: connection.map(self::connection),
        duration: transfer.duration().and_then(|time| time.try_into().ok()),
        success_rate: transfer.success_rate(),
    }
}

pub(super) fn event(event: &Event) -> v1::TransferEvent {
    let occurrence = &event.occurrence;
    v1::TransferEvent {
        sequence: event.sequence,
        transfer_uuid: optional(event.transfer_uuid),
        connection_uuid: optional(event.connection_uuid),
        subject_uuid: optional(event.subject_uuid),
        action: action(occurrence.action).into(),
        from_status: occurrence.from_status.map_or(0, |each| status(each).into()),
        to_status: occurrence.to_status.map_or(0, |each| status(each).into()),
        actor_uuid: optional(occurrence.actor_uuid),
        actor: event.actor.clone(),
        reason: occurrence.reason.clone(),
        request_id: event
            .request
            .as_ref()
            .map_or_else(String::new, |it| it.request_id.clone()),
        revision: event.revision,
        occurred_at: Some(timestamp(event.occurred_at)),
        address: event.address.map_or_else(String::new, |it| it.to_string()),
        hash: event.hash.map_or_else(Vec::new, |it| it.to_vec()),
    }
}

/// The hash of a place in the log; empty where there is none, before the chain.
pub(super) fn hash(place: &Head) -> Vec<u8> {
    if place.hash == GENESIS {
        Vec::new()
    } else {
        place.hash.to_vec()
    }
}

pub(super) fn connection_stats(stats: &ConnectionStats) -> v1::GetConnectionStatsResponse {
    v1::GetConnectionStatsResponse {
        total_transfers: stats.total(),
        completed: stats.count(TransferStatus::Completed),
        failed: stats.count(TransferStatus::Failed),
        total_records: stats.total_records,
        total_bytes: stats.total_bytes,
        by_status: stats
            .by_status
            .iter()
            .map(|(each, count)| v1::StatusCount {
                status: status(*each).into(),
                count: *count,
            })
            .collect(),
    }
}

pub(super) fn table_stats(stats: &TableStats) -> v1::TableStats {
    v1::TableStats {
        table_name: stats.table_name.clone(),
        count: stats.count,
        records: stats.records,
        bytes: stats.bytes,
    }
}

pub(super) const fn status(status: TransferStatus) -> v1::TransferStatus {
    match status {
        TransferStatus::Pending => v1::TransferStatus::Pending,
        TransferStatus::PendingApproval => v1::TransferStatus::PendingApproval,
        TransferStatus::Approved => v1::TransferStatus::Approved,
        TransferStatus::Denied => v1::TransferStatus::Denied,
        TransferStatus::InProgress => v1::TransferStatus::InProgress,
        TransferStatus::Completed => v1::TransferStatus::Completed,
        TransferStatus::Failed => v1::TransferStatus::Failed,
        TransferStatus::Cancelled => v1::TransferStatus::Cancelled,
        TransferStatus::Expired => v1::TransferStatus::Expired,
    }
}

const fn action(action: EventAction) -> v1::TransferEventAction {
    match action {
        EventAction::Created => v1::TransferEventAction::Created,
        EventAction::ApprovalRequested => v1::TransferEventAction::ApprovalRequested,
        EventAction::Approved => v1::TransferEventAction::Approved,
        EventAction::Denied => v1::TransferEventAction::Denied,
        EventAction::Expired => v1::TransferEventAction::Expired,
        EventAction::Started => v1::TransferEventAction::Started,
        EventAction::Completed => v1::TransferEventAction::Completed,
        EventAction::Failed => v1::TransferEventAction::Failed,
        EventAction::Cancelled => v1::TransferEventAction::Cancelled,
        EventAction::Deleted => v1::TransferEventAction::Deleted,
        EventAction::ConnectionCreated => v1::TransferEventAction::ConnectionCreated,
        EventAction::ConnectionUpdated => v1::TransferEventAction::ConnectionUpdated,
        EventAction::ConnectionApproved => v1::TransferEventAction::ConnectionApproved,
        EventAction::ConnectionSuspended => v1::TransferEventAction::ConnectionSuspended,
        EventAction::ConnectionReactivated => v1::TransferEventAction::ConnectionReactivated,
        EventAction::ConnectionRevoked => v1::TransferEventAction::ConnectionRevoked,
        EventAction::ConnectionExpired => v1::TransferEventAction::ConnectionExpired,
        EventAction::ConnectionDeleted => v1::TransferEventAction::ConnectionDeleted,
        EventAction::CredentialCreated => v1::TransferEventAction::CredentialCreated,
        EventAction::CredentialRotated => v1::TransferEventAction::CredentialRotated,
        EventAction::CredentialRevoked => v1::TransferEventAction::CredentialRevoked,
        EventAction::SessionCreated => v1::TransferEventAction::SessionCreated,
        EventAction::SessionRedeemed => v1::TransferEventAction::SessionRedeemed,
        EventAction::Refused => v1::TransferEventAction::Refused,
    }
}

const fn direction(direction: Direction) -> v1::Direction {
    match direction {
        Direction::Send => v1::Direction::Send,
        Direction::Receive => v1::Direction::Receive,
    }
}

const fn strategy(strategy: ConflictStrategy) -> v1::ConflictStrategy {
    match strategy {
        ConflictStrategy::Skip => v1::ConflictStrategy::Skip,
        ConflictStrategy::Overwrite => v1::ConflictStrategy::Overwrite,
        ConflictStrategy::Merge => v1::ConflictStrategy::Merge,
        ConflictStrategy::Append => v1::ConflictStrategy::Append,
    }
}

const fn progress(totals: &Totals) -> v1::Progress {
    v1::Progress {
        records_transferred: Some(totals.records_transferred),
        records_created: Some(totals.records_created),
        records_updated: Some(totals.records_updated),
        records_skipped: Some(totals.records_skipped),
        records_failed: Some(totals.records_failed),
        bytes_transferred: Some(totals.bytes_transferred),
    }
}

pub(super) fn timestamp(time: Timestamp) -> prost_types::Timestamp {
    let micros = time.as_micros();
    prost_types::Timestamp {
        seconds: micros.div_euclid(1_000_000),
        nanos: i32::try_from(micros.rem_euclid(1_000_000) * 1_000).unwrap_or(0),
    }
}

fn optional(uuid: Option<Uuid>) -> String {
    uuid.map_or_else(String::new, |uuid| uuid.to_string())
}
