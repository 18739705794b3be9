//! Open streams end with the rights of their callers: within two seconds, on every replica, and the next call is refused.

use std::time::{Duration, Instant};

use futures::{StreamExt as _, future::join_all, stream};
use tidegate_proto::v1::{
    self, Role, connection_service_client::ConnectionServiceClient,
    credential_service_client::CredentialServiceClient, event_service_client::EventServiceClient,
    transfer_service_client::TransferServiceClient,
};
use tidegate_tests::{
    World, WorldOptions,
    actors::{Actors, Member, bearing, channel_from, issue, revoke},
    assert_refused,
    database::{Kind, kind},
    raw::{done, plain, told, wire_duration},
    soon,
};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming, transport::Channel};

/// How soon a stream ends.
const ENDS: Duration = Duration::from_secs(2);

/// The servers of one database: two replicas where it can be shared.
async fn replicas(options: WorldOptions) -> Vec<World> {
    let first = World::start_with(options).await;
    let mut worlds = Vec::new();
    if kind() == Kind::Postgres {
        worlds.push(first.replica().await);
    }
    worlds.insert(0, first);
    worlds
}

/// Reads a stream to its end: when it ended, and why.
fn to_the_end<T: Send + 'static>(mut stream: Streaming<T>) -> JoinHandle<(Instant, Status)> {
    tokio::spawn(async move {
        loop {
            match stream.message().await {
                Ok(Some(_)) => {}
                Ok(None) => return (Instant::now(), Status::ok("it ended by itself")),
                Err(status) => return (Instant::now(), status),
            }
        }
    })
}

/// What a caller has open at one server.
struct Open {
    channel: Channel,
    streams: Vec<JoinHandle<(Instant, Status)>>,
    /// Keeps the reports from ending by themselves.
    _reports: Option<mpsc::Sender<v1::ReportProgressRequest>>,
}

impl Open {
    /// Watches everything that can be watched, and reports where the member is an agent with a transfer.
    async fn at(world: &World, host: u8, member: &Member, transfer: Option<&str>) -> Self {
        let channel = channel_from(&world.address, host).await;
        let mut transfers = TransferServiceClient::new(channel.clone());
        let mut events = EventServiceClient::new(channel.clone());
        let watch = v1::WatchTransfersRequest::default();
        let mut streams = vec![
            to_the_end(told(transfers.watch_transfers(member.asks(watch))).await),
            to_the_end(told(events.watch_events(member.asks(Default::default()))).await),
        ];
        let mut reports = None;
        if let Some(uuid) = transfer {
            let watch = v1::WatchTransferRequest {
                uuid: uuid.to_owned(),
            };
            streams.push(to_the_end(
                told(transfers.watch_transfer(member.asks(watch))).await,
            ));
            let (sender, receiver) = mpsc::channel(1);
            let request = member.asks(ReceiverStream::new(receiver));
            streams.push(to_the_end(told(transfers.report_progress(request)).await));
            reports = Some(sender);
        }
        Self {
            channel,
            streams,
            _reports: reports,
        }
    }

    /// Asserts that everything ends as it must after `since`, and that the next call is refused. How long it took.
    async fn ends_all(self, member: &Member, since: Instant) -> Duration {
        let mut longest = Duration::ZERO;
        for ended in soon("the end of the streams", join_all(self.streams)).await {
            let (at, status) = ended.expect("no panic");
            assert_refused(&status, Code::Unauthenticated, "UNAUTHENTICATED");
            longest = longest.max(at - since);
        }
        let mut transfers = TransferServiceClient::new(self.channel);
        let next = transfers.count_transfers(member.asks(Default::default()));
        let refused = next.await.expect_err("it may no longer call");
        assert_refused(&refused, Code::Unauthenticated, "UNAUTHENTICATED");
        assert!(longest < ENDS, "a stream ended after {longest:?}");
        longest
    }

    fn is_alive(&self) -> bool {
        self.streams.iter().all(|stream| !stream.is_finished())
    }
}

async fn open(worlds: &[World], host: u8, member: &Member, transfer: Option<&str>) -> Vec<Open> {
    join_all(
        worlds
            .iter()
            .map(|world| Open::at(world, host, member, transfer)),
    )
    .await
}

async fn all_over(open: Vec<Open>, member: &Member, since: Instant) -> Duration {
    let over = join_all(open.into_iter().map(|open| open.ends_all(member, since))).await;
    over.into_iter().max().expect("a server")
}

/// A running transfer of the agent.
async fn running(channel: &Channel, member: &Member, connection: &str) -> String {
    let mut transfers = TransferServiceClient::new(channel.clone());
    let request = v1::CreateTransferRequest {
        connection_uuid: connection.to_owned(),
        ..plain()
    };
    let uuid = done(transfers.create_transfer(member.asks(request)))
        .await
        .uuid;
    let start = tidegate_tests::request::starting(&uuid);
    done(transfers.start_transfer(member.asks(start)))
        .await
        .uuid
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_revocations_end_every_stream_in_time() {
    const TIMES: u8 = 200;
    let worlds = replicas(WorldOptions::guarded()).await;
    let actors = Actors::of(&worlds[0]).await;
    let channel = worlds[0].channel().await;
    let transfer = running(&channel, &actors.agent, &actors.own).await;
    let trial = async |number: u8| {
        let is_agent = number.is_multiple_of(2);
        let (role, connection) = if is_agent {
            (Role::Agent, actors.own.as_str())
        } else {
            (Role::Viewer, "")
        };
        let member = issue(&channel, &actors.admin, role, connection).await;
        let transfer = is_agent.then_some(transfer.as_str());
        let open = open(&worlds, 2 + number, &member, transfer).await;
        assert!(open.iter().all(Open::is_alive), "they are let in");
        let revoked = revoke(&channel, &actors.admin, &member.uuid).await;
        revoked.expect("it is revoked");
        all_over(open, &member, Instant::now()).await
    };
    let took: Vec<Duration> = stream::iter(0..TIMES)
        .map(trial)
        .buffer_unordered(20)
        .collect()
        .await;
    let longest = took.iter().max().expect("a trial");
    eprintln!(
        "{TIMES} revocations at {} servers: {longest:?} at most",
        worlds.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_connection_ends_the_streams_of_its_agents_alone() {
    let worlds = replicas(WorldOptions::guarded()).await;
    let actors = Actors::of(&worlds[0]).await;
    let channel = worlds[0].channel().await;
    let transfer = running(&channel, &actors.agent, &actors.own).await;
    let ends = open(&worlds, 2, &actors.agent, Some(&transfer)).await;
    let stays = open(&worlds, 3, &actors.stranger, None).await;
    let request = v1::RevokeConnectionRequest {
        uuid: actors.own.clone(),
        ..v1::RevokeConnectionRequest::default()
    };
    let mut connections = ConnectionServiceClient::new(channel);
    told(connections.revoke_connection(bearing(&actors.admin, request))).await;
    all_over(ends, &actors.agent, Instant::now()).await;
    assert!(stays.iter().all(Open::is_alive));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_rotated_away_ends_its_streams_and_the_new_one_is_good() {
    let worlds = replicas(WorldOptions::guarded()).await;
    let actors = Actors::of(&worlds[0]).await;
    let ends = open(&worlds, 2, &actors.viewer, None).await;
    let request = v1::RotateCredentialRequest {
        uuid: actors.viewer.uuid.clone(),
        ..v1::RotateCredentialRequest::default()
    };
    let mut credentials = CredentialServiceClient::new(worlds[0].channel().await);
    let rotated = told(credentials.rotate_credential(bearing(&actors.admin, request))).await;
    let since = Instant::now();
    let renewed = Member {
        token: rotated.token,
        ..actors.viewer.clone()
    };
    let stays = open(&worlds, 3, &renewed, None).await;
    all_over(ends, &actors.viewer, since).await;
    assert!(stays.iter().all(Open::is_alive));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_expires_ends_its_streams() {
    let options = WorldOptions {
        auth: WorldOptions::guarded().auth,
        ..WorldOptions::still()
    };
    let worlds = replicas(options).await;
    let actors = Actors::of(&worlds[0]).await;
    let request = v1::CreateCredentialRequest {
        name: "short".to_owned(),
        role: Role::Viewer.into(),
        expires_in: Some(wire_duration(Duration::from_secs(60))),
        ..v1::CreateCredentialRequest::default()
    };
    let mut credentials = CredentialServiceClient::new(worlds[0].channel().await);
    let short = told(credentials.create_credential(bearing(&actors.admin, request))).await;
    let short = Member {
        uuid: short.credential.expect("it is told").uuid,
        token: short.token,
    };
    let ends = open(&worlds, 2, &short, None).await;
    let stays = open(&worlds, 3, &actors.viewer, None).await;
    worlds[0].clock.advance(Duration::from_secs(60));
    all_over(ends, &short, Instant::now()).await;
    assert!(stays.iter().all(Open::is_alive));
}

mod postgres_only {
    use tidegate_tests::{Database, cluster::Cluster};

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn streams_outlive_a_database_that_is_away_and_calls_say_that_it_is() {
        let cluster = Cluster::start().await;
        let database = Database::on(&cluster.url).await;
        let world = World::on(database, WorldOptions::guarded()).await;
        let actors = Actors::of(&world).await;
        let open = Open::at(&world, 2, &actors.viewer, None).await;
        cluster.stop().await;
        let mut transfers = TransferServiceClient::new(world.channel().await);
        let away = async {
            loop {
                let ask = transfers.count_transfers(actors.viewer.asks(Default::default()));
                let refused = ask.await.expect_err("the database is away");
                // Until the answer of a second ago is no longer believed, the handler finds it out.
                assert_refused(&refused, Code::Unavailable, "DATABASE_UNAVAILABLE");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        _ = tokio::time::timeout(Duration::from_secs(4), away).await;
        assert!(open.is_alive(), "an outage takes nobody's rights");
        cluster.resume().await;
        let back = async {
            loop {
                let ask = transfers.count_transfers(actors.viewer.asks(Default::default()));
                match ask.await {
                    Ok(_) => return,
                    Err(refused) => {
                        assert_refused(&refused, Code::Unavailable, "DATABASE_UNAVAILABLE");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        };
        soon("the database's return", back).await;
        assert!(open.is_alive());
    }
}
