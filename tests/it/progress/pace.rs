//! How fast a run is, when it will be done and whether it is well, as callers are told.

use std::time::Duration;

use tidegate_domain::time::Timestamp;
use tidegate_proto::v1::{self, EstimateUnknownReason, TransferHealth};
use tidegate_tests::{
    World, WorldOptions,
    raw::{Raw, done, plain, told, wire_duration, wire_time},
};

use super::Reports;
use crate::watch::{watch, watch_all};

const SECOND: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(60);

/// A transfer of 10,000 records that runs, by a clock that the test moves.
async fn world() -> (World, Raw, String) {
    let world = World::start_with(WorldOptions::still()).await;
    let mut raw = world.services().await;
    let declared = v1::CreateTransferRequest {
        records_requested: 10_000,
        ..plain()
    };
    let uuid = raw.create(declared).await.uuid;
    let start = v1::StartTransferRequest {
        uuid: uuid.clone(),
        heartbeat_timeout: Some(wire_duration(TIMEOUT)),
        ..v1::StartTransferRequest::default()
    };
    done(raw.transfers.start_transfer(start)).await;
    (world, raw, uuid)
}

fn near(rate: Option<f64>, wanted: f64) -> bool {
    rate.is_some_and(|rate| (rate - wanted).abs() < wanted / 10.0)
}

/// Whether it is said to move 100 records and 1,000 bytes a second, and to be done at `end`, give or take.
fn assert_steady(transfer: &v1::Transfer, since: Timestamp, end: Timestamp) {
    let seconds = |time: Option<prost_types::Timestamp>| time.expect("a time").seconds;
    assert!(near(transfer.records_per_second, 100.0), "{transfer:?}");
    assert!(near(transfer.bytes_per_second, 1_000.0), "{transfer:?}");
    let [earliest, at, latest] = [
        transfer.estimated_completion_earliest,
        transfer.estimated_completion,
        transfer.estimated_completion_latest,
    ]
    .map(seconds);
    let end = wire_time(end).seconds;
    assert!(earliest < at && at < latest, "{transfer:?}");
    assert!(earliest <= end && end <= latest, "{transfer:?}");
    assert_eq!(transfer.estimate_unknown_reason, 0);
    assert_eq!(transfer.health(), TransferHealth::Healthy);
    assert_eq!(transfer.health_since, Some(wire_time(since)));
}

fn assert_unknown(transfer: &v1::Transfer, reason: EstimateUnknownReason) {
    assert_eq!(transfer.estimate_unknown_reason(), reason, "{transfer:?}");
    let times = (
        transfer.estimated_completion,
        transfer.estimated_completion_earliest,
        transfer.estimated_completion_latest,
    );
    assert_eq!(times, (None, None, None), "{transfer:?}");
}

#[tokio::test]
async fn single_reports_tell_rate_time_left_and_health() {
    let (mut world, mut raw, uuid) = world().await;
    let start = world.clock.now();
    let mut latest = raw.now(&uuid).await;
    assert_eq!(latest.health(), TransferHealth::Healthy);
    assert_eq!(latest.records_per_second, None);
    assert_unknown(&latest, EstimateUnknownReason::TooFewReports);
    for second in 1..=20 {
        world.clock.advance(SECOND);
        latest = raw.report(&uuid, second * 100).await;
    }
    let (last, end) = (world.clock.now(), start.after(100 * SECOND));
    assert_steady(&latest, start, end);
    assert_eq!(
        raw.now(&uuid).await,
        latest,
        "what was answered is what is kept"
    );
    // A server that starts on the same ledger knows as much.
    world.stop().await;
    world.resume().await;
    let mut raw = world.services().await;
    assert_eq!(raw.now(&uuid).await, latest);

    // Nothing is stored when time alone passes.
    world.clock.advance(TIMEOUT / 2);
    let silent = raw.now(&uuid).await;
    assert_eq!(silent.health(), TransferHealth::Silent);
    assert_eq!(silent.health_since, Some(wire_time(last)));
    assert_eq!(
        (silent.records_per_second, silent.bytes_per_second),
        (None, None)
    );
    assert_unknown(&silent, EstimateUnknownReason::Silent);
    assert_eq!(silent.revision, latest.revision);
    let active = raw
        .transfers
        .list_active_transfers(v1::ListActiveTransfersRequest::default());
    assert_eq!(told(active).await.transfers, [silent]);

    // A sign of life is no movement.
    let beat = v1::UpdateProgressRequest {
        uuid: uuid.clone(),
        ..v1::UpdateProgressRequest::default()
    };
    let beating = done(raw.transfers.update_progress(beat)).await;
    assert_eq!(beating.health(), TransferHealth::NoProgress);
    assert_eq!(beating.health_since, Some(wire_time(last)));
    assert_eq!(beating.records_per_second, Some(0.0));
    assert_unknown(&beating, EstimateUnknownReason::NoProgress);

    world.clock.advance(50 * SECOND);
    let completed = raw.complete(&uuid, 10_000).await;
    assert_eq!(completed.records_per_second, Some(100.0), "in 100 s");
    assert_eq!(completed.bytes_per_second, Some(1_000.0));
    assert_eq!((completed.health, completed.health_since), (0, None));
    assert_unknown(&completed, EstimateUnknownReason::NotRunning);
    world.clock.advance(TIMEOUT);
    assert_eq!(raw.now(&uuid).await, completed);
}

#[tokio::test]
async fn a_stream_of_reports_tells_watchers_rate_time_left_and_health() {
    let (world, mut raw, uuid) = world().await;
    let start = world.clock.now();
    let mut reports = Reports::open(&mut raw).await.expect("it opens");
    for tenths in 1..=200 {
        world.clock.advance(SECOND / 10);
        reports.acknowledged(&uuid, tenths * 10).await;
    }
    let now = raw.now(&uuid).await;
    assert_steady(&now, start, start.after(100 * SECOND));
    let mut one = watch(&mut raw, &uuid).await;
    let first = one
        .message()
        .await
        .expect("no refusal")
        .expect("it is told");
    assert_eq!(first.transfer, Some(now.clone()));
    let mut all = watch_all(&mut raw, None, true).await;
    let first = all
        .message()
        .await
        .expect("no refusal")
        .expect("it is told");
    let existing = v1::watch_transfers_response::Update::Transfer(now);
    assert_eq!(first.update, Some(existing));

    // Slower by far for a while: what the watch sends is true when it is sent.
    let mut records = 2_000;
    for _ in 0..100 {
        world.clock.advance(SECOND);
        records += 1;
        reports.acknowledged(&uuid, records).await;
    }
    let slow = loop {
        let told = one
            .message()
            .await
            .expect("no refusal")
            .expect("it is told");
        let told = told.transfer.expect("the transfer");
        if told.progress.and_then(|it| it.records_transferred) == Some(records) {
            break told;
        }
    };
    assert_eq!(slow.health(), TransferHealth::Slow);
    assert!(near(slow.records_per_second, 1.0), "{slow:?}");
    assert_eq!(slow, raw.now(&uuid).await);
}

#[tokio::test]
async fn a_paused_run_has_no_pace_and_its_next_one_begins_anew() {
    let (world, mut raw, uuid) = world().await;
    for second in 1..=20 {
        world.clock.advance(SECOND);
        raw.report(&uuid, second * 100).await;
    }
    let pause = v1::PauseTransferRequest {
        uuid: uuid.clone(),
        ..v1::PauseTransferRequest::default()
    };
    let paused = done(raw.transfers.pause_transfer(pause)).await;
    assert_eq!((paused.health, paused.health_since), (0, None));
    assert_eq!(
        (paused.records_per_second, paused.bytes_per_second),
        (None, None)
    );
    assert_unknown(&paused, EstimateUnknownReason::NotRunning);
    world.clock.advance(3_600 * SECOND);
    let resume = v1::ResumeTransferRequest {
        uuid: uuid.clone(),
        ..v1::ResumeTransferRequest::default()
    };
    done(raw.transfers.resume_transfer(resume)).await;
    let start = v1::StartTransferRequest {
        uuid: uuid.clone(),
        heartbeat_timeout: Some(wire_duration(TIMEOUT)),
        ..v1::StartTransferRequest::default()
    };
    done(raw.transfers.start_transfer(start)).await;
    let started = world.clock.now();
    let mut latest = paused;
    // It goes on from where the run before stopped, and counts that, too.
    for second in 0..20 {
        world.clock.advance(SECOND);
        let report = v1::UpdateProgressRequest {
            uuid: uuid.clone(),
            lease_epoch: 2,
            progress: Some(v1::Progress {
                records_transferred: Some(2_000 + second * 100),
                bytes_transferred: Some(20_000 + second * 1_000),
                ..v1::Progress::default()
            }),
            ..v1::UpdateProgressRequest::default()
        };
        latest = done(raw.transfers.update_progress(report)).await;
    }
    assert_steady(&latest, started, started.after(81 * SECOND));
}
