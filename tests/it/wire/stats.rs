//! Sums over connections and tables.

use std::time::Duration;

use tidegate_proto::v1::{self, TransferStatus};
use tidegate_tests::{
    World, WorldOptions,
    raw::{NOBODY, Raw, done, plain, told},
};

async fn world() -> (World, Raw) {
    let world = World::start_with(WorldOptions::still()).await;
    let raw = world.services().await;
    (world, raw)
}

/// A transfer of `table` that was completed with so many records.
async fn completed(
    raw: &mut Raw,
    request: v1::CreateTransferRequest,
    records: i64,
) -> v1::Transfer {
    let uuid = raw.create(request).await.uuid;
    raw.start(&uuid).await;
    raw.complete(&uuid, records).await
}

fn of(connection_uuid: &str) -> v1::CreateTransferRequest {
    v1::CreateTransferRequest {
        connection_uuid: connection_uuid.to_owned(),
        ..plain()
    }
}

fn of_table(table: &str) -> v1::CreateTransferRequest {
    v1::CreateTransferRequest {
        table_name: table.to_owned(),
        ..plain()
    }
}

#[tokio::test]
async fn a_connection_is_summed_up_over_all_statuses() {
    let (world, mut raw) = world().await;
    let connection = raw.connection("mirror").await;
    let other = raw.connection("other").await;
    let expected = [
        (TransferStatus::Pending, 2),
        (TransferStatus::PendingApproval, 1),
        (TransferStatus::Approved, 1),
        (TransferStatus::Denied, 1),
        (TransferStatus::InProgress, 1),
        (TransferStatus::Completed, 3),
        (TransferStatus::Failed, 1),
        (TransferStatus::Cancelled, 2),
        (TransferStatus::Expired, 1),
    ];
    let mut last_completed_at = None;
    // Backwards, so that the order of the answer is not that of the rows.
    for (status, count) in expected.into_iter().rev() {
        for _ in 0..count {
            let uuid = raw.create(of(&connection)).await.uuid;
            let brought = raw.bring(&uuid, status, &world.clock).await;
            if status == TransferStatus::Completed {
                last_completed_at = brought.and_then(|transfer| transfer.completed_at);
            }
            // Records of transfers that did not complete were moved all the same.
            if status == TransferStatus::InProgress {
                raw.report(&uuid, 500).await;
            }
        }
    }
    completed(&mut raw, of(&other), 1_000).await;
    completed(&mut raw, plain(), 5_000).await;

    let request = v1::GetConnectionStatsRequest {
        connection_uuid: connection,
        ..v1::GetConnectionStatsRequest::default()
    };
    let answer = told(raw.transfers.get_connection_stats(request)).await;
    assert!(answer.durations.is_some() && last_completed_at.is_some());
    let count = |(status, count): (TransferStatus, i64)| v1::StatusCount {
        status: status.into(),
        count,
    };
    let expected = v1::GetConnectionStatsResponse {
        total_transfers: 13,
        completed: 3,
        failed: 1,
        // One record for each that was completed.
        total_records: 503,
        total_bytes: 5_030,
        by_status: expected.map(count).to_vec(),
        success_rate: Some(0.375),
        durations: answer.durations,
        last_completed_at,
    };
    assert_eq!(answer, expected);
}

#[tokio::test]
async fn a_connection_without_transfers_sums_up_to_zero() {
    let (_world, mut raw) = world().await;
    let idle = raw.connection("idle").await;
    for connection_uuid in [idle, NOBODY.to_owned()] {
        let request = v1::GetConnectionStatsRequest {
            connection_uuid,
            ..v1::GetConnectionStatsRequest::default()
        };
        let answer = told(raw.transfers.get_connection_stats(request)).await;
        assert_eq!(answer, v1::GetConnectionStatsResponse::default());
    }
}

#[tokio::test]
async fn sums_stop_at_the_largest_number() {
    let (_world, mut raw) = world().await;
    let connection = raw.connection("mirror").await;
    for _ in 0..2 {
        let uuid = raw.create(of(&connection)).await.uuid;
        raw.start(&uuid).await;
        let request = v1::CompleteTransferRequest {
            lease_epoch: 0,
            uuid,
            progress: Some(v1::Progress {
                records_transferred: Some(i64::MAX),
                bytes_transferred: Some(i64::MAX - 1),
                ..v1::Progress::default()
            }),
            request_id: String::new(),
            record_problems: Vec::new(),
        };
        done(raw.transfers.complete_transfer(request)).await;
    }
    let request = v1::GetConnectionStatsRequest {
        connection_uuid: connection,
        ..v1::GetConnectionStatsRequest::default()
    };
    let sums = told(raw.transfers.get_connection_stats(request)).await;
    assert_eq!((sums.total_records, sums.total_bytes), (i64::MAX, i64::MAX));
    let answer = told(
        raw.transfers
            .list_table_stats(v1::ListTableStatsRequest::default()),
    )
    .await;
    let stats = answer.stats;
    assert_eq!((stats[0].records, stats[0].bytes), (i64::MAX, i64::MAX));
}

fn row(stats: &v1::TableStats) -> (&str, i64, i64, i64, i64) {
    let name = stats.table_name.as_str();
    (name, stats.count, stats.records, stats.bytes, stats.ended)
}

#[tokio::test]
async fn tables_are_summed_up_most_transfers_first_then_by_name() {
    let (world, mut raw) = world().await;
    for (table, records) in [
        ("b", 1),
        ("a", 2),
        ("c", 4),
        ("c", 8),
        ("a", 16),
        ("B", 32),
        ("c", 64),
    ] {
        completed(&mut raw, of_table(table), records).await;
    }
    let uuid = raw.create(of_table("c")).await.uuid;
    raw.bring(&uuid, TransferStatus::Failed, &world.clock).await;
    // None of these is completed.
    for status in [
        TransferStatus::Failed,
        TransferStatus::InProgress,
        TransferStatus::Cancelled,
    ] {
        let uuid = raw.create(of_table("zzz")).await.uuid;
        raw.bring(&uuid, status, &world.clock).await;
    }
    let answer = told(
        raw.transfers
            .list_table_stats(v1::ListTableStatsRequest::default()),
    )
    .await;
    let expected = [
        ("c", 3, 76, 760, 4),
        ("a", 2, 18, 180, 2),
        ("B", 1, 32, 320, 1),
        ("b", 1, 1, 10, 1),
    ];
    let stats: Vec<_> = answer.stats.iter().map(row).collect();
    assert_eq!(stats, expected);
    let rates: Vec<_> = answer.stats.iter().map(|it| it.success_rate).collect();
    assert_eq!(rates, [0.75, 1.0, 1.0, 1.0]);
}

#[tokio::test]
async fn tables_are_summed_up_as_the_filter_says() {
    type Change = fn(&mut v1::ListTableStatsRequest, &v1::Transfer, &v1::Transfer);
    let (world, mut raw) = world().await;
    let early = completed(&mut raw, of_table("early"), 1).await;
    world.clock.advance(Duration::from_micros(1));
    let connection_uuid = raw.connection("mirror").await;
    let request = v1::CreateTransferRequest {
        direction: v1::Direction::Receive.into(),
        connection_uuid,
        ..of_table("late")
    };
    let late = completed(&mut raw, request, 2).await;
    let cases: [(Change, &[&str]); 8] = [
        (|_, _, _| {}, &["early", "late"]),
        (
            |it, _, _| it.direction = v1::Direction::Send.into(),
            &["early"],
        ),
        (
            |it, _, _| it.direction = v1::Direction::Receive.into(),
            &["late"],
        ),
        (
            |it, _, late| it.connection_uuid.clone_from(&late.connection_uuid),
            &["late"],
        ),
        (|it, _, _| NOBODY.clone_into(&mut it.connection_uuid), &[]),
        (
            |it, early, late| (it.from, it.to) = (early.inserted_at, late.inserted_at),
            &["early", "late"],
        ),
        (|it, _, late| it.from = late.inserted_at, &["late"]),
        (|it, early, _| it.to = early.inserted_at, &["early"]),
    ];
    for (change, expected) in cases {
        let mut request = v1::ListTableStatsRequest::default();
        change(&mut request, &early, &late);
        let what = format!("{request:?}");
        let answer = told(raw.transfers.list_table_stats(request)).await;
        let names: Vec<_> = answer
            .stats
            .iter()
            .map(|row| row.table_name.as_str())
            .collect();
        assert_eq!(names, expected, "{what}");
    }
}

#[tokio::test]
async fn what_is_deleted_stays_counted() {
    let (world, mut raw) = world().await;
    let connection = raw.connection("mirror").await;
    let mut uuids = Vec::new();
    for (status, records) in [
        (TransferStatus::Completed, 7),
        (TransferStatus::Failed, 0),
        (TransferStatus::Denied, 0),
        (TransferStatus::Cancelled, 0),
    ] {
        let uuid = raw.create(of(&connection)).await.uuid;
        if records > 0 {
            raw.start(&uuid).await;
            raw.complete(&uuid, records).await;
        } else {
            raw.bring(&uuid, status, &world.clock).await;
        }
        uuids.push(uuid);
    }
    let first = raw.now(&uuids[0]).await;
    let connections = v1::GetConnectionStatsRequest {
        connection_uuid: connection,
        ..v1::GetConnectionStatsRequest::default()
    };
    // All time, and a span that is no whole hour.
    let tables = [None, first.inserted_at].map(|from| v1::ListTableStatsRequest {
        from,
        ..v1::ListTableStatsRequest::default()
    });
    let before = told(raw.transfers.get_connection_stats(connections.clone())).await;
    assert_eq!((before.total_transfers, before.total_records), (4, 7));
    for uuid in &uuids {
        raw.delete(uuid).await;
    }
    let after = told(raw.transfers.get_connection_stats(connections)).await;
    assert_eq!(after, before);
    for request in tables {
        let stats = told(raw.transfers.list_table_stats(request)).await.stats;
        let counts: Vec<_> = stats.iter().map(|it| (it.count, it.records)).collect();
        assert_eq!(counts, [(1, 7)]);
    }
}

/// In seconds.
fn span(span: Option<prost_types::Duration>) -> f64 {
    let span = Duration::try_from(span.expect("there is one")).expect("it is positive");
    span.as_secs_f64()
}

#[tokio::test]
async fn how_long_transfers_took_is_told() {
    let (world, mut raw) = world().await;
    let connection = raw.connection("mirror").await;
    let mut all = Vec::new();
    for seconds in [2, 1, 10] {
        let uuid = raw.create(of(&connection)).await.uuid;
        raw.start(&uuid).await;
        world.clock.advance(Duration::from_secs(seconds));
        all.push(raw.complete(&uuid, 1).await);
    }
    // Of the last two: a span that ends before the first.
    for (from, mean, p50, p95) in [
        (None, 13.0 / 3.0, 2.0, 10.0),
        (all[1].inserted_at, 5.5, 1.0, 10.0),
    ] {
        let request = v1::GetConnectionStatsRequest {
            connection_uuid: connection.clone(),
            from,
            to: all[2].inserted_at,
        };
        let of_connection = told(raw.transfers.get_connection_stats(request)).await;
        let request = v1::ListTableStatsRequest {
            from,
            ..v1::ListTableStatsRequest::default()
        };
        let of_table = told(raw.transfers.list_table_stats(request)).await.stats;
        let last = all[2].completed_at;
        assert_eq!(of_connection.last_completed_at, last);
        assert_eq!(of_table[0].last_completed_at, last);
        for durations in [of_connection.durations, of_table[0].durations] {
            let durations = durations.expect("there are some");
            assert!((span(durations.mean) - mean).abs() < 1e-3, "{durations:?}");
            for (told, exact) in [(durations.p50, p50), (durations.p95, p95)] {
                let off = (span(told) / exact - 1.0).abs();
                assert!(off < 0.125, "{durations:?} {exact}");
            }
        }
    }
}
