//! How a connection looks.

use tidegate_client::Connection;

use crate::output::{Column, Look};
use crate::text;

/// The columns of a list.
pub(crate) const COLUMNS: &[Column<Connection>] = &[
    Column::text("ID", |connection, look| look.id(connection.uuid)),
    Column::status("STATUS", |connection, _| connection.status.to_string()),
    Column::text("DIRECTION", |connection, _| {
        connection.direction.to_string()
    }),
    Column::name("NAME", |connection, _| connection.name.clone()),
    Column::name("SITE URL", |connection, _| connection.site_url.clone()),
    Column::text("CREATED", |connection, look| {
        look.age(connection.inserted_at)
    }),
    Column::text("APPROVAL", |connection: &Connection, _| {
        connection.policy.approval_mode.to_string()
    })
    .wide(),
    Column::text("REASON", |connection: &Connection, _| {
        connection.status_reason.clone().unwrap_or_default()
    })
    .wide(),
];

/// The values of one connection, with its policy; what is not limited is left out.
pub(crate) fn details(connection: &Connection, look: &Look) -> Vec<(&'static str, String)> {
    let mut values = vec![
        ("uuid", connection.uuid.to_string()),
        ("name", connection.name.clone()),
        ("direction", connection.direction.to_string()),
        ("site url", connection.site_url.clone()),
        ("status", connection.status.to_string()),
        (
            "reason",
            connection.status_reason.clone().unwrap_or_default(),
        ),
    ];
    values.extend(policy(connection, look));
    values.extend([
        ("metadata", metadata(connection)),
        ("created", look.moment(connection.inserted_at)),
        ("changed", look.moment(connection.updated_at)),
        ("revision", text::count(connection.revision)),
    ]);
    values.retain(|(_, value)| !value.is_empty());
    values
}

fn policy(connection: &Connection, look: &Look) -> Vec<(&'static str, String)> {
    let policy = &connection.policy;
    let used = |used, limit: Option<i64>| {
        limit.map(|limit| format!("{} of {} used", text::count(used), text::count(limit)))
    };
    let each = |limit: Option<i64>| limit.map(text::count);
    let rate = policy.rate_limit_requests_per_minute;
    let end = policy.expires_at.map(|end| match end > look.now {
        true => format!("{} ({} left)", look.moment(end), text::left(end, look.now)),
        false => look.moment(end),
    });
    let values = [
        ("approval", Some(policy.approval_mode.to_string())),
        (
            "needs no approval",
            Some(policy.auto_approve_tables.join(", ")),
        ),
        (
            "self approval",
            policy.self_approval.then(|| "yes".to_owned()),
        ),
        ("allowed tables", Some(policy.allowed_tables.join(", "))),
        ("excluded tables", Some(policy.excluded_tables.join(", "))),
        ("case of tables", policy.table_case.map(|it| it.to_string())),
        ("allowed addresses", Some(policy.ip_allowlist.join(", "))),
        (
            "allowed hours",
            policy
                .allowed_hours
                .as_ref()
                .map(|hours| format!("{hours} UTC")),
        ),
        ("ends", end),
        (
            "transfers",
            used(connection.transfers_used, policy.max_transfers),
        ),
        (
            "records",
            used(connection.records_used, policy.max_records_total),
        ),
        ("at once", policy.max_running.map(|most| most.to_string())),
        (
            "at once by an agent",
            policy.max_running_per_agent.map(|most| most.to_string()),
        ),
        ("records a request", each(policy.max_records_per_request)),
        (
            "no more than requested",
            policy.limit_to_requested.then(|| "yes".to_owned()),
        ),
        (
            "calls a minute",
            rate.map(|rate| text::count(i64::from(rate))),
        ),
        (
            "conflict strategy",
            policy.default_conflict_strategy.map(|it| it.to_string()),
        ),
        (
            "heartbeat timeout",
            policy.heartbeat_timeout.map(text::span),
        ),
        ("attempts", policy.max_attempts.map(|most| most.to_string())),
        ("stop grace", policy.stop_grace.map(text::span)),
        ("to start within", policy.start_within.map(text::span)),
        ("to finish within", policy.finish_within.map(text::span)),
        ("retries", policy.max_retries.map(|most| most.to_string())),
        ("retry backoff", policy.retry_backoff.map(text::span)),
    ];
    let said = values.into_iter();
    said.map(|(name, value)| (name, value.unwrap_or_default()))
        .collect()
}

fn metadata(connection: &Connection) -> String {
    if connection.metadata.is_empty() {
        return String::new();
    }
    serde_json::to_string(&connection.metadata).unwrap_or_default()
}
