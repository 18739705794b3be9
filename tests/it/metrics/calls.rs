//! Calls are measured to their last word, whoever says it.

use tidegate_proto::v1;
use tidegate_tests::{
    WorldOptions, dynamic,
    metrics::samples,
    raw::{NOBODY, told},
    soon,
};

use super::Watched;

/// The sample that counts the calls of a method of `TransferService`.
pub(super) fn count(method: &str, code: &str) -> String {
    sample(
        "count",
        &format!("tidegate.v1.TransferService/{method}"),
        code,
    )
}

fn sample(of: &str, method: &str, code: &str) -> String {
    format!(
        "rpc_server_call_duration_seconds_{of}{{rpc_system_name=\"grpc\",rpc_method=\"{method}\",\
         rpc_response_status_code=\"{code}\"}}"
    )
}

#[tokio::test]
async fn the_code_of_a_call_is_its_last_one() {
    let mut watched = Watched::start(WorldOptions::default()).await;
    let mut raw = watched.world.services().await;
    watched
        .rises(&count("CreateTransfer", "OK"), raw.declared())
        .await;
    let get = v1::GetTransferRequest {
        uuid: NOBODY.to_owned(),
        ..v1::GetTransferRequest::default()
    };
    let got = raw.transfers.get_transfer(get);
    let refused = watched.rises(&count("GetTransfer", "NOT_FOUND"), got).await;
    refused.expect_err("there is none");
    let create = raw
        .transfers
        .create_transfer(v1::CreateTransferRequest::default());
    let invalid = count("CreateTransfer", "INVALID_ARGUMENT");
    watched
        .rises(&invalid, create)
        .await
        .expect_err("it asks for nothing");
    let health = sample("count", "grpc.health.v1.Health/Check", "OK");
    let channel = watched.world.channel().await;
    let checked = dynamic::call_bytes(&channel, "/grpc.health.v1.Health/Check", Vec::new());
    watched
        .rises(&health, checked)
        .await
        .expect("health answers");
}

#[tokio::test]
async fn a_stream_counts_when_it_ends_and_by_its_trailers() {
    let mut watched = Watched::start(WorldOptions::default()).await;
    let mut raw = watched.world.services().await;
    let one = raw.running().await.uuid;
    let request = |uuid: &str| v1::WatchTransferRequest {
        uuid: uuid.to_owned(),
    };
    let mut watch = told(raw.transfers.watch_transfer(request(&one))).await;
    soon("the first", watch.message())
        .await
        .expect("it goes on");
    assert_eq!(watched.now(&count("WatchTransfer", "OK")).await, 0.0);
    raw.complete(&one, 5).await;
    let ended = async { while watch.message().await.expect("no refusal").is_some() {} };
    soon("the end", ended).await;
    let ok = count("WatchTransfer", "OK");
    watched.becomes(&ok, |count| count == 1.0).await;

    let kept = raw.declared().await.uuid;
    let mut watch = told(raw.transfers.watch_transfer(request(&kept))).await;
    soon("the first", watch.message())
        .await
        .expect("it goes on");
    let cancelled = count("WatchTransfer", "CANCELLED");
    watched.rises(&cancelled, async { drop(watch) }).await;
    assert_eq!(watched.now(&ok).await, 1.0);
}

#[tokio::test]
async fn a_stream_that_ends_with_an_error_counts_as_that() {
    let mut watched = Watched::start(WorldOptions::default()).await;
    let mut raw = watched.world.services().await;
    let reports = futures::stream::iter([v1::ReportProgressRequest {
        uuid: raw.running().await.uuid,
        checkpoint: Some(vec![1; 70_000]),
        ..v1::ReportProgressRequest::default()
    }]);
    let end = async {
        let mut answers = told(raw.transfers.report_progress(reports)).await;
        loop {
            match soon("an answer", answers.message()).await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it ended well"),
                Err(refusal) => return refusal,
            }
        }
    };
    let name = count("ReportProgress", "INVALID_ARGUMENT");
    watched.rises(&name, end).await;
    assert_eq!(watched.now(&count("ReportProgress", "OK")).await, 0.0);
}

#[tokio::test]
async fn callers_cannot_make_series() {
    let mut watched = Watched::start(WorldOptions::default()).await;
    let channel = watched.world.channel().await;
    let address = watched.address().to_owned();
    let before = samples(&address).await.len();
    let other = sample("count", "_OTHER", "UNIMPLEMENTED");
    for number in 0..50 {
        let path = format!("/tidegate.v1.TransferService/Made{number}");
        let refused = dynamic::call_bytes(&channel, &path, Vec::new()).await;
        refused.expect_err("unknown");
    }
    watched.becomes(&other, |count| count == 50.0).await;
    // One histogram more: seventeen buckets, the sum and the count.
    assert_eq!(samples(&address).await.len(), before + 19);
}
