//! Callers behind proxies: whose address counts, and who is believed.

use std::net::SocketAddr;

use proxy_header::{ProxiedAddress, ProxyHeader};
use tidegate_proto::v1::{self, ConnectionPolicy};
use tidegate_tests::{
    Database, ServerProcess, assert_refused,
    process::{binary, command, run},
    raw::{Raw, plain, told},
    site::of,
    soon,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tonic::{Code, Request, transport::Endpoint};

use super::names;

async fn server(arguments: &[&str]) -> (ServerProcess, Raw) {
    let server = ServerProcess::start(&Database::fresh().await, 0, arguments).await;
    let raw = Raw::on(server.channel().await);
    (server, raw)
}

/// A declaration that was passed on for these clients.
fn forwarded(
    request: v1::CreateTransferRequest,
    hops: &[&str],
) -> Request<v1::CreateTransferRequest> {
    let mut request = Request::new(request);
    for hop in hops {
        let value = hop.parse().expect("a value of metadata");
        request.metadata_mut().append("x-forwarded-for", value);
    }
    request
}

async fn seen(raw: &mut Raw, hops: &[&str]) -> String {
    let request = forwarded(plain(), hops);
    let made = told(raw.transfers.create_transfer(request)).await;
    made.transfer.expect("it is told").observed_ip
}

#[tokio::test]
async fn a_trusted_proxy_says_whom_it_speaks_for() {
    let (_server, mut raw) = server(&["--trusted-proxies", "127.0.0.0/8,10.0.0.0/8"]).await;
    for (hops, expected) in [
        (&["192.0.2.7"][..], "192.0.2.7"),
        (&["198.51.100.1, 192.0.2.7, 10.0.0.2"], "192.0.2.7"),
        (&["198.51.100.1", "192.0.2.7:4711", "10.0.0.2"], "192.0.2.7"),
        (&["::ffff:192.0.2.7"], "192.0.2.7"),
        (&["192.0.2.7, unknown"], "127.0.0.1"),
        (&[], "127.0.0.1"),
    ] {
        assert_eq!(seen(&mut raw, hops).await, expected, "{hops:?}");
    }
}

#[tokio::test]
async fn an_allow_list_is_for_the_client_and_not_for_its_proxy() {
    let (_server, mut raw) = server(&["--trusted-proxies", "127.0.0.1"]).await;
    let policy = ConnectionPolicy {
        ip_allowlist: names(&["192.0.2.0/24"]),
        ..ConnectionPolicy::default()
    };
    let site = raw.site(policy).await;
    let inside = forwarded(of(&site), &["198.51.100.1, 192.0.2.7"]);
    told(raw.transfers.create_transfer(inside)).await;
    // The nearest hop counts, whatever stands before it.
    for hops in [&["192.0.2.7, 198.51.100.1"][..], &["198.51.100.1"], &[]] {
        let outside = forwarded(of(&site), hops);
        let refusal = raw.transfers.create_transfer(outside).await;
        let refusal = refusal.expect_err("it comes from elsewhere");
        assert_refused(&refusal, Code::PermissionDenied, "IP_NOT_ALLOWED");
    }
}

#[tokio::test]
async fn nobody_is_believed_who_is_not_named() {
    for arguments in [&[][..], &["--trusted-proxies", "10.0.0.0/8"]] {
        let (_server, mut raw) = server(arguments).await;
        assert_eq!(seen(&mut raw, &["192.0.2.7"]).await, "127.0.0.1");
        let policy = ConnectionPolicy {
            ip_allowlist: names(&["192.0.2.0/24"]),
            ..ConnectionPolicy::default()
        };
        let site = raw.site(policy).await;
        let forged = forwarded(of(&site), &["192.0.2.7"]);
        let refusal = raw.transfers.create_transfer(forged).await;
        assert_refused(
            &refusal.expect_err("it is forged"),
            Code::PermissionDenied,
            "IP_NOT_ALLOWED",
        );
    }
}

#[tokio::test]
async fn the_connections_of_a_proxy_are_those_of_many() {
    let limit = ["--max-connections-per-address", "2"];
    let all = [&limit[..], &["--trusted-proxies", "127.0.0.1"]].concat();
    let (server, mut first) = server(&all).await;
    first.declared().await;
    let mut kept = Vec::new();
    for _ in 0..4 {
        let mut raw = Raw::on(server.channel().await);
        raw.declared().await;
        kept.push(raw);
    }
}

#[tokio::test]
async fn a_block_of_proxies_that_is_none_is_refused_at_the_start() {
    for bad in ["everybody", "10.0.0.1/8", "::/0"] {
        let ended = run(command(binary("tidegate-server"))
            .args(["--trusted-proxies", bad])
            .args(["--listen", "127.0.0.1:0"]))
        .await;
        assert_eq!(ended.code, Some(2), "{bad}: {}", ended.stderr);
        let first = ended.stderr.lines().next().unwrap_or_default();
        assert!(first.contains("--trusted-proxies"), "{first}");
    }
}

/// What a proxy says of a client at `client`.
fn word(client: &str) -> Vec<u8> {
    let client: SocketAddr = client.parse().expect("an address");
    // Both ends are of one family.
    let there = SocketAddr::new(client.ip(), 443);
    let mut bytes = Vec::new();
    let header = ProxyHeader::with_address(ProxiedAddress::stream(client, there));
    header.encode_v2(&mut bytes).expect("it fits");
    bytes
}

/// A proxy that passes bytes on to `server`, after its word about them.
async fn proxy(server: &ServerProcess, word: Vec<u8>) -> Raw {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let authority = server.authority().to_owned();
    tokio::spawn(async move {
        while let Ok((mut inside, _)) = listener.accept().await {
            let mut outside = TcpStream::connect(&authority).await.expect("it listens");
            let word = word.clone();
            tokio::spawn(async move {
                outside.write_all(&word).await.expect("it reads");
                copy_bidirectional(&mut inside, &mut outside).await
            });
        }
    });
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    Raw::on(endpoint.connect_lazy())
}

#[tokio::test]
async fn a_proxy_of_bytes_announces_its_client() {
    let limits = ["--max-connections-per-address", "2"];
    let trusting = ["--trusted-proxies", "127.0.0.1", "--proxy-protocol"];
    let arguments = [&limits[..], &trusting].concat();
    let server = ServerProcess::start(&Database::fresh().await, 0, &arguments).await;
    let mut raw = proxy(&server, word("192.0.2.7:4711")).await;
    assert_eq!(seen(&mut raw, &[]).await, "192.0.2.7");
    // The client itself is not believed.
    assert_eq!(seen(&mut raw, &["198.51.100.1"]).await, "192.0.2.7");
    // Connections are counted by client.
    let mut second = proxy(&server, word("192.0.2.7:4712")).await;
    assert_eq!(seen(&mut second, &[]).await, "192.0.2.7");
    let mut third = proxy(&server, word("192.0.2.7:4713")).await;
    let refused = soon(
        "the end of one too many",
        third.transfers.create_transfer(plain()),
    )
    .await;
    refused.expect_err("it is one too many");
    let mut other = proxy(&server, word("[2001:db8::7]:4711")).await;
    assert_eq!(seen(&mut other, &[]).await, "2001:db8::7");
}

#[tokio::test]
async fn a_proxy_without_a_word_is_not_served() {
    let arguments = ["--trusted-proxies", "127.0.0.1", "--proxy-protocol"];
    let server = ServerProcess::start(&Database::fresh().await, 0, &arguments).await;
    let mut socket = TcpStream::connect(server.authority())
        .await
        .expect("it listens");
    let greeting = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    socket.write_all(greeting).await.expect("it is taken");
    let mut answer = Vec::new();
    let ended = soon("the end of the connection", socket.read_to_end(&mut answer)).await;
    assert!(ended.is_err() || answer.is_empty(), "{answer:?}");
}

#[tokio::test]
async fn a_word_of_somebody_else_is_no_beginning() {
    let arguments = ["--trusted-proxies", "10.0.0.0/8", "--proxy-protocol"];
    let server = ServerProcess::start(&Database::fresh().await, 0, &arguments).await;
    let mut forged = proxy(&server, word("192.0.2.7:4711")).await;
    let refused = soon("the end of it", forged.transfers.create_transfer(plain())).await;
    refused.expect_err("it is no HTTP");
    let mut plainly = Raw::on(server.channel().await);
    assert_eq!(seen(&mut plainly, &[]).await, "127.0.0.1");
}
