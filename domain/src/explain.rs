//! Where a transfer stands and why: what keeps it from being started, who may decide on it, what happens by itself.
//!
//! Nothing here is a rule of its own. Obstacles are the refusals that [`authorize`](super::authorize) would tell the first
//! of, and what is to come is what [`decide`](super::decide) makes of the sweeper's verbs.

use uuid::Uuid;

use super::{
    authorize::{approval_refusal, standing_against_start},
    caller::Caller,
    connection::{Connection, ConnectionStatus},
    decide::{queued_as, standing_against},
    policy::PolicyField,
    refusal::Refusal,
    rule::Action,
    status::{TransferStatus, named},
    stop::{StopCause, StopKind},
    time::Timestamp,
    transfer::{Transfer, earliest},
};
use crate::id::ConnectionId;

/// What there is to say about a transfer at a moment, to a caller.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// All that keeps it from being started, in the order in which a start would be told.
    pub obstacles: Vec<Obstacle>,
    /// Who may decide on it; `None` unless it waits for an approval.
    pub decision: Option<DecisionRule>,
    /// What the server does about it by itself unless somebody is faster, the earliest first.
    pub upcoming: Vec<Upcoming>,
}

/// Something that keeps a transfer from being started.
#[derive(Clone, Debug, PartialEq)]
pub struct Obstacle {
    /// What a start would be told.
    pub refusal: Refusal,
    /// The field that says so, of the transfer or, from `policy.` on, of its connection; empty where none does.
    pub rule: &'static str,
    /// When it goes by itself; `None` for never.
    pub ends_at: Option<Timestamp>,
    /// What can be done about it.
    pub remedy: &'static str,
}

/// Who may decide on a transfer, and until when.
#[derive(Clone, Debug, PartialEq)]
pub struct DecisionRule {
    /// When it expires without a decision; `None` while nobody was asked.
    pub expires_at: Option<Timestamp>,
    /// Who may not approve it: people, and credentials.
    pub excluded: Vec<Uuid>,
    /// The connection whose agents may not approve it.
    pub excluded_connection: Option<ConnectionId>,
    /// Why the caller may not approve it, whatever their role.
    pub refusal: Option<Refusal>,
}

named! {
    /// What the server does about a transfer by itself.
    UpcomingAction {
        /// It expires.
        Expire = "EXPIRE",
        /// Whoever runs it is asked to stop, for its time is over.
        RequestStop = "REQUEST_STOP",
        /// It is stopped without the word of whoever runs it.
        ForceStop = "FORCE_STOP",
        /// Its lease ends: it fails, or is queued again.
        EndLease = "END_LEASE",
        /// Its connection ends, and it can be started no more.
        EndConnection = "END_CONNECTION",
        /// It is tried again, by another transfer.
        Retry = "RETRY",
    }
}

/// Something that the server does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upcoming {
    /// What.
    pub action: UpcomingAction,
    /// When it is due. The sweeper comes by a little later.
    pub at: Timestamp,
    /// Where the transfer stands then.
    pub status: TransferStatus,
}

/// Explains `transfer`, which `caller` must be allowed to see. `connection` is the transfer's, where it exists.
pub fn explain(
    transfer: &Transfer,
    connection: Option<&Connection>,
    caller: &Caller,
    now: Timestamp,
) -> Explanation {
    let mut upcoming = upcoming(transfer, connection);
    upcoming.sort_by_key(|it| it.at);
    Explanation {
        obstacles: obstacles(transfer, connection, caller, now),
        decision: decision(transfer, caller),
        upcoming,
    }
}

fn obstacles(
    transfer: &Transfer,
    connection: Option<&Connection>,
    caller: &Caller,
    now: Timestamp,
) -> Vec<Obstacle> {
    // One that runs or has ended is not to be started, whatever else there is.
    let waits = Action::Expire.may_leave(transfer.status) && transfer.expiry(now).is_none();
    let limit = if waits { usize::MAX } else { 1 };
    standing_against(transfer, Action::Start, now)
        .chain(standing_against_start(transfer, connection, caller, now))
        .take(limit)
        .map(|refusal| Obstacle {
            rule: rule(transfer, connection, &refusal),
            ends_at: ends_at(&refusal, now),
            remedy: remedy(transfer, &refusal),
            refusal,
        })
        .collect()
}

/// The field that a refusal follows from.
fn rule(transfer: &Transfer, connection: Option<&Connection>, refusal: &Refusal) -> &'static str {
    let field = match refusal {
        Refusal::TooEarly { .. } => return "not_before",
        Refusal::TransferPaused { .. } => return "stop",
        Refusal::ApprovalRequired { .. } => return "requires_approval",
        Refusal::StartExpired { .. } => return "start_expires_at",
        Refusal::IllegalTransition { .. } => return "status",
        Refusal::ConnectionExpired { .. } => PolicyField::ExpiresAt,
        Refusal::IpNotAllowed { .. } => PolicyField::IpAllowlist,
        Refusal::OutsideAllowedHours { .. } => PolicyField::AllowedHours,
        Refusal::TableNotAllowed { .. } => {
            let table = &transfer.declared.table_name;
            match connection.is_some_and(|it| it.policy().excludes_table(table)) {
                true => PolicyField::ExcludedTables,
                false => PolicyField::AllowedTables,
            }
        }
        Refusal::TransferLimitReached { .. } => PolicyField::MaxTransfers,
        Refusal::RecordLimitReached { limit, .. } if limit.name == "max_records_total" => {
            PolicyField::MaxRecordsTotal
        }
        Refusal::RecordLimitReached { .. } => PolicyField::MaxRecordsPerRequest,
        Refusal::RunLimitReached { limit, .. } if limit.name == "max_running" => {
            PolicyField::MaxRunning
        }
        Refusal::RunLimitReached { .. } => PolicyField::MaxRunningPerAgent,
        _ => return "",
    };
    field.path()
}

fn ends_at(refusal: &Refusal, now: Timestamp) -> Option<Timestamp> {
    match refusal {
        Refusal::TooEarly { not_before, .. } => Some(*not_before),
        Refusal::OutsideAllowedHours { allowed_hours, .. } => Some(allowed_hours.next_start(now)),
        _ => None,
    }
}

fn remedy(transfer: &Transfer, refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::IllegalTransition { .. } | Refusal::StartExpired { .. } => match transfer.status {
            TransferStatus::PendingApproval => "an approver has to decide",
            TransferStatus::InProgress => "let the agent that runs it finish, or cancel it",
            _ if transfer.retried_by_uuid.is_some() => {
                "look at the transfer that tries it again, which retried_by_uuid names"
            }
            _ => "try it again with RetryTransfer, or declare another",
        },
        Refusal::ApprovalRequired { .. } => "ask for an approval with RequestApproval",
        Refusal::TransferPaused { cause, .. } => match cause {
            StopCause::ConnectionSuspended => {
                "reactivate its connection, or take the pause back with ResumeTransfer"
            }
            _ => "take the pause back with ResumeTransfer",
        },
        Refusal::TooEarly { .. } => "wait until then",
        Refusal::ConnectionNotFound { .. } => {
            "declare it anew under another connection: its own was deleted"
        }
        Refusal::ConnectionNotActive { status, .. } => match status {
            ConnectionStatus::Pending => "have the connection approved with ApproveConnection",
            ConnectionStatus::Suspended => "have the connection reactivated",
            _ => "declare it anew under another connection: this one has ended for good",
        },
        Refusal::ConnectionExpired { .. } => {
            "have policy.expires_at set to a later time, then the connection reactivated"
        }
        Refusal::IpNotAllowed { .. } => {
            "call from an address that policy.ip_allowlist names, or have it name this one"
        }
        Refusal::OutsideAllowedHours { .. } => {
            "wait until then, or have policy.allowed_hours changed"
        }
        Refusal::TableNotAllowed { .. } => "have the policy of the connection allow the table",
        Refusal::TransferLimitReached { .. } | Refusal::RecordLimitReached { .. } => {
            "have the limit in the policy of the connection raised"
        }
        Refusal::RunLimitReached { .. } => {
            "wait until one of those that run has ended, or have the limit raised"
        }
        _ => "",
    }
}

fn decision(transfer: &Transfer, caller: &Caller) -> Option<DecisionRule> {
    let waits = match transfer.status {
        TransferStatus::Pending => transfer.requires_approval,
        status => status == TransferStatus::PendingApproval,
    };
    if !waits {
        return None;
    }
    let asked = transfer.approval_expires_at;
    let apart = !transfer.self_approval;
    let declared_with = transfer.acted_by_uuid.map(Uuid::from);
    let mut excluded: Vec<_> = transfer.declared.initiated_by_uuid.into_iter().collect();
    excluded.extend(declared_with.filter(|it| !excluded.contains(it)));
    excluded.retain(|_| apart);
    Some(DecisionRule {
        expires_at: asked.and_then(|_| transfer.decision_expires_at()),
        excluded,
        excluded_connection: transfer.declared.connection_uuid.filter(|_| apart),
        refusal: approval_refusal(transfer, caller),
    })
}

fn upcoming(transfer: &Transfer, connection: Option<&Connection>) -> Vec<Upcoming> {
    let due = |action, at: Option<Timestamp>, status| at.map(|at| Upcoming { action, at, status });
    let mut due_next = Vec::new();
    if Action::Expire.may_leave(transfer.status) {
        let deadline = match transfer.approved {
            Some(_) => transfer.start_expires_at,
            None => transfer.decision_expires_at(),
        };
        due_next.extend(due(
            UpcomingAction::Expire,
            deadline,
            TransferStatus::Expired,
        ));
        let in_use = |it: &&Connection| {
            matches!(
                it.status,
                ConnectionStatus::Active | ConnectionStatus::Suspended
            )
        };
        let end = connection
            .filter(in_use)
            .and_then(|it| it.policy().expires_at);
        due_next.extend(due(UpcomingAction::EndConnection, end, transfer.status));
    } else if let Some(stop) = transfer.pending_stop() {
        let status = match stop.kind {
            StopKind::Cancel => TransferStatus::Cancelled,
            StopKind::Pause => queued_as(transfer),
        };
        let end = earliest(stop.expires_at(), transfer.heartbeat_expires_at);
        due_next.extend(due(UpcomingAction::ForceStop, end, status));
    } else if transfer.status == TransferStatus::InProgress {
        let status = match transfer.has_attempts_left() {
            true => queued_as(transfer),
            false => TransferStatus::Failed,
        };
        due_next.extend(due(
            UpcomingAction::EndLease,
            transfer.heartbeat_expires_at,
            status,
        ));
        let finish = transfer.finish_expires_at;
        due_next.extend(due(UpcomingAction::RequestStop, finish, transfer.status));
    }
    due_next.extend(due(
        UpcomingAction::Retry,
        transfer.retry_at,
        transfer.status,
    ));
    due_next
}

#[cfg(test)]
pub(crate) mod tests;
