//! Pages in browsers may call when their origin was named, and those of others may not. Browsers ask first, by OPTIONS,
//! and keep from a page what the answer does not allow; here the answers are read as they do.

use bytes::Bytes;
use http::{HeaderMap, Request};
use tidegate_proto::v1;
use tidegate_tests::{
    World, WorldOptions,
    http2::{Answer, Http2, framed},
    process::{binary, command, run},
};

const LIST: &str = "http://localhost/tidegate.v1.TransferService/ListTransfers";
const CONSOLE: &str = "https://console.example.com";
const LOCAL: &str = "http://localhost:5173";
const STRANGER: &str = "https://other.example.com";
const ORIGINS: [&str; 4] = ["--cors-origin", CONSOLE, "--cors-origin", LOCAL];

async fn asked_first(world: &World, origin: &str) -> Answer {
    let head = Request::options(LIST)
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "authorization,content-type,grpc-timeout,x-grpc-web,x-user-agent",
        );
    let mut http2 = Http2::to(&world.address).await;
    http2.send(head, Bytes::new()).await.expect("an answer")
}

async fn called(world: &World, origin: &str) -> Answer {
    let head = Request::post(LIST)
        .header("origin", origin)
        .header("content-type", "application/grpc-web+proto")
        .header("x-grpc-web", "1");
    let all = framed(&v1::ListTransfersRequest::default());
    let mut http2 = Http2::to(&world.address).await;
    http2.send(head, all).await.expect("an answer")
}

/// What the header of that name says, in lower case.
fn said(headers: &HeaderMap, name: &str) -> String {
    let values = headers.get_all(name).iter();
    let values = values.map(|value| value.to_str().expect("a text").to_lowercase());
    values.collect::<Vec<_>>().join(",")
}

const ALLOWED: &str = "access-control-allow-origin";

#[tokio::test]
async fn pages_of_an_origin_that_was_named_may_call() {
    let world = World::start_with(WorldOptions {
        arguments: &ORIGINS,
        ..WorldOptions::default()
    })
    .await;
    for origin in [CONSOLE, LOCAL] {
        let first = asked_first(&world, origin).await;
        assert_eq!(first.http, 200, "{first:?}");
        assert_eq!(said(&first.headers, ALLOWED), origin);
        assert_eq!(said(&first.headers, "access-control-allow-methods"), "post");
        let headers = said(&first.headers, "access-control-allow-headers");
        for name in [
            "authorization",
            "content-type",
            "grpc-timeout",
            "traceparent",
            "tracestate",
            "x-grpc-web",
            "x-user-agent",
        ] {
            assert!(headers.split(',').any(|it| it == name), "{name}: {headers}");
        }
        assert_eq!(said(&first.headers, "access-control-max-age"), "7200");
        assert!(said(&first.headers, "vary").contains("origin"), "{first:?}");
        let credentials = "access-control-allow-credentials";
        assert_eq!(said(&first.headers, credentials), "", "no cookies");

        let answer = called(&world, origin).await;
        assert_eq!(answer.http, 200, "{answer:?}");
        assert_eq!(said(&answer.headers, ALLOWED), origin);
        assert!(answer.body.ends_with(b"grpc-status:0\r\n"), "{answer:?}");
    }
}

#[tokio::test]
async fn pages_are_told_why_they_are_refused() {
    let world = World::start_with(WorldOptions {
        arguments: &ORIGINS,
        ..WorldOptions::guarded()
    })
    .await;
    let first = asked_first(&world, CONSOLE).await;
    assert_eq!(first.http, 200, "who asks first shows no token: {first:?}");
    let answer = called(&world, CONSOLE).await;
    assert_eq!(said(&answer.headers, ALLOWED), CONSOLE);
    assert_eq!(said(&answer.headers, "grpc-status"), "16");
    let exposed = said(&answer.headers, "access-control-expose-headers");
    for name in ["grpc-status", "grpc-message", "grpc-status-details-bin"] {
        assert!(exposed.split(',').any(|it| it == name), "{name}: {exposed}");
    }
}

#[tokio::test]
async fn pages_of_others_may_not() {
    for arguments in [&ORIGINS[..], &[]] {
        let world = World::start_with(WorldOptions {
            arguments,
            ..WorldOptions::default()
        })
        .await;
        for answer in [
            asked_first(&world, STRANGER).await,
            called(&world, STRANGER).await,
        ] {
            assert_eq!(said(&answer.headers, ALLOWED), "", "{answer:?}");
        }
    }
}

#[tokio::test]
async fn what_is_no_origin_is_refused_at_the_start() {
    for wrong in ["*", "console.example.com", "https://console.example.com/"] {
        let mut server = command(binary("tidegate-server"));
        let ended = run(server.args(["--cors-origin", wrong])).await;
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains("--cors-origin"), "{ended:?}");
        assert!(ended.stderr.contains("without a path"), "{ended:?}");
    }
}
