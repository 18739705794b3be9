//! Connections that end by themselves, once, on any number of replicas.

use std::time::Duration;

use tidegate_proto::v1::{ConnectionPolicy, ConnectionStatus, EventType};
use tidegate_tests::{
    World, WorldOptions, assert_refused,
    raw::{Raw, told, wire_time},
    site::{Step, limiting, of},
};
use tonic::Code;

const HOUR: Duration = Duration::from_secs(3_600);

fn sweeping() -> WorldOptions {
    WorldOptions {
        sweep_interval: Duration::from_millis(10),
        ..WorldOptions::still()
    }
}

fn ending(world: &World, after: Duration) -> ConnectionPolicy {
    ConnectionPolicy {
        expires_at: Some(wire_time(world.clock.now().after(after))),
        ..ConnectionPolicy::default()
    }
}

/// Connections in every status; those that are to end an hour from now, and one that is to go on.
async fn all_end_but_one(world: &World, raw: &mut Raw, count: usize) {
    let later = raw
        .site(ending(world, HOUR + Duration::from_micros(1)))
        .await;
    let mut due = Vec::new();
    for number in 0..count {
        let uuid = raw.site(ending(world, HOUR)).await;
        if number % 3 == 0 {
            raw.step(Step::Suspend, &uuid).await;
        }
        due.push(uuid);
    }
    let revoked = raw.site(ending(world, HOUR)).await;
    raw.step(Step::Revoke, &revoked).await;
    world.clock.advance(HOUR);
    let now = Some(wire_time(world.clock.now()));
    for uuid in &due {
        raw.until_expired(uuid).await;
    }
    // A sweep or two later there is still one event of each.
    let marker = raw.site(ending(world, Duration::ZERO)).await;
    raw.until_expired(&marker).await;
    for uuid in &due {
        let events = raw.events_of_site(uuid).await;
        let expired = events
            .iter()
            .filter(|it| it.r#type() == EventType::ConnectionExpired);
        let [event] = &expired.collect::<Vec<_>>()[..] else {
            panic!("{uuid} did not expire once: {events:?}");
        };
        assert_eq!((event.actor.as_str(), event.occurred_at), ("sweeper", now));
        let site = raw.site_now(uuid).await;
        assert_eq!(site.revision, event.revision);
    }
    let status = raw.site_now(&later).await.status();
    assert_eq!(status, ConnectionStatus::Active);
    let status = raw.site_now(&revoked).await.status();
    assert_eq!(status, ConnectionStatus::Revoked);
}

#[tokio::test]
async fn exactly_the_overdue_expire_with_one_event_each() {
    let world = World::start_with(sweeping()).await;
    let mut raw = world.services().await;
    all_end_but_one(&world, &mut raw, 40).await;
}

mod postgres_only {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn three_sweepers_expire_each_once() {
        let world = World::start_with(sweeping()).await;
        let _others = [world.replica().await, world.replica().await];
        let mut raw = world.services().await;
        all_end_but_one(&world, &mut raw, 40).await;
    }
}

#[tokio::test]
async fn an_expired_connection_goes_on_once_its_end_lies_ahead() {
    let world = World::start_with(sweeping()).await;
    let mut raw = world.services().await;
    let uuid = raw.site(ending(&world, HOUR)).await;
    world.clock.advance(HOUR);
    raw.until_expired(&uuid).await;
    let refusal = raw.transfers.create_transfer(of(&uuid)).await;
    let refusal = refusal.expect_err("it has ended");
    assert_refused(&refusal, Code::FailedPrecondition, "CONNECTION_EXPIRED");
    let refusal = Step::Reactivate.attempt(&mut raw, &uuid, "").await;
    let refusal = refusal.expect_err("its end has passed");
    assert_refused(&refusal, Code::FailedPrecondition, "CONNECTION_EXPIRED");
    let update = limiting(&uuid, ending(&world, HOUR), &["policy.expires_at"]);
    let answer = told(raw.connections.update_connection(update)).await;
    let status = answer.connection.map(|it| it.status());
    assert_eq!(status, Some(ConnectionStatus::Expired));
    raw.step(Step::Reactivate, &uuid).await;
    raw.create(of(&uuid)).await;
    // A pending one does not expire, and cannot be put into use past its end.
    let pending = raw.site_in(ConnectionStatus::Pending).await;
    let update = limiting(&pending, ending(&world, Duration::ZERO), &["policy"]);
    told(raw.connections.update_connection(update)).await;
    let refusal = Step::Approve.attempt(&mut raw, &pending, "").await;
    let refusal = refusal.expect_err("its end has passed");
    assert_refused(&refusal, Code::FailedPrecondition, "CONNECTION_EXPIRED");
    let status = raw.site_now(&pending).await.status();
    assert_eq!(status, ConnectionStatus::Pending);
}
