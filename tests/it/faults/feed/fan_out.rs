//! What a change costs when many follow the log.

use std::time::Duration;

use futures::{StreamExt as _, future::join_all};
use tidegate_proto::v1::{self, watch_events_response::Update as Step};
use tidegate_tests::{
    Database, ServerProcess,
    raw::{Raw, plain},
    soon,
};

/// Those who follow: all of it, or one connection, in turns.
const WATCHERS: usize = 30;
/// Changes, one after the other.
const CHANGES: usize = 20;
/// Statements that all of the watchers together may cost for each change.
const EACH: usize = 10;

/// The events that the next changes leave are read by everybody; how many statements the server sent meanwhile.
async fn changes(
    server: &ServerProcess,
    raw: &mut Raw,
    connection: &str,
    watches: &mut [Watch],
) -> usize {
    let sent = || server.log().matches("sqlx::query").count();
    let before = sent();
    for number in 0..CHANGES {
        let of = if number % 2 == 0 { connection } else { "" };
        let request = v1::CreateTransferRequest {
            connection_uuid: of.to_owned(),
            ..plain()
        };
        raw.create(request).await;
        // Longer than the time between two looks at the log.
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    soon("the events", join_all(watches.iter_mut().map(Watch::read))).await;
    sent() - before
}

struct Watch {
    stream: tonic::Streaming<v1::WatchEventsResponse>,
    read: Vec<v1::Event>,
    expected: usize,
}

impl Watch {
    async fn begin(mut raw: Raw, connection_uuid: &str) -> Self {
        let request = v1::WatchEventsRequest {
            connection_uuid: connection_uuid.to_owned(),
            ..v1::WatchEventsRequest::default()
        };
        let stream = raw.events.watch_events(request).await.expect("a watch");
        let mut stream = stream.into_inner();
        // To the end of what there is.
        let mut read = Vec::new();
        while let Some(Step::Event(event)) = next(&mut stream).await {
            read.push(event);
        }
        let expected = if connection_uuid.is_empty() {
            CHANGES
        } else {
            CHANGES / 2
        };
        Self {
            expected: read.len() + expected,
            stream,
            read,
        }
    }

    async fn read(&mut self) {
        while self.read.len() < self.expected {
            if let Some(Step::Event(event)) = next(&mut self.stream).await {
                self.read.push(event);
            }
        }
    }
}

async fn next(stream: &mut tonic::Streaming<v1::WatchEventsResponse>) -> Option<Step> {
    let word = stream.next().await.expect("it goes on").expect("no error");
    word.update
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_follow_the_log_each_event_is_read_once() {
    let database = Database::fresh().await;
    let arguments = ["--log", "info,sqlx::query=debug"];
    let server = ServerProcess::start(&database, 0, &arguments).await;
    let mut raw = Raw::on(server.channel().await);
    let connection = raw.connection("mirror").await;
    let alone = changes(&server, &mut raw, &connection, &mut []).await;
    assert!(alone >= CHANGES, "a log that tells nothing: {alone}");
    let mut watches = Vec::new();
    for number in 0..WATCHERS {
        let connection = if number % 3 == 2 { &connection } else { "" };
        watches.push(Watch::begin(raw.clone(), connection).await);
    }
    let watched = changes(&server, &mut raw, &connection, &mut watches).await;
    eprintln!("{CHANGES} changes: {alone} statements, {watched} with {WATCHERS} watchers");
    assert!(
        watched < alone + CHANGES * EACH,
        "{watched} statements, {alone} without watchers"
    );
    let log = raw.log().await;
    let of_connection: Vec<_> = log
        .iter()
        .filter(|event| event.connection_uuid == connection)
        .cloned()
        .collect();
    for (number, watch) in watches.into_iter().enumerate() {
        let expected = if number % 3 == 2 {
            &of_connection
        } else {
            &log
        };
        assert_eq!(&watch.read, expected);
    }
    server.kill().await;
}
