//! One plain walk along each stream; what may go wrong on them is tried elsewhere.

use futures::{StreamExt as _, stream};
use tidegate_proto::v1::{self, TransferStatus, watch_transfers_response::Update};
use tidegate_tests::{
    World, WorldOptions,
    raw::{Raw, told, totals},
    soon,
};

async fn world() -> (World, Raw) {
    let world = World::start_with(WorldOptions::still()).await;
    let raw = world.services().await;
    (world, raw)
}

#[tokio::test]
async fn reports_on_a_stream_are_acknowledged_and_kept() {
    let (_world, mut raw) = world().await;
    let uuid = raw.running().await.uuid;
    let report = v1::ReportProgressRequest {
        lease_epoch: 0,
        uuid: uuid.clone(),
        progress: Some(totals(12)),
        checkpoint: Some(b"row 12".to_vec()),
        record_problems: Vec::new(),
    };
    let answer = told(raw.transfers.report_progress(stream::iter([report]))).await;
    let answers = answer;
    let answers: Vec<_> = soon("the end of the stream", answers.collect::<Vec<_>>()).await;
    let answers: Vec<_> = answers
        .into_iter()
        .map(|each| each.expect("no refusal"))
        .collect();
    let expected = v1::ReportProgressResponse {
        uuid: uuid.clone(),
        revision: 3,
        status: TransferStatus::InProgress.into(),
        error: None,
        stop: None,
        unsolicited: false,
    };
    assert_eq!(answers, [expected]);
    let kept = raw.now(&uuid).await;
    assert_eq!(
        (kept.revision, kept.status()),
        (3, TransferStatus::InProgress)
    );
    assert_eq!(
        (kept.progress, kept.checkpoint),
        (Some(totals(12)), b"row 12".to_vec())
    );
}

#[tokio::test]
async fn a_watched_transfer_is_shown_at_once_and_followed_to_its_end() {
    let (_world, mut raw) = world().await;
    let declared = raw.declared().await;
    let request = v1::WatchTransferRequest {
        uuid: declared.uuid.clone(),
    };
    let answer = told(raw.transfers.watch_transfer(request)).await;
    let mut watch = answer;
    let mut seen = async || {
        let message = soon("a change", watch.message()).await.expect("no refusal");
        message.map(|message| message.transfer.expect("the transfer"))
    };
    assert_eq!(seen().await, Some(declared.clone()));
    let started = raw.start(&declared.uuid).await;
    assert_eq!(seen().await, Some(started));
    let completed = raw.complete(&declared.uuid, 2).await;
    assert_eq!(seen().await, Some(completed));
    assert_eq!(seen().await, None, "OK after the terminal status");
}

#[tokio::test]
async fn all_transfers_are_watched_from_the_existing_ones_on() {
    let (_world, mut raw) = world().await;
    let first = raw.declared().await;
    let second = raw.declared().await;
    let request = v1::WatchTransfersRequest {
        filter: None,
        include_existing: true,
        ..v1::WatchTransfersRequest::default()
    };
    let answer = told(raw.transfers.watch_transfers(request)).await;
    let mut watch = answer;
    let mut seen = async || {
        let message = soon("an update", watch.message())
            .await
            .expect("no refusal");
        message.expect("it goes on").update.expect("an update")
    };
    assert_eq!(seen().await, Update::Transfer(first.clone()));
    assert_eq!(seen().await, Update::Transfer(second));
    assert_eq!(seen().await, Update::CaughtUp(true));
    let third = raw.declared().await;
    assert_eq!(seen().await, Update::Transfer(third));
    let cancelled = raw.cancel(&first.uuid).await;
    assert_eq!(seen().await, Update::Transfer(cancelled));
    raw.delete(&first.uuid).await;
    assert_eq!(seen().await, Update::DeletedUuid(first.uuid));
}
