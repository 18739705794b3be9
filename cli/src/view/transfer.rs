//! How a transfer looks: in a list, in detail, and in one line.

use chrono::{DateTime, Utc};
use tidegate_client::{ReconciliationState, StopKind, Transfer, TransferStatus};

use super::connection;
use crate::output::{Column, Look};
use crate::progress::{speed, trouble, whole};
use crate::text;

/// The columns of a list.
pub(crate) const COLUMNS: &[Column<Transfer>] = &[
    Column::text("ID", |transfer, look| look.id(transfer.uuid)),
    Column::status("STATUS", |transfer, _| transfer.status.to_string()),
    Column::text("DIRECTION", |transfer, _| transfer.direction.to_string()),
    Column::name("TABLE", |transfer, _| transfer.table_name.clone()),
    Column::number("ROWS", |transfer, _| rows(transfer)),
    Column::text("CREATED", |transfer, look| look.age(transfer.inserted_at)),
    Column::text("CONNECTION", |transfer: &Transfer, _| {
        given(transfer.connection_uuid)
    })
    .wide(),
    Column::text("INITIATED BY", |transfer: &Transfer, _| {
        given(transfer.initiated_by_uuid)
    })
    .wide(),
    Column::status("HEALTH", |transfer: &Transfer, _| given(transfer.health)).wide(),
    Column::number("PRIORITY", |transfer: &Transfer, _| priority(transfer)).wide(),
    Column::text("BOTH SIDES", |transfer: &Transfer, _| agreement(transfer)).wide(),
    Column::text("STOP", stop).wide(),
    Column::text("REASON", |transfer: &Transfer, _| given(reason(transfer))).wide(),
];

/// What became of it, in one sentence for the person who did it.
pub(crate) fn outcome(transfer: &Transfer, look: &Look) -> String {
    let Transfer {
        status,
        direction,
        table_name,
        ..
    } = transfer;
    let rows = if transfer.records_requested > 0 {
        format!(", {} rows", expected(transfer))
    } else {
        String::new()
    };
    let id = look.id(transfer.uuid);
    let stop = stop(transfer, look);
    let stop = if stop.is_empty() {
        stop
    } else {
        format!(", {stop}")
    };
    let receipts = agreement(transfer);
    let receipts = if receipts.is_empty() {
        receipts
    } else {
        format!(", receipts {receipts}")
    };
    format!("transfer {id} is {status} ({direction} {table_name}{rows}){stop}{receipts}")
}

/// Its status for people who watch it: what it is about to be, where its agent is asked to stop, whether it waits, and what
/// is wrong with its run.
pub(crate) fn state(transfer: &Transfer) -> String {
    let kind = transfer.stop.as_ref().map(|stop| stop.kind);
    match kind {
        Some(StopKind::Cancel) if transfer.is_asked_to_stop() => "cancelling".to_owned(),
        Some(StopKind::Pause) if transfer.is_asked_to_stop() => "pausing".to_owned(),
        _ if transfer.is_paused() => "paused".to_owned(),
        _ => trouble(transfer).map_or_else(|| transfer.status.to_string(), |it| it.to_string()),
    }
}

/// What its agent is asked for, or why it waits.
fn stop(transfer: &Transfer, look: &Look) -> String {
    let Some(stop) = &transfer.stop else {
        return String::new();
    };
    let reason = match &stop.reason {
        Some(reason) => format!(": {reason}"),
        None => String::new(),
    };
    let left = stop.expires_at.map(|end| text::left(end, look.now));
    let left = left.map_or_else(String::new, |left| format!(", {left} left"));
    match stop.kind {
        kind if transfer.is_asked_to_stop() => format!("asked to {kind}{left}{reason}"),
        _ if transfer.is_paused() => format!("paused{reason}"),
        kind if stop.forced => format!("{kind} was not confirmed by its agent"),
        _ => String::new(),
    }
}

/// Rows done, of those expected where that is known.
pub(crate) fn rows(transfer: &Transfer) -> String {
    text::rows(
        transfer.progress.records_transferred,
        transfer.records_requested,
    )
}

/// Why it ended, where that was said.
pub(crate) fn reason(transfer: &Transfer) -> Option<&str> {
    match transfer.status {
        TransferStatus::Failed => transfer.error_message.as_deref(),
        TransferStatus::Denied => transfer.denial_reason.as_deref(),
        TransferStatus::Cancelled => transfer.cancel_reason.as_deref(),
        _ => None,
    }
}

/// The values of one transfer; what was never given or has not happened is left out.
pub(crate) fn details(transfer: &Transfer, look: &Look) -> Vec<(&'static str, String)> {
    let mut values = declared(transfer);
    values.extend(progress(transfer));
    values.extend(pace(transfer, look));
    values.extend(history(transfer, look));
    values.retain(|(_, value)| !value.is_empty());
    if let Some(preloaded) = &transfer.connection {
        values.push(("", String::new()));
        values.push(("connection:", String::new()));
        values.extend(connection::details(preloaded, look));
    }
    values
}

fn declared(transfer: &Transfer) -> Vec<(&'static str, String)> {
    vec![
        ("uuid", transfer.uuid.to_string()),
        ("status", transfer.status.to_string()),
        ("reason", reason(transfer).unwrap_or_default().to_owned()),
        ("table", transfer.table_name.clone()),
        ("direction", transfer.direction.to_string()),
        ("conflict strategy", given(transfer.conflict_strategy)),
        (
            "requires approval",
            if transfer.requires_approval {
                "yes"
            } else {
                "no"
            }
            .to_owned(),
        ),
        (
            "self approval",
            if transfer.self_approval { "yes" } else { "" }.to_owned(),
        ),
        ("connection", given(transfer.connection_uuid)),
        (
            "policy revision",
            given(Some(transfer.policy_revision).filter(|revision| *revision > 0)),
        ),
        ("session code", given(transfer.session_code.as_ref())),
        ("remote site url", given(transfer.remote_site_url.as_ref())),
        ("seen from", given(transfer.observed_ip.as_ref())),
        ("claims to be from", given(transfer.requester_ip.as_ref())),
        (
            "requester agent",
            given(transfer.requester_user_agent.as_ref()),
        ),
        ("initiated by", given(transfer.initiated_by_uuid)),
        ("declared with", given(transfer.acted_by_uuid)),
        (
            "movement",
            given(Some(transfer.correlation_uuid).filter(|it| *it != transfer.uuid)),
        ),
        ("other side", given(transfer.counterpart_uuid)),
        ("both sides", agreement(transfer)),
        ("plan", given(transfer.plan_uuid)),
        ("retry of", given(transfer.retry_of_uuid)),
        ("retried by", given(transfer.retried_by_uuid)),
        ("metadata", metadata(transfer)),
    ]
}

/// Whether both sides agree, and where they do not; empty while neither has spoken.
fn agreement(transfer: &Transfer) -> String {
    let known = &transfer.reconciliation;
    match known.state {
        ReconciliationState::Pending => String::new(),
        ReconciliationState::Diverged => {
            format!("{}: {}", known.state, known.diverged_fields.join(", "))
        }
        state => state.to_string(),
    }
}

fn progress(transfer: &Transfer) -> Vec<(&'static str, String)> {
    let totals = &transfer.progress;
    let percent = text::percent(totals.records_transferred, transfer.records_requested);
    let percent = percent
        .map(|percent| format!(" ({percent}%)"))
        .unwrap_or_default();
    let mut values = vec![("rows", format!("{}{percent}", rows(transfer)))];
    if totals.records_transferred > 0 {
        let split = [
            ("created", totals.records_created),
            ("updated", totals.records_updated),
            ("skipped", totals.records_skipped),
            ("failed", totals.records_failed),
        ];
        let split = split
            .iter()
            .filter(|(_, n)| *n > 0)
            .map(|(name, n)| format!("{} {name}", text::count(*n)));
        values.push(("of these", split.collect::<Vec<_>>().join(", ")));
        values.push((
            "success rate",
            format!("{:.1}%", transfer.success_rate * 100.0),
        ));
    }
    for problems in &transfer.record_problems {
        let samples = problems.samples.iter();
        let samples: Vec<_> = samples
            .map(|it| format!("{} ({})", it.key, it.reason))
            .collect();
        let count = text::count(problems.count);
        let said = format!("{count} {}: {}", problems.code, samples.join(", "));
        values.push(("problems", said));
    }
    values.push(("phase", phases(transfer)));
    if totals.bytes_transferred > 0 {
        values.push(("bytes", text::bytes(totals.bytes_transferred)));
    }
    if !transfer.checkpoint.is_empty() {
        values.push((
            "checkpoint",
            text::bytes(i64::try_from(transfer.checkpoint.len()).unwrap_or(i64::MAX)),
        ));
    }
    values
}

/// How its run goes, or went.
fn pace(transfer: &Transfer, look: &Look) -> Vec<(&'static str, String)> {
    let bytes = transfer.bytes_per_second.filter(|rate| *rate > 0.0);
    let bytes = bytes.map(|rate| format!("{}/s", text::bytes(whole(rate))));
    let speed: Vec<_> = speed(transfer).into_iter().chain(bytes).collect();
    let health = transfer.health.zip(transfer.health_since);
    let health = health.map(|(health, since)| format!("{health} since {}", look.moment(since)));
    vec![
        ("speed", speed.join(", ")),
        ("time left", estimate(transfer, look)),
        ("health", health.unwrap_or_default()),
    ]
}

/// How long it will take, at best and at worst, or why that is not known of one that runs.
fn estimate(transfer: &Transfer, look: &Look) -> String {
    let left = |end: Option<DateTime<Utc>>| {
        let left = end.map(|end| (end - look.now).to_std().unwrap_or_default());
        left.map(text::span).unwrap_or_default()
    };
    if transfer.estimated_completion.is_some() {
        let bounds = (
            left(transfer.estimated_completion_earliest),
            left(transfer.estimated_completion_latest),
        );
        let left = left(transfer.estimated_completion);
        return format!("{left} ({} to {})", bounds.0, bounds.1);
    }
    let running = transfer.status == TransferStatus::InProgress;
    let reason = transfer.estimate_unknown_reason.filter(|_| running);
    reason.map_or_else(String::new, |reason| format!("unknown: {reason}"))
}

fn history(transfer: &Transfer, look: &Look) -> Vec<(&'static str, String)> {
    let at = |time: Option<DateTime<Utc>>| time.map(|time| look.moment(time)).unwrap_or_default();
    let waiting = transfer.status == TransferStatus::PendingApproval;
    let decide_until = transfer
        .approval_expires_at
        .filter(|_| waiting)
        .map(|deadline| text::left(deadline, look.now));
    let is_open = !transfer.status.is_terminal();
    let left = |deadline: Option<DateTime<Utc>>| {
        let deadline = deadline.filter(|_| is_open);
        let left = deadline.map(|deadline| text::left(deadline, look.now));
        left.unwrap_or_default()
    };
    let running = transfer.status == TransferStatus::InProgress;
    let heartbeat = transfer
        .heartbeat_expires_at
        .filter(|_| running)
        .map(|deadline| text::left(deadline, look.now));
    vec![
        ("left to decide", decide_until.unwrap_or_default()),
        ("approved", at(transfer.approved_at)),
        ("approved by", given(transfer.approved_by_uuid)),
        ("denied", at(transfer.denied_at)),
        ("denied by", given(transfer.denied_by_uuid)),
        ("created", at(Some(transfer.inserted_at))),
        ("not before", at(transfer.not_before)),
        ("left to start", left(transfer.start_expires_at)),
        ("left to finish", left(transfer.finish_expires_at)),
        ("started", at(transfer.started_at)),
        ("run by", runner(transfer)),
        ("attempt", given(attempt(transfer))),
        ("priority", priority(transfer)),
        ("heartbeat due in", heartbeat.unwrap_or_default()),
        ("stop", stop(transfer, look)),
        ("ended", at(transfer.completed_at)),
        ("expired because", given(transfer.expiry_reason)),
        ("failure", failure(transfer)),
        (
            "took",
            transfer.duration.map(text::span).unwrap_or_default(),
        ),
        ("changed", at(Some(transfer.updated_at))),
        ("revision", text::count(transfer.revision)),
    ]
}

/// The phases of the latest run, with how long those took that are over.
fn phases(transfer: &Transfer) -> String {
    let times = transfer.phases.iter().map(|it| match it.ended_at {
        Some(end) => {
            let length = (end - it.started_at).to_std().unwrap_or_default();
            format!("{} {}", it.phase, text::span(length))
        }
        None => it.phase.to_string(),
    });
    times.collect::<Vec<_>>().join(", ")
}

/// Why it failed, in names.
fn failure(transfer: &Transfer) -> String {
    let code = transfer.failure_code.as_ref().map(ToString::to_string);
    let retryable = transfer.failure_retryable.then(|| "retryable".to_owned());
    let parts: Vec<_> = code.into_iter().chain(retryable).collect();
    parts.join(", ")
}

/// Who holds the lease.
fn runner(transfer: &Transfer) -> String {
    let owner = transfer.lease_owner_uuid.map(|uuid| uuid.to_string());
    let known = [owner, transfer.agent_instance.clone()];
    known.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// Which start it was, where there may be more than one.
fn attempt(transfer: &Transfer) -> Option<String> {
    let (epoch, most) = (transfer.lease_epoch, transfer.max_attempts);
    (most > 1).then(|| format!("{epoch} of {most}"))
}

/// Its place among those that wait, where it has another one than most.
fn priority(transfer: &Transfer) -> String {
    given((transfer.priority != 0).then_some(transfer.priority))
}

pub(super) fn expected(transfer: &Transfer) -> String {
    if transfer.records_requested > 0 {
        text::count(transfer.records_requested)
    } else {
        "unknown".to_owned()
    }
}

pub(super) fn given(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn metadata(transfer: &Transfer) -> String {
    if transfer.metadata.is_empty() {
        return String::new();
    }
    serde_json::to_string(&transfer.metadata).unwrap_or_default()
}
