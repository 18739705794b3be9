//! An agent that falls silent loses its transfer; one that reports keeps it.

use std::time::Duration;

use tidegate_proto::v1::{self, EventType, TransferStatus};
use tidegate_tests::{
    World, WorldOptions, assert_refused,
    raw::{Raw, at_rest, done, totals, wire_duration, wire_time},
    soon,
};
use tonic::Code;

use super::Reports;

const TIMEOUT: Duration = Duration::from_secs(10);
/// Longer than the agents of the canaries may be silent, shorter than those who report in between.
const PATIENCE: Duration = Duration::from_secs(15);

/// A clock that the test moves and a sweeper that looks at it all the time.
async fn world() -> (World, Raw) {
    let options = WorldOptions {
        sweep_interval: Duration::from_millis(15),
        ..WorldOptions::still()
    };
    let world = World::start_with(options).await;
    let raw = world.services().await;
    (world, raw)
}

async fn beating(raw: &mut Raw, timeout: Duration) -> v1::Transfer {
    let uuid = raw.declared().await.uuid;
    let request = v1::StartTransferRequest {
        agent_instance: String::new(),
        uuid,
        heartbeat_timeout: Some(wire_duration(timeout)),
        request_id: String::new(),
    };
    done(raw.transfers.start_transfer(request)).await
}

async fn until_failed(raw: &mut Raw, uuid: &str) -> v1::Transfer {
    soon("the loss of the heartbeat", async {
        loop {
            let now = raw.now(uuid).await;
            if now.status() == TransferStatus::Failed {
                return now;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
}

#[tokio::test]
async fn a_silent_agent_s_transfer_fails() {
    let (world, mut raw) = world().await;
    let started = beating(&mut raw, TIMEOUT).await;
    world.clock.advance(TIMEOUT);
    let now = Some(wire_time(world.clock.now()));
    let failed = until_failed(&mut raw, &started.uuid).await;
    assert!(
        failed.error_message.starts_with("HEARTBEAT_LOST"),
        "{}",
        failed.error_message
    );
    assert!(
        failed.error_message.contains("10 s"),
        "{}",
        failed.error_message
    );
    let expected = v1::Transfer {
        status: TransferStatus::Failed.into(),
        error_message: failed.error_message.clone(),
        failure_code: v1::FailureCode::HeartbeatLost.into(),
        failure_retryable: true,
        completed_at: now,
        updated_at: now,
        heartbeat_expires_at: None,
        duration: Some(wire_duration(TIMEOUT)),
        revision: 3,
        ..at_rest(started, Some((0.0, 0.0)))
    };
    assert_eq!(failed, expected);
    let events = raw.events_of(&failed.uuid).await;
    let last = events.last().expect("an event");
    assert_eq!((last.r#type(), events.len()), (EventType::Failed, 3));
    let detail = v1::event::Detail::Failure(v1::FailureDetail {
        error_message: failed.error_message.clone(),
        code: v1::FailureCode::HeartbeatLost.into(),
        retryable: true,
    });
    assert_eq!(
        (last.detail.as_ref(), last.actor.as_str()),
        (Some(&detail), "sweeper")
    );
    assert_eq!((last.revision, last.occurred_at), (3, now));

    let late = v1::CompleteTransferRequest {
        uuid: failed.uuid,
        ..Default::default()
    };
    let refusal = raw
        .transfers
        .complete_transfer(late)
        .await
        .expect_err("it is too late");
    let refused = assert_refused(&refusal, Code::FailedPrecondition, "ILLEGAL_TRANSITION");
    assert_eq!(
        refused.metadata.get("status").map(String::as_str),
        Some("FAILED")
    );
}

#[tokio::test]
async fn every_report_renews_the_heartbeat() {
    let (world, mut raw) = world().await;
    let kept = beating(&mut raw, PATIENCE).await.uuid;
    let streamed = beating(&mut raw, PATIENCE).await.uuid;
    let calm = raw.running().await;
    let mut reports = Reports::open(&mut raw).await.expect("it opens");
    for round in 0..4 {
        // The sweeper has been past all of them once this one is lost.
        let canary = beating(&mut raw, TIMEOUT).await.uuid;
        // Totals need not grow; a sign of life is enough.
        let sign = v1::UpdateProgressRequest {
            uuid: kept.clone(),
            progress: (round % 2 == 0).then(|| totals(1)),
            ..v1::UpdateProgressRequest::default()
        };
        let renewed = done(raw.transfers.update_progress(sign)).await;
        let deadline = Some(wire_time(world.clock.now().after(PATIENCE)));
        assert_eq!(renewed.heartbeat_expires_at, deadline);
        reports.acknowledged(&streamed, 1).await;
        world.clock.advance(TIMEOUT);
        until_failed(&mut raw, &canary).await;
        for uuid in [&kept, &streamed] {
            let now = raw.now(uuid).await;
            assert_eq!(now.status(), TransferStatus::InProgress, "round {round}");
            assert_eq!(now.heartbeat_expires_at, deadline);
        }
    }
    // Who promised nothing may be silent for ever, though it is seen that nothing moves.
    let unmoved = v1::Transfer {
        health: v1::TransferHealth::NoProgress.into(),
        records_per_second: Some(0.0),
        bytes_per_second: Some(0.0),
        ..calm.clone()
    };
    assert_eq!(raw.now(&calm.uuid).await, unmoved);

    // Now both fall silent, and the stream says what that led to.
    world.clock.advance(PATIENCE);
    let failed = until_failed(&mut raw, &streamed).await;
    let told = reports.hear().await;
    let expected = v1::ReportProgressResponse {
        uuid: streamed,
        revision: failed.revision,
        status: TransferStatus::Failed.into(),
        error: None,
        stop: None,
        unsolicited: true,
    };
    assert_eq!(told, expected);
    until_failed(&mut raw, &kept).await;
}

#[tokio::test]
async fn an_ended_transfer_has_no_heartbeat_to_lose() {
    let (world, mut raw) = world().await;
    let completed = beating(&mut raw, TIMEOUT).await.uuid;
    let completed = raw.complete(&completed, 1).await;
    let cancelled = beating(&mut raw, TIMEOUT).await.uuid;
    let cancelled = raw.cancel(&cancelled).await;
    let canary = beating(&mut raw, TIMEOUT).await.uuid;
    world.clock.advance(3 * TIMEOUT);
    until_failed(&mut raw, &canary).await;
    for ended in [completed, cancelled] {
        assert_eq!(ended.heartbeat_expires_at, None);
        assert_eq!(
            ended.heartbeat_timeout,
            Some(wire_duration(TIMEOUT)),
            "what was asked stays"
        );
        assert_eq!(raw.now(&ended.uuid).await, ended);
    }
}
