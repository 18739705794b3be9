//! Between a transfer and its row.

use tidegate_entity::{
    stored::{JsonText, Stored, StoredId},
    transfer::Model,
};
use uuid::Uuid;

use crate::{
    error::StoreError,
    value::{from_duration, optional, to_duration},
};
use tidegate_domain::{
    outcome::Failure,
    progress::Totals,
    reconcile::{Reconciliation, ReconciliationState},
    stop::Stop,
    time::Timestamp,
    transfer::{Decision, NewTransfer, Transfer},
};

pub(crate) fn to_row(transfer: &Transfer) -> Model {
    let Transfer {
        declared,
        totals,
        approved,
        denied,
        ..
    } = transfer;
    let stop = transfer.pending_stop();
    Model {
        uuid: transfer.uuid.into(),
        direction: Stored(declared.direction),
        connection_uuid: declared.connection_uuid.map(StoredId),
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
        not_before: declared.not_before.map(Timestamp::as_micros),
        start_by: declared.start_by.map(Timestamp::as_micros),
        start_within: transfer.start_within.map(from_duration),
        start_expires_at: transfer.start_expires_at.map(Timestamp::as_micros),
        finish_within: transfer.finish_within.map(from_duration),
        finish_expires_at: transfer.finish_expires_at.map(Timestamp::as_micros),
        requester_ip: optional(&declared.requester_ip),
        observed_ip: transfer.observed_ip.map(Stored),
        requester_user_agent: optional(&declared.requester_user_agent),
        initiated_by_uuid: declared.initiated_by_uuid,
        acted_by_uuid: transfer.acted_by_uuid.map(StoredId),
        error_message: optional(&transfer.error_message),
        failure_code: transfer
            .failure
            .and_then(|failure| failure.code)
            .map(Stored),
        failure_retryable: transfer.failure.map(|failure| failure.retryable),
        phases: JsonText(transfer.phases.clone()),
        problems: JsonText(transfer.problems.clone()),
        pace: transfer.pace.map(JsonText),
        cancel_reason: optional(&transfer.cancel_reason),
        started_at: transfer.started_at.map(Timestamp::as_micros),
        completed_at: transfer.completed_at.map(Timestamp::as_micros),
        inserted_at: transfer.inserted_at.as_micros(),
        updated_at: transfer.updated_at.as_micros(),
        metadata: JsonText(declared.metadata.clone()),
        checkpoint: transfer.checkpoint.clone(),
        heartbeat_timeout: transfer.heartbeat_timeout.map(from_duration),
        heartbeat_expires_at: transfer.heartbeat_expires_at.map(Timestamp::as_micros),
        correlation_uuid: transfer.correlation_uuid(),
        plan_uuid: declared.plan_uuid,
        retry_of_uuid: declared.retry_of_uuid.map(StoredId),
        max_attempts: declared.max_attempts,
        priority: declared.priority,
        lease_epoch: transfer.lease_epoch,
        lease_owner_uuid: transfer.lease_owner_uuid.map(StoredId),
        agent_instance: optional(&transfer.agent_instance),
        stop: transfer.stop.clone().map(JsonText),
        stop_grace: stop.and_then(|stop| stop.grace).map(from_duration),
        stop_expires_at: stop.and_then(Stop::expires_at).map(Timestamp::as_micros),
        pauses: transfer.pauses,
        self_approval: transfer.self_approval,
        policy_revision: transfer.policy_revision,
        retry_number: transfer.retry_number,
        retried_by_uuid: transfer.retried_by_uuid.map(StoredId),
        retry_at: transfer.retry_at.map(Timestamp::as_micros),
        counterpart_uuid: transfer.counterpart_uuid.map(StoredId),
        superseded: transfer.superseded,
        receipt: transfer.receipt.as_deref().cloned().map(JsonText),
        reconciliation: Some(transfer.reconciliation.state)
            .filter(|state| *state != ReconciliationState::Pending)
            .map(Stored),
        diverged: JsonText(transfer.reconciliation.diverged.clone()),
        revision: transfer.revision,
    }
}

pub(crate) fn from_row(row: Model) -> Result<Transfer, StoreError> {
    Ok(Transfer {
        uuid: row.uuid.0,
        acted_by_uuid: row.acted_by_uuid.map(|stored| stored.0),
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
        start_within: row.start_within.map(to_duration).transpose()?,
        start_expires_at: row.start_expires_at.map(Timestamp::from_micros),
        finish_within: row.finish_within.map(to_duration).transpose()?,
        finish_expires_at: row.finish_expires_at.map(Timestamp::from_micros),
        error_message: row.error_message.unwrap_or_default(),
        failure: row.failure_retryable.map(|retryable| Failure {
            code: row.failure_code.map(|stored| stored.0),
            retryable,
        }),
        phases: row.phases.0,
        problems: row.problems.0,
        pace: row.pace.map(|stored| stored.0),
        cancel_reason: row.cancel_reason.unwrap_or_default(),
        started_at: row.started_at.map(Timestamp::from_micros),
        completed_at: row.completed_at.map(Timestamp::from_micros),
        inserted_at: Timestamp::from_micros(row.inserted_at),
        updated_at: Timestamp::from_micros(row.updated_at),
        checkpoint: row.checkpoint,
        heartbeat_timeout: row.heartbeat_timeout.map(to_duration).transpose()?,
        heartbeat_expires_at: row.heartbeat_expires_at.map(Timestamp::from_micros),
        lease_epoch: row.lease_epoch,
        lease_owner_uuid: row.lease_owner_uuid.map(|stored| stored.0),
        agent_instance: row.agent_instance.unwrap_or_default(),
        stop: row.stop.map(|stored| stored.0),
        pauses: row.pauses,
        self_approval: row.self_approval,
        policy_revision: row.policy_revision,
        retry_number: row.retry_number,
        retried_by_uuid: row.retried_by_uuid.map(|stored| stored.0),
        retry_at: row.retry_at.map(Timestamp::from_micros),
        counterpart_uuid: row.counterpart_uuid.map(|stored| stored.0),
        superseded: row.superseded,
        receipt: row.receipt.map(|stored| Box::new(stored.0)),
        reconciliation: Reconciliation {
            state: row
                .reconciliation
                .map_or(ReconciliationState::Pending, |stored| stored.0),
            diverged: row.diverged.0,
        },
        revision: row.revision,
        declared: NewTransfer {
            direction: row.direction.0,
            table_name: row.table_name,
            connection_uuid: row.connection_uuid.map(|stored| stored.0),
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
            correlation_uuid: (row.correlation_uuid != row.uuid.0.0)
                .then_some(row.correlation_uuid),
            plan_uuid: row.plan_uuid,
            retry_of_uuid: row.retry_of_uuid.map(|stored| stored.0),
            max_attempts: row.max_attempts,
            priority: row.priority,
            not_before: row.not_before.map(Timestamp::from_micros),
            start_by: row.start_by.map(Timestamp::from_micros),
            finish_by: row.finish_expires_at.map(Timestamp::from_micros),
        },
    })
}

fn to_decision(at: Option<i64>, by: Option<Uuid>) -> Option<Decision> {
    Some(Decision {
        at: Timestamp::from_micros(at?),
        by: by?,
    })
}
