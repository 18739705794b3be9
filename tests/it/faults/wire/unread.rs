//! Answers that nobody takes, and peers that are gone without a word.

use std::{fs, process::Stdio, time::Duration};

use bytes::Bytes;
use futures::future::join_all;
use h2::{RecvStream, SendStream};
use http::Response;
use tidegate_proto::v1;
use tidegate_tests::{
    Database, ServerProcess,
    http2::{Http2, call, framed},
    process::{address, binary, command, heard},
    raw::{Raw, plain},
    refused, soon,
};
use tonic::{Code, Status};

const LIST: &str = "/tidegate.v1.TransferService/ListTransfers";
const CREATE: &str = "/tidegate.v1.TransferService/CreateTransfer";
const MIB: usize = 1_024 * 1_024;
/// What the server's memory may grow by beside the answers that it holds.
const SPARE: usize = 64 * MIB;

/// A server that gives up on an answer soon, with transfers that fill an answer.
async fn server(patience: &str, arguments: &[&str]) -> ServerProcess {
    let patience = ["--answer-timeout", patience];
    let arguments = [&patience[..], arguments].concat();
    let server = ServerProcess::start(&Database::fresh().await, 0, &arguments).await;
    let mut raw = Raw::on(server.channel().await);
    let notes = prost_types::Value::from("x".repeat(15_000));
    for _ in 0..72 {
        let metadata = prost_types::Struct {
            fields: [("notes".to_owned(), notes.clone())].into(),
        };
        raw.create(v1::CreateTransferRequest {
            metadata: Some(metadata),
            ..plain()
        })
        .await;
    }
    server
}

fn all() -> Bytes {
    framed(&v1::ListTransfersRequest {
        page_size: 1_000,
        ..Default::default()
    })
}

/// A client whose streams take so many bytes and no more until it has read.
async fn narrow(server: &ServerProcess, window: u32) -> Http2 {
    let mut builder = h2::client::Builder::new();
    builder
        .initial_window_size(window)
        .initial_connection_window_size(64 * 1_024 * 1_024);
    Http2::with(server.authority(), builder).await
}

/// Bytes that the server has in memory, or had at its worst.
fn memory(server: &ServerProcess, what: &str) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid()));
    let status = status.expect("the process lives");
    let line = status.lines().find(|line| line.starts_with(what));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<usize>().ok());
    kib.expect("a number") * 1_024
}

/// What became of a call whose answer was not read.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Reset,
    Refused,
    /// The database had no room for so many questions at once.
    Busy,
}

type Open = (Response<RecvStream>, SendStream<Bytes>);

/// Lists on each of `clients` at once; the heads of the answers.
async fn lists(clients: &[Http2], each: usize) -> Vec<Open> {
    let list = |http2: &Http2| {
        let mut http2 = http2.clone();
        async move { http2.open(call(LIST), all(), true).await.expect("a head") }
    };
    join_all(
        clients
            .iter()
            .flat_map(|http2| (0..each).map(move |_| list(http2))),
    )
    .await
}

async fn end((answer, _open): Open) -> End {
    let (head, mut body) = answer.into_parts();
    let trailers = match soon("the end of the answer", body.data()).await {
        Some(Err(_)) => return End::Reset,
        Some(Ok(data)) => panic!("{} bytes for a window of 0", data.len()),
        None if head.headers.contains_key("grpc-status") => head.headers,
        None => body.trailers().await.expect("an end").expect("trailers"),
    };
    let status = Status::from_header_map(&trailers).expect("a status");
    let refused = refused(&status);
    assert!(refused.has_retry_info, "{refused:?}");
    match refused.reason.as_str() {
        "ANSWERS_UNREAD" => End::Refused,
        "DATABASE_UNAVAILABLE" => End::Busy,
        other => panic!("{other}: {status:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_not_read_hold_little_and_not_for_long() {
    let server = server("5s", &["--max-connections-per-address", "16"]).await;
    let before = memory(&server, "VmRSS");
    let clients = join_all((0..8).map(|_| narrow(&server, 0))).await;
    // More than there is room for; then the others, up to the number of streams.
    let mut open = lists(&clients, 5).await;
    open.extend(lists(&clients, 123).await);
    let ends = join_all(open.into_iter().map(end)).await;
    let worst = memory(&server, "VmHWM").saturating_sub(before);
    eprintln!("{} MiB more for 1,024 answers of 1 MiB", worst / MIB);
    // 16 MiB, and one more for each connection that an address may have.
    assert!(worst < 32 * MIB + SPARE, "{} MiB more", worst / MIB);
    let of = |wanted| ends.iter().filter(|end| **end == wanted).count();
    let (reset, refused) = (of(End::Reset), of(End::Refused));
    assert!(
        reset >= 8 && refused >= 8,
        "{reset} reset, {refused} refused"
    );
    // All of it is given back: whoever reads is served.
    let mut reader = Http2::to(server.authority()).await;
    let answer = reader.send(call(LIST), all()).await.expect("an answer");
    assert_eq!(answer.status().code(), Code::Ok);
    assert!(answer.body.len() > MIB / 2);
}

#[tokio::test]
async fn who_stops_reading_loses_the_call_and_who_reads_slowly_does_not() {
    let server = server("2s", &[]).await;
    let mut http2 = narrow(&server, 65_535).await;
    let (stopped, _open) = http2.open(call(LIST), all(), true).await.expect("a head");
    let (slow, _also) = http2.open(call(LIST), all(), true).await.expect("a head");
    let (mut stopped, mut slow) = (stopped.into_body(), slow.into_body());
    let end_of_stopped = async {
        while let Some(data) = soon("the end of an answer", stopped.data()).await {
            if data.is_err() {
                return;
            }
        }
        panic!("it was answered in whole");
    };
    let end_of_slow = async {
        let mut seen = 0;
        while let Some(data) = soon("more of an answer", slow.data()).await {
            let data = data.expect("it goes on");
            seen += data.len();
            tokio::time::sleep(Duration::from_millis(80)).await;
            _ = slow.flow_control().release_capacity(data.len());
        }
        assert!(seen > MIB / 2, "{seen}");
        let trailers = slow.trailers().await.expect("an end").expect("trailers");
        assert_eq!(trailers["grpc-status"], "0");
    };
    tokio::join!(end_of_stopped, end_of_slow);
    assert_eq!(http2.call(CREATE, &plain()).await.status().code(), Code::Ok);
}

#[tokio::test]
async fn the_rest_of_an_answer_that_is_not_taken_ends_its_connection() {
    let server = server("2s", &[]).await;
    let mut http2 = narrow(&server, 10).await;
    let (_answer, _open) = http2
        .open(call(CREATE), framed(&plain()), true)
        .await
        .expect("a head");
    soon("the end of the connection", async {
        while !http2.has_ended() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

/// A network of its own for a peer that vanishes. Needs root, and iproute2.
struct Elsewhere {
    name: String,
    here: String,
}

impl Elsewhere {
    async fn new() -> Self {
        // Many tests may run on one machine.
        let id = std::process::id();
        let name = format!("tg{id}");
        let net = format!("10.{}.{}", 64 + id / 256 % 64, id % 256);
        let elsewhere = Self {
            here: format!("{net}.1"),
            name: name.clone(),
        };
        for line in [
            format!("netns add {name}"),
            format!("link add {name}a type veth peer name {name}b netns {name}"),
            format!("addr add {net}.1/30 dev {name}a"),
            format!("link set {name}a up"),
            format!("-n {name} addr add {net}.2/30 dev {name}b"),
            format!("-n {name} link set {name}b up"),
        ] {
            ip(&line).await;
        }
        elsewhere
    }

    /// Nothing goes there and comes from there any more.
    async fn vanish(&self) {
        ip(&format!("-n {0} link set {0}b down", self.name)).await;
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        for line in [
            format!("link del {}a", self.name),
            format!("netns del {}", self.name),
        ] {
            _ = std::process::Command::new("ip")
                .args(line.split(' '))
                .stderr(Stdio::null())
                .status();
        }
    }
}

async fn ip(line: &str) {
    let ended = tokio::process::Command::new("ip")
        .args(line.split(' '))
        .output();
    let ended = ended.await.expect("iproute2 is there");
    assert!(ended.status.success(), "ip {line}: {ended:?}");
}

/// Connections to `port` that the system has as established.
fn established(port: u16) -> usize {
    let table = fs::read_to_string("/proc/net/tcp").expect("the table of sockets");
    let local = format!(":{port:04X} ");
    let lines = table.lines().skip(1);
    lines
        .filter(|line| {
            let mut words = line.split_whitespace().skip(1);
            let own = words.next().map(|word| format!("{word} "));
            own.is_some_and(|own| own.ends_with(&local)) && words.nth(1) == Some("01")
        })
        .count()
}

#[tokio::test]
async fn watchers_over_http1_that_vanish_are_noticed() {
    const WATCHERS: usize = 16;
    let elsewhere = Elsewhere::new().await;
    let database = Database::fresh().await;
    let mut server = command(binary("tidegate-server"))
        .args([
            "--database-url",
            database.url(),
            "--insecure",
            "--auth",
            "off",
        ])
        .args(["--listen", &format!("{}:0", elsewhere.here)])
        .args(["--answer-timeout", "3s", "--drain-delay", "0s"])
        .spawn()
        .expect("the server starts");
    let stderr = server.stderr.take().expect("stderr is piped");
    let (listens, _said) = heard("the server's word that it serves", stderr, address).await;
    let (host, port) = listens.rsplit_once(':').expect("a port");
    let watch = format!(
        "exec 3<>/dev/tcp/{host}/{port}; printf 'POST /tidegate.v1.TransferService/WatchTransfers HTTP/1.1\\r\\n\
         host: x\\r\\ncontent-type: application/grpc-web+proto\\r\\ncontent-length: 5\\r\\n\\r\\n\\0\\0\\0\\0\\0' >&3; sleep 60"
    );
    let watchers: Vec<_> = (0..WATCHERS)
        .map(|_| {
            let mut watcher = command("ip");
            watcher.args(["netns", "exec", &elsewhere.name, "bash", "-c", &watch]);
            watcher.spawn().expect("a watcher starts")
        })
        .collect();
    let port = port.parse().expect("a port");
    let become_many = |wanted: usize| async move {
        soon("the change of connections", async {
            while established(port) != wanted {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
    };
    become_many(WATCHERS).await;
    // Quiet watchers who are there are left alone.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(established(port), WATCHERS);
    elsewhere.vanish().await;
    become_many(0).await;
    drop(watchers);
}
