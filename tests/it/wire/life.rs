//! The life of a transfer that needs no approval, field by field.

use std::time::Duration;

use tidegate_proto::v1::{self, StopCause, StopKind, TransferStatus};
use tidegate_tests::{
    World, WorldOptions, assert_refused,
    raw::{Raw, at_rest, done, told, totals, under_way, wire_duration, wire_time},
    request,
};
use tonic::Code;

async fn world() -> (World, Raw) {
    let world = World::start_with(WorldOptions::still()).await;
    let raw = world.services().await;
    (world, raw)
}

const HEARTBEAT: Duration = Duration::from_secs(60);

/// A transfer that was started with a heartbeat; both as they should be.
async fn started(world: &World, raw: &mut Raw) -> v1::Transfer {
    let created = raw.declared().await;
    world.clock.advance(Duration::from_micros(1_000_001));
    let now = world.clock.now();
    let request = v1::StartTransferRequest {
        heartbeat_timeout: Some(wire_duration(HEARTBEAT)),
        ..request::starting(&created.uuid)
    };
    let started = done(raw.transfers.start_transfer(request)).await;
    let expected = v1::Transfer {
        status: TransferStatus::InProgress.into(),
        started_at: Some(wire_time(now)),
        updated_at: Some(wire_time(now)),
        heartbeat_timeout: Some(wire_duration(HEARTBEAT)),
        heartbeat_expires_at: Some(wire_time(now.after(HEARTBEAT))),
        lease_epoch: 1,
        revision: 2,
        ..under_way(created, Some(wire_time(now)))
    };
    assert_eq!(started, expected);
    started
}

/// A started transfer that has reported.
async fn reported(world: &World, raw: &mut Raw) -> v1::Transfer {
    let started = started(world, raw).await;
    world.clock.advance(Duration::from_secs(7));
    let now = world.clock.now();
    let some = v1::Progress {
        records_transferred: Some(10),
        records_created: Some(6),
        bytes_transferred: Some(4_096),
        ..v1::Progress::default()
    };
    let request = v1::UpdateProgressRequest {
        checkpoint: Some(vec![0, 255, 7]),
        ..request::reporting(&started.uuid, some)
    };
    let reported = done(raw.transfers.update_progress(request)).await;
    let expected = v1::Transfer {
        progress: Some(v1::Progress {
            records_updated: Some(0),
            records_skipped: Some(0),
            records_failed: Some(0),
            ..some
        }),
        checkpoint: vec![0, 255, 7],
        updated_at: Some(wire_time(now)),
        heartbeat_expires_at: Some(wire_time(now.after(HEARTBEAT))),
        revision: 3,
        success_rate: 0.6,
        // These numbers are looked at elsewhere.
        records_per_second: reported.records_per_second,
        bytes_per_second: reported.bytes_per_second,
        ..started
    };
    assert_eq!(reported, expected);
    reported
}

#[tokio::test]
async fn a_transfer_starts() {
    let (world, mut raw) = world().await;
    let started = started(&world, &mut raw).await;
    assert_eq!(raw.now(&started.uuid).await, started);

    // Without a heartbeat it may be silent for ever.
    let uuid = raw.declared().await.uuid;
    let calm = done(raw.transfers.start_transfer(request::starting(&uuid))).await;
    assert_eq!(
        (calm.heartbeat_timeout, calm.heartbeat_expires_at),
        (None, None)
    );
}

#[tokio::test]
async fn a_transfer_reports() {
    let (world, mut raw) = world().await;
    let before = reported(&world, &mut raw).await;
    assert_eq!(raw.now(&before.uuid).await, before);
    let more = v1::Progress {
        records_updated: Some(2),
        ..v1::Progress::default()
    };
    let report = request::reporting(&before.uuid, more);
    let after = done(raw.transfers.update_progress(report)).await;
    assert_eq!(
        (after.revision, after.success_rate.to_bits()),
        (4, 0.8_f64.to_bits())
    );
}

#[tokio::test]
async fn a_transfer_completes() {
    let (world, mut raw) = world().await;
    let reported = reported(&world, &mut raw).await;
    world.clock.advance(Duration::from_micros(500));
    let now = Some(wire_time(world.clock.now()));
    let last = v1::Progress {
        records_updated: Some(2),
        records_failed: Some(2),
        ..v1::Progress::default()
    };
    let request = v1::CompleteTransferRequest {
        progress: Some(last),
        ..request::completion(&reported.uuid)
    };
    let completed = done(raw.transfers.complete_transfer(request)).await;
    let before = reported.progress.expect("always present");
    let expected = v1::Transfer {
        status: TransferStatus::Completed.into(),
        progress: Some(v1::Progress {
            records_updated: Some(2),
            records_failed: Some(2),
            ..before
        }),
        completed_at: now,
        updated_at: now,
        heartbeat_expires_at: None,
        duration: Some(wire_duration(Duration::from_micros(7_000_500))),
        success_rate: 0.8,
        partial: true,
        revision: 4,
        ..at_rest(reported, Some((10.0 / 7.000_5, 4_096.0 / 7.000_5)))
    };
    assert_eq!(completed, expected);
    assert_eq!(raw.now(&completed.uuid).await, expected);
}

#[tokio::test]
async fn some_records_may_fail() {
    let (_world, mut raw) = world().await;
    let uuid = raw.running().await.uuid;
    let progress = v1::Progress {
        records_transferred: Some(4),
        records_created: Some(2),
        records_updated: Some(1),
        records_failed: Some(1),
        ..v1::Progress::default()
    };
    let request = v1::CompleteTransferRequest {
        lease_epoch: 0,
        uuid,
        progress: Some(progress),
        request_id: String::new(),
        record_problems: Vec::new(),
    };
    let completed = done(raw.transfers.complete_transfer(request)).await;
    assert_eq!(completed.success_rate.to_bits(), 0.75_f64.to_bits());
    assert!(completed.partial);
}

#[tokio::test]
async fn a_failed_transfer_keeps_its_message_and_its_totals() {
    let (world, mut raw) = world().await;
    let started = raw.running().await;
    world.clock.advance(Duration::from_secs(3));
    let now = Some(wire_time(world.clock.now()));
    let request = v1::FailTransferRequest {
        lease_epoch: 0,
        uuid: started.uuid.clone(),
        error_message: "line 1\n\tline 2".to_owned(),
        progress: Some(totals(5)),
        request_id: String::new(),
        record_problems: Vec::new(),
        code: 0,
        retryable: false,
    };
    let failed = done(raw.transfers.fail_transfer(request)).await;
    let expected = v1::Transfer {
        status: TransferStatus::Failed.into(),
        error_message: "line 1\n\tline 2".to_owned(),
        progress: Some(totals(5)),
        completed_at: now,
        updated_at: now,
        duration: Some(wire_duration(Duration::from_secs(3))),
        success_rate: 1.0,
        revision: 3,
        ..at_rest(started, Some((5.0 / 3.0, 50.0 / 3.0)))
    };
    assert_eq!(failed, expected);
    assert_eq!(raw.now(&failed.uuid).await, expected);
}

#[tokio::test]
async fn a_transfer_is_cancelled_from_every_status_that_is_not_terminal() {
    let (world, mut raw) = world().await;
    for status in [
        TransferStatus::Pending,
        TransferStatus::PendingApproval,
        TransferStatus::Approved,
        TransferStatus::InProgress,
    ] {
        let before = raw.standing(status, &world.clock).await;
        let ran = status == TransferStatus::InProgress;
        world.clock.advance(Duration::from_micros(3));
        let now = Some(wire_time(world.clock.now()));
        let request = v1::CancelTransferRequest {
            uuid: before.uuid.clone(),
            reason: "no longer wanted".to_owned(),
            ..v1::CancelTransferRequest::default()
        };
        let cancelled = done(raw.transfers.cancel_transfer(request)).await;
        let expected = v1::Transfer {
            status: TransferStatus::Cancelled.into(),
            cancel_reason: "no longer wanted".to_owned(),
            completed_at: now,
            updated_at: now,
            duration: before
                .started_at
                .map(|_| wire_duration(Duration::from_micros(3))),
            revision: before.revision + 1,
            // This world gives nobody a grace.
            stop: Some(v1::Stop {
                kind: StopKind::Cancel.into(),
                cause: StopCause::Request.into(),
                reason: "no longer wanted".to_owned(),
                requested_at: now,
                requested_by_uuid: String::new(),
                expires_at: now.filter(|_| ran),
                stopped_at: now,
                forced: ran,
            }),
            ..at_rest(before, ran.then_some((0.0, 0.0)))
        };
        assert_eq!(cancelled, expected, "from {status:?}");
    }
}

#[tokio::test]
async fn a_deleted_transfer_is_gone_and_its_events_stay() {
    let (_world, mut raw) = world().await;
    let uuid = raw.running().await.uuid;
    let completed = raw.complete(&uuid, 3).await;
    let before = raw.events_of(&uuid).await;
    let request = v1::DeleteTransferRequest {
        uuid: uuid.clone(),
        request_id: "del".to_owned(),
    };
    let answer = told(raw.transfers.delete_transfer(request)).await;
    assert_eq!(answer, v1::DeleteTransferResponse {});

    let get = v1::GetTransferRequest {
        uuid: uuid.clone(),
        preload: Vec::new(),
    };
    let refusal = raw
        .transfers
        .get_transfer(get)
        .await
        .expect_err("it is gone");
    assert_refused(&refusal, Code::NotFound, "TRANSFER_NOT_FOUND");
    assert_eq!(raw.count().await, 0);
    let after = raw.events_of(&uuid).await;
    let (last, kept) = after.split_last().expect("events stay");
    assert_eq!(kept, before);
    assert_eq!(last.r#type, i32::from(v1::EventType::Deleted));
    assert_eq!(
        (last.from_status, last.to_status),
        (completed.status, completed.status)
    );
    assert_eq!(
        (last.request_id.as_str(), last.revision),
        ("del", completed.revision)
    );

    let again = v1::DeleteTransferRequest {
        uuid,
        request_id: String::new(),
    };
    let refusal = raw
        .transfers
        .delete_transfer(again)
        .await
        .expect_err("it is gone already");
    assert_refused(&refusal, Code::NotFound, "TRANSFER_NOT_FOUND");
}
