//! Stops in two phases: asked for, then confirmed by whoever runs the transfer, or forced at the end of the grace.

use std::time::Duration;

use super::{Change, advance, body, enter, queue_again};
use crate::{
    event::{EventBody, EventDetail, EventType},
    progress::Report,
    refusal::Refusal,
    status::TransferStatus,
    stop::{Stop, StopCause, StopKind, StopOrder},
    time::Timestamp,
    transfer::Transfer,
};

/// Asks for a stop: what nobody runs stops at once, and so does a run that is given no grace.
///
/// A run that is asked to stop already goes on to its deadline, or to an earlier one. A cancellation takes the place of a
/// pause, not the other way round.
pub(super) fn request(
    transfer: &Transfer,
    order: &StopOrder,
    now: Timestamp,
) -> Result<Change, Refusal> {
    let running = transfer.status == TransferStatus::InProgress;
    let grace = order.grace.filter(|_| running).unwrap_or_default();
    let mut stop = Stop {
        kind: order.kind,
        cause: order.cause,
        reason: order.reason.clone(),
        requested_at: now,
        requested_by_uuid: order.by,
        grace: running.then_some(grace),
        stopped_at: None,
        forced: false,
    };
    match (&transfer.stop, order.kind) {
        (Some(asked), kind) if asked.kind == kind => {
            let sooner = asked.expires_at().is_some_and(|end| now.after(grace) < end);
            if !running || !sooner {
                return Ok(Change::Nothing);
            }
            let grace = Some(now.after(grace).since(asked.requested_at));
            stop = Stop {
                grace,
                ..asked.clone()
            };
        }
        (Some(asked), StopKind::Pause) => {
            return Err(Refusal::CancelRequested {
                uuid: transfer.uuid,
                cancel_expires_at: asked.expires_at(),
            });
        }
        (Some(_), StopKind::Cancel) | (None, _) => {}
    }
    let mut after = transfer.clone();
    if !running || grace.is_zero() {
        return Ok(take_effect(transfer, after, &stop, running, now));
    }
    after.stop = Some(stop);
    let event = match order.kind {
        StopKind::Cancel => EventType::CancelRequested,
        StopKind::Pause => EventType::PauseRequested,
    };
    Ok(told(transfer, after, transfer.status, event, now))
}

/// Who has not finished in time is asked to stop, unless they are asked to already.
pub(super) fn at_finish(
    transfer: &Transfer,
    grace: Option<Duration>,
    now: Timestamp,
) -> Result<Change, Refusal> {
    let over = transfer.finish_expires_at.filter(|end| *end <= now);
    let Some(end) = over.filter(|_| transfer.pending_stop().is_none()) else {
        return Ok(Change::Nothing);
    };
    let order = StopOrder {
        kind: StopKind::Cancel,
        cause: StopCause::FinishBy,
        reason: format!("it was to finish by {end}"),
        grace,
        by: None,
    };
    request(transfer, &order, now)
}

/// Whoever runs it says that it runs no more.
pub(super) fn acknowledge(
    transfer: &Transfer,
    report: &Report,
    checkpoint: Option<&[u8]>,
    now: Timestamp,
) -> Result<Change, Refusal> {
    let Some(stop) = transfer.pending_stop() else {
        let uuid = transfer.uuid;
        return Err(Refusal::StopNotRequested { uuid });
    };
    let mut after = transfer.clone();
    advance(&mut after, report, false, now)?;
    if let Some(checkpoint) = checkpoint {
        after.checkpoint = checkpoint.to_vec();
    }
    Ok(take_effect(transfer, after, stop, false, now))
}

/// Takes a pause back, or the request for one.
pub(super) fn resume(
    transfer: &Transfer,
    only: Option<StopCause>,
    now: Timestamp,
) -> Result<Change, Refusal> {
    let Some(stop) = &transfer.stop else {
        return Ok(Change::Nothing);
    };
    if stop.kind == StopKind::Cancel {
        return Err(Refusal::CancelRequested {
            uuid: transfer.uuid,
            cancel_expires_at: stop.expires_at(),
        });
    }
    if only.is_some_and(|cause| cause != stop.cause) {
        return Ok(Change::Nothing);
    }
    let mut after = transfer.clone();
    after.stop = None;
    let to = transfer.status;
    Ok(told(transfer, after, to, EventType::Resumed, now))
}

/// Stops it as was asked: `forced` is without the word of whoever ran it.
pub(super) fn take_effect(
    before: &Transfer,
    mut after: Transfer,
    stop: &Stop,
    forced: bool,
    now: Timestamp,
) -> Change {
    after.stop = Some(Stop {
        stopped_at: Some(now),
        forced,
        ..stop.clone()
    });
    let (to, event) = match stop.kind {
        StopKind::Cancel => {
            after.cancel_reason.clone_from(&stop.reason);
            (TransferStatus::Cancelled, EventType::Cancelled)
        }
        StopKind::Pause if before.status == TransferStatus::InProgress => {
            after.pauses += 1;
            (queue_again(&mut after), EventType::Paused)
        }
        StopKind::Pause => (before.status, EventType::Paused),
    };
    told(before, after, to, event, now)
}

fn told(
    before: &Transfer,
    mut after: Transfer,
    to: TransferStatus,
    event: EventType,
    now: Timestamp,
) -> Change {
    let detail = after.stop.as_ref().map(|stop| EventDetail::Stop {
        cause: stop.cause,
        reason: stop.reason.clone(),
        expires_at: stop.expires_at(),
        forced: stop.forced,
    });
    enter(&mut after, to, now);
    let body = EventBody {
        detail,
        ..body(before, to, event)
    };
    Change::Transition(after, body)
}
