//! Third-party clients: grpcurl, buf, browsers over gRPC-Web, and health checks.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_proto::v1;
use tidegate_tests::{
    ServerProcess,
    needs::Need,
    process::{Finished, command, run},
    skip_without, soon,
    tools::tool,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::Code;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

const CREATE: &str = "tidegate.v1.TransferService/CreateTransfer";
const START: &str = "tidegate.v1.TransferService/StartTransfer";
const UNKNOWN: &str = "00000000-0000-4000-8000-000000000009";
/// buf shows details as they are on the wire, in base64: this is `TRANSFER_NOT_FOUND` without its first letter, which
/// is mixed with what is before it.
const NOT_FOUND_IN_BASE64: &str = "UkFOU0ZFUl9OT1RfRk9VTkQ";

async fn grpcurl(server: &ServerProcess, flags: &[&str], what: &[&str]) -> Finished {
    let mut grpcurl = command(tool("grpcurl"));
    grpcurl
        .args(["-plaintext", "-max-time", "15"])
        .args(flags)
        .arg(server.authority())
        .args(what);
    run(&mut grpcurl).await
}

async fn buf(server: &ServerProcess, flags: &[&str], method: &str, body: &Value) -> Finished {
    let mut buf = command(tool("buf"));
    buf.arg("curl")
        .args(flags)
        .args(["--data", &body.to_string()]);
    run(buf.arg(format!("{}/{method}", server.address))).await
}

fn parsed(finished: &Finished) -> Value {
    assert_eq!(finished.code, Some(0), "{finished:?}");
    serde_json::from_str(&finished.stdout).unwrap_or_else(|error| panic!("{error}: {finished:?}"))
}

#[tokio::test]
async fn grpcurl_lists_and_describes() {
    skip_without!(Need::Tool("grpcurl"));
    let server = ServerProcess::fresh().await;
    let listed = grpcurl(&server, &[], &["list"]).await;
    let names: Vec<&str> = listed.stdout.lines().collect();
    for name in [
        "grpc.health.v1.Health",
        "tidegate.v1.BulkService",
        "tidegate.v1.ConnectionService",
        "tidegate.v1.CredentialService",
        "tidegate.v1.EventService",
        "tidegate.v1.TransferService",
    ] {
        assert!(names.contains(&name), "{name}: {listed:?}");
    }
    let described = grpcurl(
        &server,
        &[],
        &["describe", "tidegate.v1.CreateTransferRequest"],
    )
    .await;
    assert_eq!(described.code, Some(0), "{described:?}");
    assert!(
        described.stdout.contains("string table_name = 2;"),
        "{described:?}"
    );
    let described = grpcurl(&server, &[], &["describe", "tidegate.v1.TransferService"]).await;
    assert!(
        described.stdout.contains("rpc ReportProgress ( stream "),
        "{described:?}"
    );
}

#[tokio::test]
async fn grpcurl_calls_and_shows_what_a_refusal_says() {
    skip_without!(Need::Tool("grpcurl"));
    let server = ServerProcess::fresh().await;
    let body =
        json!({"direction": "DIRECTION_SEND", "tableName": "orders", "metadata": {"team": "blue"}});
    let created = parsed(&grpcurl(&server, &["-d", &body.to_string()], &[CREATE]).await);
    assert_eq!(created["transfer"]["status"], "TRANSFER_STATUS_PENDING");
    assert_eq!(created["transfer"]["metadata"], json!({"team": "blue"}));
    assert!(
        created["transfer"]["requesterUserAgent"]
            .as_str()
            .is_some_and(|name| name.contains("grpcurl"))
    );

    let body = json!({"uuid": UNKNOWN}).to_string();
    let refused = grpcurl(&server, &["-d", &body], &[START]).await;
    assert_eq!(
        refused.code,
        Some(64 + Code::NotFound as i32),
        "{refused:?}"
    );
    for words in [
        "Code: NotFound",
        "google.rpc.ErrorInfo",
        "TRANSFER_NOT_FOUND",
        "google.rpc.ResourceInfo",
        UNKNOWN,
    ] {
        assert!(
            refused.stderr.contains(words),
            "{words}: {}",
            refused.stderr
        );
    }
    let refused = grpcurl(&server, &["-d", r#"{"tableName": ""}"#], &[CREATE]).await;
    assert_eq!(
        refused.code,
        Some(64 + Code::InvalidArgument as i32),
        "{refused:?}"
    );
    for words in [
        "INVALID_FIELDS",
        "google.rpc.BadRequest",
        "direction",
        "table_name",
    ] {
        assert!(
            refused.stderr.contains(words),
            "{words}: {}",
            refused.stderr
        );
    }
}

#[tokio::test]
async fn grpcurl_follows_a_stream() {
    skip_without!(Need::Tool("grpcurl"));
    let server = ServerProcess::fresh().await;
    let body = json!({"direction": "DIRECTION_SEND", "tableName": "orders"}).to_string();
    let created = parsed(&grpcurl(&server, &["-d", &body], &[CREATE]).await);
    let uuid = json!({"uuid": created["transfer"]["uuid"]}).to_string();
    parsed(
        &grpcurl(
            &server,
            &["-d", &uuid],
            &["tidegate.v1.TransferService/CancelTransfer"],
        )
        .await,
    );
    let watched = parsed(
        &grpcurl(
            &server,
            &["-d", &uuid],
            &["tidegate.v1.TransferService/WatchTransfer"],
        )
        .await,
    );
    assert_eq!(watched["transfer"]["status"], "TRANSFER_STATUS_CANCELLED");
}

#[tokio::test]
async fn buf_curl_speaks_grpc_and_grpc_web_by_reflection() {
    skip_without!(Need::Tool("buf"));
    let server = ServerProcess::fresh().await;
    for protocol in ["grpc", "grpcweb"] {
        let flags = [
            "--protocol",
            protocol,
            "--http2-prior-knowledge",
            "--reflect",
            "--reflect-protocol",
            "grpc-v1",
        ];
        let body = json!({"direction": "DIRECTION_RECEIVE", "tableName": protocol});
        let created = parsed(&buf(&server, &flags, CREATE, &body).await);
        assert_eq!(created["transfer"]["tableName"], protocol);
        let refused = buf(&server, &flags, START, &json!({"uuid": UNKNOWN})).await;
        assert_not_found(&refused);
    }
}

#[tokio::test]
async fn buf_curl_speaks_grpc_web_over_http_1() {
    skip_without!(Need::Tool("buf"));
    let server = ServerProcess::fresh().await;
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/../proto");
    let flags = ["--protocol", "grpcweb", "--schema", schema];
    let body = json!({"direction": "DIRECTION_RECEIVE", "tableName": "orders"});
    let created = parsed(&buf(&server, &flags, CREATE, &body).await);
    assert_eq!(created["transfer"]["status"], "TRANSFER_STATUS_PENDING");
    let refused = buf(&server, &flags, START, &json!({"uuid": UNKNOWN})).await;
    assert_not_found(&refused);
}

fn assert_not_found(refused: &Finished) {
    // buf counts in steps of eight.
    assert_eq!(refused.code, Some(8 * Code::NotFound as i32), "{refused:?}");
    let said: Value = serde_json::from_str(&refused.stderr)
        .unwrap_or_else(|error| panic!("{error}: {refused:?}"));
    assert_eq!(said["code"], "not_found");
    assert!(
        said["message"]
            .as_str()
            .is_some_and(|message| message.contains(UNKNOWN)),
        "{said}"
    );
    assert_eq!(said["details"][0]["type"], "google.rpc.ErrorInfo");
    assert!(
        said["details"][0]["value"]
            .as_str()
            .is_some_and(|value| value.contains(NOT_FOUND_IN_BASE64)),
        "{said}"
    );
    assert_eq!(said["details"][1]["type"], "google.rpc.ResourceInfo");
}

#[tokio::test]
async fn a_browser_gets_its_answer_with_a_trailers_frame() {
    let server = ServerProcess::fresh().await;
    let request = v1::CreateTransferRequest {
        direction: v1::Direction::Send.into(),
        table_name: "orders".to_owned(),
        ..Default::default()
    };
    let (head, frames) = post(&server, CREATE, &request).await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(
        head.contains("content-type: application/grpc-web"),
        "{head}"
    );
    let [(0, message), (0x80, trailers)] = &frames[..] else {
        panic!("{frames:?}")
    };
    let answer: v1::CreateTransferResponse =
        prost::Message::decode(&message[..]).expect("it is the answer");
    assert_eq!(
        answer
            .transfer
            .expect("an answer has a transfer")
            .table_name,
        "orders"
    );
    let trailers = String::from_utf8_lossy(trailers);
    assert!(
        trailers
            .lines()
            .any(|line| line.replace(' ', "") == "grpc-status:0"),
        "{trailers}"
    );

    let request = v1::StartTransferRequest {
        uuid: UNKNOWN.to_owned(),
        ..Default::default()
    };
    let (head, frames) = post(&server, START, &request).await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    // A refusal without a message may be told in the head alone.
    let last = frames
        .last()
        .map(|(_, trailers)| String::from_utf8_lossy(trailers).to_lowercase());
    let said = head + &last.unwrap_or_default();
    assert!(said.replace(' ', "").contains("grpc-status:5"), "{said}");
    assert!(said.contains("grpc-status-details-bin"), "{said}");
}

#[tokio::test]
async fn a_connection_of_a_browser_outlives_a_refusal() {
    let server = ServerProcess::fresh().await;
    let head = |more: &str| {
        format!(
            "POST /tidegate.v1.TransferService/Nothing HTTP/1.1\r\nHost: {}\r\nContent-Length: 5\r\n\
             Content-Type: application/grpc-web+proto\r\n{more}\r\n",
            server.authority()
        )
    };
    let mut socket = TcpStream::connect(server.authority())
        .await
        .expect("the server listens");
    let first = head("");
    socket.write_all(first.as_bytes()).await.expect("it reads");
    // The head alone is enough for the refusal; the message comes once that could have been sent.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let rest = format!("{0}{1}{0}", "\0\0\0\0\0", head("Connection: close\r\n"));
    socket
        .write_all(rest.as_bytes())
        .await
        .expect("it reads on");
    let mut answers = Vec::new();
    soon("both answers", socket.read_to_end(&mut answers))
        .await
        .expect("it can be read");
    let answers = String::from_utf8_lossy(&answers).to_lowercase();
    assert_eq!(answers.matches("http/1.1 200").count(), 2, "{answers}");
    assert_eq!(answers.matches("grpc-status: 12").count(), 2, "{answers}");
}

/// Says a gRPC-Web call by hand; the head of the answer in lower case, and its frames.
async fn post(
    server: &ServerProcess,
    method: &str,
    message: &impl prost::Message,
) -> (String, Vec<(u8, Vec<u8>)>) {
    let message = message.encode_to_vec();
    let length = u32::try_from(message.len()).expect("it is short");
    let head = format!(
        "POST /{method} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/grpc-web+proto\r\nX-Grpc-Web: 1\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        server.authority(),
        message.len() + 5
    );
    let mut socket = TcpStream::connect(server.authority())
        .await
        .expect("the server listens");
    let mut request = head.into_bytes();
    request.push(0);
    request.extend(length.to_be_bytes());
    request.extend(message);
    socket
        .write_all(&request)
        .await
        .expect("it takes the request");
    let mut answer = Vec::new();
    soon("the answer", socket.read_to_end(&mut answer))
        .await
        .expect("it can be read");
    let end = answer
        .windows(4)
        .position(|bytes| bytes == b"\r\n\r\n")
        .expect("a head");
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    let body = &answer[end + 4..];
    let body = if head.contains("transfer-encoding: chunked") {
        unchunked(body)
    } else {
        body.to_vec()
    };
    (head, frames(&body))
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    loop {
        let end = rest
            .windows(2)
            .position(|bytes| bytes == b"\r\n")
            .expect("the size of a chunk");
        let size = std::str::from_utf8(&rest[..end]).expect("a number");
        let size = usize::from_str_radix(size, 16).expect("a number");
        if size == 0 {
            return whole;
        }
        whole.extend(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 4 + size..];
    }
}

fn frames(mut rest: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let [flag, a, b, c, d, after @ ..] = rest {
        let length = usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).expect("it fits");
        frames.push((*flag, after[..length].to_vec()));
        rest = &after[length..];
    }
    assert!(rest.is_empty(), "half a frame: {rest:?}");
    frames
}

#[tokio::test]
async fn health_is_told_for_the_server_and_each_service() {
    let server = ServerProcess::fresh().await;
    let mut client = HealthClient::new(server.channel().await);
    for service in [
        "",
        "tidegate.v1.TransferService",
        "tidegate.v1.EventService",
        "tidegate.v1.ConnectionService",
        "tidegate.v1.CredentialService",
        "tidegate.v1.BulkService",
    ] {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        let answer = client
            .check(request)
            .await
            .expect("it is known")
            .into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service}");
    }
    let request = HealthCheckRequest {
        service: "tidegate.v1.NoService".to_owned(),
    };
    let refused = client.check(request).await.expect_err("there is none");
    assert_eq!(refused.code(), Code::NotFound);
}
