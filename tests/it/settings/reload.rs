//! SIGHUP: what may change in a running server does, the rest waits, and nothing ends it.

use std::time::Duration;

use tidegate_client::Client;
use tidegate_proto::v1::{self, transfer_service_client::TransferServiceClient};
use tidegate_server::clock::Clock;
use tidegate_tests::{
    Database, SOON, ServerProcess, actors::bearing, assert_refused, metrics, process::Launch,
    raw::told, soon, world::first_token,
};
use tonic::Code;

use super::Home;

const CHANGED: &str = "SIGHUP: settings have changed";
const UNCHANGED: &str = "SIGHUP: no setting has changed";
const REFUSED: &str = "SIGHUP: the settings cannot be used";

/// A server with a file, and where its metrics are.
struct Served {
    home: Home,
    server: ServerProcess,
    metrics: String,
}

impl Served {
    async fn start(text: &str, arguments: &[&str]) -> Self {
        let home = Home::new(text);
        let mut all = vec!["--metrics-listen", "127.0.0.1:0"];
        all.extend(arguments);
        let launch = Launch {
            arguments: &all,
            variables: vec![
                ("TIDEGATE_CONFIG", home.file().display().to_string()),
                // Left to the file.
                ("TIDEGATE_MAX_CONNECTIONS_PER_ADDRESS", String::new()),
            ],
            ..Launch::default()
        };
        let server = ServerProcess::launch(&Database::fresh().await, launch).await;
        let line = server.logged("metrics and health over HTTP").await;
        let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        let metrics = line["address"].as_str().expect("an address").to_owned();
        Self {
            home,
            server,
            metrics,
        }
    }

    /// Has the server read the file, and waits until it says this once more; the line that does.
    async fn reload(&self, word: &str) -> String {
        let count = |log: &str| log.matches(word).count();
        let before = count(&self.server.log());
        self.server.signal("HUP").await;
        until(word, async || count(&self.server.log()) > before).await;
        let log = self.server.log();
        let line = log.lines().rfind(|line| line.contains(word));
        line.expect("it was said").to_owned()
    }

    async fn sample(&self, name: &str) -> f64 {
        metrics::sample(&self.metrics, name).await
    }
}

/// Asks until it is so, but not for ever.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let asking = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let so = tokio::time::timeout(SOON, asking).await;
    assert!(so.is_ok(), "it did not come to this: {what}");
}

async fn call(server: &ServerProcess) {
    let request = v1::CountTransfersRequest::default();
    told(server.raw().await.count_transfers(request)).await;
}

#[tokio::test]
async fn the_filter_of_the_log_changes_and_changes_back() {
    let served = Served::start("log = 'info'\n", &[]).await;
    let answered = || served.server.log().matches("\"answered\"").count();
    call(&served.server).await;
    served.home.write("log = 'info,tidegate_server=debug'\n");
    let line = served.reload(CHANGED).await;
    assert!(
        line.contains(r#"log = \"info,tidegate_server=debug\""#),
        "{line}"
    );
    assert_eq!(answered(), 0, "nobody had asked for it before");
    call(&served.server).await;
    until("a line at debug", async || answered() > 0).await;
    served.home.write("log = 'error'\n");
    served.reload(CHANGED).await;
    let before = answered();
    call(&served.server).await;
    // From a filter that would hide it, too.
    served.home.write("log = 'info'\n");
    served.reload(CHANGED).await;
    assert_eq!(answered(), before);
    served.server.kill().await;
}

#[tokio::test]
async fn limits_change_for_whoever_comes_next() {
    let served = Served::start("max-streams = 1\n", &[]).await;
    let mut raw = served.server.raw().await;
    let watch = v1::WatchTransfersRequest::default;
    let first = told(raw.watch_transfers(watch())).await;
    let refused = raw
        .watch_transfers(watch())
        .await
        .expect_err("one too many");
    assert_refused(&refused, Code::ResourceExhausted, "TOO_MANY_STREAMS");
    served
        .home
        .write("max-streams = 2\nanswer-timeout = '20s'\n");
    let line = served.reload(CHANGED).await;
    assert!(
        line.contains(r#"answer-timeout = \"20s\", max-streams = 2"#),
        "{line}"
    );
    assert_eq!(served.sample("tidegate_streams_limit").await, 2.0);
    let second = told(raw.watch_transfers(watch())).await;
    // Fewer than are open: those stay, and nobody else is let in.
    served.home.write("max-streams = 1\n");
    served.reload(CHANGED).await;
    assert_eq!(
        served.sample("tidegate_streams_open{kind=\"watch\"}").await,
        2.0
    );
    drop(second);
    until("one has gone", async || {
        served.sample("tidegate_streams_open{kind=\"watch\"}").await == 1.0
    })
    .await;
    let refused = raw.watch_transfers(watch()).await.expect_err("still one");
    assert_refused(&refused, Code::ResourceExhausted, "TOO_MANY_STREAMS");
    drop(first);
    until("the other, too", async || {
        served.sample("tidegate_streams_open{kind=\"watch\"}").await == 0.0
    })
    .await;
    told(raw.watch_transfers(watch())).await;
    served.server.kill().await;
}

#[tokio::test]
async fn connections_that_wait_are_served_when_more_may_be() {
    let served = Served::start("max-connections = 1\n", &[]).await;
    let address = served.server.address.clone();
    let _first = served.server.client().await;
    let waiting = tokio::spawn(async move {
        let client = Client::builder(&address)
            .timeout(Duration::from_secs(30))
            .connect();
        client
            .await
            .expect("there is room")
            .transfers()
            .count()
            .await
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!waiting.is_finished(), "there was room");
    served.home.write("max-connections = 2\n");
    served.reload(CHANGED).await;
    let counted = soon("an answer", waiting).await.expect("no panic");
    counted.expect("it is answered");
    // One address may have none more: a new connection is closed at once.
    served
        .home
        .write("max-connections = 9\nmax-connections-per-address = 1\n");
    served.reload(CHANGED).await;
    let request = v1::CountTransfersRequest::default();
    let channel = tonic::transport::Endpoint::from_shared(served.server.address.clone());
    let channel = channel.expect("an address").connect_lazy();
    let mut raw = TransferServiceClient::new(channel);
    raw.count_transfers(request)
        .await
        .expect_err("one too many");
    served.server.kill().await;
}

#[tokio::test]
async fn calls_a_minute_change_with_the_file() {
    let database = Database::fresh().await;
    let clock = Clock::machine();
    let token = first_token(&database, &clock).await;
    let home = Home::new("auth = 'required'\nrequests-per-minute = 3\n");
    let launch = Launch {
        variables: vec![("TIDEGATE_CONFIG", home.file().display().to_string())],
        ..Launch::default()
    };
    let server = ServerProcess::launch(&database, launch).await;
    let mut raw = server.raw().await;
    let mut call = async || {
        let request = v1::CountTransfersRequest::default();
        raw.count_transfers(bearing(&token, request)).await
    };
    for _ in 0..3 {
        call().await.expect("not too many");
    }
    let refused = call().await.expect_err("too many");
    assert_refused(&refused, Code::ResourceExhausted, "RATE_LIMITED");
    home.write("auth = 'required'\nrequests-per-minute = 0\n");
    server.signal("HUP").await;
    server.logged(CHANGED).await;
    for _ in 0..20 {
        call().await.expect("any number");
    }
    server.kill().await;
}

#[tokio::test]
async fn a_bad_file_changes_nothing_and_is_told() {
    let served = Served::start("max-streams = 7\nlog = 'info'\n", &[]).await;
    let failed = "tidegate_reloads_total{outcome=\"failed\"}";
    for (text, words) in [
        (
            "max-streams = 9\nlog = 'tidegate_server=loud'\n",
            ["tidegate.toml:2: log", "must be a filter"],
        ),
        (
            "max-streams = 9\nmax-stream = 1\n",
            [
                "tidegate.toml:2: max-stream is no setting",
                "is max-streams meant?",
            ],
        ),
        (
            "max-streams = '9'\nlisten = 5\n",
            ["tidegate.toml:1: max-streams", "tidegate.toml:2: listen"],
        ),
        ("max-streams = 9\ntls-cert = 'x'\n", ["--tls-key", ""]),
        ("max-streams = [\n", ["tidegate.toml:", ""]),
    ] {
        let before = served.sample(failed).await;
        served.home.write(text);
        let line = served.reload(REFUSED).await;
        assert!(line.contains("ERROR"), "{line}");
        for word in words {
            assert!(line.contains(word), "{word}: {line}");
        }
        assert_eq!(served.sample(failed).await, before + 1.0);
        assert_eq!(served.sample("tidegate_streams_limit").await, 7.0, "{text}");
        call(&served.server).await;
    }
    std::fs::remove_file(served.home.file()).expect("it is there");
    let line = served.reload(REFUSED).await;
    assert!(line.contains("No such file"), "{line}");
    served.home.write("max-streams = 8\nlog = 'info'\n");
    let line = served.reload(CHANGED).await;
    assert!(line.contains(r#""changed":"max-streams = 8""#), "{line}");
    assert_eq!(served.sample("tidegate_streams_limit").await, 8.0);
    let (status, _) = served.server.terminate().await;
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn what_cannot_change_is_named_until_the_restart() {
    let served = Served::start("max-streams = 7\nsweep-interval = '1s'\n", &[]).await;
    served
        .home
        .write("max-streams = 8\nsweep-interval = '2s'\nevent-retention = '30d'\n");
    const WAITS: &str = "need a restart";
    let line = served.reload(WAITS).await;
    assert!(line.contains(r#""changed":"max-streams = 8""#), "{line}");
    let names = r#""needs_restart":"sweep-interval, event-retention""#;
    assert!(line.contains(names) && line.contains("WARN"), "{line}");
    let line = served.reload(WAITS).await;
    assert!(
        line.contains(r#""changed":"""#) && line.contains(names),
        "{line}"
    );
    served
        .home
        .write("max-streams = 8\nsweep-interval = '1s'\n");
    served.reload(UNCHANGED).await;
    served.server.kill().await;
}

#[tokio::test]
async fn flags_and_variables_stay_above_the_file() {
    let served = Served::start("max-streams = 7\n", &["--max-streams", "5"]).await;
    served.home.write("max-streams = 9\ndrain-delay = '2s'\n");
    served.reload(UNCHANGED).await;
    assert_eq!(served.sample("tidegate_streams_limit").await, 5.0);
    served.server.kill().await;
}
