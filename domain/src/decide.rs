//! The decision: what a verb makes of a transfer, or why not.
//!
//! Deadlines are tested here, against the batch's `now`; whoever sweeps only asks for what these rules allow anyway.

use std::time::Duration;

use uuid::Uuid;

use super::{
    command::{HEARTBEAT_LOST, Verb},
    event::{EventBody, EventDetail, EventType},
    outcome::{Failure, FailureCode, PhaseStart},
    pace::Pace,
    progress::{Report, Totals},
    reachable::Reachable,
    receipt::{NewReceipt, Receipt},
    refusal::Refusal,
    rule::Action,
    status::{ExpiryReason, TransferStatus},
    time::Timestamp,
    transfer::{Decision, Transfer, earliest},
};
use crate::id::CredentialId;

mod stop;

/// What an accepted command does to the ledger.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Nothing: the transfer already is as asked.
    Nothing,
    /// Totals, checkpoint, heartbeat or pace only; no event.
    Progress(Transfer),
    /// A transition, with its event.
    Transition(Transfer, EventBody),
    /// The row goes, its event stays.
    Removal(EventBody),
}

/// Decides `verb` on `transfer` at `now`.
///
/// # Errors
/// A [`Refusal`]; see also [`on_refused`].
pub fn decide(transfer: &Transfer, verb: &Verb, now: Timestamp) -> Result<Change, Refusal> {
    let action = verb.action();
    permit(transfer, action, now)?;
    let mut after = transfer.clone();
    let mut to = action.rule().to.first().copied();
    let (event, actor_uuid, detail) = match verb {
        Verb::RequestApproval { expires_in } => {
            after.requires_approval = true;
            after.start_expires_at = earliest(after.declared.start_by, after.finish_expires_at);
            after.approval_expires_at = Some(now.after(*expires_in));
            (EventType::ApprovalRequested, None, None)
        }
        Verb::Approve {
            admin_user_uuid: by,
            comment,
            revision,
        } => {
            is_current(transfer, *revision)?;
            after.approved = Some(Decision { at: now, by: *by });
            after.await_start(now);
            (
                EventType::Approved,
                Some(*by),
                EventDetail::comment(comment),
            )
        }
        Verb::Deny {
            admin_user_uuid: by,
            reason,
            revision,
        } => {
            is_current(transfer, *revision)?;
            after.denied = Some(Decision { at: now, by: *by });
            after.denial_reason.clone_from(reason);
            (EventType::Denied, Some(*by), EventDetail::comment(reason))
        }
        Verb::Expire => match transfer.expiry(now) {
            Some(reason) => (
                EventType::Expired,
                None,
                Some(EventDetail::Expiry { reason }),
            ),
            None => return Ok(Change::Nothing),
        },
        Verb::Start {
            heartbeat_timeout,
            agent_instance,
            owner_uuid,
        } => {
            start(&mut after, *heartbeat_timeout, now);
            after.lease_owner_uuid = *owner_uuid;
            after.agent_instance.clone_from(agent_instance);
            (EventType::Started, None, None)
        }
        Verb::UpdateProgress {
            report, checkpoint, ..
        } => {
            return progress(transfer, after, report, checkpoint.as_deref(), now);
        }
        Verb::Complete { report, .. } => {
            advance(&mut after, report, true, now)?;
            (EventType::Completed, None, None)
        }
        Verb::Fail {
            error_message,
            failure,
            report,
            ..
        } => {
            advance(&mut after, report, false, now)?;
            after.error_message.clone_from(error_message);
            after.failure = Some(*failure);
            let detail = failure_detail(error_message, *failure);
            (EventType::Failed, None, Some(detail))
        }
        Verb::EndOverdue { reachable, grace } => {
            let silent = is_silent(transfer, *reachable, now);
            let stop = transfer.pending_stop();
            if let Some(stop) = stop.filter(|stop| silent || stop.is_due(*reachable, now)) {
                return Ok(stop::take_effect(transfer, after, stop, true, now));
            }
            if !silent {
                return stop::at_finish(transfer, *grace, now);
            }
            let message = silence(transfer.heartbeat_timeout);
            let failure = Failure {
                code: Some(FailureCode::HeartbeatLost),
                retryable: true,
            };
            let detail = Some(failure_detail(&message, failure));
            if transfer.has_attempts_left() {
                to = Some(queue_again(&mut after));
                (EventType::Requeued, None, detail)
            } else {
                after.error_message = message;
                after.failure = Some(failure);
                (EventType::Failed, None, detail)
            }
        }
        Verb::Stop(order) => return stop::request(transfer, order, now),
        Verb::AcknowledgeStop {
            report, checkpoint, ..
        } => return stop::acknowledge(transfer, report, checkpoint.as_deref(), now),
        Verb::SubmitReceipt { receipt, by, .. } => {
            return Ok(acknowledge(after, receipt, *by, now));
        }
        Verb::Resume { only } => return stop::resume(transfer, *only, now),
        Verb::Delete => {
            return Ok(Change::Removal(body(
                transfer,
                transfer.status,
                EventType::Deleted,
            )));
        }
    };
    let to = to.unwrap_or(transfer.status);
    enter(&mut after, to, now);
    let body = EventBody {
        actor_uuid,
        detail,
        ..body(transfer, to, event)
    };
    Ok(Change::Transition(after, body))
}

/// What a refusal leaves behind: a decision or a start that came too late makes the transfer EXPIRED, swept or not.
pub fn on_refused(transfer: &Transfer, refusal: &Refusal, now: Timestamp) -> Change {
    match refusal {
        Refusal::ApprovalExpired { .. } | Refusal::StartExpired { .. } => {
            decide(transfer, &Verb::Expire, now).unwrap_or(Change::Nothing)
        }
        _ => Change::Nothing,
    }
}

/// The event of a creation.
pub fn creation(initiated_by_uuid: Option<Uuid>) -> EventBody {
    EventBody {
        event_type: EventType::Created,
        from_status: None,
        to_status: Some(TransferStatus::Pending),
        actor_uuid: initiated_by_uuid,
        detail: None,
    }
}

fn permit(transfer: &Transfer, action: Action, now: Timestamp) -> Result<(), Refusal> {
    let first = standing_against(transfer, action, now).next();
    first.map_or(Ok(()), Err)
}

/// What the transfer's own state has against `action`: all of it, in the order in which it is told.
pub(crate) fn standing_against(
    transfer: &Transfer,
    action: Action,
    now: Timestamp,
) -> impl Iterator<Item = Refusal> {
    [too_late, not_from_here, paused, too_early, unapproved]
        .into_iter()
        .filter_map(move |check| check(transfer, action, now))
}

fn not_from_here(transfer: &Transfer, action: Action, _: Timestamp) -> Option<Refusal> {
    let is_taken = action == Action::Start && transfer.status == TransferStatus::InProgress;
    (!action.may_leave(transfer.status)).then(|| Refusal::IllegalTransition {
        uuid: transfer.uuid,
        status: transfer.status,
        action,
        lease: transfer.lease().filter(|_| is_taken),
    })
}

fn paused(transfer: &Transfer, action: Action, _: Timestamp) -> Option<Refusal> {
    let pause = transfer.pause().filter(|_| action == Action::Start)?;
    Some(Refusal::TransferPaused {
        uuid: transfer.uuid,
        cause: pause.cause,
        reason: pause.reason.clone(),
    })
}

fn too_early(transfer: &Transfer, action: Action, now: Timestamp) -> Option<Refusal> {
    let (uuid, not_before) = (transfer.uuid, transfer.declared.not_before?);
    (action == Action::Start && now < not_before).then_some(Refusal::TooEarly { uuid, not_before })
}

fn unapproved(transfer: &Transfer, action: Action, _: Timestamp) -> Option<Refusal> {
    let (uuid, status) = (transfer.uuid, transfer.status);
    let waits = status == TransferStatus::Pending && transfer.requires_approval;
    (action == Action::Start && waits).then_some(Refusal::ApprovalRequired {
        uuid,
        status,
        action,
    })
}

/// Who comes after a deadline is told so, whether or not somebody has noted it already.
fn too_late(transfer: &Transfer, action: Action, now: Timestamp) -> Option<Refusal> {
    let (uuid, status) = (transfer.uuid, TransferStatus::Expired);
    let waits = Action::Expire.may_leave(transfer.status);
    let reason = match transfer.status {
        TransferStatus::Expired => transfer.expiry_reason(),
        _ => transfer.expiry(now).filter(|_| waits),
    }?;
    let was_decided = transfer.approved.is_some();
    let is_asked_for =
        transfer.approval_expires_at.is_some() || reason == ExpiryReason::ApprovalExpired;
    match action {
        Action::Approve | Action::Deny if is_asked_for && !was_decided => {
            Some(Refusal::ApprovalExpired {
                uuid,
                status,
                action,
                approval_expires_at: transfer.decision_expires_at(),
            })
        }
        Action::Start | Action::RequestApproval if reason != ExpiryReason::ApprovalExpired => {
            Some(Refusal::StartExpired {
                uuid,
                status,
                action,
                start_expires_at: transfer.start_expires_at,
            })
        }
        _ => None,
    }
}

/// A decision holds for what was looked at: whoever names a revision decides on that one alone.
fn is_current(transfer: &Transfer, revision: Option<i64>) -> Result<(), Refusal> {
    let (uuid, current) = (transfer.uuid, transfer.revision);
    match revision {
        Some(given) if given != current => Err(Refusal::StaleRevision {
            uuid: uuid.into(),
            given,
            current,
        }),
        _ => Ok(()),
    }
}

/// Silent is who has not reported in time though they could have.
fn is_silent(transfer: &Transfer, reachable: Reachable, now: Timestamp) -> bool {
    let limit = transfer.heartbeat_timeout.unwrap_or_default();
    transfer
        .heartbeat_expires_at
        .is_some_and(|deadline| now >= deadline && reachable.has_been_for(limit, now))
}

/// Gives it to its next agent, which begins from the checkpoint: what the one before has counted is not carried on.
fn start(transfer: &mut Transfer, heartbeat_timeout: Option<Duration>, now: Timestamp) {
    let heartbeat_timeout = heartbeat_timeout.filter(|timeout| !timeout.is_zero());
    if transfer.lease_epoch == 0 {
        let within = transfer.finish_within.map(|within| now.after(within));
        transfer.finish_expires_at = earliest(transfer.finish_expires_at, within);
    }
    transfer.lease_epoch += 1;
    transfer.start_expires_at = None;
    transfer.totals = Totals::default();
    transfer.phases.clear();
    transfer.problems.clear();
    transfer.pace = Some(Pace::begin(now, transfer.lease_epoch == 1));
    transfer.started_at = Some(now);
    transfer.heartbeat_timeout = heartbeat_timeout;
    transfer.heartbeat_expires_at = heartbeat_timeout.map(|timeout| now.after(timeout));
}

/// Puts it back to where it was started from. Totals and checkpoint stay until it is started again.
fn queue_again(transfer: &mut Transfer) -> TransferStatus {
    transfer.started_at = None;
    transfer.pace = None;
    transfer.start_expires_at = transfer.finish_expires_at;
    transfer.heartbeat_timeout = None;
    transfer.heartbeat_expires_at = None;
    transfer.lease_owner_uuid = None;
    transfer.agent_instance.clear();
    queued_as(transfer)
}

/// Where a run was started from.
pub(crate) const fn queued_as(transfer: &Transfer) -> TransferStatus {
    match transfer.approved {
        Some(_) => TransferStatus::Approved,
        None => TransferStatus::Pending,
    }
}

/// Takes what its side states. An end that it came to stays where it is.
fn acknowledge(
    mut transfer: Transfer,
    said: &NewReceipt,
    by: Option<CredentialId>,
    now: Timestamp,
) -> Change {
    let before = transfer
        .receipt
        .as_ref()
        .map_or(0, |receipt| receipt.number);
    let receipt = Box::new(Receipt {
        number: before + 1,
        lease_epoch: transfer.lease_epoch,
        submitted_at: now,
        submitted_by_uuid: by,
        said: said.clone(),
    });
    let body = EventBody {
        detail: Some(EventDetail::Receipt(receipt.clone())),
        ..body(&transfer, transfer.status, EventType::ReceiptSubmitted)
    };
    transfer.receipt = Some(receipt);
    transfer.updated_at = now;
    transfer.revision += 1;
    Change::Transition(transfer, body)
}

fn failure_detail(error_message: &str, failure: Failure) -> EventDetail {
    EventDetail::Failure {
        error_message: error_message.to_owned(),
        code: failure.code,
        retryable: failure.retryable,
    }
}

/// What is said of an agent that was silent for so long.
fn silence(timeout: Option<Duration>) -> String {
    let seconds = timeout.unwrap_or_default().as_secs_f64();
    format!("{HEARTBEAT_LOST}: the agent did not report for {seconds} s")
}

fn progress(
    transfer: &Transfer,
    mut after: Transfer,
    report: &Report,
    checkpoint: Option<&[u8]>,
    now: Timestamp,
) -> Result<Change, Refusal> {
    advance(&mut after, report, false, now)?;
    if let Some(checkpoint) = checkpoint {
        after.checkpoint = checkpoint.to_vec();
    }
    if let Some(timeout) = transfer.heartbeat_timeout {
        after.heartbeat_expires_at = Some(now.after(timeout));
    }
    if after == *transfer && !transfer.awaits_sign_of_life(now) {
        return Ok(Change::Nothing);
    }
    after.note_report(transfer, now);
    after.updated_at = now;
    after.revision += 1;
    Ok(Change::Progress(after))
}

fn advance(
    transfer: &mut Transfer,
    report: &Report,
    complete: bool,
    now: Timestamp,
) -> Result<(), Refusal> {
    let uuid = transfer.uuid;
    let stored = transfer.phases.last().map(|it| it.phase);
    match (stored, report.phase) {
        (Some(stored), Some(reported)) if reported < stored => {
            return Err(Refusal::PhaseRegressed {
                uuid,
                stored,
                reported,
            });
        }
        (_, Some(phase)) if stored != Some(phase) => {
            transfer.phases.push(PhaseStart { phase, at: now });
        }
        _ => {}
    }
    if !report.problems.is_empty() {
        transfer.problems.clone_from(&report.problems);
    }
    transfer.totals = transfer
        .totals
        .advance(report)
        .map_err(|regression| Refusal::ProgressRegressed { uuid, regression })?;
    transfer
        .totals
        .balance(complete)
        .map_err(|imbalance| Refusal::TotalsInconsistent { uuid, imbalance })
}

fn enter(transfer: &mut Transfer, status: TransferStatus, now: Timestamp) {
    transfer.status = status;
    transfer.updated_at = now;
    transfer.revision += 1;
    if status.is_terminal() {
        transfer.completed_at = Some(now);
        transfer.heartbeat_expires_at = None;
    }
}

fn body(transfer: &Transfer, to: TransferStatus, event_type: EventType) -> EventBody {
    EventBody {
        event_type,
        from_status: Some(transfer.status),
        to_status: Some(to),
        actor_uuid: None,
        detail: None,
    }
}

#[cfg(test)]
mod tests;
