//! The sums that are kept with every change are those of the transfers, whatever happened in whatever order.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::future::join_all;
use tidegate_proto::v1::{self, TransferStatus};
use tidegate_store::{Options, Snapshot};
use tidegate_tests::{
    World, WorldOptions,
    raw::{Raw, plain, told},
    request,
    transfer_action::TransferAction,
};

const CALLERS: usize = 8;
const ROUNDS: usize = 25;
const STEPS: usize = 12;

/// What the sums that are kept do not say of the transfers as they are.
async fn wrong_sums(world: &World) -> Vec<String> {
    let snapshot = Snapshot::open(world.database().url(), &Options::default()).await;
    let snapshot = snapshot.expect("a snapshot");
    let wrong = snapshot.wrong_sums(10).await.expect("read");
    snapshot.close().await.expect("closed");
    wrong.iter().map(ToString::to_string).collect()
}

fn any<T: Clone>(of: &[T]) -> T {
    of[rand::random_range(0..of.len())].clone()
}

/// Creates transfers, and does to these and to those of others whatever comes up.
async fn act(mut raw: Raw, connection: String, transfers: Arc<Mutex<Vec<String>>>) -> Raw {
    for _ in 0..STEPS {
        let action = any(&TransferAction::ALL);
        let known = transfers.lock().expect("no panic").clone();
        if known.is_empty() || rand::random_bool(0.3) {
            let request = v1::CreateTransferRequest {
                connection_uuid: any(&[String::new(), connection.clone()]),
                table_name: any(&["orders", "items"]).to_owned(),
                direction: any(&[v1::Direction::Send, v1::Direction::Receive]).into(),
                ..plain()
            };
            let created = raw.create(request).await.uuid;
            transfers.lock().expect("no panic").push(created);
        } else {
            // Most are refused; what is refused changes nothing.
            let _ = action.attempt(&mut raw, &any(&known)).await;
        }
    }
    raw
}

#[tokio::test]
async fn changes_of_many_callers_keep_the_sums_right() {
    let world = World::start_with(WorldOptions::still()).await;
    let mut home = world.services().await;
    let connection = home.connection("mirror").await;
    let transfers = Arc::default();
    let mut callers = Vec::new();
    for _ in 0..CALLERS {
        callers.push(world.services().await);
    }
    for round in 0..ROUNDS {
        let acting = callers
            .into_iter()
            .map(|raw| act(raw, connection.clone(), Arc::clone(&transfers)));
        callers = join_all(acting).await;
        let wrong = wrong_sums(&world).await;
        assert!(wrong.is_empty(), "round {round}: {wrong:?}");
        world.clock.advance(Duration::from_secs(1_777));
    }
    // Whatever came up, one was completed and is left, and one is gone.
    for is_deleted in [false, true] {
        let uuid = home.running().await.uuid;
        home.complete(&uuid, 7).await;
        if is_deleted {
            told(home.transfers.delete_transfer(request::deletion(&uuid))).await;
        }
    }
    let wrong = wrong_sums(&world).await;
    assert!(wrong.is_empty(), "{wrong:?}");
    let request = v1::ListTableStatsRequest::default();
    let tables = told(home.transfers.list_table_stats(request)).await;
    let counted: i64 = tables.stats.iter().map(|table| table.count).sum();
    let request = v1::CountTransfersRequest {
        filter: Some(v1::TransferFilter {
            status: vec![TransferStatus::Completed.into()],
            ..v1::TransferFilter::default()
        }),
    };
    let left = told(home.transfers.count_transfers(request)).await.count;
    assert!(counted > left && left > 0, "{counted} {left}");
}
