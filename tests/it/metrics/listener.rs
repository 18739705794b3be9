//! The listener itself: whom it answers, when it says no, and what it bears.

use std::time::{Duration, Instant};

use tidegate_tests::{
    Database, ServerProcess, WorldOptions,
    http2::Http2,
    metrics::{address, get, page},
    process::{binary, command, run},
    raw::Raw,
    soon,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::Watched;

const LISTEN: [&str; 2] = ["--metrics-listen", "127.0.0.1:0"];

async fn status_becomes(address: &str, path: &str, wanted: u16) {
    let wait = async {
        while get(address, path).await.status != wanted {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    soon(&format!("{wanted} at {path}"), wait).await;
}

#[tokio::test]
async fn it_is_there_only_when_asked_for() {
    let server = ServerProcess::fresh().await;
    Raw::on(server.channel().await).declared().await;
    assert!(!server.log().contains("metrics"), "{}", server.log());
    assert_eq!(listening(server.pid()), 1);
    server.kill().await;
    let database = Database::fresh().await;
    let server = ServerProcess::start(&database, 0, &LISTEN).await;
    assert_eq!(get(&address(&server).await, "/livez").await.status, 200);
    assert_eq!(listening(server.pid()), 2);
    server.kill().await;
}

/// Sockets that a process listens on.
fn listening(pid: u32) -> usize {
    let table = std::fs::read_to_string(format!("/proc/{pid}/net/tcp")).expect("the table");
    let listening: Vec<String> = table
        .lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            // 0A: LISTEN.
            (fields.get(3) == Some(&"0A")).then(|| format!("socket:[{}]", fields[9]))
        })
        .collect();
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("its files");
    let links = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
    links
        .filter(|link| {
            listening
                .iter()
                .any(|socket| link.as_os_str() == socket.as_str())
        })
        .count()
}

#[tokio::test]
async fn its_pages_say_what_they_are() {
    let watched = Watched::start(WorldOptions::default()).await;
    let address = watched.address();
    let live = get(address, "/livez").await;
    assert_eq!((live.status, live.body.as_str()), (200, "ok\n"));
    let ready = get(address, "/readyz").await;
    assert_eq!(ready.status, 200);
    assert!(ready.body.starts_with("ok\n"), "{ready:?}");
    let version = get(address, "/version").await;
    assert!(
        version.head.contains("content-type: application/json"),
        "{version:?}"
    );
    let said: serde_json::Value = serde_json::from_str(&version.body).expect("JSON");
    assert_eq!(said["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(said["api"], "tidegate.v1");
    assert!(
        said["schema"]
            .as_str()
            .is_some_and(|it| it.starts_with("m20")),
        "{said}"
    );
    let other = get(address, "/").await;
    assert_eq!(other.status, 404);
    for path in ["/metrics", "/livez", "/readyz", "/version"] {
        assert!(other.body.contains(path), "{other:?}");
    }
    let posted = soon("an answer", async {
        let mut socket = TcpStream::connect(address).await.expect("it listens");
        let request =
            "POST /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        socket
            .write_all(request.as_bytes())
            .await
            .expect("it reads");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.expect("a text");
        page(&answer)
    });
    assert_eq!(posted.await.status, 405);
}

#[tokio::test]
async fn values_that_are_no_address_and_addresses_that_are_taken_are_named() {
    let database = Database::fresh().await;
    let server = |listen: &str| {
        let mut server = command(binary("tidegate-server"));
        server.args(["--database-url", database.url(), "--listen", "127.0.0.1:0"]);
        server.args(["--metrics-listen", listen]);
        server
    };
    for listen in [
        "9464",
        "localhost",
        "127.0.0.1",
        "127.0.0.1:x",
        "127.0.0.1:99999",
    ] {
        let ended = run(&mut server(listen)).await;
        assert_eq!(ended.code, Some(2), "{ended:?}");
        let first = ended.stderr.lines().next().unwrap_or_default();
        for word in ["--metrics-listen", listen] {
            assert!(first.contains(word), "{word}: {first}");
        }
    }
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let taken = taken
        .local_addr()
        .map(|address| (taken, address.to_string()));
    let (_taken, address) = taken.expect("it is bound");
    let ended = run(&mut server(&address)).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    for word in ["cannot listen on", &address, "--metrics-listen"] {
        assert!(ended.stderr.contains(word), "{word}: {ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_silent_or_clings_keeps_nobody_else_waiting() {
    let watched = Watched::start(WorldOptions::default()).await;
    let address = watched.address().to_owned();
    let mut silent = Vec::new();
    for _ in 0..32 {
        let mut socket = TcpStream::connect(&address).await.expect("it listens");
        socket.write_all(b"GET /met").await.expect("it reads");
        silent.push(socket);
    }
    // Every place is taken; the head of a request has ten seconds.
    let began = Instant::now();
    assert_eq!(get(&address, "/livez").await.status, 200);
    let waited = began.elapsed();
    assert!(
        waited > Duration::from_secs(5),
        "{waited:?}: there was a place left"
    );
    for mut socket in silent {
        let mut rest = Vec::new();
        soon("the end", socket.read_to_end(&mut rest)).await.ok();
    }
    let mut huge = TcpStream::connect(&address).await.expect("it listens");
    let head = format!(
        "GET /livez HTTP/1.1\r\nx: {}\r\n\r\n",
        "x".repeat(64 * 1024)
    );
    _ = huge.write_all(head.as_bytes()).await;
    let mut answer = Vec::new();
    _ = soon("the end", huge.read_to_end(&mut answer)).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
        "{answer}"
    );
    assert_eq!(get(&address, "/livez").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopping_server_is_not_ready_and_the_listener_goes_last() {
    let database = Database::fresh().await;
    let arguments = [&LISTEN[..], &["--drain-delay", "1500ms"]].concat();
    let mut server = ServerProcess::start(&database, 0, &arguments).await;
    let address = address(&server).await;
    let mut clinging = TcpStream::connect(&address).await.expect("it listens");
    clinging
        .write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .expect("it reads");
    assert_eq!(get(&address, "/readyz").await.status, 200);
    server.begin_drain().await;
    status_becomes(&address, "/readyz", 503).await;
    assert_eq!(
        get(&address, "/livez").await.status,
        200,
        "it is alive while it drains"
    );
    assert_eq!(get(&address, "/metrics").await.status, 200);
    assert!(!server.has_ended());
    let (status, said) = server.last_words().await;
    assert_eq!(status.code(), Some(0));
    assert!(!said.contains("did not settle"), "{said}");
}

#[tokio::test]
async fn plain_http_on_the_port_for_calls_is_told_what_it_is() {
    let watched = Watched::start(WorldOptions::default()).await;
    let address = watched.world.address.trim_start_matches("http://");
    for path in ["/", "/metrics", "/healthz"] {
        let answer = get(address, path).await;
        assert_eq!(answer.status, 415, "{answer:?}");
        assert!(
            answer.head.contains("content-type: text/plain"),
            "{answer:?}"
        );
        assert_eq!(answer.body.lines().count(), 1, "{answer:?}");
        for word in ["gRPC", "--metrics-listen"] {
            assert!(answer.body.contains(word), "{answer:?}");
        }
    }
    let mut http2 = Http2::to(&watched.world.address).await;
    let head = http::Request::get("http://localhost/".to_owned());
    let answer = http2
        .send(head, bytes::Bytes::new())
        .await
        .expect("an answer");
    assert_eq!(answer.http, 415);
    assert!(
        answer.body.starts_with(b"This is Tidegate's port"),
        "{answer:?}"
    );
}

mod sqlite_only {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn readiness_follows_the_database() {
        let database = Database::fresh().await;
        let server = ServerProcess::start(&database, 0, &LISTEN).await;
        let address = address(&server).await;
        status_becomes(&address, "/readyz", 200).await;
        let other = rusqlite::Connection::open(database.path().expect("a file")).expect("it opens");
        other.execute_batch("BEGIN IMMEDIATE").expect("it is free");
        status_becomes(&address, "/readyz", 503).await;
        assert_eq!(get(&address, "/livez").await.status, 200);
        other.execute_batch("ROLLBACK").expect("it is held");
        status_becomes(&address, "/readyz", 200).await;
        server.kill().await;
    }
}

mod postgres_only {
    use std::process::Stdio;

    use tidegate_tests::cluster::Cluster;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn readiness_follows_the_database() {
        let cluster = Cluster::start().await;
        let database = Database::on(&cluster.url).await;
        let server = ServerProcess::start(&database, 0, &LISTEN).await;
        let address = address(&server).await;
        status_becomes(&address, "/readyz", 200).await;
        cluster.stop().await;
        status_becomes(&address, "/readyz", 503).await;
        assert_eq!(get(&address, "/livez").await.status, 200);
        assert_eq!(get(&address, "/metrics").await.status, 200);
        cluster.resume().await;
        status_becomes(&address, "/readyz", 200).await;
        server.kill().await;
    }

    #[tokio::test]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn a_server_that_waits_for_its_database_lives_and_is_not_ready() {
        // It takes connections and never says a word.
        let silent = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let database = silent.local_addr().expect("it is bound");
        let mut child = command(binary("tidegate-server"))
            .args([
                "--database-url",
                &format!("postgres://nobody@{database}/nothing"),
            ])
            .args(["--listen", "127.0.0.1:0"])
            .args(LISTEN)
            .stdout(Stdio::null())
            .spawn()
            .expect("the server starts");
        let stderr = child.stderr.take().expect("stderr is piped");
        let find = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            (line["message"] == "metrics and health over HTTP")
                .then(|| line["address"].as_str().map(str::to_owned))?
        };
        let (address, _) = tidegate_tests::process::heard("its address", stderr, find).await;
        let ready = get(&address, "/readyz").await;
        assert_eq!((ready.status, ready.body.as_str()), (503, "starting\n"));
        assert_eq!(get(&address, "/livez").await.status, 200);
        assert_eq!(get(&address, "/metrics").await.status, 200);
    }
}
