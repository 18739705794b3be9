//! The rules of totals, by the call that reports once.

use std::time::Duration;

use tidegate_proto::v1::{self, TransferStatus};
use tidegate_tests::{
    World, WorldOptions, assert_refused,
    raw::{Raw, done, totals, wire_time},
};
use tonic::{Code, Status};

async fn world() -> (World, Raw) {
    let world = World::start_with(WorldOptions::still()).await;
    let raw = world.services().await;
    (world, raw)
}

fn update(uuid: &str, progress: v1::Progress) -> v1::UpdateProgressRequest {
    v1::UpdateProgressRequest {
        uuid: uuid.to_owned(),
        progress: Some(progress),
        ..v1::UpdateProgressRequest::default()
    }
}

/// Each total by name, set to `value` alone, and that of the transferred records to four times as many: one of each outcome.
fn each_alone(value: i64) -> [(&'static str, v1::Progress); 6] {
    let none = v1::Progress::default();
    [
        (
            "records_transferred",
            v1::Progress {
                records_transferred: Some(4 * value),
                ..none
            },
        ),
        (
            "records_created",
            v1::Progress {
                records_created: Some(value),
                ..none
            },
        ),
        (
            "records_updated",
            v1::Progress {
                records_updated: Some(value),
                ..none
            },
        ),
        (
            "records_skipped",
            v1::Progress {
                records_skipped: Some(value),
                ..none
            },
        ),
        (
            "records_failed",
            v1::Progress {
                records_failed: Some(value),
                ..none
            },
        ),
        (
            "bytes_transferred",
            v1::Progress {
                bytes_transferred: Some(value),
                ..none
            },
        ),
    ]
}

fn all(value: i64) -> v1::Progress {
    v1::Progress {
        records_transferred: Some(4 * value),
        records_created: Some(value),
        records_updated: Some(value),
        records_skipped: Some(value),
        records_failed: Some(value),
        bytes_transferred: Some(value),
        phase: 0,
    }
}

#[tokio::test]
async fn absent_totals_and_an_absent_checkpoint_stay() {
    let (world, mut raw) = world().await;
    let uuid = raw.running().await.uuid;
    let mut sum = 0;
    let mut latest = raw.now(&uuid).await;
    for (name, alone) in each_alone(7) {
        world.clock.advance(Duration::from_micros(1));
        let after = done(raw.transfers.update_progress(update(&uuid, alone))).await;
        let stored = after.progress.expect("always present");
        sum += if name == "records_transferred" { 28 } else { 7 };
        let parts = [
            stored.records_transferred,
            stored.records_created,
            stored.records_updated,
            stored.records_skipped,
            stored.records_failed,
            stored.bytes_transferred,
        ];
        assert_eq!(
            parts
                .into_iter()
                .map(|part| part.expect("set"))
                .sum::<i64>(),
            sum,
            "{name}"
        );
        assert_eq!(after.revision, latest.revision + 1);
        assert_eq!(after.updated_at, Some(wire_time(world.clock.now())));
        latest = after;
    }
    assert_eq!(latest.progress, Some(all(7)));

    let mut say = async |checkpoint: Option<&[u8]>| {
        let request = v1::UpdateProgressRequest {
            lease_epoch: 0,
            uuid: uuid.clone(),
            progress: None,
            checkpoint: checkpoint.map(<[u8]>::to_vec),
            request_id: String::new(),
            record_problems: Vec::new(),
        };
        let after = done(raw.transfers.update_progress(request)).await;
        assert_eq!(after.progress, Some(all(7)), "no totals, no change to them");
        after.checkpoint
    };
    assert_eq!(say(Some(b"row 7")).await, b"row 7");
    assert_eq!(say(None).await, b"row 7");
    assert_eq!(say(Some(b"")).await, b"", "an empty one is one");
}

#[tokio::test]
async fn what_changes_nothing_is_no_change() {
    let (world, mut raw) = world().await;
    let uuid = raw.running().await.uuid;
    let first = done(raw.transfers.update_progress(update(&uuid, totals(5)))).await;
    world.clock.advance(Duration::from_secs(1));
    let again = done(raw.transfers.update_progress(update(&uuid, totals(5)))).await;
    assert_eq!(again, first);
    let empty = done(
        raw.transfers
            .update_progress(update(&uuid, v1::Progress::default())),
    )
    .await;
    assert_eq!(empty, first);
    assert_eq!(raw.events_of(&uuid).await.len(), 2, "progress is no event");
}

fn assert_regressed(refusal: &Status, uuid: &str, field: &str) {
    let refused = assert_refused(refusal, Code::FailedPrecondition, "PROGRESS_REGRESSED");
    let told = |key: &str| refused.metadata.get(key).map(String::as_str);
    assert_eq!(told("uuid"), Some(uuid));
    let (stored, reported) = match field {
        "records_transferred" => ("28", "24"),
        _ => ("7", "6"),
    };
    assert_eq!(
        (told("field"), told("stored"), told("reported")),
        (Some(field), Some(stored), Some(reported))
    );
}

#[tokio::test]
async fn a_total_never_shrinks() {
    let (_world, mut raw) = world().await;
    let uuid = raw.running().await.uuid;
    let before = done(raw.transfers.update_progress(update(&uuid, all(7)))).await;
    for (field, lower) in each_alone(6) {
        // The others would have grown; a refused report changes none of them.
        let higher = all(8);
        let mixed = v1::Progress {
            records_transferred: lower.records_transferred.or(higher.records_transferred),
            records_created: lower.records_created.or(higher.records_created),
            records_updated: lower.records_updated.or(higher.records_updated),
            records_skipped: lower.records_skipped.or(higher.records_skipped),
            records_failed: lower.records_failed.or(higher.records_failed),
            bytes_transferred: lower.bytes_transferred.or(higher.bytes_transferred),
            phase: 0,
        };
        for progress in [lower, mixed] {
            let refusal = raw.transfers.update_progress(update(&uuid, progress)).await;
            assert_regressed(&refusal.expect_err("it shrinks"), &uuid, field);
            let request = v1::CompleteTransferRequest {
                lease_epoch: 0,
                uuid: uuid.clone(),
                progress: Some(progress),
                request_id: String::new(),
                record_problems: Vec::new(),
            };
            let refusal = raw.transfers.complete_transfer(request).await;
            assert_regressed(&refusal.expect_err("it shrinks"), &uuid, field);
            let request = v1::FailTransferRequest {
                lease_epoch: 0,
                uuid: uuid.clone(),
                error_message: "lost".to_owned(),
                progress: Some(progress),
                request_id: String::new(),
                record_problems: Vec::new(),
                code: 0,
                retryable: false,
            };
            let refusal = raw.transfers.fail_transfer(request).await;
            assert_regressed(&refusal.expect_err("it shrinks"), &uuid, field);
        }
        assert_eq!(raw.now(&uuid).await, before, "{field}");
    }
    assert_eq!(raw.events_of(&uuid).await.len(), 2);
    let request = v1::CompleteTransferRequest {
        lease_epoch: 0,
        uuid,
        progress: Some(all(7)),
        request_id: String::new(),
        record_problems: Vec::new(),
    };
    let completed = done(raw.transfers.complete_transfer(request)).await;
    assert_eq!(
        completed.status(),
        TransferStatus::Completed,
        "the same again is no step back"
    );
}

#[tokio::test]
async fn totals_are_taken_from_running_transfers_alone() {
    let (_world, mut raw) = world().await;
    let declared = raw.declared().await;
    let refusal = raw
        .transfers
        .update_progress(update(&declared.uuid, totals(1)))
        .await;
    let refusal = refusal.expect_err("it has not started");
    let refused = assert_refused(&refusal, Code::FailedPrecondition, "ILLEGAL_TRANSITION");
    assert_eq!(
        refused.metadata.get("action").map(String::as_str),
        Some("UPDATE_PROGRESS")
    );
    assert_eq!(raw.now(&declared.uuid).await, declared);
}
