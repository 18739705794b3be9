//! Limits of time over the wire, field by field.

use std::time::Duration;

use prost_types::Timestamp;
use tidegate_proto::v1::{
    self, EventType, ExpiryReason, StopCause, StopKind, TransferStatus, event::Detail,
};
use tidegate_tests::{
    World, WorldOptions, assert_refused,
    raw::{Raw, done, plain, told, wire_duration, wire_time},
    request, soon,
};
use tonic::Code;

use crate::bad_input::bad_fields;

const MINUTE: Duration = Duration::from_secs(60);

async fn world() -> (World, Raw) {
    let world = World::start_with(WorldOptions {
        stop_grace: MINUTE,
        ..WorldOptions::still()
    })
    .await;
    let raw = world.services().await;
    (world, raw)
}

/// So many minutes from now on.
fn after(world: &World, minutes: u32) -> Option<Timestamp> {
    Some(wire_time(world.clock.now().after(minutes * MINUTE)))
}

async fn limited(world: &World, raw: &mut Raw) -> String {
    let policy = v1::ConnectionPolicy {
        start_within: Some(wire_duration(10 * MINUTE)),
        finish_within: Some(wire_duration(20 * MINUTE)),
        stop_grace: Some(wire_duration(2 * MINUTE)),
        ..v1::ConnectionPolicy::default()
    };
    let request = v1::CreateConnectionRequest {
        name: "limited".to_owned(),
        direction: v1::ConnectionDirection::Sender.into(),
        site_url: world.address.clone(),
        policy: Some(policy),
        ..v1::CreateConnectionRequest::default()
    };
    let answer = told(raw.connections.create_connection(request)).await;
    answer.connection.expect("the connection").uuid
}

fn expiry(events: &[v1::Event]) -> (EventType, Option<ExpiryReason>) {
    let last = events.last().expect("an event");
    let reason = match &last.detail {
        Some(Detail::Expiry(detail)) => Some(detail.reason()),
        _ => None,
    };
    (last.r#type(), reason)
}

#[tokio::test]
async fn a_start_comes_neither_too_early_nor_too_late() {
    let (world, mut raw) = world().await;
    let request = v1::CreateTransferRequest {
        not_before: after(&world, 5),
        start_by: after(&world, 9),
        finish_by: after(&world, 30),
        ..plain()
    };
    let early = raw.create(request.clone()).await;
    assert_eq!(early.not_before, request.not_before);
    assert_eq!(early.start_expires_at, request.start_by);
    assert_eq!(early.finish_expires_at, request.finish_by);
    let late = raw.create(request.clone()).await;

    let start = raw.transfers.start_transfer(request::starting(&early.uuid));
    let status = start.await.expect_err("it is early");
    let not_before = world.clock.now().after(5 * MINUTE).to_string();
    let refused = assert_refused(&status, Code::FailedPrecondition, "TOO_EARLY");
    assert_eq!(refused.metadata.get("not_before"), Some(&not_before));

    world.clock.advance(5 * MINUTE);
    let running = raw.start(&early.uuid).await;
    assert_eq!(
        (running.start_expires_at, running.finish_expires_at),
        (None, request.finish_by)
    );

    world.clock.advance(4 * MINUTE);
    for _ in 0..2 {
        let start = raw.transfers.start_transfer(request::starting(&late.uuid));
        let status = start.await.expect_err("it is late");
        let ended = world.clock.now().to_string();
        let refused = assert_refused(&status, Code::FailedPrecondition, "START_EXPIRED");
        let told = |name| refused.metadata.get(name).map_or("", String::as_str);
        let names = ["uuid", "status", "action", "start_expires_at"];
        assert_eq!(names.map(told), [&late.uuid, "EXPIRED", "START", &ended]);
    }
    let expired = raw.now(&late.uuid).await;
    assert_eq!(expired.status(), TransferStatus::Expired);
    assert_eq!(expired.expiry_reason(), ExpiryReason::NotStarted);
    let events = raw.events_of(&late.uuid).await;
    assert_eq!(
        expiry(&events),
        (EventType::Expired, Some(ExpiryReason::NotStarted))
    );
}

#[tokio::test]
async fn an_approval_lapses_as_the_policy_says() {
    let (world, mut raw) = world().await;
    let connection_uuid = limited(&world, &mut raw).await;
    let request = v1::CreateTransferRequest {
        connection_uuid,
        requires_approval: true,
        ..plain()
    };
    let created = raw.create(request).await;
    assert_eq!(created.start_expires_at, None, "it waits for its approval");
    raw.ask(&created.uuid, 60 * MINUTE).await;
    world.clock.advance(30 * MINUTE);
    let approved = raw.approve(&created.uuid).await;
    assert_eq!(approved.start_expires_at, after(&world, 10));
    world.clock.advance(10 * MINUTE);
    let start = raw
        .transfers
        .start_transfer(request::starting(&created.uuid));
    let status = start.await.expect_err("it is late");
    assert_refused(&status, Code::FailedPrecondition, "START_EXPIRED");
    let expired = raw.now(&created.uuid).await;
    assert_eq!(expired.expiry_reason(), ExpiryReason::ApprovalLapsed);
}

#[tokio::test]
async fn what_can_not_start_any_more_waits_for_nobody() {
    let (world, mut raw) = world().await;
    let request = v1::CreateTransferRequest {
        start_by: after(&world, 5),
        requires_approval: true,
        ..plain()
    };
    let created = raw.create(request).await;
    raw.ask(&created.uuid, 60 * MINUTE).await;
    let pending = |answer: v1::ListPendingApprovalsResponse| answer.transfers.len();
    let list = v1::ListPendingApprovalsRequest::default();
    let listed = told(raw.transfers.list_pending_approvals(list.clone())).await;
    assert_eq!(pending(listed), 1);
    world.clock.advance(5 * MINUTE);
    let listed = told(raw.transfers.list_pending_approvals(list)).await;
    assert_eq!(pending(listed), 0, "whether or not it was swept");
    let approval = request::approval(&created.uuid);
    let status = raw
        .transfers
        .approve_transfer(approval)
        .await
        .expect_err("it is late");
    assert_refused(&status, Code::FailedPrecondition, "APPROVAL_EXPIRED");
    let expired = raw.now(&created.uuid).await;
    assert_eq!(expired.expiry_reason(), ExpiryReason::NotStarted);
}

#[tokio::test]
async fn limits_that_nothing_can_meet_are_refused() {
    let (world, mut raw) = world().await;
    let now = after(&world, 0);
    for (request, fields) in [
        (
            v1::CreateTransferRequest {
                start_by: now,
                finish_by: now,
                ..plain()
            },
            &["finish_by", "start_by"][..],
        ),
        (
            v1::CreateTransferRequest {
                not_before: after(&world, 2),
                start_by: after(&world, 2),
                ..plain()
            },
            &["start_by"],
        ),
        (
            v1::CreateTransferRequest {
                not_before: Some(Timestamp {
                    seconds: i64::MAX,
                    nanos: 0,
                }),
                ..plain()
            },
            &["not_before"],
        ),
    ] {
        let mut named = bad_fields(raw.transfers.create_transfer(request)).await;
        named.sort();
        assert_eq!(named, fields);
    }
}

/// A server that sweeps, with a clock that the test moves.
async fn swept() -> (World, Raw) {
    let world = World::start_with(WorldOptions {
        sweep_interval: Duration::from_millis(50),
        stop_grace: MINUTE,
        ..WorldOptions::still()
    })
    .await;
    let raw = world.services().await;
    (world, raw)
}

async fn becomes(raw: &mut Raw, uuid: &str, is: impl Fn(&v1::Transfer) -> bool) -> v1::Transfer {
    soon("it becomes so", async {
        loop {
            let now = raw.now(uuid).await;
            if is(&now) {
                return now;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
}

#[tokio::test]
async fn deadlines_pass_though_nobody_calls() {
    let (world, mut raw) = swept().await;
    let start_by = after(&world, 5);
    let mut waiting = Vec::new();
    // More than a sweep asks for at once.
    for _ in 0..600 {
        let request = v1::CreateTransferRequest {
            start_by,
            ..plain()
        };
        waiting.push(raw.create(request).await.uuid);
    }
    let patient = raw.declared().await.uuid;
    world.clock.advance(5 * MINUTE);
    for uuid in &waiting {
        let expired = becomes(&mut raw, uuid, |it| it.status() == TransferStatus::Expired).await;
        assert_eq!(expired.expiry_reason(), ExpiryReason::NotStarted);
    }
    assert_eq!(raw.now(&patient).await.status(), TransferStatus::Pending);
}

#[tokio::test]
async fn a_run_past_its_time_is_cancelled_in_two_phases() {
    let (world, mut raw) = swept().await;
    let connection_uuid = limited(&world, &mut raw).await;
    let mut runs = Vec::new();
    for _ in 0..2 {
        let request = v1::CreateTransferRequest {
            connection_uuid: connection_uuid.clone(),
            finish_by: after(&world, 90),
            ..plain()
        };
        let created = raw.create(request).await;
        let start = v1::StartTransferRequest {
            heartbeat_timeout: None,
            ..request::starting(&created.uuid)
        };
        let running = done(raw.transfers.start_transfer(start)).await;
        assert_eq!(
            running.finish_expires_at,
            after(&world, 20),
            "the earlier one"
        );
        runs.push(running.uuid);
    }
    world.clock.advance(20 * MINUTE);
    for uuid in &runs {
        let asked = becomes(&mut raw, uuid, |it| it.stop.is_some()).await;
        assert_eq!(asked.status(), TransferStatus::InProgress);
        let stop = asked.stop.expect("it is asked");
        assert_eq!(
            (stop.kind(), stop.cause()),
            (StopKind::Cancel, StopCause::FinishBy)
        );
        assert_eq!(stop.expires_at, after(&world, 2), "the grace of the policy");
        assert_eq!(stop.requested_by_uuid, "");
    }
    // One confirms, and the other has the grace.
    let acknowledgement = request::acknowledgement(&runs[0]);
    let stopped = done(raw.transfers.acknowledge_stop(acknowledgement)).await;
    assert_eq!(stopped.status(), TransferStatus::Cancelled);
    world.clock.advance(2 * MINUTE);
    let forced = becomes(&mut raw, &runs[1], |it| {
        it.status() == TransferStatus::Cancelled
    })
    .await;
    let is_forced = |it: v1::Transfer| it.stop.is_some_and(|stop| stop.forced);
    assert_eq!((is_forced(stopped), is_forced(forced)), (false, true));
    let events = raw.events_of(&runs[1]).await;
    let types: Vec<_> = events.iter().map(v1::Event::r#type).collect();
    let expected = [
        EventType::Created,
        EventType::Started,
        EventType::CancelRequested,
        EventType::Cancelled,
    ];
    assert_eq!(types, expected);
}
