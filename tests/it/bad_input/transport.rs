//! What is no message, no method or no frame at all.

use futures::StreamExt as _;
use prost::Message as _;
use tidegate_proto::v1;
use tidegate_tests::{
    World, WorldOptions, assert_refused, dynamic,
    raw::{Raw, plain, told, totals},
    soon,
};
use tonic::Code;

use super::{bad_fields, everything};

const LIMIT: usize = 64 * 1_024;

async fn world() -> (World, Raw) {
    let world = World::start_with(WorldOptions::still()).await;
    let raw = world.services().await;
    (world, raw)
}

/// A request of so many bytes.
fn sized(bytes: usize) -> v1::CreateTransferRequest {
    let mut request = plain();
    request.table_name = "x".repeat(bytes);
    request
        .table_name
        .truncate(2 * bytes - request.encoded_len());
    assert_eq!(request.encoded_len(), bytes);
    request
}

#[tokio::test]
async fn a_message_beyond_the_limit_is_refused_as_too_large() {
    let (_world, mut raw) = world().await;
    raw.declared().await;
    let before = everything(&mut raw).await;
    let named = bad_fields(raw.transfers.create_transfer(sized(LIMIT))).await;
    assert_eq!(named, ["table_name"], "at the limit it is read");
    for bytes in [LIMIT + 1, 1_024 * 1_024, 5 * 1_024 * 1_024] {
        let refusal = raw
            .transfers
            .create_transfer(sized(bytes))
            .await
            .expect_err("too large");
        let refused = assert_refused(&refusal, Code::InvalidArgument, "MESSAGE_TOO_LARGE");
        assert_eq!(
            refused.metadata.get("limit").map(String::as_str),
            Some("65536")
        );
        assert_eq!(everything(&mut raw).await, before, "on the same connection");
    }
}

#[tokio::test]
async fn bytes_that_are_no_message_are_refused_as_malformed() {
    let (world, mut raw) = world().await;
    raw.declared().await;
    let before = everything(&mut raw).await;
    let channel = world.channel().await;
    let garbage = [
        vec![0xFF; 40],
        // A field whose length runs past the end, a string that is not UTF-8, an endless varint, a group's end.
        vec![0x0A, 0x7F, b'x'],
        vec![0x0A, 0x02, 0xC3, 0x28],
        vec![
            0x08, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01,
        ],
        vec![0x0C],
    ];
    for method in dynamic::methods() {
        let path = dynamic::path(&method);
        for bytes in &garbage {
            let answer = dynamic::call_bytes(&channel, &path, bytes.clone());
            let Err(refusal) = soon("an answer", answer).await else {
                // 0x0A is a length; a method whose first field is no text takes its bytes for something else.
                assert_eq!(
                    bytes.first(),
                    Some(&0x0A),
                    "{} took {bytes:?}",
                    method.full_name()
                );
                continue;
            };
            assert_refused(&refusal, Code::InvalidArgument, "MALFORMED_MESSAGE");
        }
    }
    assert_eq!(everything(&mut raw).await, before);
}

#[tokio::test]
async fn what_is_framed_wrongly_is_refused_and_the_connection_lives_on() {
    let (world, mut raw) = world().await;
    let channel = world.channel().await;
    let path = "/tidegate.v1.TransferService/CreateTransfer";
    let message = plain().encode_to_vec();
    let mut frame = vec![
        0,
        0,
        0,
        0,
        u8::try_from(message.len()).expect("a short message"),
    ];
    frame.extend(&message);
    let mut wrong_flag = frame.clone();
    wrong_flag[0] = 7;
    let mut compressed = frame.clone();
    compressed[0] = 1;
    let mut cut = frame.clone();
    cut.truncate(frame.len() - 2);
    for body in [Vec::new(), vec![0, 0], wrong_flag, compressed, cut] {
        let refusal = soon(
            "an answer",
            dynamic::post(&channel, path, &[], body.clone()),
        )
        .await;
        assert_refused(&refusal, Code::InvalidArgument, "MALFORMED_MESSAGE");
        assert_eq!(
            (raw.count().await, raw.log().await.len()),
            (0, 0),
            "{body:?}"
        );
    }
    let encoding = [("grpc-encoding", "br")];
    let refusal = soon(
        "an answer",
        dynamic::post(&channel, path, &encoding, frame.clone()),
    )
    .await;
    assert_refused(&refusal, Code::Unimplemented, "UNSUPPORTED_ENCODING");
    let good = dynamic::post(&channel, path, &[], frame).await;
    assert_eq!((good.code(), raw.count().await), (Code::Ok, 1));
}

#[tokio::test]
async fn a_method_that_does_not_exist_is_unknown() {
    let (world, _raw) = world().await;
    let channel = world.channel().await;
    for path in [
        "/tidegate.v1.TransferService/TeleportTransfer",
        "/tidegate.v2.TransferService/GetTransfer",
        "/tidegate.v1.TransferService/gettransfer",
        "/x",
        "/",
    ] {
        let refusal = dynamic::call_bytes(&channel, path, Vec::new())
            .await
            .expect_err("unknown");
        assert_refused(&refusal, Code::Unimplemented, "UNKNOWN_METHOD");
    }
}

#[tokio::test]
async fn a_report_that_is_no_message_ends_its_stream_with_the_reason() {
    let (world, mut raw) = world().await;
    let running = raw.running().await;
    let report = |checkpoint: Vec<u8>| v1::ReportProgressRequest {
        lease_epoch: 0,
        uuid: running.uuid.clone(),
        progress: Some(totals(5)),
        checkpoint: Some(checkpoint),
        record_problems: Vec::new(),
    };
    let reports = [report(vec![1]), report(vec![2; LIMIT]), report(vec![3])];
    let answer = told(
        raw.transfers
            .report_progress(futures::stream::iter(reports)),
    )
    .await;
    let mut answers = answer;
    let refusal = loop {
        match soon("an answer", answers.next())
            .await
            .expect("it does not end without a word")
        {
            Ok(answer) => assert_eq!(answer.error, None, "what came before is written"),
            Err(refusal) => break refusal,
        }
    };
    assert_refused(&refusal, Code::InvalidArgument, "MESSAGE_TOO_LARGE");
    let kept = raw.now(&running.uuid).await;
    assert_eq!((kept.progress, kept.checkpoint), (Some(totals(5)), vec![1]));

    let channel = world.channel().await;
    let path = "/tidegate.v1.TransferService/ReportProgress";
    let refusal = dynamic::call_bytes(&channel, path, vec![0xFF; 9])
        .await
        .expect_err("garbage");
    assert_refused(&refusal, Code::InvalidArgument, "MALFORMED_MESSAGE");
    assert_eq!(raw.now(&running.uuid).await.status, running.status);
}
