//! What events tell of what they are about: as it was then, whatever becomes of the rows.

use std::time::Duration;

use tidegate_proto::v1::{
    self, ConnectionPolicy, Direction, EventType, event_service_client::EventServiceClient,
    transfer_service_client::TransferServiceClient,
};
use tidegate_tests::{
    World, WorldOptions,
    actors::bearing,
    raw::{self, ADMIN, NOBODY, done, plain, wire_duration},
    request,
    site::{Step, of},
};

use crate::auth::actors;

/// Type, table, direction, connection and lease of an event.
type Told<'a> = (EventType, &'a str, Direction, &'a str, i64);

fn told(event: &v1::Event) -> Told<'_> {
    let (table, connection) = (&event.table_name, &event.connection_name);
    let lease = event.lease.as_ref().map_or(0, |lease| lease.lease_epoch);
    (event.r#type(), table, event.direction(), connection, lease)
}

#[tokio::test]
async fn a_life_is_told_in_full_when_its_rows_are_gone() {
    let world = World::start_with(WorldOptions::still()).await;
    let mut raw = world.services().await;
    let site = raw.connection("mirror").await;
    let request = v1::CreateTransferRequest {
        connection_uuid: site.clone(),
        requires_approval: true,
        ..plain()
    };
    let uuid = raw.create(request).await.uuid;
    raw.ask(&uuid, Duration::from_secs(60)).await;
    raw.approve(&uuid).await;
    raw.step(Step::Update, &site).await;
    raw.start(&uuid).await;
    raw.complete(&uuid, 1).await;
    raw.delete(&uuid).await;
    raw.step(Step::Revoke, &site).await;
    raw.step(Step::Delete, &site).await;

    let log = raw.log().await;
    let table = plain().table_name;
    let its =
        |event_type, connection, lease| (event_type, &*table, Direction::Send, connection, lease);
    let of_site = |event_type, connection| (event_type, "", Direction::Unspecified, connection, 0);
    let expected = [
        of_site(EventType::ConnectionCreated, "mirror"),
        its(EventType::Created, "mirror", 0),
        its(EventType::ApprovalRequested, "mirror", 0),
        its(EventType::Approved, "mirror", 0),
        of_site(EventType::ConnectionUpdated, "renamed"),
        its(EventType::Started, "renamed", 1),
        its(EventType::Completed, "renamed", 1),
        its(EventType::Deleted, "renamed", 0),
        of_site(EventType::ConnectionRevoked, "renamed"),
        of_site(EventType::ConnectionDeleted, "renamed"),
    ];
    assert_eq!(log.iter().map(told).collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn an_approval_of_ones_own_is_flagged_where_the_policy_allows_it() {
    let world = World::start_with(WorldOptions::still()).await;
    let mut raw = world.services().await;
    let policy = ConnectionPolicy {
        self_approval: true,
        ..ConnectionPolicy::default()
    };
    let site = raw.site(policy).await;
    for (initiator, flagged) in [(ADMIN, true), (NOBODY, false)] {
        let request = v1::CreateTransferRequest {
            requires_approval: true,
            initiated_by_uuid: initiator.to_owned(),
            ..of(&site)
        };
        let uuid = raw.create(request).await.uuid;
        raw.ask(&uuid, Duration::from_secs(60)).await;
        raw.approve(&uuid).await;
        let events = raw.events_of(&uuid).await;
        let flags: Vec<_> = events.iter().map(|it| it.self_approval).collect();
        assert_eq!(flags, [false, false, flagged], "{initiator}");
    }
}

#[tokio::test]
async fn whose_run_was_ended_over_their_head_is_told() {
    let (world, actors) = actors().await;
    let channel = world.channel().await;
    let mut transfers = TransferServiceClient::new(channel.clone());
    let mut log = EventServiceClient::new(channel);
    let mut ends = Vec::new();
    for grace in [0, 60] {
        let declare = actors.agent.asks(of(&actors.own));
        let uuid = done(transfers.create_transfer(declare)).await.uuid;
        let start = v1::StartTransferRequest {
            agent_instance: "host-1".to_owned(),
            ..request::starting(&uuid)
        };
        done(transfers.start_transfer(actors.agent.asks(start))).await;
        let cancel = v1::CancelTransferRequest {
            grace: Some(wire_duration(Duration::from_secs(grace))),
            ..request::cancellation(&uuid)
        };
        done(transfers.cancel_transfer(bearing(&actors.admin, cancel))).await;
        let its = v1::ListEventsRequest {
            transfer_uuid: uuid,
            ..v1::ListEventsRequest::default()
        };
        let events = raw::told(log.list_events(bearing(&actors.admin, its)))
            .await
            .events;
        let last = events.last().expect("it was cancelled");
        let lease = last.lease.clone().expect("it ran");
        let owner = (lease.owner_uuid, lease.agent_instance);
        assert_eq!(owner, (actors.agent.uuid.clone(), "host-1".to_owned()));
        ends.push((last.r#type(), last.overridden));
    }
    let expected = [
        (EventType::Cancelled, true),
        (EventType::CancelRequested, false),
    ];
    assert_eq!(ends, expected);
}
