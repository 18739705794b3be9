//! Transfers that had ended for as long as they are to be kept are deleted, and nothing else is.

use std::time::Duration;

use futures::future::join_all;
use tidegate_proto::v1::{self, EventType};
use tidegate_tests::{
    World, WorldOptions, assert_refused,
    raw::{Raw, plain, told},
    soon,
};
use tonic::Code;

const DAY: Duration = Duration::from_secs(24 * 3_600);
const SECOND: Duration = Duration::from_secs(1);
/// A look comes every 60 sweeps.
const LOOKS: Duration = Duration::from_millis(1_500);

/// A server that keeps transfers for a day after their end; or for ever.
async fn world(forgetful: bool) -> (World, Raw) {
    let options = WorldOptions {
        sweep_interval: Duration::from_millis(10),
        arguments: if forgetful {
            &["--transfer-retention", "24h"]
        } else {
            &[]
        },
        ..WorldOptions::still()
    };
    let world = World::start_with(options).await;
    let raw = world.services().await;
    (world, raw)
}

async fn cancelled(raw: &mut Raw, connection: &str) -> String {
    let request = v1::CreateTransferRequest {
        connection_uuid: connection.to_owned(),
        ..plain()
    };
    let uuid = raw.create(request).await.uuid;
    raw.cancel(&uuid).await;
    uuid
}

/// The deletions in the log, once there are so many.
async fn deleted(raw: &mut Raw, count: usize) -> Vec<v1::Event> {
    let wait = async {
        loop {
            let mut events = raw.log().await;
            events.retain(|it| it.r#type() == EventType::Deleted);
            if events.len() >= count {
                return events;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon("the deletions", wait).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_had_ended_for_a_day_is_deleted_and_still_counted() {
    let (world, mut raw) = world(true).await;
    let connection = raw.connection("north").await;
    let first = cancelled(&mut raw, &connection).await;
    let open = raw.declared().await.uuid;
    world.clock.advance(2 * SECOND);
    let second = cancelled(&mut raw, &connection).await;
    world.clock.advance(DAY - 3 * SECOND);
    tokio::time::sleep(LOOKS).await;
    raw.now(&first).await;

    world.clock.advance(2 * SECOND);
    let events = deleted(&mut raw, 1).await;
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(
        (events[0].transfer_uuid.as_str(), events[0].actor.as_str()),
        (first.as_str(), "sweeper")
    );
    let get = v1::GetTransferRequest {
        uuid: first,
        ..v1::GetTransferRequest::default()
    };
    let refusal = raw.transfers.get_transfer(get).await;
    let refusal = refusal.expect_err("it is gone");
    assert_refused(&refusal, Code::NotFound, "TRANSFER_NOT_FOUND");
    raw.now(&second).await;

    world.clock.advance(400 * DAY);
    deleted(&mut raw, 2).await;
    raw.now(&open).await;
    let stats = v1::GetConnectionStatsRequest {
        connection_uuid: connection,
        ..v1::GetConnectionStatsRequest::default()
    };
    let stats = told(raw.transfers.get_connection_stats(stats)).await;
    assert_eq!(stats.total_transfers, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_a_batch_is_deleted_in_several() {
    const MANY: usize = 600;
    let (world, mut raw) = world(true).await;
    let ended = (0..MANY).map(|_| {
        let mut raw = raw.clone();
        async move { cancelled(&mut raw, "").await }
    });
    join_all(ended).await;
    world.clock.advance(2 * DAY);
    let events = deleted(&mut raw, MANY).await;
    assert_eq!(events.len(), MANY, "each once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_has_ended_stays_unless_it_is_asked_for() {
    let (world, mut raw) = world(false).await;
    let ended = cancelled(&mut raw, "").await;
    world.clock.advance(400 * DAY);
    tokio::time::sleep(LOOKS).await;
    raw.now(&ended).await;
}
