//! `connect` fails at once, and says what is wrong with what is at the address.

use std::{error::Error as _, io, time::Duration};

use tidegate_client::{Client, Error, Reason};
use tidegate_proto::v1;
use tokio::{io::AsyncWriteExt as _, net::TcpListener};
use tonic::Code;

use crate::fake::{Fake, Script, refusal};

async fn complaint(address: &str) -> Error {
    Client::builder(address)
        .timeout(Duration::from_millis(500))
        .connect()
        .await
        .expect_err("nothing fit is there")
}

#[tokio::test]
async fn a_server_that_answers_is_connected_to() {
    let script = Script {
        recent: Some(Box::new(|_, _| {
            Ok(v1::ListRecentTransfersResponse::default())
        })),
        ..Script::default()
    };
    let fake = Fake::play(script).await;
    let address = format!("http://{}", fake.address());
    Client::connect(address).await.unwrap();
    assert_eq!(fake.count("recent"), 1);
}

#[tokio::test]
async fn a_server_that_refuses_the_question_is_there_all_the_same() {
    let script = Script {
        recent: Some(Box::new(|_, _| {
            Err(refusal(Code::PermissionDenied, "SCOPE"))
        })),
        ..Script::default()
    };
    let fake = Fake::play(script).await;
    Client::connect(format!("http://{}", fake.address()))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_server_that_cannot_serve_is_told_at_once() {
    let script = Script {
        recent: Some(Box::new(|_, _| {
            Err(refusal(Code::Unavailable, "DATABASE_UNAVAILABLE"))
        })),
        ..Script::default()
    };
    let fake = Fake::play(script).await;
    let error = complaint(&format!("http://{}", fake.address())).await;
    assert_eq!(error.reason(), Some(Reason::DatabaseUnavailable));
    assert_eq!(fake.count("recent"), 1, "connecting does not try again");
}

#[tokio::test]
async fn nobody_there() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);

    let error = complaint(&address).await;

    assert!(error.is_unavailable());
    let text = error.to_string();
    assert!(
        text.contains(&address) && text.contains("no connection"),
        "{text}"
    );
    let cause = error
        .source()
        .and_then(|cause| cause.downcast_ref::<io::Error>());
    assert_eq!(cause.unwrap().kind(), io::ErrorKind::ConnectionRefused);
    assert_eq!(text.matches("refused").count(), 1, "{text}");
}

#[tokio::test]
async fn a_host_that_does_not_exist() {
    let error = complaint("http://no-such-host.invalid:50051").await;
    assert!(error.is_unavailable(), "{error}");
    assert!(error.to_string().contains("no connection"), "{error}");
}

#[tokio::test]
async fn something_else_listens_there() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let answer = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
            let _ = socket.write_all(answer).await;
        }
    });
    let error = complaint(&address).await;
    assert!(error.to_string().contains("does not speak gRPC"), "{error}");
}

#[tokio::test]
async fn something_listens_there_and_says_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let error = complaint(&format!("http://{}", listener.local_addr().unwrap())).await;
    assert!(error.is_timeout(), "{error:?}");
    assert!(error.to_string().contains("does not answer"), "{error}");
}

#[tokio::test]
async fn another_grpc_server() {
    let fake = Fake::play(Script::default()).await;
    let error = complaint(&format!("http://{}", fake.address())).await;
    assert!(error.to_string().contains("no Tidegate server"), "{error}");
}

#[tokio::test]
async fn addresses_that_cannot_be_used() {
    for (address, hint) in [
        ("ftp://gate.example", "http://"),
        ("not an address", "http://"),
    ] {
        let error = complaint(address).await;
        assert!(error.is_invalid(), "{address}: {error:?}");
        assert!(error.message().contains(hint), "{error}");
    }
}

#[test]
fn outside_a_runtime_is_an_error_and_no_panic() {
    let error = Client::builder("http://127.0.0.1:1")
        .connect_lazy()
        .unwrap_err();
    assert!(error.is_precondition());
}
