//! Connections with their policies.

use tidegate_proto::v1;

use super::timestamp;
use crate::rpc::{metadata, wire_enum::WireEnum};
use tidegate_domain::{connection::Connection, policy::Policy};

pub(in crate::rpc) fn connection(connection: &Connection) -> v1::Connection {
    let declared = &connection.declared;
    v1::Connection {
        uuid: connection.uuid.to_string(),
        name: declared.name.clone(),
        direction: declared.direction.to_wire(),
        site_url: declared.site_url.clone(),
        status: connection.status.to_wire(),
        inserted_at: Some(timestamp(connection.inserted_at)),
        updated_at: Some(timestamp(connection.updated_at)),
        revision: connection.revision,
        policy: Some(policy(connection.policy())),
        transfers_used: connection.used.transfers,
        records_used: connection.used.records,
        metadata: Some(metadata::to_wire(&declared.metadata)),
        status_reason: connection.status_reason.clone(),
    }
}

fn policy(policy: &Policy) -> v1::ConnectionPolicy {
    let rate = policy.rate_limit_requests_per_minute;
    v1::ConnectionPolicy {
        approval_mode: policy.approval_mode.to_wire(),
        allowed_tables: policy.allowed_tables.clone(),
        excluded_tables: policy.excluded_tables.clone(),
        auto_approve_tables: policy.auto_approve_tables.clone(),
        table_case: policy.table_case.map_or(0, WireEnum::to_wire),
        expires_at: policy.expires_at.map(timestamp),
        max_transfers: policy.max_transfers,
        max_records_total: policy.max_records_total,
        max_records_per_request: policy.max_records_per_request,
        rate_limit_requests_per_minute: rate.map(|rate| i32::try_from(rate).unwrap_or(i32::MAX)),
        ip_allowlist: policy
            .ip_allowlist
            .iter()
            .map(ToString::to_string)
            .collect(),
        allowed_hours: policy
            .allowed_hours
            .map_or_else(String::new, |hours| hours.to_string()),
        default_conflict_strategy: policy
            .default_conflict_strategy
            .map_or(0, WireEnum::to_wire),
        heartbeat_timeout: policy
            .heartbeat_timeout
            .and_then(|time| time.try_into().ok()),
        stop_grace: policy.stop_grace.and_then(|time| time.try_into().ok()),
        start_within: policy.start_within.and_then(|time| time.try_into().ok()),
        finish_within: policy.finish_within.and_then(|time| time.try_into().ok()),
        max_retries: policy
            .max_retries
            .map(|most| i32::try_from(most).unwrap_or(i32::MAX)),
        retry_backoff: policy.retry_backoff.and_then(|time| time.try_into().ok()),
        limit_to_requested: policy.limit_to_requested,
        max_running: policy
            .max_running
            .map(|most| i32::try_from(most).unwrap_or(i32::MAX)),
        max_running_per_agent: policy
            .max_running_per_agent
            .map(|most| i32::try_from(most).unwrap_or(i32::MAX)),
        self_approval: policy.self_approval,
        max_attempts: policy
            .max_attempts
            .map(|most| i32::try_from(most).unwrap_or(i32::MAX)),
    }
}
