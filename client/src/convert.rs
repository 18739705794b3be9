//! Between wire messages and model values. A message that breaks the contract is an error, never a panic.

mod agent;
mod bulk;
mod credential;
mod example;
mod explanation;
mod metadata;
mod policy;
mod receipt;
#[cfg(test)]
mod tests;
mod value;

use std::time::Duration;

use chrono::{DateTime, Utc};
use tidegate_proto::v1;

use self::value::{hex, name, optional_time, optional_uuid, span, text, time, uuid};
pub(crate) use self::{
    agent::{agent, present_agent, registered},
    bulk::{bulk_operation, bulk_outcome, bulk_preview, present_bulk_operation},
    credential::{credential, issued, opened, present_credential},
    explanation::explanation,
    metadata::to_struct,
    policy::to_policy,
    receipt::to_statement,
};
use crate::{
    Attempt, AttemptEnd, BulkState, BulkVerb, Connection, ConnectionDirection, ConnectionStats,
    ConnectionStatus, Direction, Error, EstimateUnknownReason, Event, EventDetail, EventLease,
    EventType, ExpiryReason, FailureCode, LogPosition, LogVerification, Page, Phase, PhaseTime,
    Progress, ReconciliationState, RecordProblem, RecordProblems, Role, Stop, StopCause, StopKind,
    TableStats, TimeRange, Totals, Transfer, TransferDurations, TransferFilter, TransferHealth,
    TransferStatus,
    model::{ConflictStrategy, Wire as _},
};

/// The transfer of an answer that always has one.
pub(crate) fn transfer(wire: Option<v1::Transfer>) -> Result<Transfer, Error> {
    present_transfer(wire.ok_or_else(|| Error::malformed("transfer is missing"))?)
}

pub(crate) fn present_transfer(wire: v1::Transfer) -> Result<Transfer, Error> {
    let progress = wire.progress.unwrap_or_default();
    let own = uuid("transfer.uuid", &wire.uuid)?;
    Ok(Transfer {
        uuid: own,
        direction: Direction::from_wire(wire.direction),
        connection_uuid: optional_uuid("transfer.connection_uuid", &wire.connection_uuid)?,
        session_code: text(wire.session_code),
        remote_site_url: text(wire.remote_site_url),
        table_name: wire.table_name,
        records_requested: wire.records_requested,
        conflict_strategy: ConflictStrategy::from_wire_if_set(wire.conflict_strategy),
        status: TransferStatus::from_wire(wire.status),
        requires_approval: wire.requires_approval,
        phase: Phase::from_wire_if_set(progress.phase),
        progress: totals(progress),
        failure_code: FailureCode::from_wire_if_set(wire.failure_code),
        failure_retryable: wire.failure_retryable,
        phases: wire
            .phases
            .into_iter()
            .map(phase_time)
            .collect::<Result<_, _>>()?,
        record_problems: wire
            .record_problems
            .into_iter()
            .map(record_problems)
            .collect(),
        approved_at: optional_time("transfer.approved_at", wire.approved_at)?,
        approved_by_uuid: optional_uuid("transfer.approved_by_uuid", &wire.approved_by_uuid)?,
        denied_at: optional_time("transfer.denied_at", wire.denied_at)?,
        denied_by_uuid: optional_uuid("transfer.denied_by_uuid", &wire.denied_by_uuid)?,
        denial_reason: text(wire.denial_reason),
        approval_expires_at: optional_time(
            "transfer.approval_expires_at",
            wire.approval_expires_at,
        )?,
        requester_ip: text(wire.requester_ip),
        observed_ip: text(wire.observed_ip),
        requester_user_agent: text(wire.requester_user_agent),
        initiated_by_uuid: optional_uuid("transfer.initiated_by_uuid", &wire.initiated_by_uuid)?,
        acted_by_uuid: optional_uuid("transfer.acted_by_uuid", &wire.acted_by_uuid)?,
        error_message: text(wire.error_message),
        cancel_reason: text(wire.cancel_reason),
        started_at: optional_time("transfer.started_at", wire.started_at)?,
        completed_at: optional_time("transfer.completed_at", wire.completed_at)?,
        inserted_at: time("transfer.inserted_at", wire.inserted_at)?,
        updated_at: time("transfer.updated_at", wire.updated_at)?,
        metadata: metadata::from_struct(wire.metadata)?,
        checkpoint: wire.checkpoint,
        heartbeat_timeout: span("transfer.heartbeat_timeout", wire.heartbeat_timeout)?,
        heartbeat_expires_at: optional_time(
            "transfer.heartbeat_expires_at",
            wire.heartbeat_expires_at,
        )?,
        lease_epoch: wire.lease_epoch,
        lease_owner_uuid: optional_uuid("transfer.lease_owner_uuid", &wire.lease_owner_uuid)?,
        agent_instance: text(wire.agent_instance),
        max_attempts: wire.max_attempts,
        priority: wire.priority,
        stop: wire.stop.map(stop).transpose()?,
        not_before: optional_time("transfer.not_before", wire.not_before)?,
        start_expires_at: optional_time("transfer.start_expires_at", wire.start_expires_at)?,
        finish_expires_at: optional_time("transfer.finish_expires_at", wire.finish_expires_at)?,
        expiry_reason: ExpiryReason::from_wire_if_set(wire.expiry_reason),
        correlation_uuid: optional_uuid("transfer.correlation_uuid", &wire.correlation_uuid)?
            .unwrap_or(own),
        counterpart_uuid: optional_uuid("transfer.counterpart_uuid", &wire.counterpart_uuid)?,
        reconciliation: receipt::reconciliation(wire.reconciliation.unwrap_or_default())?,
        plan_uuid: optional_uuid("transfer.plan_uuid", &wire.plan_uuid)?,
        retry_of_uuid: optional_uuid("transfer.retry_of_uuid", &wire.retry_of_uuid)?,
        retry_number: wire.retry_number,
        retried_by_uuid: optional_uuid("transfer.retried_by_uuid", &wire.retried_by_uuid)?,
        retry_at: optional_time("transfer.retry_at", wire.retry_at)?,
        revision: wire.revision,
        self_approval: wire.self_approval,
        policy_revision: wire.policy_revision,
        connection: wire
            .connection
            .map(|connection| present_connection(connection).map(Box::new))
            .transpose()?,
        duration: span("transfer.duration", wire.duration)?,
        success_rate: wire.success_rate,
        partial: wire.partial,
        records_per_second: wire.records_per_second,
        bytes_per_second: wire.bytes_per_second,
        estimated_completion: optional_time(
            "transfer.estimated_completion",
            wire.estimated_completion,
        )?,
        estimated_completion_earliest: optional_time(
            "transfer.estimated_completion_earliest",
            wire.estimated_completion_earliest,
        )?,
        estimated_completion_latest: optional_time(
            "transfer.estimated_completion_latest",
            wire.estimated_completion_latest,
        )?,
        estimate_unknown_reason: EstimateUnknownReason::from_wire_if_set(
            wire.estimate_unknown_reason,
        ),
        health: TransferHealth::from_wire_if_set(wire.health),
        health_since: optional_time("transfer.health_since", wire.health_since)?,
    })
}

fn phase_time(wire: v1::PhaseTime) -> Result<PhaseTime, Error> {
    Ok(PhaseTime {
        phase: Phase::from_wire(wire.phase),
        started_at: time("phase.started_at", wire.started_at)?,
        ended_at: optional_time("phase.ended_at", wire.ended_at)?,
    })
}

fn record_problems(wire: v1::RecordProblems) -> RecordProblems {
    let samples = wire.samples.into_iter().map(|sample| RecordProblem {
        key: sample.key,
        reason: sample.reason,
    });
    RecordProblems {
        code: FailureCode::from_wire(wire.code),
        count: wire.count,
        samples: samples.collect(),
    }
}

pub(crate) fn to_record_problems(problems: RecordProblems) -> v1::RecordProblems {
    let samples = problems
        .samples
        .into_iter()
        .map(|sample| v1::RecordProblem {
            key: sample.key,
            reason: sample.reason,
        });
    v1::RecordProblems {
        code: problems.code.to_wire(),
        count: problems.count,
        samples: samples.collect(),
    }
}

pub(crate) fn stop(wire: v1::Stop) -> Result<Stop, Error> {
    Ok(Stop {
        kind: StopKind::from_wire(wire.kind),
        cause: StopCause::from_wire(wire.cause),
        reason: text(wire.reason),
        requested_at: time("stop.requested_at", wire.requested_at)?,
        requested_by_uuid: optional_uuid("stop.requested_by_uuid", &wire.requested_by_uuid)?,
        expires_at: optional_time("stop.expires_at", wire.expires_at)?,
        stopped_at: optional_time("stop.stopped_at", wire.stopped_at)?,
        forced: wire.forced,
    })
}

pub(crate) fn attempt(wire: v1::Attempt) -> Result<Attempt, Error> {
    Ok(Attempt {
        lease_epoch: wire.lease_epoch,
        lease_owner_uuid: optional_uuid("attempt.lease_owner_uuid", &wire.lease_owner_uuid)?,
        agent_instance: text(wire.agent_instance),
        started_at: time("attempt.started_at", wire.started_at)?,
        ended_at: optional_time("attempt.ended_at", wire.ended_at)?,
        end: AttemptEnd::from_wire(wire.end),
        error_message: text(wire.error_message),
        progress: totals(wire.progress.unwrap_or_default()),
        checkpoint: wire.checkpoint,
    })
}

/// The connection of an answer that always has one.
pub(crate) fn connection(wire: Option<v1::Connection>) -> Result<Connection, Error> {
    present_connection(wire.ok_or_else(|| Error::malformed("connection is missing"))?)
}

pub(crate) fn present_connection(wire: v1::Connection) -> Result<Connection, Error> {
    Ok(Connection {
        uuid: uuid("connection.uuid", &wire.uuid)?,
        name: wire.name,
        direction: ConnectionDirection::from_wire(wire.direction),
        site_url: wire.site_url,
        status: ConnectionStatus::from_wire(wire.status),
        inserted_at: time("connection.inserted_at", wire.inserted_at)?,
        updated_at: time("connection.updated_at", wire.updated_at)?,
        revision: wire.revision,
        status_reason: text(wire.status_reason),
        policy: policy::policy(wire.policy.unwrap_or_default())?,
        transfers_used: wire.transfers_used,
        records_used: wire.records_used,
        metadata: metadata::from_struct(wire.metadata)?,
    })
}

/// A place in the log; the hash is empty where there is none.
pub(crate) fn position(sequence: i64, hash: &[u8]) -> LogPosition {
    LogPosition {
        sequence,
        hash: (!hash.is_empty()).then(|| hex(hash)),
    }
}

pub(crate) fn event(wire: v1::Event) -> Result<Event, Error> {
    Ok(Event {
        sequence: wire.sequence,
        transfer_uuid: optional_uuid("event.transfer_uuid", &wire.transfer_uuid)?,
        connection_uuid: optional_uuid("event.connection_uuid", &wire.connection_uuid)?,
        subject_uuid: optional_uuid("event.subject_uuid", &wire.subject_uuid)?,
        event_type: EventType::from_wire(wire.r#type),
        from_status: TransferStatus::from_wire_if_set(wire.from_status),
        to_status: TransferStatus::from_wire_if_set(wire.to_status),
        actor_uuid: optional_uuid("event.actor_uuid", &wire.actor_uuid)?,
        actor: wire.actor,
        request_id: text(wire.request_id),
        revision: wire.revision,
        occurred_at: time("event.occurred_at", wire.occurred_at)?,
        address: text(wire.address),
        hash: (!wire.hash.is_empty()).then(|| hex(&wire.hash)),
        table_name: text(wire.table_name),
        direction: Direction::from_wire_if_set(wire.direction),
        connection_name: text(wire.connection_name),
        lease: wire.lease.map(lease).transpose()?,
        self_approval: wire.self_approval,
        overridden: wire.overridden,
        detail: wire.detail.map(detail).transpose()?,
    })
}

pub(crate) fn verification(wire: v1::VerifyLogResponse) -> LogVerification {
    LogVerification {
        after_sequence: wire.after_sequence,
        sequence: wire.sequence,
        hash: (!wire.hash.is_empty()).then(|| hex(&wire.hash)),
        done: wire.done,
        fault: text(wire.fault),
    }
}

fn lease(wire: v1::EventLease) -> Result<EventLease, Error> {
    Ok(EventLease {
        lease_epoch: wire.lease_epoch,
        agent_instance: text(wire.agent_instance),
        owner_uuid: optional_uuid("event.lease.owner_uuid", &wire.owner_uuid)?,
    })
}

fn detail(wire: v1::event::Detail) -> Result<EventDetail, Error> {
    use v1::event::Detail;
    Ok(match wire {
        Detail::Comment(detail) => EventDetail::Comment { text: detail.text },
        Detail::Failure(detail) => EventDetail::Failure {
            error_message: detail.error_message,
            code: FailureCode::from_wire_if_set(detail.code),
            retryable: detail.retryable,
        },
        Detail::Expiry(detail) => EventDetail::Expiry {
            reason: ExpiryReason::from_wire(detail.reason),
        },
        Detail::Claim(detail) => EventDetail::Claim {
            claimed_with_uuids: detail
                .claimed_with_uuids
                .iter()
                .map(|it| uuid("event.claim.claimed_with_uuids", it))
                .collect::<Result<_, _>>()?,
        },
        Detail::Retry(detail) => EventDetail::Retry {
            retried_by_uuid: uuid("event.retry.retried_by_uuid", &detail.retried_by_uuid)?,
        },
        Detail::Stop(detail) => EventDetail::Stop {
            cause: StopCause::from_wire(detail.cause),
            reason: text(detail.reason),
            expires_at: optional_time("event.stop.expires_at", detail.expires_at)?,
            forced: detail.forced,
        },
        Detail::Receipt(detail) => EventDetail::Receipt(Box::new(receipt::receipt(detail)?)),
        Detail::ConnectionUpdate(detail) => EventDetail::ConnectionUpdate {
            fields: detail.fields,
        },
        Detail::Credential(detail) => EventDetail::Credential {
            role: Role::from_wire(detail.role),
            name: detail.name,
        },
        Detail::Redemption(detail) => EventDetail::Redemption {
            agent_uuid: uuid("event.redemption.agent_uuid", &detail.agent_uuid)?,
        },
        Detail::BulkOperation(detail) => EventDetail::BulkOperation {
            verb: BulkVerb::from_wire(detail.verb),
            state: BulkState::from_wire(detail.state),
            matched: detail.matched,
            succeeded: detail.succeeded,
            refused: detail.refused,
        },
        Detail::Agent(detail) => EventDetail::Agent {
            agent_instance: detail.agent_instance,
            version: text(detail.version),
            host: text(detail.host),
        },
        Detail::Refusal(detail) => EventDetail::Refusal {
            reason: detail.reason,
            method: detail.method,
            uuid: optional_uuid("event.refusal.uuid", &detail.uuid)?,
            dropped: detail.dropped,
        },
    })
}

pub(crate) fn page<W, T>(
    items: Vec<W>,
    next_page_token: String,
    item: fn(W) -> Result<T, Error>,
) -> Result<Page<T>, Error> {
    Ok(Page {
        items: items.into_iter().map(item).collect::<Result<_, _>>()?,
        next_page_token: text(next_page_token),
    })
}

pub(crate) fn connection_stats(
    wire: v1::GetConnectionStatsResponse,
) -> Result<ConnectionStats, Error> {
    Ok(ConnectionStats {
        total_transfers: wire.total_transfers,
        completed: wire.completed,
        failed: wire.failed,
        total_records: wire.total_records,
        total_bytes: wire.total_bytes,
        by_status: wire
            .by_status
            .into_iter()
            .map(|entry| (TransferStatus::from_wire(entry.status), entry.count))
            .collect(),
        success_rate: wire.success_rate,
        durations: wire.durations.map(durations).transpose()?,
        last_completed_at: optional_time("last_completed_at", wire.last_completed_at)?,
    })
}

fn durations(wire: v1::TransferDurations) -> Result<TransferDurations, Error> {
    Ok(TransferDurations {
        mean: span("durations.mean", wire.mean)?.unwrap_or_default(),
        p50: span("durations.p50", wire.p50)?.unwrap_or_default(),
        p95: span("durations.p95", wire.p95)?.unwrap_or_default(),
    })
}

pub(crate) fn table_stats(wire: v1::TableStats) -> Result<TableStats, Error> {
    Ok(TableStats {
        table_name: wire.table_name,
        count: wire.count,
        records: wire.records,
        bytes: wire.bytes,
        ended: wire.ended,
        success_rate: wire.success_rate,
        durations: wire.durations.map(durations).transpose()?,
        last_completed_at: optional_time("stats.last_completed_at", wire.last_completed_at)?,
    })
}

/// The subject of an update that names nothing else.
pub(crate) fn deleted(uuid_text: &str) -> Result<uuid::Uuid, Error> {
    uuid("deleted_uuid", uuid_text)
}

pub(crate) fn to_progress(progress: Progress) -> v1::Progress {
    v1::Progress {
        records_transferred: progress.records_transferred,
        records_created: progress.records_created,
        records_updated: progress.records_updated,
        records_skipped: progress.records_skipped,
        records_failed: progress.records_failed,
        bytes_transferred: progress.bytes_transferred,
        phase: progress.phase.map_or(0, Phase::to_wire),
    }
}

pub(crate) fn to_filter(filter: TransferFilter) -> v1::TransferFilter {
    v1::TransferFilter {
        direction: filter.direction.map_or(0, Direction::to_wire),
        status: filter
            .status
            .into_iter()
            .map(TransferStatus::to_wire)
            .collect(),
        connection_uuid: name(filter.connection_uuid),
        table_names: filter.tables,
        table_prefix: filter.table_prefix.unwrap_or_default(),
        requires_approval: filter.requires_approval,
        from: filter.from.map(to_timestamp),
        to: filter.to.map(to_timestamp),
        correlation_uuid: name(filter.correlation_uuid),
        plan_uuid: name(filter.plan_uuid),
        reconciliation: filter
            .reconciliation
            .map_or(0, ReconciliationState::to_wire),
        started: to_range(filter.started),
        ended: to_range(filter.ended),
        updated: to_range(filter.updated),
        initiated_by_uuid: name(filter.initiated_by_uuid),
        decided_by_uuid: name(filter.decided_by_uuid),
        lease_owner_uuid: name(filter.lease_owner_uuid),
        partial: filter.partial,
    }
}

fn to_range(range: TimeRange) -> Option<v1::TimeRange> {
    (range != TimeRange::default()).then(|| v1::TimeRange {
        from: range.from.map(to_timestamp),
        to: range.to.map(to_timestamp),
    })
}

pub(crate) fn to_timestamp(time: DateTime<Utc>) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: time.timestamp(),
        nanos: i32::try_from(time.timestamp_subsec_nanos()).unwrap_or_default(),
    }
}

/// A duration past what the wire can hold becomes the longest one, which the server refuses as too long.
pub(crate) fn to_duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or_default(),
    }
}

/// A count past what the wire can hold is past every limit of the server as well.
pub(crate) fn count(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn totals(wire: v1::Progress) -> Totals {
    Totals {
        records_transferred: wire.records_transferred(),
        records_created: wire.records_created(),
        records_updated: wire.records_updated(),
        records_skipped: wire.records_skipped(),
        records_failed: wire.records_failed(),
        bytes_transferred: wire.bytes_transferred(),
    }
}
