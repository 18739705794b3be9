//! What a connection that is suspended, revoked or put into use again makes of its transfers.

use std::{future::Future, time::Duration};

use sea_orm::{
    ColumnTrait as _, DatabaseConnection, EntityTrait as _, PaginatorTrait as _, QueryFilter as _,
};
use tidegate_entity::connection;
use tidegate_proto::v1::{self, ConnectionStatus, EventType, StopCause, TransferStatus};
use tidegate_tests::{
    World, WorldOptions,
    actors::{Actors, bearing},
    assert_refused,
    raw::{Raw, done, wire_duration},
    request,
    site::{Step, of},
    soon,
};
use tonic::Code;

const SECOND: Duration = Duration::from_secs(1);

async fn world(stop_grace: Duration) -> (World, Raw) {
    let world = World::start_with(WorldOptions {
        stop_grace,
        ..WorldOptions::default()
    })
    .await;
    let raw = world.services().await;
    (world, raw)
}

/// A transfer of the connection in each status that it can leave, and one that has ended.
async fn every(world: &World, raw: &mut Raw, site: &str) -> [String; 5] {
    let mut uuids = Vec::new();
    for status in [
        TransferStatus::Pending,
        TransferStatus::PendingApproval,
        TransferStatus::Approved,
        TransferStatus::InProgress,
        TransferStatus::Completed,
    ] {
        let uuid = raw.create(of(site)).await.uuid;
        raw.bring(&uuid, status, &world.clock).await;
        uuids.push(uuid);
    }
    uuids.try_into().expect("five")
}

async fn until<F: Future<Output = v1::Transfer>>(
    what: &str,
    mut look: impl FnMut() -> F,
    is_so: impl Fn(&v1::Transfer) -> bool,
) -> v1::Transfer {
    soon(what, async {
        loop {
            let now = look().await;
            if is_so(&now) {
                return now;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
}

async fn stands(
    raw: &Raw,
    uuid: &str,
    what: &str,
    is_so: impl Fn(&v1::Transfer) -> bool,
) -> v1::Transfer {
    let look = || {
        let mut raw = raw.clone();
        async move { raw.now(uuid).await }
    };
    until(what, look, is_so).await
}

#[tokio::test]
async fn a_suspension_pauses_what_runs_until_the_reactivation() {
    let (world, mut raw) = world(600 * SECOND).await;
    let site = raw.site(v1::ConnectionPolicy::default()).await;
    let [pending, waiting, approved, running, ended] = every(&world, &mut raw, &site).await;
    let before = [
        raw.now(&pending).await,
        raw.now(&waiting).await,
        raw.now(&approved).await,
        raw.now(&ended).await,
    ];
    raw.step(Step::Suspend, &site).await;
    let asked = stands(&raw, &running, "the request", |it| it.stop.is_some()).await;
    assert_eq!(asked.status(), TransferStatus::InProgress);
    assert_eq!(
        asked.stop.expect("it is").cause(),
        StopCause::ConnectionSuspended
    );
    done(
        raw.transfers
            .acknowledge_stop(request::acknowledgement(&running)),
    )
    .await;
    for each in before {
        assert_eq!(raw.now(&each.uuid).await, each, "only what runs is asked");
    }

    raw.step(Step::Reactivate, &site).await;
    stands(&raw, &running, "the end of the pause", |it| {
        it.stop.is_none()
    })
    .await;
    assert_eq!(raw.start(&running).await.lease_epoch, 2);
    let events = raw.events_of(&running).await;
    let types: Vec<_> = events.iter().map(v1::Event::r#type).collect();
    let expected = [
        EventType::Created,
        EventType::Started,
        EventType::PauseRequested,
        EventType::Paused,
        EventType::Resumed,
        EventType::Started,
    ];
    assert_eq!(types, expected);
    assert_eq!(events[2].actor, "sweeper");
}

#[tokio::test]
async fn what_somebody_has_paused_stays_so_when_its_connection_comes_back() {
    let (world, mut raw) = world(SECOND).await;
    let site = raw.site(v1::ConnectionPolicy::default()).await;
    let [held, _, _, running, _] = every(&world, &mut raw, &site).await;
    done(raw.transfers.pause_transfer(request::pause(&held))).await;
    raw.step(Step::Suspend, &site).await;
    // Nobody confirms: the end of the grace does.
    let forced = stands(&raw, &running, "the end of the grace", |it| {
        it.status() == TransferStatus::Pending
    })
    .await;
    assert!(forced.stop.expect("how it ended").forced);
    raw.step(Step::Reactivate, &site).await;
    stands(&raw, &running, "the end of the pause", |it| {
        it.stop.is_none()
    })
    .await;
    let stop = raw.now(&held).await.stop.expect("it is paused");
    assert_eq!(stop.cause(), StopCause::Request);
}

#[tokio::test]
async fn a_revocation_ends_everything_and_lets_go_of_the_connection() {
    let (world, mut raw) = world(SECOND).await;
    let site = raw.site(v1::ConnectionPolicy::default()).await;
    let uuids = every(&world, &mut raw, &site).await;
    let [pending, waiting, approved, running, ended] = &uuids;
    let completed = raw.now(ended).await;
    raw.step(Step::Revoke, &site).await;
    for uuid in [pending, waiting, approved] {
        let gone = stands(&raw, uuid, "the cancellation", |it| {
            it.status() == TransferStatus::Cancelled
        })
        .await;
        let stop = gone.stop.expect("why it ended");
        assert_eq!(
            (stop.cause(), stop.forced),
            (StopCause::ConnectionRevoked, false)
        );
    }
    let forced = stands(&raw, running, "the end of the grace", |it| {
        it.status() == TransferStatus::Cancelled
    })
    .await;
    assert!(forced.stop.expect("how it ended").forced);
    assert_eq!(raw.now(ended).await, completed);
    assert_eq!(
        raw.step(Step::Delete, &site).await,
        None,
        "nothing holds it"
    );
}

/// The credentials of its agents end with a connection: whoever cannot confirm any more holds nothing up.
#[tokio::test]
async fn an_agent_that_lost_its_credentials_leaves_nothing_running() {
    let world = World::start_with(WorldOptions {
        stop_grace: SECOND,
        ..WorldOptions::guarded()
    })
    .await;
    let actors = Actors::of(&world).await;
    let raw = Raw::on(world.channel().await);
    let (mut calls, mut sites) = (raw.transfers, raw.connections);
    let declared = done(calls.create_transfer(actors.agent.asks(of(&actors.own)))).await;
    let start = request::starting(&declared.uuid);
    done(calls.start_transfer(actors.agent.asks(start))).await;
    let asked = calls.cancel_transfer(bearing(
        &actors.admin,
        v1::CancelTransferRequest {
            grace: Some(wire_duration(600 * SECOND)),
            ..request::cancellation(&declared.uuid)
        },
    ));
    let asked = done(asked).await.stop.expect("it is asked");
    assert!(!asked.requested_by_uuid.is_empty(), "by the admin");

    let running = done(calls.create_transfer(actors.agent.asks(of(&actors.own)))).await;
    let start = request::starting(&running.uuid);
    done(calls.start_transfer(actors.agent.asks(start))).await;
    let revoke = v1::RevokeConnectionRequest {
        uuid: actors.own.clone(),
        ..v1::RevokeConnectionRequest::default()
    };
    let revoked = sites
        .revoke_connection(bearing(&actors.admin, revoke))
        .await;
    revoked.expect("it is revoked");
    let get = v1::GetTransferRequest {
        uuid: running.uuid.clone(),
        preload: Vec::new(),
    };
    let look = || {
        let (mut calls, get) = (calls.clone(), actors.viewer.asks(get.clone()));
        async move { done(calls.get_transfer(get)).await }
    };
    let ended = until("the end of the grace", look, |it| {
        it.status() == TransferStatus::Cancelled
    })
    .await;
    let stop = ended.stop.expect("how it ended");
    assert_eq!(
        (stop.cause(), stop.forced, stop.requested_by_uuid.as_str()),
        (StopCause::ConnectionRevoked, true, "")
    );
    let acknowledgement = request::acknowledgement(&running.uuid);
    let late = calls.acknowledge_stop(actors.agent.asks(acknowledgement));
    let refusal = late.await.expect_err("its token is good no more");
    assert_refused(&refusal, Code::Unauthenticated, "UNAUTHENTICATED");
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_runs_follow_and_the_connection_rests() {
    let (world, raw) = world(600 * SECOND).await;
    hundreds_follow(&world, raw).await;
}

mod postgres_only {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn two_replicas_have_hundreds_of_runs_follow_once() {
        let (world, raw) = world(600 * SECOND).await;
        let _other = world.replica().await;
        hundreds_follow(&world, raw).await;
    }
}

/// More than one look takes.
async fn hundreds_follow(world: &World, mut raw: Raw) {
    const RUNS: usize = 600;
    let site = raw.site(v1::ConnectionPolicy::default()).await;
    let uuids = futures::future::join_all((0..RUNS).map(|_| {
        let mut raw = raw.clone();
        let create = of(&site);
        async move {
            let uuid = raw.create(create).await.uuid;
            raw.start(&uuid).await.uuid
        }
    }))
    .await;
    raw.step(Step::Suspend, &site).await;
    for uuid in &uuids {
        stands(&raw, uuid, "the request", |it| it.stop.is_some()).await;
    }
    raw.step(Step::Revoke, &site).await;
    for uuid in &uuids {
        let is_told = |it: &v1::Transfer| {
            it.stop
                .as_ref()
                .is_some_and(|stop| stop.cause() == StopCause::ConnectionRevoked)
        };
        stands(&raw, uuid, "the request", is_told).await;
        done(
            raw.transfers
                .acknowledge_stop(request::acknowledgement(uuid)),
        )
        .await;
    }
    // Each was asked once for each change, by whichever replica.
    for uuid in uuids.iter().step_by(97) {
        let events = raw.events_of(uuid).await;
        let types: Vec<_> = events[2..].iter().map(v1::Event::r#type).collect();
        let expected = [
            EventType::PauseRequested,
            EventType::CancelRequested,
            EventType::Cancelled,
        ];
        assert_eq!(types, expected);
    }
    let now = raw.site_now(&site).await;
    assert_eq!(now.status(), ConnectionStatus::Revoked);
    // There is nothing more to look for.
    let database = world.database().connect().await;
    soon("the end of the search", async {
        while rows_to_follow(&database).await > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    raw.step(Step::Delete, &site).await;
}

/// Connections that transfers have yet to follow.
async fn rows_to_follow(database: &DatabaseConnection) -> u64 {
    let settling = connection::Entity::find().filter(connection::Column::Settling.eq(true));
    settling.count(database).await.expect("it is counted")
}
