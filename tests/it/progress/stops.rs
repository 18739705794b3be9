//! Who reports over a stream is told when they are to stop.

use std::time::Duration;

use tidegate_proto::v1;
use tidegate_tests::{World, WorldOptions, raw::done, request};

use super::Reports;

#[tokio::test]
async fn a_stream_tells_it_once_unasked_and_with_every_answer() {
    let options = WorldOptions {
        stop_grace: Duration::from_secs(600),
        ..WorldOptions::still()
    };
    let world = World::start_with(options).await;
    let mut raw = world.services().await;
    let [uuid, other] = [raw.running().await.uuid, raw.running().await.uuid];
    let mut reports = Reports::open(&mut raw).await.expect("it opens");
    for each in [&uuid, &other] {
        reports.acknowledged(each, 1).await;
    }
    let mut operator = world.services().await;
    let asked = operator.cancel(&uuid).await;
    let told = reports.hear().await;
    let expected = v1::ReportProgressResponse {
        uuid: uuid.clone(),
        revision: asked.revision,
        status: v1::TransferStatus::InProgress.into(),
        error: None,
        stop: asked.stop.clone(),
        unsolicited: true,
    };
    assert_eq!(told, expected);
    // Reports through another channel are no news.
    operator.report(&uuid, 2).await;
    reports.acknowledged(&other, 2).await;
    reports.say_records(&uuid, 3).await;
    let answer = reports.hear().await;
    assert_eq!((answer.stop, answer.unsolicited), (asked.stop, false));

    done(
        operator
            .transfers
            .acknowledge_stop(request::acknowledgement(&uuid)),
    )
    .await;
    let last = reports.hear().await;
    assert_eq!(last.status(), v1::TransferStatus::Cancelled);
    assert!(last.unsolicited && last.stop.is_none());
}
