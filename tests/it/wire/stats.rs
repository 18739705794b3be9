//! Sums over connections and tables.

use std::time::Duration;

use tidegate_proto::v1::{self, TransferStatus};
use tidegate_tests::{
    World, WorldOptions,
    raw::{NOBODY, Raw, done, plain, totals},
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
    for status in [
        TransferStatus::Expired,
        TransferStatus::Cancelled,
        TransferStatus::Pending,
        TransferStatus::Denied,
        TransferStatus::Pending,
        TransferStatus::Approved,
        TransferStatus::PendingApproval,
    ] {
        let uuid = raw.create(of(&connection)).await.uuid;
        raw.bring(&uuid, status, &world.clock).await;
    }
    completed(&mut raw, of(&connection), 100).await;
    completed(&mut raw, of(&connection), 20).await;
    completed(&mut raw, of(&other), 1_000).await;
    completed(&mut raw, plain(), 5_000).await;
    // Records of transfers that did not complete were moved all the same.
    let running = raw.create(of(&connection)).await.uuid;
    raw.start(&running).await;
    let report = v1::UpdateProgressRequest {
        uuid: running,
        progress: Some(totals(3)),
        ..v1::UpdateProgressRequest::default()
    };
    done(raw.transfers.update_progress(report)).await;
    let failed = raw.create(of(&connection)).await.uuid;
    raw.start(&failed).await;
    let failure = v1::FailTransferRequest {
        uuid: failed,
        error_message: "lost".to_owned(),
        progress: Some(totals(4)),
        request_id: String::new(),
    };
    done(raw.transfers.fail_transfer(failure)).await;

    let request = v1::GetConnectionStatsRequest {
        connection_uuid: connection,
    };
    let answer = raw
        .transfers
        .get_connection_stats(request)
        .await
        .expect("it is accepted");
    let by_status = [
        (TransferStatus::Pending, 2),
        (TransferStatus::PendingApproval, 1),
        (TransferStatus::Approved, 1),
        (TransferStatus::Denied, 1),
        (TransferStatus::InProgress, 1),
        (TransferStatus::Completed, 2),
        (TransferStatus::Failed, 1),
        (TransferStatus::Cancelled, 1),
        (TransferStatus::Expired, 1),
    ];
    let by_status = by_status
        .map(|(status, count)| v1::StatusCount {
            status: status.into(),
            count,
        })
        .to_vec();
    let expected = v1::GetConnectionStatsResponse {
        total_transfers: 11,
        completed: 2,
        failed: 1,
        total_records: 127,
        total_bytes: 1_270,
        by_status,
    };
    assert_eq!(answer.into_inner(), expected);
}

#[tokio::test]
async fn a_connection_without_transfers_sums_up_to_zero() {
    let (_world, mut raw) = world().await;
    let idle = raw.connection("idle").await;
    for connection_uuid in [idle, NOBODY.to_owned()] {
        let request = v1::GetConnectionStatsRequest { connection_uuid };
        let answer = raw
            .transfers
            .get_connection_stats(request)
            .await
            .expect("it is accepted");
        assert_eq!(
            answer.into_inner(),
            v1::GetConnectionStatsResponse::default()
        );
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
            uuid,
            progress: Some(v1::Progress {
                records_transferred: Some(i64::MAX),
                bytes_transferred: Some(i64::MAX - 1),
                ..v1::Progress::default()
            }),
            request_id: String::new(),
        };
        done(raw.transfers.complete_transfer(request)).await;
    }
    let request = v1::GetConnectionStatsRequest {
        connection_uuid: connection,
    };
    let sums = raw
        .transfers
        .get_connection_stats(request)
        .await
        .expect("accepted")
        .into_inner();
    assert_eq!((sums.total_records, sums.total_bytes), (i64::MAX, i64::MAX));
    let answer = raw
        .transfers
        .list_table_stats(v1::ListTableStatsRequest::default())
        .await;
    let stats = answer.expect("accepted").into_inner().stats;
    assert_eq!((stats[0].records, stats[0].bytes), (i64::MAX, i64::MAX));
}

#[tokio::test]
async fn tables_are_summed_up_most_transfers_first_then_by_name() {
    let (world, mut raw) = world().await;
    let connection = raw.connection("mirror").await;
    for (table, records) in [
        ("b", 1),
        ("a", 2),
        ("c", 4),
        ("c", 8),
        ("a", 16),
        ("B", 32),
        ("c", 64),
    ] {
        world.clock.advance(Duration::from_secs(1));
        completed(&mut raw, of_table(table), records).await;
    }
    // None of these is completed.
    for status in [
        TransferStatus::Failed,
        TransferStatus::InProgress,
        TransferStatus::Cancelled,
    ] {
        let uuid = raw.create(of_table("zzz")).await.uuid;
        raw.bring(&uuid, status, &world.clock).await;
    }
    world.clock.advance(Duration::from_secs(1));
    let receive = v1::CreateTransferRequest {
        direction: v1::Direction::Receive.into(),
        connection_uuid: connection.clone(),
        ..of_table("d")
    };
    let last = completed(&mut raw, receive, 128).await;

    let row = |table: &str, count, records| v1::TableStats {
        table_name: table.to_owned(),
        count,
        records,
        bytes: records * 10,
    };
    let all = vec![
        row("c", 3, 76),
        row("a", 2, 18),
        row("B", 1, 32),
        row("b", 1, 1),
        row("d", 1, 128),
    ];
    let none = v1::ListTableStatsRequest::default;
    let moment = last.inserted_at.expect("a time");
    let before = prost_types::Timestamp {
        seconds: moment.seconds - 1,
        ..moment
    };
    let cases = [
        (none(), all.clone()),
        (
            v1::ListTableStatsRequest {
                direction: v1::Direction::Send.into(),
                ..none()
            },
            all[..4].to_vec(),
        ),
        (
            v1::ListTableStatsRequest {
                connection_uuid: connection,
                ..none()
            },
            all[4..].to_vec(),
        ),
        (
            v1::ListTableStatsRequest {
                from: Some(moment),
                ..none()
            },
            all[4..].to_vec(),
        ),
        (
            v1::ListTableStatsRequest {
                to: Some(before),
                ..none()
            },
            all[..4].to_vec(),
        ),
        (
            v1::ListTableStatsRequest {
                direction: v1::Direction::Send.into(),
                from: Some(moment),
                to: Some(moment),
                ..none()
            },
            vec![],
        ),
    ];
    for (request, expected) in cases {
        let what = format!("{request:?}");
        let answer = raw
            .transfers
            .list_table_stats(request)
            .await
            .expect("it is accepted");
        assert_eq!(answer.into_inner().stats, expected, "{what}");
    }
}
