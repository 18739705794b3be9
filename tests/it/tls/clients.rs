//! Everybody who may get in does, and is known by their address.

use futures::StreamExt as _;
use serde_json::{Value, json};
use tidegate_client::Direction;
use tidegate_tests::{
    Database, ServerProcess,
    certificates::{Authority, Folder, NAMES, shake},
    needs::Need,
    process::{binary, command, run},
    skip_without, soon,
    tools::tool,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::Gate;

#[tokio::test]
async fn the_client_and_its_streams_work() {
    let gate = Gate::new().await;
    let client = gate.builder().connect().await.expect("it is let in");
    let created = client
        .transfers()
        .create(Direction::Send, "orders")
        .await
        .expect("it is created");
    assert_eq!(created.observed_ip.as_deref(), Some("127.0.0.1"));
    let mut watch = client.transfers().watch(created.uuid);
    let first = soon("the first update", watch.next()).await;
    let first = first.expect("it tells").expect("no failure");
    assert_eq!(first.uuid, created.uuid);
}

#[tokio::test]
async fn another_name_may_be_asked_for() {
    let authority = Authority::default();
    let certificate = authority.server(&["gate.example"]);
    let gate = Gate::with(authority, &certificate, &[]).await;
    let builder = gate.builder().domain_name("gate.example");
    builder.connect().await.expect("the name is right");
}

#[tokio::test]
async fn the_tool_works_by_flag_and_by_variable() {
    let gate = Gate::new().await;
    let ca = gate.folder.argument("ca.pem");
    let listed = gate.tool(&format!("transfer list --ca {ca}")).await;
    assert_eq!(listed.code, Some(0), "{listed:?}");
    let mut tidegate = command(binary("tidegate"));
    tidegate
        .env("TIDEGATE_ADDRESS", gate.address())
        .env("TIDEGATE_CA", &ca)
        .args(["transfer", "list"]);
    let listed = run(&mut tidegate).await;
    assert_eq!(listed.code, Some(0), "{listed:?}");
}

#[tokio::test]
async fn grpcurl_works() {
    skip_without!(Need::Tool("grpcurl"));
    let gate = Gate::new().await;
    let body = json!({"direction": "DIRECTION_SEND", "tableName": "orders"});
    let mut grpcurl = command(tool("grpcurl"));
    grpcurl
        .args([
            "-max-time",
            "15",
            "-cacert",
            &gate.folder.argument("ca.pem"),
        ])
        .args(["-d", &body.to_string(), gate.server.authority()])
        .arg("tidegate.v1.TransferService/CreateTransfer");
    let ended = run(&mut grpcurl).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let created: Value = serde_json::from_str(&ended.stdout).expect("an answer");
    assert_eq!(created["transfer"]["observedIp"], "127.0.0.1");
}

/// What a browser is answered to an empty `GetTransfer`, as text.
async fn browse(gate: &Gate, protocols: &[&str]) -> String {
    let stream = TcpStream::connect(gate.server.authority()).await;
    let stream = stream.expect("the server listens");
    let mut tls = shake(stream, &gate.authority.pem(), protocols)
        .await
        .expect("a handshake");
    let chosen = tls.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
    let offered = protocols.contains(&"http/1.1");
    assert_eq!(chosen, offered.then(|| b"http/1.1".to_vec()));
    let request = "POST /tidegate.v1.TransferService/GetTransfer HTTP/1.1\r\nHost: localhost\r\n\
         Content-Type: application/grpc-web+proto\r\nX-Grpc-Web: 1\r\nContent-Length: 5\r\n\
         Connection: close\r\n\r\n\0\0\0\0\0";
    tls.write_all(request.as_bytes())
        .await
        .expect("it is taken");
    let mut answer = Vec::new();
    soon("the answer", tls.read_to_end(&mut answer))
        .await
        .expect("it ends with a goodbye");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn browsers_work_over_http_1() {
    let gate = Gate::new().await;
    for protocols in [&["http/1.1"][..], &[]] {
        let answer = browse(&gate, protocols).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(
            answer.replace(' ', "").contains("grpc-status:3"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn settings_may_be_variables() {
    let authority = Authority::default();
    let folder = Folder::of(&authority, &authority.server(&NAMES));
    let certificate = folder.argument("server.pem");
    let key = folder.argument("server.key");
    let database = Database::fresh().await;
    let variables = [
        ("TIDEGATE_TLS_CERT", certificate.as_str()),
        ("TIDEGATE_TLS_KEY", key.as_str()),
        ("TIDEGATE_INSECURE", "false"),
        ("TIDEGATE_AUTH", "off"),
    ];
    let server = ServerProcess::start_as("tidegate-server", &database, 0, &[], &variables).await;
    let address = format!("https://{}", server.authority());
    let client = super::builder(&address).ca_certificate(authority.pem());
    client.connect().await.expect("it is let in");
}
