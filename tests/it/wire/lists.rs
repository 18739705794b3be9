//! Lists, filters, orders and counts.

use std::time::Duration;

use tidegate_proto::v1::{self, TransferStatus};
use tidegate_tests::{
    World, WorldOptions,
    raw::{NOBODY, Raw, plain, wire_time},
};

/// Six transfers a second apart, as different as the filter can tell.
struct Six {
    world: World,
    raw: Raw,
    connection_uuid: String,
    /// Oldest first.
    transfers: Vec<v1::Transfer>,
}

async fn six() -> Six {
    let world = World::start_with(WorldOptions::still()).await;
    let mut raw = world.services().await;
    let connection_uuid = raw.connection("mirror").await;
    let mut transfers = Vec::new();
    for (direction, table, linked, requires_approval, status) in [
        (
            v1::Direction::Send,
            "a",
            true,
            false,
            TransferStatus::Pending,
        ),
        (
            v1::Direction::Receive,
            "a",
            false,
            true,
            TransferStatus::Pending,
        ),
        (
            v1::Direction::Send,
            "b",
            true,
            false,
            TransferStatus::InProgress,
        ),
        (
            v1::Direction::Send,
            "b",
            false,
            false,
            TransferStatus::Completed,
        ),
        (
            v1::Direction::Receive,
            "a",
            true,
            true,
            TransferStatus::PendingApproval,
        ),
        (
            v1::Direction::Send,
            "A",
            false,
            false,
            TransferStatus::InProgress,
        ),
    ] {
        world.clock.advance(Duration::from_secs(1));
        let request = v1::CreateTransferRequest {
            direction: direction.into(),
            table_name: table.to_owned(),
            connection_uuid: if linked {
                connection_uuid.clone()
            } else {
                String::new()
            },
            requires_approval,
            ..plain()
        };
        let created = raw.create(request).await;
        let brought = raw.bring(&created.uuid, status, &world.clock).await;
        transfers.push(brought.unwrap_or(created));
    }
    Six {
        world,
        raw,
        connection_uuid,
        transfers,
    }
}

impl Six {
    fn filters(&self) -> Vec<(v1::TransferFilter, Vec<usize>)> {
        let none = v1::TransferFilter::default;
        let status = |statuses: &[TransferStatus]| v1::TransferFilter {
            status: statuses.iter().map(|status| i32::from(*status)).collect(),
            ..none()
        };
        let at = |index: usize| self.transfers[index].inserted_at;
        vec![
            (none(), vec![0, 1, 2, 3, 4, 5]),
            (
                v1::TransferFilter {
                    direction: v1::Direction::Receive.into(),
                    ..none()
                },
                vec![1, 4],
            ),
            (status(&[TransferStatus::Pending]), vec![0, 1]),
            (
                status(&[TransferStatus::Completed, TransferStatus::PendingApproval]),
                vec![3, 4],
            ),
            (status(&[TransferStatus::Failed]), vec![]),
            (
                v1::TransferFilter {
                    connection_uuid: self.connection_uuid.clone(),
                    ..none()
                },
                vec![0, 2, 4],
            ),
            (
                v1::TransferFilter {
                    connection_uuid: NOBODY.to_owned(),
                    ..none()
                },
                vec![],
            ),
            (
                v1::TransferFilter {
                    table_name: "a".to_owned(),
                    ..none()
                },
                vec![0, 1, 4],
            ),
            (
                v1::TransferFilter {
                    requires_approval: Some(true),
                    ..none()
                },
                vec![1, 4],
            ),
            (
                v1::TransferFilter {
                    requires_approval: Some(false),
                    ..none()
                },
                vec![0, 2, 3, 5],
            ),
            (
                v1::TransferFilter {
                    from: at(3),
                    ..none()
                },
                vec![3, 4, 5],
            ),
            (
                v1::TransferFilter {
                    to: at(1),
                    ..none()
                },
                vec![0, 1],
            ),
            (
                v1::TransferFilter {
                    from: at(1),
                    to: at(3),
                    ..none()
                },
                vec![1, 2, 3],
            ),
            (
                v1::TransferFilter {
                    from: at(2),
                    to: at(2),
                    ..none()
                },
                vec![2],
            ),
            (
                v1::TransferFilter {
                    direction: v1::Direction::Send.into(),
                    connection_uuid: self.connection_uuid.clone(),
                    table_name: "b".to_owned(),
                    requires_approval: Some(false),
                    from: at(0),
                    to: at(5),
                    ..status(&[TransferStatus::InProgress])
                },
                vec![2],
            ),
        ]
    }

    fn pick(&self, indices: &[usize]) -> Vec<v1::Transfer> {
        indices
            .iter()
            .map(|index| self.transfers[*index].clone())
            .collect()
    }
}

#[tokio::test]
async fn transfers_are_listed_as_filter_and_order_say() {
    let mut six = six().await;
    for (filter, mut indices) in six.filters() {
        for order in [
            v1::SortOrder::Asc,
            v1::SortOrder::Desc,
            v1::SortOrder::Unspecified,
        ] {
            let request = v1::ListTransfersRequest {
                filter: Some(filter.clone()),
                order: order.into(),
                ..v1::ListTransfersRequest::default()
            };
            let answer = six
                .raw
                .transfers
                .list_transfers(request)
                .await
                .expect("it is accepted");
            let answer = answer.into_inner();
            indices.sort_unstable();
            if order != v1::SortOrder::Asc {
                indices.reverse();
            }
            assert_eq!(answer.transfers, six.pick(&indices), "{filter:?} {order:?}");
            assert_eq!(answer.next_page_token, "", "everything fitted");
        }
    }
}

#[tokio::test]
async fn transfers_are_counted_as_the_filter_says() {
    let mut six = six().await;
    for (filter, indices) in six.filters() {
        let request = v1::CountTransfersRequest {
            filter: Some(filter.clone()),
        };
        let answer = six
            .raw
            .transfers
            .count_transfers(request)
            .await
            .expect("it is accepted");
        let expected = i64::try_from(indices.len()).expect("a small number");
        assert_eq!(answer.into_inner().count, expected, "{filter:?}");
    }
    let answer = six
        .raw
        .transfers
        .count_transfers(v1::CountTransfersRequest::default())
        .await;
    assert_eq!(answer.expect("no filter is all").into_inner().count, 6);
}

#[tokio::test]
async fn a_filter_reads_times_to_the_microsecond() {
    let mut six = six().await;
    let inserted_at = six.transfers[2].inserted_at.expect("a time");
    let nanos = |by: i32| {
        Some(prost_types::Timestamp {
            nanos: inserted_at.nanos + by,
            ..inserted_at
        })
    };
    for (from, to, expected) in [
        (nanos(1_000), None, 3),
        (nanos(0), None, 4),
        (None, nanos(0), 3),
        // Half a microsecond later is still that microsecond, at either end.
        (None, nanos(500), 3),
    ] {
        let filter = v1::TransferFilter {
            from,
            to,
            ..v1::TransferFilter::default()
        };
        let request = v1::CountTransfersRequest {
            filter: Some(filter),
        };
        let answer = six
            .raw
            .transfers
            .count_transfers(request)
            .await
            .expect("it is accepted");
        assert_eq!(answer.into_inner().count, expected, "{from:?} {to:?}");
    }
}

#[tokio::test]
async fn a_list_passes_over_as_many_as_told_and_brings_connections_along() {
    let mut six = six().await;
    let request = v1::ListTransfersRequest {
        page_size: 2,
        skip: 1,
        order: v1::SortOrder::Asc.into(),
        preload: vec![v1::Preload::Connection.into()],
        ..v1::ListTransfersRequest::default()
    };
    let answer = six
        .raw
        .transfers
        .list_transfers(request.clone())
        .await
        .expect("it is accepted");
    let first = answer.into_inner();
    let uuids: Vec<_> = first
        .transfers
        .iter()
        .map(|each| each.uuid.as_str())
        .collect();
    assert_eq!(uuids, [&six.transfers[1].uuid, &six.transfers[2].uuid]);
    assert_eq!(first.transfers[0].connection, None);
    let connection = first.transfers[1].connection.as_ref().expect("it has one");
    assert_eq!(connection.uuid, six.connection_uuid);

    let rest = v1::ListTransfersRequest {
        page_token: first.next_page_token,
        page_size: 0,
        skip: 0,
        ..request
    };
    let answer = six
        .raw
        .transfers
        .list_transfers(rest)
        .await
        .expect("it is accepted")
        .into_inner();
    let uuids: Vec<_> = answer
        .transfers
        .iter()
        .map(|each| each.uuid.as_str())
        .collect();
    assert_eq!(
        uuids,
        [3, 4, 5].map(|index: usize| &six.transfers[index].uuid)
    );
    assert_eq!(answer.next_page_token, "");
}

#[tokio::test]
async fn recent_transfers_are_the_newest_ten_or_as_many_as_told() {
    let mut six = six().await;
    for _ in 0..6 {
        six.world.clock.advance(Duration::from_micros(1));
        six.transfers.push(six.raw.declared().await);
    }
    for (limit, count) in [(0, 10), (3, 3), (1_000, 12), (i32::MAX, 12)] {
        let request = v1::ListRecentTransfersRequest {
            limit,
            preload: Vec::new(),
        };
        let answer = six
            .raw
            .transfers
            .list_recent_transfers(request)
            .await
            .expect("accepted");
        let newest: Vec<_> = six.transfers.iter().rev().take(count).cloned().collect();
        assert_eq!(answer.into_inner().transfers, newest, "limit {limit}");
    }
    let request = v1::ListRecentTransfersRequest {
        limit: 12,
        preload: vec![v1::Preload::Connection.into()],
    };
    let answer = six
        .raw
        .transfers
        .list_recent_transfers(request)
        .await
        .expect("accepted");
    for each in answer.into_inner().transfers {
        assert_eq!(
            each.connection.map_or(String::new(), |it| it.uuid),
            each.connection_uuid
        );
    }
}

#[tokio::test]
async fn active_transfers_are_those_in_progress_newest_first() {
    let mut six = six().await;
    let request = v1::ListActiveTransfersRequest::default();
    let answer = six
        .raw
        .transfers
        .list_active_transfers(request)
        .await
        .expect("it is accepted");
    let answer = answer.into_inner();
    assert_eq!(answer.transfers, six.pick(&[5, 2]));
    assert_eq!(answer.next_page_token, "");

    let request = v1::ListActiveTransfersRequest {
        page_size: 1,
        preload: vec![v1::Preload::Connection.into()],
        ..v1::ListActiveTransfersRequest::default()
    };
    let answer = six
        .raw
        .transfers
        .list_active_transfers(request.clone())
        .await
        .expect("accepted");
    let first = answer.into_inner();
    assert_eq!(first.transfers, six.pick(&[5]));
    let request = v1::ListActiveTransfersRequest {
        page_token: first.next_page_token,
        ..request
    };
    let answer = six
        .raw
        .transfers
        .list_active_transfers(request)
        .await
        .expect("accepted");
    let second = answer.into_inner();
    assert_eq!(second.next_page_token, "");
    let brought = second.transfers[0]
        .connection
        .as_ref()
        .map(|connection| &connection.uuid);
    assert_eq!(
        (second.transfers.len(), brought),
        (1, Some(&six.connection_uuid))
    );

    six.raw.complete(&six.transfers[5].uuid.clone(), 1).await;
    let request = v1::ListActiveTransfersRequest::default();
    let answer = six
        .raw
        .transfers
        .list_active_transfers(request)
        .await
        .expect("it is accepted");
    assert_eq!(answer.into_inner().transfers, six.pick(&[2]));
}

#[tokio::test]
async fn a_page_size_beyond_the_most_is_the_most() {
    let world = World::start_with(WorldOptions::still()).await;
    let raw = world.services().await;
    let created = futures::future::join_all((0..1_001).map(|_| {
        let mut raw = raw.clone();
        async move { raw.declared().await }
    }));
    assert_eq!(created.await.len(), 1_001);
    let mut raw = raw;
    let request = v1::ListTransfersRequest {
        page_size: i32::MAX,
        ..v1::ListTransfersRequest::default()
    };
    let answer = raw
        .transfers
        .list_transfers(request)
        .await
        .expect("it is capped")
        .into_inner();
    assert_eq!(answer.transfers.len(), 1_000);
    assert_ne!(answer.next_page_token, "");
    let request = v1::ListTransfersRequest::default();
    let answer = raw
        .transfers
        .list_transfers(request)
        .await
        .expect("accepted")
        .into_inner();
    assert_eq!(
        answer.transfers.len(),
        50,
        "what a page holds when nobody says"
    );
    let recent = v1::ListRecentTransfersRequest {
        limit: 5_000,
        preload: Vec::new(),
    };
    let answer = raw
        .transfers
        .list_recent_transfers(recent)
        .await
        .expect("it is capped");
    assert_eq!(answer.into_inner().transfers.len(), 1_000);
    let expected = Some(wire_time(world.clock.now()));
    let request = v1::ListTransfersRequest {
        page_size: 1,
        ..v1::ListTransfersRequest::default()
    };
    let answer = raw
        .transfers
        .list_transfers(request)
        .await
        .expect("accepted")
        .into_inner();
    assert_eq!(answer.transfers[0].inserted_at, expected);
}
