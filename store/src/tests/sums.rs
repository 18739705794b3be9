//! Counts and sums.

use uuid::Uuid;

use super::fixture::{Fixture, at, plain};
use tidegate_domain::{
    caller::ConnectionScope,
    fixtures::id,
    id::ConnectionId,
    query::{ConnectionStats, TableStats, TableStatsFilter},
    status::{Direction, TransferStatus},
    transfer::Transfer,
};

const SITE: ConnectionId = ConnectionId(Uuid::from_u128(8));

fn moved(number: u128, status: TransferStatus, table: &str, records: i64, bytes: i64) -> Transfer {
    let mut transfer = plain(number);
    transfer.declared.connection_uuid = Some(SITE);
    transfer.declared.table_name = table.to_owned();
    transfer.status = status;
    transfer.totals.records_transferred = records;
    transfer.totals.bytes_transferred = bytes;
    transfer
}

#[tokio::test]
async fn a_connection_is_summed_up_by_status() {
    let fixture = Fixture::new().await;
    let odd = 3 * (1_i64 << 32) - 1;
    let mut elsewhere = moved(9, TransferStatus::Completed, "a", 1_000, 1_000);
    elsewhere.declared.connection_uuid = None;
    fixture
        .insert(&[
            moved(1, TransferStatus::Failed, "a", 5, 0),
            moved(2, TransferStatus::Completed, "a", odd, i64::MAX - 10),
            moved(3, TransferStatus::Completed, "b", odd, 10),
            moved(4, TransferStatus::Pending, "b", 0, 0),
            elsewhere,
        ])
        .await;
    let stats = fixture.store.connection_stats(SITE).await.expect("read");
    let wanted = ConnectionStats {
        by_status: vec![
            (TransferStatus::Pending, 1),
            (TransferStatus::Completed, 2),
            (TransferStatus::Failed, 1),
        ],
        total_records: odd + odd + 5,
        total_bytes: i64::MAX,
    };
    assert_eq!(stats, wanted);
    let nobody = fixture
        .store
        .connection_stats(id(u128::MAX))
        .await
        .expect("read");
    assert_eq!(nobody, ConnectionStats::default());
}

#[tokio::test]
async fn sums_saturate() {
    let fixture = Fixture::new().await;
    let transfers: Vec<_> = (0..40)
        .map(|number| moved(number, TransferStatus::Completed, "a", i64::MAX, i64::MAX))
        .collect();
    fixture.insert(&transfers).await;
    let stats = fixture.store.connection_stats(SITE).await.expect("read");
    assert_eq!(
        (stats.total_records, stats.total_bytes),
        (i64::MAX, i64::MAX)
    );
    let tables = fixture
        .store
        .table_stats(&TableStatsFilter::default(), 9)
        .await
        .expect("read");
    let wanted = TableStats {
        table_name: "a".to_owned(),
        count: 40,
        records: i64::MAX,
        bytes: i64::MAX,
    };
    assert_eq!(tables, [wanted]);
}

/// Asks for the sums by table and compares them, each as name, count, records and bytes.
async fn ranks(
    fixture: &Fixture,
    filter: &TableStatsFilter,
    limit: u32,
    wanted: &[(&str, i64, i64, i64)],
) {
    let found = fixture
        .store
        .table_stats(filter, limit)
        .await
        .expect("read");
    let found: Vec<_> = found
        .iter()
        .map(|each| {
            (
                each.table_name.as_str(),
                each.count,
                each.records,
                each.bytes,
            )
        })
        .collect();
    assert_eq!(found, wanted, "{filter:?}");
}

async fn done_and_failed() -> Fixture {
    let fixture = Fixture::new().await;
    let done = TransferStatus::Completed;
    let mut late = moved(6, done, "b", 1, 100);
    late.inserted_at = at(9_000_000);
    late.declared.direction = Direction::Receive;
    late.declared.connection_uuid = None;
    fixture
        .insert(&[
            moved(1, done, "c", 1, 1),
            moved(2, done, "Z", 2, 2),
            moved(3, done, "b", 3, 3),
            moved(4, done, "c", 4, 4),
            moved(5, TransferStatus::Failed, "b", 5, 5),
            late,
        ])
        .await;
    fixture
}

#[tokio::test]
async fn tables_are_ranked_by_completed_transfers_then_name() {
    let fixture = done_and_failed().await;
    let all = TableStatsFilter::default();
    let wanted = [("b", 2, 4, 103), ("c", 2, 5, 5), ("Z", 1, 2, 2)];
    ranks(&fixture, &all, 9, &wanted).await;
    ranks(&fixture, &all, 1, &wanted[..1]).await;
}

#[tokio::test]
async fn sums_by_table_can_be_narrowed() {
    let fixture = done_and_failed().await;
    let all = TableStatsFilter::default();
    let end = Some(at(1_000_000));
    let early = TableStatsFilter {
        to: end,
        ..all.clone()
    };
    ranks(
        &fixture,
        &early,
        9,
        &[("c", 2, 5, 5), ("Z", 1, 2, 2), ("b", 1, 3, 3)],
    )
    .await;
    let late = TableStatsFilter {
        from: Some(at(1_000_001)),
        ..all.clone()
    };
    ranks(&fixture, &late, 9, &[("b", 1, 1, 100)]).await;
    let received = TableStatsFilter {
        direction: Some(Direction::Receive),
        ..all.clone()
    };
    ranks(&fixture, &received, 9, &[("b", 1, 1, 100)]).await;
    let site = TableStatsFilter {
        connections: ConnectionScope::Only(SITE),
        from: end,
        to: end,
        ..all.clone()
    };
    ranks(&fixture, &site, 1, &[("c", 2, 5, 5)]).await;
    let nobody = TableStatsFilter {
        connections: ConnectionScope::Only(id(u128::MAX)),
        ..all
    };
    ranks(&fixture, &nobody, 9, &[]).await;
}
