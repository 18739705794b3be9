//! Lists that hold less than there is say so.

use futures::future::join_all;
use tidegate_proto::v1;
use tidegate_tests::{
    World, WorldOptions,
    raw::{Raw, plain, told},
};

/// As many tables as one answer holds.
const TABLES: usize = 1_000;

/// One transfer of each table, completed.
async fn complete(raw: &Raw, tables: std::ops::Range<usize>) {
    let completed = tables.map(|number| {
        let mut raw = raw.clone();
        let request = v1::CreateTransferRequest {
            table_name: format!("t{number}"),
            ..plain()
        };
        async move {
            let uuid = raw.create(request).await.uuid;
            raw.start(&uuid).await;
            raw.complete(&uuid, 1).await
        }
    });
    join_all(completed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sums_and_recent_transfers_say_when_there_are_more() {
    let world = World::start_with(WorldOptions::still()).await;
    let mut raw = world.services().await;
    for (tables, more) in [(0..TABLES, false), (TABLES..TABLES + 1, true)] {
        complete(&raw, tables).await;
        let request = v1::ListTableStatsRequest::default();
        let sums = told(raw.transfers.list_table_stats(request)).await;
        assert_eq!((sums.stats.len(), sums.more), (TABLES, more));
        let request = v1::ListRecentTransfersRequest {
            limit: 1_000,
            preload: Vec::new(),
        };
        let recent = told(raw.transfers.list_recent_transfers(request)).await;
        assert_eq!((recent.transfers.len(), recent.more), (TABLES, more));
    }
    let request = v1::ListRecentTransfersRequest {
        limit: 3,
        preload: Vec::new(),
    };
    let recent = told(raw.transfers.list_recent_transfers(request)).await;
    assert_eq!((recent.transfers.len(), recent.more), (3, true));
}
