//! Agents that wait for something to start.

use std::time::{Duration, Instant};

use tidegate_proto::v1::{self, Role};
use tidegate_tests::{
    World, WorldOptions,
    actors::{bearing, channel_from, connection, issue, revoke},
    assert_refused,
    database::{Kind, kind},
    metrics,
    raw::{Raw, done, plain, told, wire_duration, wire_time},
    request, soon,
};
use tokio::task::JoinHandle;
use tonic::{Code, Request, Status};

const LONG: Duration = Duration::from_secs(60);

type Claimed = JoinHandle<Result<Vec<v1::Transfer>, Status>>;

/// A server where claims wait, which are counted, and the one that others change something at: another replica where the
/// database can be shared.
struct Stage {
    world: World,
    other: Option<World>,
    raw: Raw,
    connection: String,
}

impl Stage {
    async fn set() -> Self {
        Self::set_with(WorldOptions::default()).await
    }

    async fn set_with(options: WorldOptions) -> Self {
        let world = World::start_with(WorldOptions {
            metrics: true,
            ..options
        })
        .await;
        let other = match kind() {
            Kind::Postgres => Some(world.replica().await),
            Kind::Sqlite => None,
        };
        let mut raw = other.as_ref().unwrap_or(&world).services().await;
        let connection = raw.connection("north").await;
        Self {
            world,
            other,
            raw,
            connection,
        }
    }

    fn claim(&self) -> v1::ClaimTransfersRequest {
        v1::ClaimTransfersRequest {
            wait: Some(wire_duration(LONG)),
            ..request::claim(&self.connection)
        }
    }

    fn of(&self) -> v1::CreateTransferRequest {
        v1::CreateTransferRequest {
            connection_uuid: self.connection.clone(),
            ..plain()
        }
    }

    /// Claims, and waits until so many claims wait.
    async fn begin(&self, request: Request<v1::ClaimTransfersRequest>, waiting: u32) -> Claimed {
        let mut raw = self.world.raw().await;
        let claimed = tokio::spawn(async move {
            let answer = raw.claim_transfers(request).await?;
            Ok(answer.into_inner().transfers)
        });
        self.await_waiting(waiting).await;
        // It has a place before it has looked.
        tokio::time::sleep(Duration::from_millis(100)).await;
        claimed
    }

    async fn await_waiting(&self, waiting: u32) {
        let metrics = self.world.metrics.as_deref().expect("it has metrics");
        soon("a claim that waits", async {
            let name = "tidegate_streams_open{kind=\"claim\"}";
            while metrics::sample(metrics, name).await < f64::from(waiting) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    }

    async fn wait(&self) -> Claimed {
        self.begin(Request::new(self.claim()), 1).await
    }
}

/// What was started, in time.
async fn started(claimed: Claimed) -> String {
    let claimed = soon("something to start", claimed).await.expect("no panic");
    let claimed = claimed.expect("it is answered");
    assert_eq!(claimed.len(), 1);
    claimed[0].uuid.clone()
}

#[tokio::test]
async fn a_claim_is_woken_by_what_is_declared() {
    let mut stage = Stage::set().await;
    let claimed = stage.wait().await;
    // Of another connection, and of none.
    let south = stage.raw.connection("south").await;
    let elsewhere = v1::CreateTransferRequest {
        connection_uuid: south,
        ..plain()
    };
    stage.raw.create(elsewhere).await;
    stage.raw.declared().await;
    assert!(!claimed.is_finished());
    let uuid = stage.raw.create(stage.of()).await.uuid;
    assert_eq!(started(claimed).await, uuid);
}

#[tokio::test]
async fn a_claim_is_woken_by_an_approval_and_by_the_end_of_a_pause() {
    let mut stage = Stage::set().await;
    let request = v1::CreateTransferRequest {
        requires_approval: true,
        ..stage.of()
    };
    let uuid = stage.raw.create(request).await.uuid;
    stage.raw.ask(&uuid, LONG).await;
    let claimed = stage.wait().await;
    assert!(!claimed.is_finished(), "nobody has approved it");
    stage.raw.approve(&uuid).await;
    assert_eq!(started(claimed).await, uuid);
    let paused = stage.raw.create(stage.of()).await.uuid;
    done(stage.raw.transfers.pause_transfer(request::pause(&paused))).await;
    let claimed = stage.wait().await;
    assert!(!claimed.is_finished(), "it is paused");
    let resume = request::resumption(&paused);
    done(stage.raw.transfers.resume_transfer(resume)).await;
    assert_eq!(started(claimed).await, paused);
}

#[tokio::test]
async fn a_claim_is_woken_by_time() {
    let mut stage = Stage::set().await;
    let now = stage.world.clock.now();
    let request = v1::CreateTransferRequest {
        not_before: Some(wire_time(now.after(Duration::from_secs(2)))),
        ..stage.of()
    };
    let uuid = stage.raw.create(request).await.uuid;
    let claimed = stage.wait().await;
    assert!(!claimed.is_finished(), "it is too early");
    assert_eq!(started(claimed).await, uuid);
}

#[tokio::test]
async fn a_claim_is_woken_by_a_lease_that_was_lost() {
    let mut stage = Stage::set().await;
    let request = v1::CreateTransferRequest {
        max_attempts: 2,
        ..stage.of()
    };
    let uuid = stage.raw.create(request).await.uuid;
    let start = v1::StartTransferRequest {
        heartbeat_timeout: Some(wire_duration(Duration::from_secs(2))),
        ..request::starting(&uuid)
    };
    done(stage.raw.transfers.start_transfer(start)).await;
    let claimed = stage.wait().await;
    assert!(!claimed.is_finished(), "it runs");
    assert_eq!(started(claimed).await, uuid);
    assert_eq!(stage.raw.now(&uuid).await.lease_epoch, 2);
}

#[tokio::test]
async fn a_claim_is_woken_by_its_connection() {
    let mut stage = Stage::set().await;
    let uuid = stage.raw.create(stage.of()).await.uuid;
    let policy = |tables: &[&str]| v1::UpdateConnectionRequest {
        connection: Some(v1::Connection {
            uuid: stage.connection.clone(),
            policy: Some(v1::ConnectionPolicy {
                excluded_tables: tables.iter().map(ToString::to_string).collect(),
                ..v1::ConnectionPolicy::default()
            }),
            ..v1::Connection::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["policy.excluded_tables".to_owned()],
        }),
        ..v1::UpdateConnectionRequest::default()
    };
    let (closed, open) = (policy(&["characters"]), policy(&[]));
    told(stage.raw.connections.update_connection(closed)).await;
    let claimed = stage.wait().await;
    assert!(!claimed.is_finished(), "its table is excluded");
    told(stage.raw.connections.update_connection(open)).await;
    assert_eq!(started(claimed).await, uuid);
}

#[tokio::test]
async fn who_finds_nothing_is_told_so_in_time() {
    let stage = Stage::set().await;
    let mut raw = stage.world.raw().await;
    let wait = Duration::from_millis(300);
    let short = v1::ClaimTransfersRequest {
        wait: Some(wire_duration(wait)),
        ..stage.claim()
    };
    let began = Instant::now();
    let answer = soon("an empty answer", raw.claim_transfers(short)).await;
    assert_eq!(answer.expect("it is answered").into_inner().transfers, []);
    assert!(began.elapsed() >= wait);
    let mut hasty = Request::new(stage.claim());
    hasty.set_timeout(Duration::from_secs(2));
    let answer = soon("an answer before the deadline", raw.claim_transfers(hasty)).await;
    assert_eq!(answer.expect("it is answered").into_inner().transfers, []);
}

#[tokio::test]
async fn of_those_who_wait_one_is_given_it_and_the_others_wait_on() {
    let mut stage = Stage::set().await;
    let mut waiting = Vec::new();
    for number in 1..=5 {
        let request = Request::new(stage.claim());
        waiting.push(stage.begin(request, number).await);
    }
    let mut given = Vec::new();
    for number in 1..=5 {
        let uuid = stage.raw.create(stage.of()).await.uuid;
        let (first, _, rest) = soon("a claim", futures::future::select_all(waiting)).await;
        let first = first.expect("no panic").expect("it is answered");
        assert_eq!(first[0].uuid, uuid);
        given.push(uuid);
        waiting = rest;
        assert_eq!(waiting.len(), 5 - number, "the others go on waiting");
        assert!(waiting.iter().all(|claimed| !claimed.is_finished()));
        if waiting.is_empty() {
            break;
        }
    }
    assert_eq!(given.len(), 5);
}

#[tokio::test]
async fn a_claim_that_waits_ends_with_the_server() {
    let mut stage = Stage::set().await;
    let claimed = stage.wait().await;
    stage.world.stop().await;
    let refused = soon("the end", claimed).await.expect("no panic");
    let refused = refused.expect_err("the server stops");
    assert_refused(&refused, Code::Unavailable, "SHUTTING_DOWN");
    if let Some(mut other) = stage.other {
        other.stop().await;
    }
}

#[tokio::test]
async fn a_claim_that_waits_ends_with_its_token() {
    let world = World::start_with(WorldOptions {
        metrics: true,
        ..WorldOptions::guarded()
    })
    .await;
    let channel = channel_from(&world.address, 1).await;
    let admin = world.admin();
    let west = connection(&channel, admin, "west").await;
    let member = issue(&channel, admin, Role::Agent, &west).await;
    let stage = Stage {
        raw: world.services().await,
        other: None,
        connection: String::new(),
        world,
    };
    let claimed = stage.begin(bearing(&member.token, stage.claim()), 1).await;
    let revoked = revoke(&channel, stage.world.admin(), &member.uuid).await;
    revoked.expect("it is revoked");
    let refused = soon("the end", claimed).await.expect("no panic");
    let refused = refused.expect_err("its token is revoked");
    assert_refused(&refused, Code::Unauthenticated, "UNAUTHENTICATED");
}
