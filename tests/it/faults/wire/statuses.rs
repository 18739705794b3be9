//! Whatever ends a call says why: every status has an `ErrorInfo`, whichever layer it is from.

use bytes::Bytes;
use http::{Request, StatusCode};
use tidegate_proto::v1;
use tidegate_tests::{
    World, WorldOptions, assert_refused, dynamic,
    http2::{Answer, Http2, call, framed},
    raw::plain,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_request::MessageRequest,
};

const CREATE: &str = "/tidegate.v1.TransferService/CreateTransfer";
const WATCH: &str = "/tidegate.v1.TransferService/WatchTransfers";
const HEALTH: &str = "/grpc.health.v1.Health/Check";
const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

async fn timed(http2: &mut Http2, path: &str, timeout: &str, body: Bytes) -> Answer {
    let head = call(path).header("grpc-timeout", timeout);
    http2.send(head, body).await.expect("an answer")
}

#[tokio::test]
async fn a_deadline_that_has_passed_is_said_by_every_method() {
    let world = World::start().await;
    let mut http2 = Http2::to(&world.address).await;
    let mut paths: Vec<String> = dynamic::methods().iter().map(dynamic::path).collect();
    paths.extend([HEALTH.to_owned(), REFLECTION.to_owned()]);
    for path in paths {
        let answer = timed(&mut http2, &path, "1n", framed(&plain())).await;
        let status = answer.status();
        assert_refused(&status, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    }
    assert_eq!(world.services().await.count().await, 0);
}

#[tokio::test]
async fn a_stream_ends_at_its_deadline() {
    let world = World::start().await;
    let mut http2 = Http2::to(&world.address).await;
    let all = framed(&v1::WatchTransfersRequest::default());
    let answer = timed(&mut http2, WATCH, "300m", all).await;
    assert_refused(
        &answer.status(),
        Code::DeadlineExceeded,
        "DEADLINE_EXCEEDED",
    );
}

#[tokio::test]
async fn a_deadline_that_is_none_is_ignored() {
    let world = World::start().await;
    let mut http2 = Http2::to(&world.address).await;
    for bad in ["", "1", "n", "123456789S", "1x", "-1S", "+1n"] {
        let answer = timed(&mut http2, CREATE, bad, framed(&plain())).await;
        assert_eq!(answer.status().code(), Code::Ok, "{bad:?}");
    }
}

mod sqlite_only {
    use std::time::Duration;

    use rusqlite::Connection;
    use tidegate_tests::soon;

    use super::*;

    #[tokio::test]
    async fn a_deadline_that_passes_while_a_change_waits_is_said() {
        let world = World::start().await;
        let mut http2 = Http2::to(&world.address).await;
        let path = world.database().path().expect("a file");
        let other = Connection::open(path).expect("it opens");
        soon("the lock", async {
            while other.execute_batch("BEGIN IMMEDIATE").is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        let answer = timed(&mut http2, CREATE, "200m", framed(&plain())).await;
        let status = answer.status();
        assert_refused(&status, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
        other.execute_batch("ROLLBACK").expect("the lock's end");
    }
}

#[tokio::test]
async fn what_other_services_refuse_says_why() {
    let world = World::start().await;
    let mut http2 = Http2::to(&world.address).await;
    let unknown = HealthCheckRequest {
        service: "nope".to_owned(),
    };
    let answer = http2.call(HEALTH, &unknown).await;
    assert_refused(&answer.status(), Code::NotFound, "TRANSPORT");

    let symbol = MessageRequest::FileContainingSymbol("no.such.Thing".to_owned());
    let extension = MessageRequest::FileContainingExtension(Default::default());
    for (asked, code, reason) in [
        (Some(symbol), Code::NotFound, "TRANSPORT"),
        (Some(extension), Code::NotFound, "TRANSPORT"),
        (None, Code::InvalidArgument, "TRANSPORT"),
    ] {
        let request = ServerReflectionRequest {
            message_request: asked,
            ..Default::default()
        };
        let answer = http2.call(REFLECTION, &request).await;
        assert_refused(&answer.status(), code, reason);
    }
}

#[tokio::test]
async fn what_is_no_call_is_refused_with_a_reason_wherever_grpc_can_tell_one() {
    let world = World::start_with(WorldOptions::guarded()).await;
    let mut http2 = Http2::to(&world.address).await;
    let unauthenticated = (Code::Unauthenticated, "UNAUTHENTICATED");
    let broken = Bytes::from_static(&[9, 0, 0, 0, 1, 0]);
    for (path, body, expected) in [
        (CREATE, framed(&plain()), unauthenticated),
        (CREATE, broken.clone(), unauthenticated),
        ("/no.such.Service/Method", Bytes::new(), unauthenticated),
        (HEALTH, broken, (Code::InvalidArgument, "MALFORMED_MESSAGE")),
    ] {
        let answer = http2.send(call(path), body).await.expect("an answer");
        assert_refused(&answer.status(), expected.0, expected.1);
    }
    for (encoding, expected) in [
        ("br", "UNSUPPORTED_ENCODING"),
        ("\u{7f}", "UNSUPPORTED_ENCODING"),
    ] {
        let Ok(value) = http::HeaderValue::from_bytes(encoding.as_bytes()) else {
            continue;
        };
        let mut message = framed(&HealthCheckRequest::default()).to_vec();
        message[0] = 1;
        let head = call(HEALTH).header("grpc-encoding", value);
        let answer = http2.send(head, message.into()).await.expect("an answer");
        assert_refused(&answer.status(), Code::Unimplemented, expected);
    }
}

#[tokio::test]
async fn what_is_no_call_of_grpc_gets_a_status_of_http() {
    let world = World::start().await;
    let mut http2 = Http2::to(&world.address).await;
    let heads = [
        Request::get(format!("http://localhost{CREATE}")),
        Request::post(format!("http://localhost{CREATE}")).header("content-type", "text/html"),
        Request::get("http://localhost/".to_owned()),
    ];
    for head in heads {
        let answer = http2.send(head, Bytes::new()).await.expect("an answer");
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        assert_eq!(answer.http, status, "{answer:?}");
        assert!(answer.body.starts_with(b"This is Tidegate's port"));
    }
}

/// What HTTP/1.1 answers: the head and the body.
async fn over_http1(address: &str, path: &str, timeout: &str, body: &[u8]) -> String {
    let address = address.trim_start_matches("http://");
    let mut socket = TcpStream::connect(address).await.expect("it listens");
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/grpc-web+proto\r\n\
         {timeout}connection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    socket.write_all(head.as_bytes()).await.expect("it reads");
    socket.write_all(body).await.expect("it reads");
    let mut answer = Vec::new();
    tidegate_tests::soon("the answer", socket.read_to_end(&mut answer))
        .await
        .expect("an orderly end");
    String::from_utf8_lossy(&answer).into_owned()
}

/// The status in such an answer, wherever it is.
fn web_status(answer: &str) -> Status {
    let mut headers = http::HeaderMap::new();
    for line in answer.split(['\r', '\n']) {
        // Before the trailers' first line stand the five bytes of their frame.
        let Some(at) = line.find("grpc-") else {
            continue;
        };
        if let Some((name, value)) = line[at..].split_once(':') {
            let name: http::HeaderName = name.parse().expect("a name");
            headers.insert(name, value.trim().parse().expect("a value"));
        }
    }
    Status::from_header_map(&headers).unwrap_or_else(|| panic!("no status in {answer}"))
}

#[tokio::test]
async fn grpc_web_gets_the_same() {
    let world = World::start().await;
    let (late, message) = ("grpc-timeout: 1n\r\n", framed(&plain()));
    let answer = over_http1(&world.address, CREATE, late, &message).await;
    let status = web_status(&answer);
    assert_refused(&status, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    let all = framed(&v1::WatchTransfersRequest::default());
    let late = "grpc-timeout: 300m\r\n";
    let answer = over_http1(&world.address, WATCH, late, &all).await;
    let status = web_status(&answer);
    assert_refused(&status, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    let answer = over_http1(&world.address, "/no.such/Method", "", &message).await;
    assert_refused(&web_status(&answer), Code::Unimplemented, "UNKNOWN_METHOD");
}
