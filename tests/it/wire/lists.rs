//! Lists, filters, orders and counts.

use std::time::Duration;

use tidegate_proto::v1::{self, TransferStatus};
use tidegate_tests::{
    World, WorldOptions,
    raw::{NOBODY, Raw, plain, told},
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
    use TransferStatus::{Completed, InProgress, Pending, PendingApproval};
    use v1::Direction::{Receive, Send};
    let world = World::start_with(WorldOptions::still()).await;
    let mut raw = world.services().await;
    let linked = raw.connection("mirror").await;
    let mut transfers = Vec::new();
    for (direction, table, connection, requires_approval, status) in [
        (Send, "a", linked.as_str(), false, Pending),
        (Receive, "a", "", true, Pending),
        (Send, "b", &linked, false, InProgress),
        (Send, "b", "", false, Completed),
        (Receive, "a", &linked, true, PendingApproval),
        (Send, "A", "", false, InProgress),
    ] {
        world.clock.advance(Duration::from_secs(1));
        let request = v1::CreateTransferRequest {
            direction: direction.into(),
            table_name: table.to_owned(),
            connection_uuid: connection.to_owned(),
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
        connection_uuid: linked,
        transfers,
    }
}

/// A change of a filter that means everything, and the transfers that it then means.
type Case = (fn(&mut v1::TransferFilter, &Six), &'static [usize]);

const CASES: [Case; 25] = [
    (|_, _| {}, &[0, 1, 2, 3, 4, 5]),
    (
        |it, _| it.direction = v1::Direction::Receive.into(),
        &[1, 4],
    ),
    (
        |it, _| it.status = vec![TransferStatus::Pending.into()],
        &[0, 1],
    ),
    (
        |it, _| {
            it.status = vec![
                TransferStatus::Completed.into(),
                TransferStatus::PendingApproval.into(),
            ];
        },
        &[3, 4],
    ),
    (|it, _| it.status = vec![TransferStatus::Failed.into()], &[]),
    (
        |it, six| it.connection_uuid.clone_from(&six.connection_uuid),
        &[0, 2, 4],
    ),
    (|it, _| NOBODY.clone_into(&mut it.connection_uuid), &[]),
    (|it, _| it.table_names = names(&["a"]), &[0, 1, 4]),
    (|it, _| it.table_names = names(&["A", "b"]), &[2, 3, 5]),
    (|it, _| it.table_prefix.push('a'), &[0, 1, 4]),
    (|it, six| it.started = six.when(2), &[2]),
    (|it, six| it.ended = six.when(3), &[3]),
    (|it, six| it.updated = six.when(4), &[4]),
    (|it, _| it.partial = Some(true), &[]),
    (|it, _| it.partial = Some(false), &[0, 1, 2, 3, 4, 5]),
    (|it, _| NOBODY.clone_into(&mut it.initiated_by_uuid), &[]),
    (|it, _| NOBODY.clone_into(&mut it.decided_by_uuid), &[]),
    (|it, _| NOBODY.clone_into(&mut it.lease_owner_uuid), &[]),
    (|it, _| it.requires_approval = Some(true), &[1, 4]),
    (|it, _| it.requires_approval = Some(false), &[0, 2, 3, 5]),
    (|it, six| it.from = six.transfers[3].inserted_at, &[3, 4, 5]),
    (|it, six| it.to = six.transfers[1].inserted_at, &[0, 1]),
    (
        |it, six| (it.from, it.to) = (six.at(1), six.at(3)),
        &[1, 2, 3],
    ),
    (|it, six| (it.from, it.to) = (six.at(2), six.at(2)), &[2]),
    (
        |it, six| {
            it.direction = v1::Direction::Send.into();
            it.connection_uuid.clone_from(&six.connection_uuid);
            it.table_names = names(&["b"]);
            it.requires_approval = Some(false);
            it.status = vec![TransferStatus::InProgress.into()];
            (it.from, it.to) = (six.at(0), six.at(5));
        },
        &[2],
    ),
];

fn names(tables: &[&str]) -> Vec<String> {
    tables.iter().copied().map(str::to_owned).collect()
}

impl Six {
    /// The half of a second in which a transfer was made, and brought to where it is.
    fn when(&self, index: usize) -> Option<v1::TimeRange> {
        let from = self.at(index);
        let to = from.map(|it| {
            let nanos = it.nanos + 500_000_000;
            prost_types::Timestamp {
                seconds: it.seconds + i64::from(nanos / 1_000_000_000),
                nanos: nanos % 1_000_000_000,
            }
        });
        Some(v1::TimeRange { from, to })
    }

    fn at(&self, index: usize) -> Option<prost_types::Timestamp> {
        self.transfers[index].inserted_at
    }

    fn filters(&self) -> Vec<(v1::TransferFilter, Vec<usize>)> {
        let made = CASES.iter().map(|(change, indices)| {
            let mut filter = v1::TransferFilter::default();
            change(&mut filter, self);
            (filter, indices.to_vec())
        });
        made.collect()
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
        let answer = told(six.raw.transfers.count_transfers(request)).await;
        let expected = i64::try_from(indices.len()).expect("a small number");
        assert_eq!(answer.count, expected, "{filter:?}");
    }
    let answer = told(
        six.raw
            .transfers
            .count_transfers(v1::CountTransfersRequest::default()),
    )
    .await;
    assert_eq!(answer.count, 6);
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
        let answer = told(six.raw.transfers.count_transfers(request)).await;
        assert_eq!(answer.count, expected, "{from:?} {to:?}");
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
    let answer = told(six.raw.transfers.list_transfers(request.clone())).await;
    let first = answer;
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
    let answer = told(six.raw.transfers.list_transfers(rest)).await;
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
        let answer = told(six.raw.transfers.list_recent_transfers(request)).await;
        let newest: Vec<_> = six.transfers.iter().rev().take(count).cloned().collect();
        assert_eq!(answer.transfers, newest, "limit {limit}");
    }
    let request = v1::ListRecentTransfersRequest {
        limit: 12,
        preload: vec![v1::Preload::Connection.into()],
    };
    let answer = told(six.raw.transfers.list_recent_transfers(request)).await;
    for each in answer.transfers {
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
    let answer = told(six.raw.transfers.list_active_transfers(request.clone())).await;
    let first = answer;
    assert_eq!(first.transfers, six.pick(&[5]));
    let request = v1::ListActiveTransfersRequest {
        page_token: first.next_page_token,
        ..request
    };
    let answer = told(six.raw.transfers.list_active_transfers(request)).await;
    let second = answer;
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
    let answer = told(six.raw.transfers.list_active_transfers(request)).await;
    assert_eq!(answer.transfers, six.pick(&[2]));
}
