//! Connections and their policies.

use ipnet::IpNet;
use serde_json::Value;
use tidegate_entity::connection;

use super::{StoreError, from_duration, parse, to_duration};
use crate::error::Inconsistency;
use tidegate_domain::{
    connection::{Connection, ConnectionDirection, ConnectionStatus, NewConnection, Usage},
    policy::{ApprovalMode, Policy},
    status::ConflictStrategy,
    table::TableCase,
    time::Timestamp,
};

pub(crate) fn from_connection(connection: &Connection) -> connection::Model {
    let policy = connection.policy();
    let addresses: Vec<_> = policy
        .ip_allowlist
        .iter()
        .map(ToString::to_string)
        .collect();
    connection::Model {
        uuid: connection.uuid,
        name: connection.declared.name.clone(),
        direction: connection.declared.direction.name().to_owned(),
        site_url: connection.declared.site_url.clone(),
        status: connection.status.name().to_owned(),
        inserted_at: connection.inserted_at.as_micros(),
        updated_at: connection.updated_at.as_micros(),
        revision: connection.revision,
        approval_mode: policy.approval_mode.name().to_owned(),
        allowed_tables: list(&policy.allowed_tables),
        excluded_tables: list(&policy.excluded_tables),
        auto_approve_tables: list(&policy.auto_approve_tables),
        table_case: policy.table_case.map(|case| case.name().to_owned()),
        expires_at: policy.expires_at.map(Timestamp::as_micros),
        max_transfers: policy.max_transfers,
        max_records_total: policy.max_records_total,
        max_records_per_request: policy.max_records_per_request,
        rate_limit_requests_per_minute: policy
            .rate_limit_requests_per_minute
            .map(|rate| i32::try_from(rate).unwrap_or(i32::MAX)),
        ip_allowlist: list(&addresses),
        allowed_hours: policy.allowed_hours.map(|hours| hours.to_string()),
        default_conflict_strategy: policy
            .default_conflict_strategy
            .map(|strategy| strategy.name().to_owned()),
        heartbeat_timeout: policy.heartbeat_timeout.map(from_duration),
        self_approval: policy.self_approval,
        metadata: Value::Object(connection.declared.metadata.clone()).to_string(),
        status_reason: connection.status_reason.clone(),
        transfers_used: connection.used.transfers,
        records_used: connection.used.records,
    }
}

pub(crate) fn to_connection(row: connection::Model) -> Result<Connection, StoreError> {
    let metadata = serde_json::from_str(&row.metadata)
        .map_err(|_| no_meaning("connection.metadata", &row.metadata))?;
    Ok(Connection {
        uuid: row.uuid,
        status: parse("connection.status", &row.status, ConnectionStatus::parse)?,
        inserted_at: Timestamp::from_micros(row.inserted_at),
        updated_at: Timestamp::from_micros(row.updated_at),
        revision: row.revision,
        used: Usage {
            transfers: row.transfers_used,
            records: row.records_used,
        },
        declared: NewConnection {
            direction: parse(
                "connection.direction",
                &row.direction,
                ConnectionDirection::parse,
            )?,
            policy: to_policy(&row)?,
            metadata,
            name: row.name,
            site_url: row.site_url,
        },
        status_reason: row.status_reason,
    })
}

fn to_policy(row: &connection::Model) -> Result<Policy, StoreError> {
    let address = |text: &String| {
        text.parse::<IpNet>()
            .map_err(|_| no_meaning("connection.ip_allowlist", text))
    };
    let hours = |text: &String| {
        text.parse()
            .map_err(|_| no_meaning("connection.allowed_hours", text))
    };
    Ok(Policy {
        approval_mode: parse(
            "connection.approval_mode",
            &row.approval_mode,
            ApprovalMode::parse,
        )?,
        allowed_tables: to_list("connection.allowed_tables", &row.allowed_tables)?,
        excluded_tables: to_list("connection.excluded_tables", &row.excluded_tables)?,
        auto_approve_tables: to_list("connection.auto_approve_tables", &row.auto_approve_tables)?,
        table_case: row
            .table_case
            .as_ref()
            .map(|name| parse("connection.table_case", name, TableCase::parse))
            .transpose()?,
        expires_at: row.expires_at.map(Timestamp::from_micros),
        max_transfers: row.max_transfers,
        max_records_total: row.max_records_total,
        max_records_per_request: row.max_records_per_request,
        rate_limit_requests_per_minute: row
            .rate_limit_requests_per_minute
            .and_then(|rate| u32::try_from(rate).ok()),
        ip_allowlist: to_list("connection.ip_allowlist", &row.ip_allowlist)?
            .iter()
            .map(address)
            .collect::<Result<_, _>>()?,
        allowed_hours: row.allowed_hours.as_ref().map(hours).transpose()?,
        default_conflict_strategy: row
            .default_conflict_strategy
            .as_ref()
            .map(|name| {
                let column = "connection.default_conflict_strategy";
                parse(column, name, ConflictStrategy::parse)
            })
            .transpose()?,
        heartbeat_timeout: row.heartbeat_timeout.map(to_duration).transpose()?,
        self_approval: row.self_approval,
    })
}

fn list(texts: &[String]) -> String {
    Value::from(texts).to_string()
}

fn to_list(column: &'static str, text: &str) -> Result<Vec<String>, StoreError> {
    serde_json::from_str(text).map_err(|_| no_meaning(column, text))
}

fn no_meaning(column: &'static str, value: &str) -> StoreError {
    let value = value.to_owned();
    Inconsistency::Value { column, value }.into()
}
