//! A log that goes back or forks under a server that runs: every watcher is told, and it serves on.

use std::time::Duration;

use futures::StreamExt as _;
use sea_orm::DatabaseConnection;
use tidegate_client::{Client, Reason, WatchUpdate};
use tidegate_proto::v1;
use tidegate_tests::{
    Refused, ServerProcess, World,
    raw::{Raw, done},
    soon,
};
use tonic::Streaming;

use super::{Place, caught_up, end, ends, follow, forget_after, fork, hex};

/// A watcher of each kind.
struct Watchers {
    one: Streaming<v1::WatchTransferResponse>,
    many: Streaming<v1::WatchTransfersResponse>,
    log: Streaming<v1::WatchEventsResponse>,
}

impl Watchers {
    async fn begin(raw: &mut Raw, uuid: &str) -> Self {
        let request = v1::WatchTransferRequest {
            uuid: uuid.to_owned(),
        };
        let one = raw
            .transfers
            .watch_transfer(request)
            .await
            .expect("it exists");
        let (many, place) = caught_up(raw).await;
        Self {
            one: one.into_inner(),
            many,
            log: follow(raw, &place).await.expect("it is accepted"),
        }
    }

    async fn all_end(&mut self) -> [Refused; 3] {
        [
            ends("the end of the watch of one transfer", &mut self.one).await,
            ends("the end of the watch of all transfers", &mut self.many).await,
            ends("the end of the watch of the log", &mut self.log).await,
        ]
    }
}

/// A server with five transfers and a way past it.
async fn started() -> (World, Raw, DatabaseConnection, String) {
    let world = World::start().await;
    let mut raw = world.services().await;
    let first = raw.declared().await.uuid;
    for _ in 0..4 {
        raw.declared().await;
    }
    let database = world.database().connect().await;
    (world, raw, database, first)
}

/// It takes changes, and tells them to whoever watches now.
async fn serves_on(raw: &mut Raw) {
    let (mut many, _) = caught_up(raw).await;
    let created = raw.declared().await;
    let told = soon("the creation", async {
        loop {
            let message = many
                .message()
                .await
                .expect("no refusal")
                .expect("it goes on");
            if let Some(v1::watch_transfers_response::Update::Transfer(transfer)) = message.update
                && transfer.uuid == created.uuid
            {
                break transfer;
            }
        }
    });
    assert_eq!(told.await, created);
}

#[tokio::test]
async fn a_log_that_goes_back_is_told_to_every_watcher() {
    let (_world, mut raw, database, first) = started().await;
    let mut watchers = Watchers::begin(&mut raw, &first).await;
    let known = end(&mut raw).await;
    forget_after(&database, 3).await;
    let found = end(&mut raw).await;
    for refused in watchers.all_end().await {
        assert_eq!(refused.metadata["known_sequence"], "5");
        assert_eq!(refused.metadata["known_hash"], hex(&known.hash));
        assert_eq!(refused.metadata["found_sequence"], "3");
        assert_eq!(refused.metadata["found_hash"], hex(&found.hash));
    }
    serves_on(&mut raw).await;
}

#[tokio::test]
async fn a_log_with_another_end_is_told_to_every_watcher() {
    let (_world, mut raw, database, first) = started().await;
    let mut watchers = Watchers::begin(&mut raw, &first).await;
    let known = end(&mut raw).await;
    fork(&database).await;
    for refused in watchers.all_end().await {
        assert_eq!(refused.metadata["known_hash"], hex(&known.hash));
        assert_eq!(refused.metadata["found_sequence"], "5");
        assert_eq!(refused.metadata["found_hash"], hex(&[7; 32]));
    }
    serves_on(&mut raw).await;
}

/// The server's own writer takes the numbers again before its reader has looked.
#[tokio::test]
async fn a_log_that_goes_back_and_is_written_on_is_told_to_every_watcher() {
    let (_world, mut raw, database, first) = started().await;
    for _ in 0..3 {
        let mut watchers = Watchers::begin(&mut raw, &first).await;
        let known = end(&mut raw).await;
        forget_after(&database, known.sequence - 2).await;
        for _ in 0..2 {
            raw.declared().await;
        }
        assert_eq!(end(&mut raw).await.sequence, known.sequence);
        watchers.all_end().await;
        serves_on(&mut raw).await;
    }
}

/// What was told last may be told again with a lower revision, since that is how it stands now.
#[tokio::test]
async fn states_that_are_older_than_those_told_before_are_told() {
    let (_world, mut raw, database, first) = started().await;
    let (mut many, place) = caught_up(&mut raw).await;
    raw.start(&first).await;
    for records in 1..=2 {
        raw.report(&first, records).await;
    }
    assert_eq!(raw.now(&first).await.revision, 4);
    // The backup was made before the start.
    super::run(
        &database,
        "UPDATE transfer SET status = 'PENDING', revision = 1, started_at = NULL WHERE revision = $1",
        [4_i64.into()],
    )
    .await;
    forget_after(&database, place.sequence).await;
    ends("the end of the watch", &mut many).await;
    let (mut many, _) = caught_up(&mut raw).await;
    let cancelled = done(
        raw.transfers
            .cancel_transfer(tidegate_tests::request::cancellation(&first)),
    )
    .await;
    assert_eq!(cancelled.revision, 2);
    let message = soon("the cancellation", many.message()).await;
    let update = message.expect("no refusal").expect("it goes on").update;
    assert_eq!(
        update,
        Some(v1::watch_transfers_response::Update::Transfer(cancelled))
    );
}

#[tokio::test]
async fn the_client_says_so_and_begins_over_where_it_can() {
    let (world, mut raw, database, first) = started().await;
    let client: Client = world.client().await;
    let mut log = client.events().watch().into_stream();
    for _ in 0..5 {
        soon("an event", log.next())
            .await
            .expect("no end")
            .expect("no refusal");
    }
    let mut one = client.transfers().watch(first.parse().expect("a uuid"));
    soon("its state", one.next())
        .await
        .expect("no end")
        .expect("no refusal");
    let mut all = client
        .transfers()
        .watch_all()
        .include_existing(true)
        .into_stream();
    let mut told = async |until: WatchUpdate| {
        let mut told = Vec::new();
        loop {
            let update = soon("an update", all.next()).await.expect("no end");
            let update = update.expect("no refusal");
            if update == until {
                return told;
            }
            told.push(update);
        }
    };
    assert_eq!(told(WatchUpdate::CaughtUp).await.len(), 5);
    forget_after(&database, 3).await;
    for error in [
        soon("the end", log.next())
            .await
            .expect("a last word")
            .map(drop),
        soon("the end", one.next())
            .await
            .expect("a last word")
            .map(drop),
    ] {
        let error = error.expect_err("it cannot go on");
        assert_eq!(error.reason(), Some(Reason::LogDiverged));
        assert_eq!(error.code().as_str(), "DATA_LOSS");
    }
    assert!(told(WatchUpdate::Restarted).await.is_empty());
    let again = told(WatchUpdate::CaughtUp).await;
    assert_eq!(again.len(), 3, "{again:?}");
    let created = raw.declared().await;
    let next = told(WatchUpdate::CaughtUp);
    let next = tokio::time::timeout(Duration::from_millis(500), next).await;
    assert!(next.is_err(), "it has caught up once more, and no more");
    drop(created);
}

/// One line for whoever reads the log, and a word in health for balancers.
#[tokio::test]
async fn the_log_of_the_server_says_it_once_and_health_follows() {
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

    let server = ServerProcess::fresh().await;
    let mut raw = Raw::on(server.channel().await);
    for _ in 0..3 {
        raw.declared().await;
    }
    let mut health = HealthClient::new(server.channel().await);
    let watch = health.watch(HealthCheckRequest::default()).await;
    let mut health = watch.expect("it can be watched").into_inner();
    let mut word = async || {
        let message = soon("a word of health", health.message()).await;
        message.expect("no refusal").expect("it goes on").status
    };
    assert_eq!(word().await, 1, "it serves");
    let known = end(&mut raw).await;
    let database = server.database().connect().await;
    forget_after(&database, 1).await;
    assert_eq!(word().await, 2, "it does not serve while it begins anew");
    assert_eq!(word().await, 1, "and serves again");
    database.close().await.expect("closed");
    let lines = || {
        let log = server.log();
        let lines = log.lines().filter(|line| line.contains("diverged"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let lines = lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("ERROR"), "{lines:?}");
    let place = |place: &Place| format!("{}:{}", place.sequence, hex(&place.hash));
    assert!(lines[0].contains(&place(&known)), "{lines:?}");
    assert!(lines[0].contains(&place(&end(&mut raw).await)), "{lines:?}");
    server.terminate().await;
}
