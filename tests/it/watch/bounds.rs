//! What ends a watch or keeps it from beginning: a watcher that is too slow, a server that stops, too many at once.

use std::time::Duration;

use futures::future::join_all;
use tidegate_proto::v1::{self, TransferStatus, watch_transfers_response::Update};
use tidegate_tests::{
    SOON, World, WorldOptions, assert_refused,
    raw::{told, totals},
    soon,
};
use tonic::Code;

use super::{end_of, narrow, next, watch, watch_all, world};

#[tokio::test(flavor = "multi_thread")]
async fn who_falls_too_far_behind_is_told_so() {
    let (world, raw) = world().await;
    let mut slow = watch_all(&mut narrow(&world).await, None, false).await;
    assert_eq!(next(&mut slow).await, Update::CaughtUp(true));
    let connections = join_all((0..8).map(|_| world.services())).await;
    // The server keeps 10,000 changes for one watcher; the connection takes some hundred off it.
    let crowd = (0..12_000).map(|number| {
        let mut raw = connections[number % connections.len()].clone();
        async move { raw.declared().await }
    });
    join_all(crowd).await;
    let refusal = end_of(&mut slow).await;
    let refused = assert_refused(&refusal, Code::ResourceExhausted, "WATCH_TOO_SLOW");
    assert!(refused.has_retry_info);
    drop(raw);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_server_tells_every_stream_why() {
    let (mut world, mut raw) = world().await;
    let uuid = raw.running().await.uuid;
    let mut one = watch(&mut raw, &uuid).await;
    soon("the snapshot", one.message())
        .await
        .expect("no refusal");
    let mut all = watch_all(&mut raw, None, false).await;
    assert_eq!(next(&mut all).await, Update::CaughtUp(true));
    let (reports, sent) = tokio::sync::mpsc::channel(1);
    let sent = tokio_stream::wrappers::ReceiverStream::new(sent);
    let answer = told(raw.transfers.report_progress(sent)).await;
    let mut answers = answer;
    let report = v1::ReportProgressRequest {
        lease_epoch: 0,
        uuid: uuid.clone(),
        progress: Some(totals(1)),
        checkpoint: None,
        record_problems: Vec::new(),
    };
    reports.send(report).await.expect("the stream is open");
    soon("the ack", answers.message())
        .await
        .expect("no refusal");

    let stopped = tokio::spawn(async move {
        world.stop().await;
        world
    });
    let ends = [
        end_of(&mut one).await,
        end_of(&mut all).await,
        end_of(&mut answers).await,
    ];
    for refusal in ends {
        let refused = assert_refused(&refusal, Code::Unavailable, "SHUTTING_DOWN");
        assert!(refused.has_retry_info, "and when to come back");
    }
    drop((one, all, answers, reports, raw));
    let mut world = soon("the stop", stopped).await.expect("no panic");
    world.resume().await;
    let now = world.services().await.now(&uuid).await;
    assert_eq!(
        (now.status(), now.progress),
        (TransferStatus::InProgress, Some(totals(1)))
    );
}

#[tokio::test]
async fn no_more_streams_than_allowed_are_open_at_once() {
    let options = WorldOptions {
        max_streams: 3,
        ..WorldOptions::still()
    };
    let world = World::start_with(options).await;
    let mut raw = world.services().await;
    let uuid = raw.declared().await.uuid;
    let first = watch(&mut raw, &uuid).await;
    let _second = watch_all(&mut raw, None, false).await;
    let reports = futures::stream::pending::<v1::ReportProgressRequest>();
    let _third = raw
        .transfers
        .report_progress(reports)
        .await
        .expect("the last place");

    let request = v1::WatchTransferRequest { uuid: uuid.clone() };
    let refusals = [
        raw.transfers
            .watch_transfer(request.clone())
            .await
            .map(drop),
        raw.transfers
            .watch_transfers(v1::WatchTransfersRequest::default())
            .await
            .map(drop),
        raw.transfers
            .report_progress(futures::stream::empty())
            .await
            .map(drop),
    ];
    for refusal in refusals {
        let refusal = refusal.expect_err("no place is left");
        let refused = assert_refused(&refusal, Code::ResourceExhausted, "TOO_MANY_STREAMS");
        assert!(refused.has_retry_info);
        assert_eq!(refused.metadata.get("limit").map(String::as_str), Some("3"));
    }
    assert_eq!(
        raw.now(&uuid).await.revision,
        1,
        "calls that are no streams go on"
    );

    // Whoever goes makes room.
    drop(first);
    let reopened = async {
        while raw.transfers.watch_transfer(request.clone()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(SOON, reopened)
        .await
        .expect("a place becomes free");
}
