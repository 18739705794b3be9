//! Stops over the wire, field by field.

use std::time::Duration;

use tidegate_proto::v1::{self, AttemptEnd, EventType, StopCause, StopKind, TransferStatus};
use tidegate_tests::{
    World, WorldOptions, assert_refused,
    raw::{Raw, at_rest, done, plain, told, totals, wire_duration, wire_time},
    request,
};
use tonic::Code;

const GRACE: Duration = Duration::from_secs(30);
const SECOND: Duration = Duration::from_secs(1);

async fn world() -> (World, Raw) {
    let options = WorldOptions {
        stop_grace: GRACE,
        ..WorldOptions::still()
    };
    let world = World::start_with(options).await;
    let raw = world.services().await;
    (world, raw)
}

fn types(events: &[v1::Event]) -> Vec<EventType> {
    events.iter().map(v1::Event::r#type).collect()
}

async fn attempts(raw: &mut Raw, uuid: &str) -> Vec<AttemptEnd> {
    let request = v1::ListAttemptsRequest {
        uuid: uuid.to_owned(),
        before_epoch: 0,
    };
    let attempts = told(raw.transfers.list_attempts(request)).await.attempts;
    attempts.iter().map(v1::Attempt::end).collect()
}

#[tokio::test]
async fn a_run_is_cancelled_once_its_agent_has_stopped() {
    let (world, mut raw) = world().await;
    let running = raw.running().await;
    world.clock.advance(SECOND);
    let asked_at = world.clock.now();
    let asked = raw.cancel(&running.uuid).await;
    let stop = v1::Stop {
        kind: StopKind::Cancel.into(),
        cause: StopCause::Request.into(),
        reason: "called off".to_owned(),
        requested_at: Some(wire_time(asked_at)),
        requested_by_uuid: String::new(),
        expires_at: Some(wire_time(asked_at.after(GRACE))),
        stopped_at: None,
        forced: false,
    };
    let expected = v1::Transfer {
        stop: Some(stop.clone()),
        updated_at: Some(wire_time(asked_at)),
        revision: running.revision + 1,
        ..running.clone()
    };
    assert_eq!(asked, expected);
    assert_eq!(raw.now(&asked.uuid).await, expected);
    // The agent hears it with the next answer.
    let reported = raw.report(&asked.uuid, 3).await;
    assert_eq!(reported.stop, Some(stop.clone()));

    world.clock.advance(SECOND);
    let stopped_at = wire_time(world.clock.now());
    let acknowledgement = v1::AcknowledgeStopRequest {
        progress: Some(totals(7)),
        checkpoint: Some(b"row 7".to_vec()),
        ..request::acknowledgement(&asked.uuid)
    };
    let stopped = done(raw.transfers.acknowledge_stop(acknowledgement)).await;
    let expected = v1::Transfer {
        status: TransferStatus::Cancelled.into(),
        cancel_reason: "called off".to_owned(),
        progress: Some(totals(7)),
        success_rate: 1.0,
        checkpoint: b"row 7".to_vec(),
        stop: Some(v1::Stop {
            stopped_at: Some(stopped_at),
            ..stop
        }),
        completed_at: Some(stopped_at),
        updated_at: Some(stopped_at),
        duration: Some(wire_duration(2 * SECOND)),
        revision: reported.revision + 1,
        ..at_rest(reported, Some((3.5, 35.0)))
    };
    assert_eq!(stopped, expected);

    let events = raw.events_of(&asked.uuid).await;
    let told = [EventType::CancelRequested, EventType::Cancelled];
    assert_eq!(types(&events)[2..], told);
    for event in &events[2..] {
        let detail = v1::event::Detail::Stop(v1::StopDetail {
            cause: StopCause::Request.into(),
            reason: "called off".to_owned(),
            expires_at: Some(wire_time(asked_at.after(GRACE))),
            forced: false,
        });
        assert_eq!(event.detail, Some(detail));
    }
    assert_eq!(
        (events[2].from_status(), events[2].to_status()),
        (TransferStatus::InProgress, TransferStatus::InProgress)
    );
    assert_eq!(
        attempts(&mut raw, &asked.uuid).await,
        [AttemptEnd::Cancelled]
    );
}

#[tokio::test]
async fn a_run_is_paused_and_goes_on_from_its_checkpoint() {
    let (_world, mut raw) = world().await;
    let running = raw.running().await;
    let uuid = running.uuid.as_str();
    let asked = done(raw.transfers.pause_transfer(request::pause(uuid))).await;
    assert_eq!(asked.status(), TransferStatus::InProgress);
    let acknowledgement = v1::AcknowledgeStopRequest {
        progress: Some(totals(7)),
        checkpoint: Some(b"row 7".to_vec()),
        ..request::acknowledgement(uuid)
    };
    let paused = done(raw.transfers.acknowledge_stop(acknowledgement)).await;
    let expected = v1::Transfer {
        status: TransferStatus::Pending.into(),
        progress: Some(totals(7)),
        success_rate: 1.0,
        checkpoint: b"row 7".to_vec(),
        stop: asked.stop.clone().map(|stop| v1::Stop {
            stopped_at: paused.updated_at,
            ..stop
        }),
        started_at: None,
        updated_at: paused.updated_at,
        revision: asked.revision + 1,
        ..at_rest(asked, None)
    };
    assert_eq!(paused, expected);
    let refusal = raw
        .transfers
        .start_transfer(request::starting(uuid))
        .await
        .expect_err("it is paused");
    let refused = assert_refused(&refusal, Code::FailedPrecondition, "TRANSFER_PAUSED");
    assert_eq!(refused.metadata["reason"], "maintenance");
    assert_eq!(refused.metadata["cause"], "REQUEST");

    let resumed = done(raw.transfers.resume_transfer(request::resumption(uuid))).await;
    let expected = v1::Transfer {
        stop: None,
        revision: paused.revision + 1,
        ..paused
    };
    assert_eq!(resumed, expected);
    let again = raw.start(uuid).await;
    assert_eq!(
        (again.lease_epoch, again.checkpoint.as_slice()),
        (2, &b"row 7"[..])
    );
    let events = raw.events_of(uuid).await;
    let expected = [
        EventType::PauseRequested,
        EventType::Paused,
        EventType::Resumed,
        EventType::Started,
    ];
    assert_eq!(types(&events)[2..], expected);
    assert_eq!(
        attempts(&mut raw, uuid).await,
        [AttemptEnd::Paused, AttemptEnd::Running]
    );
    let before = v1::ListAttemptsRequest {
        uuid: uuid.to_owned(),
        before_epoch: 2,
    };
    let earlier = told(raw.transfers.list_attempts(before)).await;
    let epochs: Vec<_> = earlier.attempts.iter().map(|it| it.lease_epoch).collect();
    assert_eq!((epochs, earlier.more), (vec![1], false));
}

#[tokio::test]
async fn what_waits_is_held_and_can_still_be_decided_on() {
    let (_world, mut raw) = world().await;
    let uuid = raw.declared().await.uuid;
    raw.ask(&uuid, 100 * SECOND).await;
    let held = done(raw.transfers.pause_transfer(request::pause(&uuid))).await;
    assert_eq!(held.status(), TransferStatus::PendingApproval);
    let stop = held.stop.clone().expect("it is paused");
    assert_eq!((stop.expires_at, stop.forced), (None, false));
    assert_eq!(stop.stopped_at, stop.requested_at);
    let again = done(raw.transfers.pause_transfer(request::pause(&uuid))).await;
    assert_eq!(again, held, "it is paused already");
    let approved = raw.approve(&uuid).await;
    assert_eq!(
        (approved.status(), approved.stop),
        (TransferStatus::Approved, held.stop)
    );
    let start = raw.transfers.start_transfer(request::starting(&uuid)).await;
    assert_refused(
        &start.expect_err("it is paused"),
        Code::FailedPrecondition,
        "TRANSFER_PAUSED",
    );
    let cancelled = raw.cancel(&uuid).await;
    assert_eq!(cancelled.status(), TransferStatus::Cancelled);
    assert_eq!(
        cancelled.stop.expect("who and when").kind(),
        StopKind::Cancel
    );
}

#[tokio::test]
async fn a_request_is_taken_back_made_shorter_or_outdone() {
    let (world, mut raw) = world().await;
    let uuid = raw.running().await.uuid;
    done(raw.transfers.pause_transfer(request::pause(&uuid))).await;
    let goes_on = done(raw.transfers.resume_transfer(request::resumption(&uuid))).await;
    assert_eq!(
        (goes_on.status(), goes_on.stop),
        (TransferStatus::InProgress, None)
    );
    let acknowledged = raw
        .transfers
        .acknowledge_stop(request::acknowledgement(&uuid))
        .await;
    let refusal = acknowledged.expect_err("it was taken back");
    assert_refused(&refusal, Code::FailedPrecondition, "STOP_NOT_REQUESTED");

    done(raw.transfers.pause_transfer(request::pause(&uuid))).await;
    let outdone = raw.cancel(&uuid).await.stop.expect("it is asked");
    assert_eq!(outdone.kind(), StopKind::Cancel);
    for refusal in [
        raw.transfers
            .pause_transfer(request::pause(&uuid))
            .await
            .map(drop),
        raw.transfers
            .resume_transfer(request::resumption(&uuid))
            .await
            .map(drop),
    ] {
        let refusal = refusal.expect_err("it is about to be cancelled");
        let refused = assert_refused(&refusal, Code::FailedPrecondition, "CANCEL_REQUESTED");
        assert!(refused.metadata.contains_key("cancel_expires_at"));
    }
    let with = |grace| v1::CancelTransferRequest {
        grace: Some(wire_duration(grace)),
        ..request::cancellation(&uuid)
    };
    let later = done(raw.transfers.cancel_transfer(with(2 * GRACE))).await;
    assert_eq!(later.stop, Some(outdone), "it cannot be put off");
    let sooner = done(raw.transfers.cancel_transfer(with(SECOND))).await;
    let end = sooner.stop.expect("it is asked").expires_at;
    assert_eq!(end, Some(wire_time(world.clock.now().after(SECOND))));
    let forced = done(raw.transfers.cancel_transfer(with(Duration::ZERO))).await;
    assert_eq!(forced.status(), TransferStatus::Cancelled);
    assert!(forced.stop.expect("how it ended").forced);
}

#[tokio::test]
async fn a_grace_has_limits() {
    let (_world, mut raw) = world().await;
    let uuid = raw.create(plain()).await.uuid;
    for (seconds, nanos) in [
        (-1, 0),
        (0, -1),
        (86_401, 0),
        (i64::MIN, 0),
        (i64::MAX, 999),
    ] {
        let grace = Some(prost_types::Duration { seconds, nanos });
        let cancel = v1::CancelTransferRequest {
            grace,
            ..request::cancellation(&uuid)
        };
        let pause = v1::PauseTransferRequest {
            grace,
            ..request::pause(&uuid)
        };
        for refusal in [
            raw.transfers.cancel_transfer(cancel).await.map(drop),
            raw.transfers.pause_transfer(pause).await.map(drop),
        ] {
            let refusal = refusal.expect_err("it is out of bounds");
            let refused = assert_refused(&refusal, Code::InvalidArgument, "INVALID_FIELDS");
            assert_eq!(refused.fields, ["grace"], "{seconds} {nanos}");
        }
    }
}
