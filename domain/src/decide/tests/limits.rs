//! Limits of time.

use super::*;
use crate::transfer::NewTransfer;

fn after(seconds: u32) -> Timestamp {
    NOW.after(seconds * SECOND)
}

fn declared(limits: impl FnOnce(&mut NewTransfer)) -> Transfer {
    let mut new = sample().declared;
    limits(&mut new);
    Transfer::create(id(7), new, NOW)
}

fn told(decided: Result<Change, Refusal>) -> (Transfer, EventBody) {
    match decided {
        Ok(Change::Transition(after, body)) => (after, body),
        other => panic!("no transition: {other:?}"),
    }
}

fn start(transfer: &Transfer, at: Timestamp) -> Result<Change, Refusal> {
    let start = Verb::Start {
        heartbeat_timeout: Some(SECOND),
        owner_uuid: None,
        agent_instance: String::new(),
    };
    decide(transfer, &start, at)
}

fn approve(transfer: &Transfer, at: Timestamp) -> Result<Change, Refusal> {
    let approve = Verb::Approve {
        admin_user_uuid: id(1),
        comment: String::new(),
        revision: None,
    };
    decide(transfer, &approve, at)
}

fn ask(transfer: &Transfer, expires_in: Duration) -> Transfer {
    told(decide(transfer, &Verb::RequestApproval { expires_in }, NOW)).0
}

fn end(transfer: &Transfer, grace: Duration, at: Timestamp) -> Result<Change, Refusal> {
    let end = Verb::EndOverdue {
        reachable: ALWAYS,
        grace: Some(grace),
    };
    decide(transfer, &end, at)
}

/// What a late call is told, and what has become of the transfer then: the same before a sweep and after it.
fn late(
    transfer: &Transfer,
    at: Timestamp,
    call: impl Fn(&Transfer, Timestamp) -> Result<Change, Refusal>,
) -> (&'static str, ExpiryReason) {
    let refusal = call(transfer, at).expect_err("it is late");
    let left_behind = on_refused(transfer, &refusal, at);
    let swept = decide(transfer, &Verb::Expire, at);
    assert_eq!(Ok(&left_behind), swept.as_ref());
    let (expired, event) = told(swept);
    assert_eq!(call(&expired, after(1_000)), Err(refusal.clone()));
    let reason = expired.expiry_reason().expect("it has expired");
    assert_eq!(event.detail, Some(EventDetail::Expiry { reason }));
    (refusal.reason(), reason)
}

#[test]
fn nothing_starts_too_early() {
    let early = declared(|new| new.not_before = Some(after(2)));
    let refusal = start(&early, after(1)).expect_err("it is early");
    assert_eq!(refusal.reason(), "TOO_EARLY");
    assert_eq!(on_refused(&early, &refusal, after(1)), Change::Nothing);
    let (started, _) = told(start(&early, after(2)));
    assert_eq!(started.status, TransferStatus::InProgress);
    // It holds for every start.
    let mut again = early;
    again.lease_epoch = 1;
    assert!(start(&again, after(1)).is_err());
}

#[test]
fn what_nobody_starts_in_time_expires() {
    let waiting = declared(|new| new.start_by = Some(after(2)));
    assert_eq!(
        decide(&waiting, &Verb::Expire, after(1)),
        Ok(Change::Nothing)
    );
    assert!(start(&waiting, after(1)).is_ok());
    let not_started = ("START_EXPIRED", ExpiryReason::NotStarted);
    assert_eq!(late(&waiting, after(2), start), not_started);
    let ask = |it: &Transfer, at| {
        let expires_in = SECOND;
        decide(it, &Verb::RequestApproval { expires_in }, at)
    };
    assert_eq!(late(&waiting, after(2), ask), not_started);

    let mut paused = waiting;
    paused.stop = Some(stop(StopKind::Pause));
    assert_eq!(late(&paused, after(2), start), not_started);
}

#[test]
fn an_approval_lapses() {
    let asked = ask(&declared(|new| new.start_by = Some(after(5))), 2 * SECOND);
    let undecided = ("APPROVAL_EXPIRED", ExpiryReason::ApprovalExpired);
    assert_eq!(late(&asked, after(2), approve), undecided);
    let (approved, _) = told(approve(&asked, after(1)));
    assert_eq!(
        decide(&approved, &Verb::Expire, after(4)),
        Ok(Change::Nothing)
    );
    let lapsed = ("START_EXPIRED", ExpiryReason::ApprovalLapsed);
    assert_eq!(late(&approved, after(5), start), lapsed);
}

#[test]
fn nobody_decides_on_what_cannot_start_any_more() {
    let asked = ask(&declared(|new| new.start_by = Some(after(2))), 5 * SECOND);
    assert_eq!(asked.decision_expires_at(), Some(after(2)));
    let not_started = ("APPROVAL_EXPIRED", ExpiryReason::NotStarted);
    assert_eq!(late(&asked, after(2), approve), not_started);
}

#[test]
fn the_time_to_start_counts_from_when_it_may_start() {
    let mut waiting = declared(|new| {
        new.not_before = Some(after(10));
        new.start_by = Some(after(100));
    });
    waiting.start_within = Some(5 * SECOND);
    waiting.await_start(NOW);
    assert_eq!(waiting.start_expires_at, Some(after(15)));
    let asked = ask(&waiting, 50 * SECOND);
    assert_eq!(
        asked.start_expires_at,
        Some(after(100)),
        "it waits for the approver"
    );
    let (approved, _) = told(approve(&asked, after(20)));
    assert_eq!(approved.start_expires_at, Some(after(25)));
    let (approved, _) = told(approve(&asked, after(49)));
    assert_eq!(approved.start_expires_at, Some(after(54)));
    waiting.declared.start_by = Some(after(12));
    waiting.await_start(NOW);
    assert_eq!(
        waiting.start_expires_at,
        Some(after(12)),
        "the earlier one holds"
    );
}

#[test]
fn a_run_past_its_time_is_asked_to_stop_once() {
    let mut waiting = declared(|new| new.finish_by = Some(after(9)));
    waiting.finish_within = Some(3 * SECOND);
    let (mut running, _) = told(start(&waiting, after(1)));
    assert_eq!(running.finish_expires_at, Some(after(4)));
    running.heartbeat_expires_at = Some(after(100));
    assert_eq!(end(&running, SECOND, after(3)), Ok(Change::Nothing));

    let (asked, event) = told(end(&running, SECOND, after(4)));
    assert_eq!(event.event_type, EventType::CancelRequested);
    let told_to = asked.pending_stop().expect("it is asked");
    assert_eq!(
        (told_to.kind, told_to.cause),
        (StopKind::Cancel, StopCause::FinishBy)
    );
    assert_eq!(told_to.expires_at(), Some(after(5)));
    // Its own word still counts.
    let complete = Verb::Complete {
        lease_epoch: None,
        report: Report::default(),
    };
    assert_eq!(
        told(decide(&asked, &complete, after(4))).0.status,
        TransferStatus::Completed
    );
    let (cancelled, _) = told(end(&asked, SECOND, after(5)));
    assert_eq!(cancelled.status, TransferStatus::Cancelled);
    assert!(cancelled.cancel_reason.contains("finish by"));

    // Who stops already is not asked again, and without a grace nobody is.
    let mut stopping = running.clone();
    stopping.stop = Some(Stop {
        grace: Some(100 * SECOND),
        ..stop(StopKind::Pause)
    });
    assert_eq!(end(&stopping, SECOND, after(4)), Ok(Change::Nothing));
    let (cancelled, _) = told(end(&running, Duration::ZERO, after(4)));
    assert_eq!(cancelled.status, TransferStatus::Cancelled);
    assert!(cancelled.stop.is_some_and(|stop| stop.forced));
}

#[test]
fn what_was_queued_again_has_until_its_end() {
    let mut waiting = declared(|new| {
        new.max_attempts = Some(2);
        new.start_by = Some(after(2));
        new.finish_by = Some(after(9));
    });
    waiting.finish_within = Some(4 * SECOND);
    let (running, _) = told(start(&waiting, after(1)));
    assert_eq!(
        (running.start_expires_at, running.finish_expires_at),
        (None, Some(after(5)))
    );
    let (queued, event) = told(end(&running, SECOND, after(3)));
    assert_eq!(event.event_type, EventType::Requeued);
    assert_eq!(
        queued.start_expires_at,
        Some(after(5)),
        "not the one of its first start"
    );
    let (again, _) = told(start(&queued, after(4)));
    assert_eq!(
        again.finish_expires_at,
        Some(after(5)),
        "it counts from the first start"
    );
    let not_finished = ("START_EXPIRED", ExpiryReason::NotFinished);
    assert_eq!(late(&queued, after(5), start), not_finished);
}
