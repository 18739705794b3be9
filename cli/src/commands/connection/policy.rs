//! The flags of a policy as the client's words, for a new connection and for one that is changed.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Map;
use tidegate_client::{ConnectionPolicy, UpdateConnection};

use crate::args::{Clearable, PolicyArgs};
use crate::commands::With as _;
use crate::text;

/// Sets what was given, on anything that has the setters of a policy.
macro_rules! apply {
    ($target:expr, $args:expr) => {{
        let args = $args;
        let end = end(&args);
        $target
            .with(args.approval_mode, |it, mode| it.approval_mode(mode))
            .with(some(args.allow_table), |it, names| it.allowed_tables(names))
            .with(some(args.exclude_table), |it, names| {
                it.excluded_tables(names)
            })
            .with(some(args.auto_approve_table), |it, names| {
                it.auto_approve_tables(names)
            })
            .with(args.table_case, |it, case| it.table_case(case))
            .with(end, |it, end| it.expires_at(end))
            .with(args.max_transfers, |it, limit| it.max_transfers(limit))
            .with(args.max_running, |it, limit| it.max_running(limit))
            .with(args.max_running_per_agent, |it, limit| {
                it.max_running_per_agent(limit)
            })
            .with(args.max_records_total, |it, limit| {
                it.max_records_total(limit)
            })
            .with(args.max_records_per_request, |it, limit| {
                it.max_records_per_request(limit)
            })
            .with(args.rate_limit, |it, limit| {
                it.rate_limit_requests_per_minute(limit)
            })
            .with(some(args.ip_allow), |it, blocks| it.ip_allowlist(blocks))
            .with(args.hours, |it, hours| it.allowed_hours(hours))
            .with(args.conflict_strategy, |it, strategy| {
                it.default_conflict_strategy(strategy)
            })
            .with(args.heartbeat_timeout, |it, time| {
                it.heartbeat_timeout(time)
            })
            .with(args.max_attempts, |it, most| it.max_attempts(most))
            .with(args.stop_grace, |it, grace| it.stop_grace(grace))
            .with(args.start_within, |it, limit| it.start_within(limit))
            .with(args.finish_within, |it, limit| it.finish_within(limit))
            .with(args.max_retries, |it, most| it.max_retries(most))
            .with(args.retry_backoff, |it, wait| it.retry_backoff(wait))
            .with(args.limit_to_requested, |it, limited| {
                it.limit_to_requested(limited)
            })
            .with(args.self_approval, |it, allowed| it.self_approval(allowed))
    }};
}

/// The policy of a new connection.
pub(super) fn policy(args: PolicyArgs) -> ConnectionPolicy {
    apply!(ConnectionPolicy::default(), args)
}

/// The change with everything in it that the flags say.
pub(super) fn change(update: UpdateConnection, args: PolicyArgs) -> UpdateConnection {
    apply!(update, args)
}

/// The change with one more field cleared.
pub(super) fn clear(update: UpdateConnection, field: Clearable) -> UpdateConnection {
    const NONE: [&str; 0] = [];
    match field {
        Clearable::Metadata => update.metadata(Map::new()),
        Clearable::AllowTable => update.allowed_tables(NONE),
        Clearable::ExcludeTable => update.excluded_tables(NONE),
        Clearable::AutoApproveTable => update.auto_approve_tables(NONE),
        Clearable::TableCase => update.table_case(None),
        Clearable::ExpiresAt => update.expires_at(None),
        Clearable::MaxTransfers => update.max_transfers(None),
        Clearable::MaxRunning => update.max_running(None),
        Clearable::MaxRunningPerAgent => update.max_running_per_agent(None),
        Clearable::MaxRecordsTotal => update.max_records_total(None),
        Clearable::MaxRecordsPerRequest => update.max_records_per_request(None),
        Clearable::RateLimit => update.rate_limit_requests_per_minute(None),
        Clearable::IpAllow => update.ip_allowlist(NONE),
        Clearable::Hours => update.allowed_hours(""),
        Clearable::ConflictStrategy => update.default_conflict_strategy(None),
        Clearable::HeartbeatTimeout => update.heartbeat_timeout(None),
        Clearable::MaxAttempts => update.max_attempts(None),
        Clearable::StopGrace => update.stop_grace(None),
        Clearable::StartWithin => update.start_within(None),
        Clearable::FinishWithin => update.finish_within(None),
        Clearable::MaxRetries => update.max_retries(None),
        Clearable::RetryBackoff => update.retry_backoff(None),
    }
}

fn some(list: Vec<String>) -> Option<Vec<String>> {
    Some(list).filter(|list| !list.is_empty())
}

fn end(args: &PolicyArgs) -> Option<DateTime<Utc>> {
    let from_now = |length| {
        let end = TimeDelta::from_std(length)
            .ok()
            .and_then(|length| text::now().checked_add_signed(length));
        // What is beyond all time is refused by the server.
        end.unwrap_or(DateTime::<Utc>::MAX_UTC)
    };
    args.expires_at.or_else(|| args.expires_in.map(from_now))
}
