//! What the ledger holds into messages.

use tidegate_proto::v1;

use super::{metadata, wire_enum::WireEnum};
use tidegate_domain::{
    attempt::Attempt,
    chain::{GENESIS, Head},
    connection::Connection,
    event::{Event, EventDetail},
    outcome::RecordProblems,
    progress::Totals,
    query::{ConnectionStats, TableStats, ratio},
    stats::Durations,
    status::TransferStatus,
    stop::Stop,
    time::Timestamp,
    transfer::Transfer,
};

mod agent;
mod bulk;
mod connection;
mod credential;
mod receipt;

pub(super) use agent::agent;
pub(super) use bulk::{bulk_operation, bulk_outcome};
pub(super) use connection::connection;
pub(super) use credential::credential;

/// A transfer, and how its run goes at `now`.
pub(super) fn transfer(
    transfer: &Transfer,
    connection: Option<&Connection>,
    now: Timestamp,
) -> v1::Transfer {
    let declared = &transfer.declared;
    let rates = transfer.rates(now);
    let health = transfer.health(now);
    let estimate = transfer.estimate(now);
    v1::Transfer {
        uuid: transfer.uuid.to_string(),
        direction: declared.direction.to_wire(),
        connection_uuid: optional(declared.connection_uuid),
        session_code: declared.session_code.clone(),
        remote_site_url: declared.remote_site_url.clone(),
        table_name: declared.table_name.clone(),
        records_requested: declared.records_requested,
        conflict_strategy: declared.conflict_strategy.map_or(0, WireEnum::to_wire),
        status: transfer.status.to_wire(),
        requires_approval: transfer.requires_approval,
        progress: Some(v1::Progress {
            phase: phase(transfer),
            ..progress(&transfer.totals)
        }),
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
        correlation_uuid: transfer.correlation_uuid().to_string(),
        counterpart_uuid: optional(transfer.counterpart_uuid),
        reconciliation: Some(receipt::reconciliation(transfer)),
        plan_uuid: optional(declared.plan_uuid),
        retry_of_uuid: optional(declared.retry_of_uuid),
        retry_number: transfer.retry_number,
        retried_by_uuid: optional(transfer.retried_by_uuid),
        retry_at: transfer.retry_at.map(timestamp),
        priority: i32::try_from(declared.priority).unwrap_or_default(),
        revision: transfer.revision,
        self_approval: transfer.self_approval,
        policy_revision: transfer.policy_revision,
        connection: connection.map(self::connection),
        duration: transfer.duration().and_then(|time| time.try_into().ok()),
        success_rate: transfer.success_rate(),
        partial: transfer.is_partial(),
        failure_code: transfer
            .failure
            .and_then(|failure| failure.code)
            .map_or(0, WireEnum::to_wire),
        failure_retryable: transfer.failure.is_some_and(|failure| failure.retryable),
        record_problems: transfer.problems.iter().map(problems).collect(),
        phases: phases(transfer),
        lease_epoch: transfer.lease_epoch,
        lease_owner_uuid: optional(transfer.lease_owner_uuid),
        agent_instance: transfer.agent_instance.clone(),
        max_attempts: i32::try_from(transfer.max_attempts()).unwrap_or(i32::MAX),
        stop: transfer.stop.as_ref().map(stop),
        not_before: declared.not_before.map(timestamp),
        start_expires_at: transfer.start_expires_at.map(timestamp),
        finish_expires_at: transfer.finish_expires_at.map(timestamp),
        expiry_reason: transfer.expiry_reason().map_or(0, WireEnum::to_wire),
        records_per_second: rates.map(|rates| rates.records),
        bytes_per_second: rates.map(|rates| rates.bytes),
        estimated_completion: estimate.ok().map(|estimate| timestamp(estimate.at)),
        estimated_completion_earliest: estimate.ok().map(|estimate| timestamp(estimate.earliest)),
        estimated_completion_latest: estimate.ok().map(|estimate| timestamp(estimate.latest)),
        estimate_unknown_reason: estimate.err().map_or(0, WireEnum::to_wire),
        health: health.map_or(0, |standing| standing.health.to_wire()),
        health_since: health.map(|standing| timestamp(standing.since)),
    }
}

fn phase(transfer: &Transfer) -> i32 {
    let latest = transfer.phases.last();
    latest.map_or(0, |it| it.phase.to_wire())
}

fn phases(transfer: &Transfer) -> Vec<v1::PhaseTime> {
    let starts = &transfer.phases;
    let ends = starts.iter().skip(1).map(|next| Some(next.at));
    let ends = ends.chain([transfer.completed_at]);
    let times = starts.iter().zip(ends).map(|(start, end)| v1::PhaseTime {
        phase: start.phase.to_wire(),
        started_at: Some(timestamp(start.at)),
        ended_at: end.map(timestamp),
    });
    times.collect()
}

fn problems(problems: &RecordProblems) -> v1::RecordProblems {
    let samples = problems.samples.iter().map(|each| v1::RecordProblem {
        key: each.key.clone(),
        reason: each.reason.clone(),
    });
    v1::RecordProblems {
        code: problems.code.to_wire(),
        count: problems.count,
        samples: samples.collect(),
    }
}

pub(super) fn stop(stop: &Stop) -> v1::Stop {
    v1::Stop {
        kind: stop.kind.to_wire(),
        cause: stop.cause.to_wire(),
        reason: stop.reason.clone(),
        requested_at: Some(timestamp(stop.requested_at)),
        requested_by_uuid: optional(stop.requested_by_uuid),
        expires_at: stop.expires_at().map(timestamp),
        stopped_at: stop.stopped_at.map(timestamp),
        forced: stop.forced,
    }
}

pub(super) fn attempt(attempt: &Attempt) -> v1::Attempt {
    v1::Attempt {
        lease_epoch: attempt.epoch,
        lease_owner_uuid: optional(attempt.owner_uuid),
        agent_instance: attempt.agent_instance.clone(),
        started_at: Some(timestamp(attempt.started_at)),
        ended_at: attempt.ended_at.map(timestamp),
        end: attempt.end.to_wire(),
        error_message: attempt.error_message.clone(),
        progress: Some(progress(&attempt.totals)),
        checkpoint: attempt.checkpoint.clone(),
    }
}

pub(super) fn event(event: &Event) -> v1::Event {
    let (body, about) = (&event.body, &event.about);
    v1::Event {
        sequence: event.sequence,
        transfer_uuid: optional(event.transfer_uuid),
        connection_uuid: optional(event.connection_uuid),
        subject_uuid: optional(event.subject_uuid),
        r#type: body.event_type.to_wire(),
        from_status: body.from_status.map_or(0, WireEnum::to_wire),
        to_status: body.to_status.map_or(0, WireEnum::to_wire),
        actor_uuid: optional(body.actor_uuid),
        actor: event.actor.clone(),
        request_id: event
            .request
            .as_ref()
            .map_or_else(String::new, |it| it.request_id.clone()),
        revision: event.revision,
        occurred_at: Some(timestamp(event.occurred_at)),
        address: event.address.map_or_else(String::new, |it| it.to_string()),
        hash: event.hash.map_or_else(Vec::new, |it| it.to_vec()),
        detail: body.detail.as_ref().map(detail),
        lease: about.lease.as_ref().map(|lease| v1::EventLease {
            lease_epoch: lease.epoch,
            agent_instance: lease.agent_instance.clone(),
            owner_uuid: optional(lease.owner_uuid),
        }),
        table_name: about.table_name.clone().unwrap_or_default(),
        direction: about.direction.map_or(0, WireEnum::to_wire),
        connection_name: about.connection_name.clone().unwrap_or_default(),
        self_approval: about.self_approval,
        overridden: about.overridden,
    }
}

fn detail(detail: &EventDetail) -> v1::event::Detail {
    use v1::event::Detail;
    match detail {
        EventDetail::Comment { text } => Detail::Comment(v1::CommentDetail { text: text.clone() }),
        EventDetail::Failure {
            error_message,
            code,
            retryable,
        } => Detail::Failure(v1::FailureDetail {
            error_message: error_message.clone(),
            code: code.map_or(0, WireEnum::to_wire),
            retryable: *retryable,
        }),
        EventDetail::Expiry { reason } => Detail::Expiry(v1::ExpiryDetail {
            reason: reason.to_wire(),
        }),
        EventDetail::Claim { claimed_with } => Detail::Claim(v1::ClaimDetail {
            claimed_with_uuids: claimed_with.iter().map(ToString::to_string).collect(),
        }),
        EventDetail::Retry { retried_by_uuid } => Detail::Retry(v1::RetryDetail {
            retried_by_uuid: retried_by_uuid.to_string(),
        }),
        EventDetail::Stop {
            cause,
            reason,
            expires_at,
            forced,
        } => Detail::Stop(v1::StopDetail {
            cause: cause.to_wire(),
            reason: reason.clone(),
            expires_at: expires_at.map(timestamp),
            forced: *forced,
        }),
        EventDetail::Receipt(receipt) => Detail::Receipt(receipt::receipt(receipt)),
        EventDetail::ConnectionUpdate { fields } => {
            let fields = fields.iter().map(ToString::to_string).collect();
            Detail::ConnectionUpdate(v1::ConnectionUpdateDetail { fields })
        }
        EventDetail::Credential { role, name } => Detail::Credential(v1::CredentialDetail {
            role: role.to_wire(),
            name: name.clone(),
        }),
        EventDetail::Redemption { agent_uuid } => Detail::Redemption(v1::RedemptionDetail {
            agent_uuid: agent_uuid.to_string(),
        }),
        EventDetail::BulkOperation {
            verb,
            state,
            matched,
            succeeded,
            refused,
        } => Detail::BulkOperation(v1::BulkOperationDetail {
            verb: verb.to_wire(),
            state: state.to_wire(),
            matched: *matched,
            succeeded: *succeeded,
            refused: *refused,
        }),
        EventDetail::Agent {
            agent_instance,
            version,
            host,
        } => Detail::Agent(v1::AgentDetail {
            agent_instance: agent_instance.clone(),
            version: version.clone(),
            host: host.clone(),
        }),
        EventDetail::Refusal {
            reason,
            method,
            uuid,
            dropped,
        } => Detail::Refusal(v1::RefusalDetail {
            reason: reason.clone(),
            method: method.clone(),
            uuid: optional(*uuid),
            dropped: *dropped,
        }),
    }
}

/// The hash of a place in the log; empty where there is none.
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
                status: each.to_wire(),
                count: *count,
            })
            .collect(),
        success_rate: stats.success_rate(),
        durations: stats.durations.map(durations),
        last_completed_at: stats.last_completed_at.map(timestamp),
    }
}

pub(super) fn table_stats(stats: &TableStats) -> v1::TableStats {
    v1::TableStats {
        table_name: stats.table_name.clone(),
        count: stats.count,
        records: stats.records,
        bytes: stats.bytes,
        ended: stats.ended,
        success_rate: ratio(stats.count, stats.ended).unwrap_or_default(),
        durations: stats.durations.map(durations),
        last_completed_at: stats.last_completed_at.map(timestamp),
    }
}

fn durations(durations: Durations) -> v1::TransferDurations {
    let span = |span: std::time::Duration| span.try_into().ok();
    v1::TransferDurations {
        mean: span(durations.mean),
        p50: span(durations.p50),
        p95: span(durations.p95),
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
        phase: 0,
    }
}

pub(super) fn timestamp(time: Timestamp) -> prost_types::Timestamp {
    let micros = time.as_micros();
    prost_types::Timestamp {
        seconds: micros.div_euclid(1_000_000),
        nanos: i32::try_from(micros.rem_euclid(1_000_000) * 1_000).unwrap_or(0),
    }
}

pub(super) fn optional(uuid: Option<impl ToString>) -> String {
    uuid.map_or_else(String::new, |uuid| uuid.to_string())
}
