//! A path to the database that falls silent: nothing is refused and nothing is answered.

use std::time::{Duration, Instant};

use futures::future::join_all;
use tidegate_proto::v1::{self, TransferStatus, WatchTransferRequest};
use tidegate_tests::{
    Database, ServerProcess, World, WorldOptions, assert_refused,
    raw::{Raw, plain},
    relay::{Direction, Relay},
    soon,
};
use tonic::Code;
use url::Url;

/// How soon callers learn that the database does not answer.
const NOTICED: Duration = Duration::from_secs(4);
/// How soon all is well after the path's return, and how soon a server ends whatever is silent.
const RECOVERED: Duration = Duration::from_secs(10);

/// A database, and the way to it that its servers take.
async fn at_the_end_of_a_path() -> (Database, Relay, Database) {
    let direct = Database::fresh().await;
    let mut url = Url::parse(direct.url()).expect("a URL");
    let port = url.port().expect("a port");
    let relay = Relay::to(&format!("http://127.0.0.1:{port}")).await;
    let way = Url::parse(&relay.address).expect("a URL");
    url.set_port(way.port()).expect("a port");
    let through = direct.at(url.as_str());
    (direct, relay, through)
}

/// Has as many connections opened as the server may have.
async fn open_all(raw: &Raw) {
    let calls = (0..40).map(|_| {
        let mut raw = raw.clone();
        async move { raw.declared().await }
    });
    join_all(calls).await;
}

async fn read(raw: &mut Raw, uuid: &str) -> Result<(), tonic::Status> {
    let request = v1::GetTransferRequest {
        uuid: uuid.to_owned(),
        ..v1::GetTransferRequest::default()
    };
    raw.transfers.get_transfer(request).await.map(drop)
}

/// A read and a change are refused in time, with the reason.
async fn are_refused(raw: &Raw, uuid: &str) {
    let (mut reader, mut writer) = (raw.clone(), raw.clone());
    let began = Instant::now();
    let read = read(&mut reader, uuid);
    let write = async { writer.transfers.create_transfer(plain()).await.map(drop) };
    let (read, write) = soon("an answer", futures::future::join(read, write)).await;
    for refusal in [read, write] {
        let status = refusal.expect_err("the database is silent");
        let refused = assert_refused(&status, Code::Unavailable, "DATABASE_UNAVAILABLE");
        assert!(refused.has_retry_info);
    }
    assert!(began.elapsed() < NOTICED, "{:?}", began.elapsed());
}

/// Reads and changes until ten of both were done in a row: as many as there were connections.
async fn recovers(raw: &Raw, uuid: &str) {
    let mut raw = raw.clone();
    let began = Instant::now();
    let mut done = 0;
    while done < 10 {
        let answers = async {
            read(&mut raw, uuid).await?;
            raw.transfers.create_transfer(plain()).await
        };
        match soon("an answer", answers).await {
            Ok(_) => done += 1,
            Err(status) => {
                done = 0;
                assert_refused(&status, Code::Unavailable, "DATABASE_UNAVAILABLE");
                assert!(began.elapsed() < RECOVERED, "{status:?}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    assert!(began.elapsed() < RECOVERED, "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
async fn connections_that_fell_silent_are_replaced() {
    let (_direct, mut relay, database) = at_the_end_of_a_path().await;
    let mut world = World::on(database, WorldOptions::default()).await;
    let raw = world.services().await;
    let uuid = raw.clone().declared().await.uuid;
    open_all(&raw).await;
    for _ in 0..2 {
        relay.silence(Direction::Both);
        for _ in 0..4 {
            are_refused(&raw, &uuid).await;
        }
        // The path is back, and knows none of the connections that it had.
        relay.forget();
        relay.heal();
        recovers(&raw, &uuid).await;
    }
    let began = Instant::now();
    world.stop().await;
    assert!(began.elapsed() < RECOVERED, "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
async fn connections_that_were_forgotten_are_replaced_before_anybody_notices() {
    let (_direct, relay, database) = at_the_end_of_a_path().await;
    let mut world = World::on(database, WorldOptions::default()).await;
    let raw = world.services().await;
    let uuid = raw.clone().declared().await.uuid;
    for _ in 0..3 {
        open_all(&raw).await;
        relay.forget();
        recovers(&raw, &uuid).await;
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
async fn watchers_and_the_sweeper_go_on_after_a_silence() {
    let (direct, mut relay, database) = at_the_end_of_a_path().await;
    let mut world = World::on(database, WorldOptions::default()).await;
    let mut beside = World::on(direct, WorldOptions::still()).await;
    let mut raw = world.services().await;
    let mut other = beside.services().await;
    let watched = raw.running().await.uuid;
    let undecided = raw.declared().await.uuid;
    raw.ask(&undecided, Duration::from_secs(2)).await;
    let request = WatchTransferRequest {
        uuid: watched.clone(),
    };
    let watch = raw.transfers.watch_transfer(request).await;
    let mut watch = watch.expect("it is accepted").into_inner();
    soon("the first state", watch.message())
        .await
        .expect("it goes on");
    open_all(&raw).await;
    relay.silence(Direction::Both);
    // Meanwhile the deadline passes, and another replica ends what is watched.
    tokio::time::sleep(Duration::from_secs(3)).await;
    other.complete(&watched, 1).await;
    relay.forget();
    relay.heal();
    let back = Instant::now();
    let told = async {
        while let Ok(Some(change)) = watch.message().await {
            let transfer = change.transfer.expect("a state");
            if transfer.status() == TransferStatus::Completed {
                return;
            }
        }
        panic!("the watch ended");
    };
    soon("the change of the other replica", told).await;
    let swept = async {
        while other.now(&undecided).await.status() != TransferStatus::Expired {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    soon("the sweeper", swept).await;
    assert!(back.elapsed() < RECOVERED, "{:?}", back.elapsed());
    beside.stop().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
async fn a_server_ends_in_time_whatever_is_silent() {
    let (_direct, relay, database) = at_the_end_of_a_path().await;
    let server = ServerProcess::start(&database, 0, &[]).await;
    let raw = Raw::on(server.channel().await);
    let uuid = raw.clone().declared().await.uuid;
    open_all(&raw).await;
    relay.silence(Direction::Both);
    let calls = (0..20).map(|_| {
        let (mut raw, uuid) = (raw.clone(), uuid.clone());
        tokio::spawn(async move { _ = read(&mut raw, &uuid).await })
    });
    let calls: Vec<_> = calls.collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let (status, took) = server.terminate().await;
    assert!(took < RECOVERED, "{took:?}");
    assert!(status.success(), "{status:?}");
    for call in calls {
        call.await.expect("it is answered or cut");
    }
}
