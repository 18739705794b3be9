//! Policies.

use tidegate_proto::v1;

use super::{optional_time, span, text, to_duration, to_timestamp};
use crate::{
    ApprovalMode, ConnectionPolicy, Error,
    model::{ConflictStrategy, TableCase, Wire as _},
};

pub(super) fn policy(wire: v1::ConnectionPolicy) -> Result<ConnectionPolicy, Error> {
    let heartbeat_timeout = span("policy.heartbeat_timeout", wire.heartbeat_timeout)?;
    let mode = ApprovalMode::from_wire_if_set(wire.approval_mode);
    let policy = ConnectionPolicy::default()
        .approval_mode(mode.unwrap_or(ApprovalMode::AutoApprove))
        .allowed_tables(wire.allowed_tables)
        .excluded_tables(wire.excluded_tables)
        .auto_approve_tables(wire.auto_approve_tables)
        .table_case(TableCase::from_wire_if_set(wire.table_case))
        .expires_at(optional_time("policy.expires_at", wire.expires_at)?)
        .max_transfers(wire.max_transfers)
        .max_records_total(wire.max_records_total)
        .max_records_per_request(wire.max_records_per_request)
        .rate_limit_requests_per_minute(wire.rate_limit_requests_per_minute)
        .ip_allowlist(wire.ip_allowlist)
        .allowed_hours(text(wire.allowed_hours).unwrap_or_default())
        .default_conflict_strategy(ConflictStrategy::from_wire_if_set(
            wire.default_conflict_strategy,
        ))
        .heartbeat_timeout(heartbeat_timeout)
        .self_approval(wire.self_approval)
        .limit_to_requested(wire.limit_to_requested)
        .max_running(wire.max_running)
        .max_running_per_agent(wire.max_running_per_agent)
        .max_attempts(wire.max_attempts)
        .stop_grace(span("policy.stop_grace", wire.stop_grace)?)
        .start_within(span("policy.start_within", wire.start_within)?)
        .finish_within(span("policy.finish_within", wire.finish_within)?)
        .max_retries(wire.max_retries)
        .retry_backoff(span("policy.retry_backoff", wire.retry_backoff)?);
    Ok(policy)
}

pub(crate) fn to_policy(policy: ConnectionPolicy) -> v1::ConnectionPolicy {
    v1::ConnectionPolicy {
        approval_mode: policy.approval_mode.to_wire(),
        allowed_tables: policy.allowed_tables,
        excluded_tables: policy.excluded_tables,
        auto_approve_tables: policy.auto_approve_tables,
        table_case: policy.table_case.map_or(0, TableCase::to_wire),
        expires_at: policy.expires_at.map(to_timestamp),
        max_transfers: policy.max_transfers,
        max_records_total: policy.max_records_total,
        max_records_per_request: policy.max_records_per_request,
        rate_limit_requests_per_minute: policy.rate_limit_requests_per_minute,
        ip_allowlist: policy.ip_allowlist,
        allowed_hours: policy.allowed_hours.unwrap_or_default(),
        default_conflict_strategy: policy
            .default_conflict_strategy
            .map_or(0, ConflictStrategy::to_wire),
        heartbeat_timeout: policy.heartbeat_timeout.map(to_duration),
        self_approval: policy.self_approval,
        limit_to_requested: policy.limit_to_requested,
        max_running: policy.max_running,
        max_running_per_agent: policy.max_running_per_agent,
        max_attempts: policy.max_attempts,
        stop_grace: policy.stop_grace.map(to_duration),
        start_within: policy.start_within.map(to_duration),
        finish_within: policy.finish_within.map(to_duration),
        max_retries: policy.max_retries,
        retry_backoff: policy.retry_backoff.map(to_duration),
    }
}
