//! One transfer, followed to its end.

use tidegate_proto::v1::{self, TransferStatus};
use tidegate_tests::{assert_refused, raw::NOBODY};
use tonic::Code;

use super::{assert_ascending, heavy, narrow, report, rest, watch, world};

#[tokio::test]
async fn an_unknown_transfer_cannot_be_watched() {
    let (_world, mut raw) = world().await;
    let request = v1::WatchTransferRequest {
        uuid: NOBODY.to_owned(),
    };
    let refusal = raw
        .transfers
        .watch_transfer(request)
        .await
        .expect_err("nobody knows it");
    assert_refused(&refusal, Code::NotFound, "TRANSFER_NOT_FOUND");
}

#[tokio::test]
async fn a_transfer_that_has_ended_is_shown_once() {
    let (world, mut raw) = world().await;
    for status in [
        TransferStatus::Completed,
        TransferStatus::Expired,
        TransferStatus::Denied,
    ] {
        let ended = raw.standing(status, &world.clock).await;
        let (seen, end) = rest(watch(&mut raw, &ended.uuid).await).await;
        assert_eq!(seen, [ended]);
        assert!(end.is_ok(), "{end:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_watchers_see_revisions_ascend_to_the_last() {
    let (world, mut raw) = world().await;
    let uuid = raw.running().await.uuid;
    let mut watchers = Vec::new();
    for _ in 0..20 {
        let mut raw = world.services().await;
        let watch = watch(&mut raw, &uuid).await;
        watchers.push(tokio::spawn(rest(watch)));
    }
    for records in 1..=200 {
        report(&mut raw, &uuid, records).await;
    }
    let completed = raw.complete(&uuid, 200).await;
    for watcher in watchers {
        let (seen, end) = watcher.await.expect("no panic");
        assert_ascending(&seen);
        assert!(end.is_ok(), "{end:?}");
        assert_eq!(
            seen.last(),
            Some(&completed),
            "the newest state is never left out"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_watcher_misses_steps_but_never_the_last() {
    let (world, mut raw) = world().await;
    let uuid = raw.create(heavy()).await.uuid;
    raw.start(&uuid).await;
    let slow = watch(&mut narrow(&world).await, &uuid).await;
    for records in 1..=300 {
        report(&mut raw, &uuid, records).await;
    }
    let cancelled = raw.cancel(&uuid).await;
    let (seen, end) = rest(slow).await;
    assert!(end.is_ok(), "{end:?}");
    assert_ascending(&seen);
    assert!(
        seen.len() < 100,
        "{} messages for one who did not read",
        seen.len()
    );
    assert_eq!(seen.last(), Some(&cancelled));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_learns_that_its_transfer_was_deleted() {
    let (world, mut raw) = world().await;
    let uuid = raw.create(heavy()).await.uuid;
    raw.start(&uuid).await;
    let slow = watch(&mut narrow(&world).await, &uuid).await;
    // Enough that the end of the transfer is still waiting when its row goes.
    for records in 1..=50 {
        report(&mut raw, &uuid, records).await;
    }
    raw.cancel(&uuid).await;
    raw.delete(&uuid).await;
    let (seen, end) = rest(slow).await;
    assert_ascending(&seen);
    assert!(
        seen.iter()
            .all(|each| each.status() == TransferStatus::InProgress)
    );
    let refusal = end.expect_err("it is gone");
    assert_refused(&refusal, Code::NotFound, "TRANSFER_NOT_FOUND");
}
