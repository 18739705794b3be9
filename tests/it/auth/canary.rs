//! What a caller shows is never said: not in the log, however much of it is asked for.

use std::time::Duration;

use tidegate_proto::v1::{self, transfer_service_client::TransferServiceClient};
use tidegate_server::clock::Clock;
use tidegate_tests::{
    Database, ServerProcess,
    actors::{bearing, with_wrong_secret},
    dynamic,
    raw::{plain, told},
    soon,
    world::first_token,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::Code;

const COUNT: &str = "/tidegate.v1.TransferService/CountTransfers";

/// The parts of a token that are nobody else's business. Half a secret is too much already.
fn secrets(token: &str) -> [String; 2] {
    let secret = token.split('_').nth(2).expect("a token has a secret");
    let (one, other) = secret.split_at(secret.len() / 2);
    [one.to_owned(), other.to_owned()]
}

/// One call as a browser makes it: gRPC-Web over HTTP/1.1.
async fn from_a_browser(server: &ServerProcess, token: &str) -> String {
    let mut stream = TcpStream::connect(server.authority())
        .await
        .expect("it listens");
    let head = format!(
        "POST {COUNT} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/grpc-web+proto\r\n\
         authorization: Bearer {token}\r\ncontent-length: 5\r\nconnection: close\r\n\r\n",
        server.authority()
    );
    stream.write_all(head.as_bytes()).await.expect("it reads");
    stream.write_all(&[0; 5]).await.expect("it reads");
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    soon("the answer's end", read).await.expect("it answers");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_is_ever_logged() {
    let database = Database::fresh().await;
    let admin = first_token(&database, &Clock::machine()).await;
    let arguments = ["--auth", "required", "--log", "trace"];
    let server = ServerProcess::start(&database, 0, &arguments).await;
    let channel = server.channel().await;
    let mut transfers = TransferServiceClient::new(channel.clone());
    told(transfers.create_transfer(bearing(&admin, plain()))).await;
    let wrong = with_wrong_secret(&admin);
    for shown in [&wrong, &format!("{admin}x"), "canary-in-a-bad-token"] {
        let count = v1::CountTransfersRequest::default();
        let refused = transfers.count_transfers(bearing(shown, count)).await;
        assert_eq!(refused.expect_err("bad").code(), Code::Unauthenticated);
    }
    for (path, scheme) in [(COUNT, "Basic"), ("/nowhere", "Bearer")] {
        let value = format!("{scheme} {admin}");
        dynamic::post(&channel, path, &[("authorization", &value)], vec![0; 5]).await;
    }
    let answer = from_a_browser(&server, &admin).await;
    assert!(answer.contains("grpc-status:0"), "{answer}");
    let written = async {
        while server.log().matches("\"answered\"").count() < 7 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon("the last line of the log", written).await;
    let log = server.log();
    assert!(log.contains("\"TRACE\""), "the log is at trace");
    let canary = "canary-in-a-bad-token".to_owned();
    let canaries = [secrets(&admin), secrets(&wrong)].concat();
    for canary in canaries.iter().chain([&canary]) {
        let said = log.lines().find(|line| line.contains(canary));
        assert_eq!(said, None, "a token is in the log");
    }
}
