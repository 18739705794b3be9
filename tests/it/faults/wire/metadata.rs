//! Metadata that is too large ends the call that carries it, and nothing else.

use http::StatusCode;
use tidegate_proto::v1;
use tidegate_tests::{
    World, assert_refused,
    http2::{Http2, call, framed},
    raw::plain,
    soon,
};
use tonic::Code;

const CREATE: &str = "/tidegate.v1.TransferService/CreateTransfer";
const WATCH: &str = "/tidegate.v1.TransferService/WatchTransfers";
const LIMIT: usize = 8 * 1_024;

/// Metadata of about so many bytes, in entries of at most 4,000.
fn metadata(head: http::request::Builder, bytes: usize) -> http::request::Builder {
    let whole = "x".repeat(bytes);
    let entries = whole.as_bytes().chunks(4_000);
    entries.fold(head, |head, value| head.header("x-notes", value))
}

#[tokio::test]
async fn large_metadata_ends_its_own_call_and_spares_the_neighbours() {
    let world = World::start().await;
    let mut http2 = Http2::to(&world.address).await;
    let all = framed(&v1::WatchTransfersRequest::default());
    let (answer, _open) = http2
        .open(call(WATCH), all, true)
        .await
        .expect("the watch is accepted");
    let mut watch = answer.into_body();
    for bytes in [LIMIT, 9_000, 12_000, 15_900, 20_000, 33_000, 40_000, 60_000] {
        let head = metadata(call(CREATE), bytes);
        let answer = http2.send(head, framed(&plain())).await;
        let answer = answer.unwrap_or_else(|error| panic!("{bytes}: {error}"));
        assert_eq!(answer.http, StatusCode::OK, "{bytes}: {answer:?}");
        let status = answer.status();
        let refused = assert_refused(&status, Code::ResourceExhausted, "METADATA_TOO_LARGE");
        let limit = refused.metadata.get("limit").map(String::as_str);
        assert_eq!(limit, Some("8192"));
    }
    assert_eq!(world.services().await.count().await, 0);
    let answer = http2
        .send(metadata(call(CREATE), 7_500), framed(&plain()))
        .await;
    assert_eq!(answer.expect("an answer").status().code(), Code::Ok);
    let told = soon("the watch's news", watch.data()).await;
    assert!(!told.expect("it lives").expect("it lives").is_empty());
}

#[tokio::test]
async fn beyond_what_can_be_read_a_call_is_refused_by_http_and_the_connection_lives() {
    let world = World::start().await;
    let mut http2 = Http2::to(&world.address).await;
    let answer = http2
        .send(metadata(call(CREATE), 100_000), framed(&plain()))
        .await
        .expect("an answer");
    assert_eq!(answer.http, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    let answer = http2.call(CREATE, &plain()).await;
    assert_eq!(answer.status().code(), Code::Ok);
}
