//! Stops in two phases.

use super::*;
use crate::attempt::{Attempt, AttemptEnd};

fn running() -> Transfer {
    let mut transfer = standing(TransferStatus::InProgress);
    transfer.heartbeat_timeout = Some(10 * SECOND);
    transfer.heartbeat_expires_at = Some(NOW.after(10 * SECOND));
    transfer
}

fn pause(grace: Option<Duration>) -> Verb {
    Verb::Stop(StopOrder {
        kind: StopKind::Pause,
        ..order(grace)
    })
}

fn told(decided: Result<Change, Refusal>) -> (Transfer, EventBody) {
    match decided {
        Ok(Change::Transition(after, body)) => (after, body),
        other => panic!("no transition: {other:?}"),
    }
}

const END: Verb = Verb::EndOverdue {
    reachable: ALWAYS,
    grace: None,
};

const fn acknowledge() -> Verb {
    Verb::AcknowledgeStop {
        lease_epoch: None,
        report: Report {
            records_transferred: Some(7),
            records_created: None,
            records_updated: None,
            records_skipped: None,
            records_failed: None,
            bytes_transferred: None,
            phase: None,
            problems: Vec::new(),
        },
        checkpoint: None,
    }
}

#[test]
fn a_run_is_asked_to_stop_and_confirms() {
    let (asked, event) = told(decide(&running(), &cancel(Some(SECOND)), NOW));
    assert_eq!(
        (asked.status, event.event_type),
        (TransferStatus::InProgress, EventType::CancelRequested)
    );
    assert!(asked.cancel_reason.is_empty() && asked.pending_stop().is_some());
    let report = Verb::UpdateProgress {
        lease_epoch: None,
        report: Report::default(),
        checkpoint: None,
    };
    assert!(matches!(
        decide(&asked, &report, NOW.after(SECOND)),
        Ok(Change::Progress(_))
    ));

    // Even after the grace, as long as nobody has ended it.
    let late = NOW.after(5 * SECOND);
    let (ended, event) = told(decide(&asked, &acknowledge(), late));
    assert_eq!(
        (ended.status, event.event_type),
        (TransferStatus::Cancelled, EventType::Cancelled)
    );
    assert_eq!(
        (
            ended.cancel_reason.as_str(),
            ended.totals.records_transferred
        ),
        ("changed my mind", 7)
    );
    let stop = ended.stop.expect("the row says which");
    assert_eq!(
        (stop.requested_at, stop.stopped_at, stop.forced),
        (NOW, Some(late), false)
    );
    let detail = EventDetail::Stop {
        cause: StopCause::Request,
        reason: "changed my mind".to_owned(),
        expires_at: Some(NOW.after(SECOND)),
        forced: false,
    };
    assert_eq!(event.detail, Some(detail));
}

#[test]
fn its_own_word_counts_for_as_long_as_it_is_asked() {
    let (asked, _) = told(decide(&running(), &cancel(Some(SECOND)), NOW));
    for verb in verbs() {
        if matches!(verb, Verb::Complete { .. } | Verb::Fail { .. }) {
            let (after, _) = told(decide(&asked, &verb, NOW));
            assert!(matches!(
                after.status,
                TransferStatus::Completed | TransferStatus::Failed
            ));
            let stop = after.stop.expect("it was asked");
            assert_eq!((stop.stopped_at, stop.forced), (None, false));
        }
    }
}

#[test]
fn the_end_of_the_grace_forces_it() {
    for (verb, to, event) in [
        (
            cancel(Some(SECOND)),
            TransferStatus::Cancelled,
            EventType::Cancelled,
        ),
        (
            pause(Some(SECOND)),
            TransferStatus::Pending,
            EventType::Paused,
        ),
    ] {
        let (asked, _) = told(decide(&running(), &verb, NOW));
        let end = NOW.after(SECOND);
        let before = Timestamp::from_micros(end.as_micros() - 1);
        assert_eq!(decide(&asked, &END, before), Ok(Change::Nothing));
        // Whoever could not hear of it has the whole grace once they can.
        let away = Reachable {
            since: NOW.after(SECOND / 2),
            until: Timestamp::MAX,
        };
        let reachable = |at| {
            decide(
                &asked,
                &Verb::EndOverdue {
                    reachable: away,
                    grace: None,
                },
                at,
            )
        };
        assert_eq!(reachable(end), Ok(Change::Nothing));
        for decided in [decide(&asked, &END, end), reachable(end.after(SECOND / 2))] {
            let (after, body) = told(decided);
            assert_eq!((after.status, body.event_type), (to, event));
            let stop = after.stop.expect("it was asked");
            assert!(stop.forced && stop.stopped_at.is_some());
            assert!(matches!(
                body.detail,
                Some(EventDetail::Stop { forced: true, .. })
            ));
        }
    }
}

#[test]
fn an_agent_that_falls_silent_when_asked_has_stopped() {
    let mut silent = running();
    silent.declared.max_attempts = Some(5);
    silent.heartbeat_expires_at = Some(NOW);
    for (verb, to) in [
        (cancel(Some(9 * SECOND)), TransferStatus::Cancelled),
        (pause(Some(9 * SECOND)), TransferStatus::Pending),
    ] {
        let (asked, _) = told(decide(&silent, &verb, NOW));
        let (after, _) = told(decide(&asked, &END, NOW));
        assert_eq!(after.status, to);
        assert!(after.stop.is_some_and(|stop| stop.forced));
    }
}

#[test]
fn without_a_grace_it_stops_at_once() {
    for grace in [None, Some(Duration::ZERO)] {
        let (after, _) = told(decide(&running(), &cancel(grace), NOW));
        assert_eq!(after.status, TransferStatus::Cancelled);
        assert!(after.stop.is_some_and(|stop| stop.forced));
        let (after, event) = told(decide(&running(), &pause(grace), NOW));
        assert_eq!(
            (after.status, event.event_type),
            (TransferStatus::Pending, EventType::Paused)
        );
    }
    // Nobody is forced where nobody runs it.
    for status in [
        TransferStatus::Pending,
        TransferStatus::PendingApproval,
        TransferStatus::Approved,
    ] {
        let (after, _) = told(decide(&standing(status), &cancel(Some(SECOND)), NOW));
        assert_eq!(
            (after.status, after.cancel_reason.as_str()),
            (TransferStatus::Cancelled, "changed my mind")
        );
        let stop = after.stop.expect("the row says who");
        assert_eq!(
            (stop.grace, stop.stopped_at, stop.forced),
            (None, Some(NOW), false)
        );
    }
}

#[test]
fn who_asks_again_can_only_shorten_the_grace() {
    let (asked, _) = told(decide(&running(), &cancel(Some(4 * SECOND)), NOW));
    let later = NOW.after(SECOND);
    for grace in [4 * SECOND, 3 * SECOND] {
        assert_eq!(
            decide(&asked, &cancel(Some(grace)), later),
            Ok(Change::Nothing)
        );
    }
    let (sooner, event) = told(decide(&asked, &cancel(Some(SECOND)), later));
    assert_eq!(event.event_type, EventType::CancelRequested);
    let stop = sooner.stop.expect("it is asked");
    assert_eq!(
        (stop.requested_at, stop.expires_at()),
        (NOW, Some(NOW.after(2 * SECOND)))
    );
    let (ended, _) = told(decide(&asked, &cancel(Some(Duration::ZERO)), later));
    assert_eq!(ended.status, TransferStatus::Cancelled);
}

#[test]
fn a_cancellation_takes_the_place_of_a_pause_and_nothing_takes_its() {
    let (paused, _) = told(decide(&running(), &pause(Some(SECOND)), NOW));
    let (cancelled, _) = told(decide(&paused, &cancel(Some(SECOND)), NOW));
    assert_eq!(
        cancelled.stop.as_ref().map(|stop| stop.kind),
        Some(StopKind::Cancel)
    );
    for verb in [pause(Some(SECOND)), Verb::Resume { only: None }] {
        let refusal = decide(&cancelled, &verb, NOW).expect_err("it is being cancelled");
        assert_eq!(refusal.reason(), "CANCEL_REQUESTED");
    }
    let refusal = decide(&running(), &acknowledge(), NOW).expect_err("nobody asked");
    assert_eq!(refusal.reason(), "STOP_NOT_REQUESTED");
}

#[test]
fn what_is_paused_waits_to_be_resumed_and_costs_no_attempt() {
    let start = Verb::Start {
        heartbeat_timeout: Some(SECOND),
        owner_uuid: None,
        agent_instance: String::new(),
    };
    let mut transfer = running();
    transfer.declared.max_attempts = Some(2);
    for pauses in 1..=3 {
        let (asked, _) = told(decide(&transfer, &pause(Some(SECOND)), NOW));
        let (paused, event) = told(decide(&asked, &acknowledge(), NOW));
        assert_eq!(
            (paused.status, paused.pauses),
            (TransferStatus::Pending, pauses)
        );
        let attempt = Attempt::given_up(&asked, &paused, &event).expect("it ran");
        assert_eq!(
            (
                attempt.end,
                attempt.epoch,
                attempt.ended_at,
                attempt.totals.records_transferred
            ),
            (AttemptEnd::Paused, pauses, Some(NOW), 7)
        );
        let refusal = decide(&paused, &start, NOW).expect_err("it is paused");
        assert_eq!(refusal.reason(), "TRANSFER_PAUSED");
        assert_eq!(decide(&paused, &pause(None), NOW), Ok(Change::Nothing));
        let (resumed, event) = told(decide(&paused, &Verb::Resume { only: None }, NOW));
        assert_eq!(
            (event.event_type, resumed.stop.is_none()),
            (EventType::Resumed, true)
        );
        assert_eq!(
            decide(&resumed, &Verb::Resume { only: None }, NOW),
            Ok(Change::Nothing)
        );
        (transfer, _) = told(decide(&resumed, &start, NOW));
        assert_eq!(transfer.lease_epoch, pauses + 1);
    }
    // The first attempt that is lost leaves one more, whatever came between.
    let end = NOW.after(SECOND);
    let (again, event) = told(decide(&transfer, &END, end));
    assert_eq!(event.event_type, EventType::Requeued);
    let (last, _) = told(decide(&again, &start, end));
    let (failed, _) = told(decide(&last, &END, end.after(SECOND)));
    assert_eq!(failed.status, TransferStatus::Failed);
}

#[test]
fn who_waits_can_be_paused_and_goes_on_waiting() {
    for status in [
        TransferStatus::Pending,
        TransferStatus::PendingApproval,
        TransferStatus::Approved,
    ] {
        let (paused, event) = told(decide(&standing(status), &pause(Some(SECOND)), NOW));
        assert_eq!(
            (paused.status, event.event_type),
            (status, EventType::Paused)
        );
        assert!(paused.pause().is_some() && paused.pauses == 0);
        assert!(Attempt::given_up(&standing(status), &paused, &event).is_none());
        let (cancelled, _) = told(decide(&paused, &cancel(None), NOW));
        assert_eq!(cancelled.stop.map(|stop| stop.kind), Some(StopKind::Cancel));
    }
}

#[test]
fn a_pause_is_taken_back_by_its_own_cause() {
    let (paused, _) = told(decide(
        &standing(TransferStatus::Pending),
        &pause(None),
        NOW,
    ));
    let only = Some(StopCause::ConnectionSuspended);
    assert_eq!(
        decide(&paused, &Verb::Resume { only }, NOW),
        Ok(Change::Nothing)
    );
    let (asked, _) = told(decide(&running(), &pause(Some(SECOND)), NOW));
    let (goes_on, _) = told(decide(&asked, &Verb::Resume { only: None }, NOW));
    assert_eq!(
        (goes_on.status, goes_on.stop),
        (TransferStatus::InProgress, None)
    );
}
