//! A log that cannot be written costs nobody anything but its lines.

use std::{fs::File, net::TcpListener, process::Stdio};

use tidegate_tests::{
    Database, SOON,
    process::{Reading, binary, command},
    soon,
};
use tonic::transport::Endpoint;

use super::*;

const MANY: usize = 2_000;

/// So many more lines than wait to be written that most are dropped.
const TALKATIVE: usize = 300;

async fn serves_all_the_same(server: ServerProcess) {
    let mut client = server.raw().await;
    create_all(&client, MANY).await;
    assert_eq!(count(&mut client).await, MANY as i64);
    assert_eq!(
        health(&server, "").await.expect("known"),
        ServingStatus::Serving
    );
    let (status, took) = server.terminate().await;
    assert_eq!(status.code(), Some(0));
    assert!(took < LONGEST, "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_whose_reader_has_gone_ends_nothing() {
    let server = ServerProcess::fresh().await;
    server.read_log(Reading::Gone);
    serves_all_the_same(server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_whose_reader_is_stuck_holds_nobody_up() {
    let server = ServerProcess::fresh().await;
    server.read_log(Reading::Stuck);
    serves_all_the_same(server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_that_nobody_took_are_counted_and_told_of() {
    let database = Database::fresh().await;
    let server = ServerProcess::start(&database, 0, &["--log", "trace"]).await;
    server.read_log(Reading::Stuck);
    create_all(&server.raw().await, TALKATIVE).await;
    server.read_log(Reading::On);
    let line = server.logged("lines_dropped").await;
    let line: serde_json::Value = serde_json::from_str(&line).expect("a line like any other");
    assert_eq!(line["level"], "WARN");
    assert!(line["lines_dropped"].as_u64() > Some(0), "{line}");
    let (status, _) = server.terminate().await;
    assert_eq!(status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_on_a_full_disk_ends_nothing() {
    let database = Database::fresh().await;
    let port = {
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        free.local_addr().expect("it is bound").port()
    };
    let address = format!("127.0.0.1:{port}");
    let full = File::options()
        .write(true)
        .open("/dev/full")
        .expect("Linux has it");
    let mut child = command(binary("tidegate-server"))
        .args(["--database-url", database.url(), "--listen", &address])
        .env("TIDEGATE_DRAIN_DELAY", "0s")
        .stdout(Stdio::null())
        .stderr(full)
        .spawn()
        .expect("the server starts");
    let connect = async {
        loop {
            let to = format!("http://{address}");
            let to = Endpoint::from_shared(to).expect("an address");
            match to.connect().await {
                Ok(channel) => return TransferServiceClient::new(channel),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    };
    let mut client = soon("the server", connect).await;
    create_all(&client, MANY).await;
    assert_eq!(count(&mut client).await, MANY as i64);
    tidegate_tests::process::signal(&child, "TERM").await;
    let status = tokio::time::timeout(SOON, child.wait()).await;
    let status = status.expect("it ends").expect("it can be waited for");
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn a_start_that_fails_says_so_with_its_code_though_nobody_listens() {
    let mut child = command(binary("tidegate-server"))
        .args(["--database-url", "sqlite::memory:"])
        .stdout(Stdio::null())
        .spawn()
        .expect("the server starts");
    drop(child.stderr.take());
    let status = soon("its end", child.wait()).await;
    assert_eq!(status.expect("it can be waited for").code(), Some(1));
}
