//! The end of a stream, however it comes, says nothing about the transfers that were reported on it.

use std::time::Duration;

use tidegate_proto::v1::{self, TransferStatus};
use tidegate_tests::{
    World, WorldOptions,
    raw::{Raw, told, totals},
    relay::Relay,
    soon,
};
use tonic::transport::Endpoint;

use super::Reports;

/// Opens a stream as soon as the one before has given its place back: then the server has seen that one end.
async fn open(raw: &mut Raw) -> Reports {
    soon("the end of the stream before", async {
        loop {
            match Reports::open(raw).await {
                Ok(reports) => return reports,
                Err(refusal) => {
                    assert_eq!(tidegate_tests::refused(&refusal).reason, "TOO_MANY_STREAMS");
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_stream_completes_nothing() {
    let options = WorldOptions {
        max_streams: 1,
        ..WorldOptions::still()
    };
    let world = World::start_with(options).await;
    let mut home = world.services().await;
    let mut expected = Vec::new();
    for number in 0..100_i64 {
        let uuid = home.running().await.uuid;
        let relay = Relay::to(&world.address).await;
        let endpoint = Endpoint::from_shared(relay.address.clone()).expect("a valid address");
        let mut raw = Raw::on(endpoint.connect().await.expect("the relay listens"));
        let mut reports = open(&mut raw).await;
        reports.acknowledged(&uuid, number).await;
        match number % 4 {
            // Ended in order, with a last report on the way.
            0 => {
                reports.say_records(&uuid, number + 1).await;
                let rest = reports.finish().await.expect("it ends well");
                assert_eq!(rest.len(), 1, "what was sent before the end is written");
                expected.push((uuid, number + 1));
                continue;
            }
            // Dropped by the caller.
            1 => drop(reports),
            // Cut off in between, with the caller still there.
            2 => {
                relay.cut().await;
                let refusal = soon("the loss", reports.answers.message()).await;
                assert!(
                    refusal.is_err(),
                    "a lost connection is no good end: {refusal:?}"
                );
            }
            // Gone with its whole connection.
            _ => drop((reports, raw, relay)),
        }
        expected.push((uuid, number));
    }
    drop(open(&mut home).await);
    for (uuid, records) in expected {
        let now = home.now(&uuid).await;
        assert_eq!(now.status(), TransferStatus::InProgress);
        assert_eq!(now.progress, Some(totals(records)));
        assert_eq!(home.events_of(&uuid).await.len(), 2);
        // Another stream, or none, takes it up.
        home.complete(&uuid, records).await;
    }
}

#[tokio::test]
async fn a_stream_that_reports_nothing_ends_well() {
    let world = World::start_with(WorldOptions::still()).await;
    let mut raw = world.services().await;
    let reports = Reports::open(&mut raw).await.expect("it opens");
    assert_eq!(reports.finish().await.expect("it ends well"), []);
    let none = futures::stream::empty::<v1::ReportProgressRequest>();
    let mut answer = told(raw.transfers.report_progress(none)).await;
    let end = soon("the end", answer.message())
        .await
        .expect("it ends well");
    assert_eq!(end, None);
}
