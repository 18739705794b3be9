//! What happens to connections is in the log, and no business of those who watch transfers.

use tidegate_proto::v1::{
    self, ConnectionPolicy, EventType, watch_events_response, watch_transfers_response,
};
use tidegate_tests::{
    World, WorldOptions,
    raw::{Raw, told},
    site::{Step, of},
    soon,
};

async fn world() -> (World, Raw) {
    let world = World::start_with(WorldOptions::still()).await;
    let raw = world.services().await;
    (world, raw)
}

#[tokio::test]
async fn a_watch_of_a_connection_sees_it_and_its_transfers() {
    let (_world, mut raw) = world().await;
    let uuid = raw.site(ConnectionPolicy::default()).await;
    let other = raw.site(ConnectionPolicy::default()).await;
    let watch = v1::WatchEventsRequest {
        connection_uuid: uuid.clone(),
        ..v1::WatchEventsRequest::default()
    };
    let mut events = told(raw.events.watch_events(watch)).await;
    raw.step(Step::Suspend, &other).await;
    raw.step(Step::Suspend, &uuid).await;
    raw.step(Step::Reactivate, &uuid).await;
    let transfer = raw.create(of(&uuid)).await.uuid;
    let mut seen = Vec::new();
    soon("four events", async {
        while seen.len() < 4 {
            let next = events.message().await.expect("the watch lives");
            if let Some(watch_events_response::Update::Event(event)) = next.and_then(|it| it.update)
            {
                seen.push((event.sequence, event.r#type(), event.transfer_uuid));
            }
        }
    })
    .await;
    let expected = [
        (1, EventType::ConnectionCreated, String::new()),
        (4, EventType::ConnectionSuspended, String::new()),
        (5, EventType::ConnectionReactivated, String::new()),
        (6, EventType::Created, transfer),
    ];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_watch_of_transfers_hears_nothing_of_connections() {
    let (_world, mut raw) = world().await;
    let uuid = raw.site(ConnectionPolicy::default()).await;
    let watch = v1::WatchTransfersRequest {
        include_existing: true,
        ..v1::WatchTransfersRequest::default()
    };
    let mut updates = told(raw.transfers.watch_transfers(watch)).await;
    for step in [Step::Update, Step::Suspend, Step::Reactivate] {
        raw.step(step, &uuid).await;
    }
    let transfer = raw.create(of(&uuid)).await;
    let mut seen = Vec::new();
    soon("the transfer", async {
        while seen.len() < 2 {
            let next = updates.message().await.expect("the watch lives");
            seen.extend(next.and_then(|it| it.update));
        }
    })
    .await;
    let expected = [
        watch_transfers_response::Update::CaughtUp(true),
        watch_transfers_response::Update::Transfer(transfer),
    ];
    assert_eq!(seen, expected);
}

mod postgres_only {
    use super::*;

    /// The other replica is told of it though no transfer has changed.
    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn connections_are_followed_on_the_other_replica() {
        let (world, mut raw) = world().await;
        let other = world.replica().await;
        let mut far = other.services().await;
        let watch = v1::WatchEventsRequest::default();
        let mut events = told(far.events.watch_events(watch)).await;
        let uuid = raw.site(ConnectionPolicy::default()).await;
        let event = soon("the event", async {
            loop {
                let next = events.message().await.expect("the watch lives");
                if let Some(watch_events_response::Update::Event(event)) =
                    next.and_then(|it| it.update)
                {
                    return event;
                }
            }
        });
        let event = event.await;
        assert_eq!(event.r#type(), EventType::ConnectionCreated);
        assert_eq!(event.connection_uuid, uuid);
    }
}
