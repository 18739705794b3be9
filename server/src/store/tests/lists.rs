//! Filters and pages.

use proptest::{prelude::*, sample::subsequence};
use uuid::Uuid;

use super::fixture::{Fixture, at, first, plain};
use crate::domain::{
    page::Position,
    query::{ApprovalFilter, SortOrder, TransferFilter, Window},
    status::{Direction, TransferStatus},
    time::Timestamp,
    transfer::Transfer,
};

/// Transfers of every kind; many share a time, so that uuids decide.
fn crowd() -> Vec<Transfer> {
    (0..180_u128)
        .map(|number| {
            let mut transfer = plain(number * 0x9E37_79B9_7F4A_7C15);
            let pick = usize::try_from(number).expect("a small number");
            transfer.status = TransferStatus::ALL[pick % TransferStatus::ALL.len()];
            transfer.declared.direction = Direction::ALL[pick / 9 % 2];
            transfer.declared.table_name = ["items", "ITEMS", "rooms"][pick % 3].to_owned();
            transfer.declared.connection_uuid =
                [None, Some(Uuid::nil()), Some(Uuid::max())][pick / 3 % 3];
            transfer.requires_approval = pick % 5 < 2;
            transfer.declared.requires_approval = transfer.requires_approval;
            transfer.inserted_at = at(i64::try_from(pick / 7).expect("small") * 10 - 50);
            transfer.approval_expires_at =
                (pick % 4 > 0).then(|| at(i64::try_from(pick / 5).expect("small")));
            transfer.heartbeat_expires_at =
                (pick % 3 > 0).then(|| at(i64::try_from(pick).expect("small")));
            transfer
        })
        .collect()
}

fn sorted(mut transfers: Vec<Transfer>, order: SortOrder) -> Vec<Uuid> {
    transfers.sort_by_key(|transfer| (transfer.inserted_at, transfer.uuid));
    if order == SortOrder::Descending {
        transfers.reverse();
    }
    transfers
        .into_iter()
        .map(|transfer| transfer.uuid)
        .collect()
}

fn filters() -> impl Strategy<Value = TransferFilter> {
    let time = || prop::option::of((-60_i64..220).prop_map(Timestamp::from_micros));
    (
        prop::option::of(prop::sample::select(Direction::ALL)),
        subsequence(TransferStatus::ALL, 0..=3),
        prop::option::of(prop::sample::select(vec![
            Uuid::nil(),
            Uuid::max(),
            Uuid::from_u128(9),
        ])),
        prop::option::of(prop::sample::select(vec![
            "items",
            "ITEMS",
            "rooms",
            "",
            "' OR 1=1 --",
        ])),
        prop::option::of(any::<bool>()),
        time(),
        time(),
    )
        .prop_map(
            |(direction, status, connection_uuid, table_name, requires_approval, from, to)| {
                let table_name = table_name.map(str::to_owned);
                TransferFilter {
                    direction,
                    status,
                    connection_uuid,
                    table_name,
                    requires_approval,
                    from,
                    to,
                }
            },
        )
}

async fn agrees(fixture: &Fixture, crowd: &[Transfer], filter: &TransferFilter) {
    let wanted: Vec<_> = crowd
        .iter()
        .filter(|each| filter.matches(each))
        .cloned()
        .collect();
    let count = fixture
        .store
        .count_transfers(filter)
        .await
        .expect("counted");
    assert_eq!(usize::try_from(count), Ok(wanted.len()), "{filter:?}");
    for order in [SortOrder::Ascending, SortOrder::Descending] {
        let found = fixture
            .store
            .transfers(filter, order, first(1_000))
            .await
            .expect("read");
        assert!(found.iter().all(|each| filter.matches(each)), "{filter:?}");
        let found: Vec<_> = found.into_iter().map(|each| each.uuid).collect();
        assert_eq!(found, sorted(wanted.clone(), order), "{filter:?} {order:?}");
    }
}

#[tokio::test]
async fn each_filter_alone_finds_what_it_means() {
    let fixture = Fixture::new().await;
    let crowd = crowd();
    fixture.insert(&crowd).await;
    let none = TransferFilter::default();
    let mut filters = vec![none.clone()];
    for direction in Direction::ALL {
        filters.push(TransferFilter {
            direction: Some(*direction),
            ..none.clone()
        });
    }
    for status in TransferStatus::ALL {
        filters.push(TransferFilter {
            status: vec![*status, *status],
            ..none.clone()
        });
    }
    filters.push(TransferFilter {
        status: TransferStatus::ALL.to_vec(),
        ..none.clone()
    });
    for table in ["items", "ITEMS", "Items", "rooms"] {
        filters.push(TransferFilter {
            table_name: Some(table.to_owned()),
            ..none.clone()
        });
    }
    for flag in [false, true] {
        filters.push(TransferFilter {
            requires_approval: Some(flag),
            ..none.clone()
        });
    }
    for uuid in [Uuid::nil(), Uuid::max(), Uuid::from_u128(4)] {
        filters.push(TransferFilter {
            connection_uuid: Some(uuid),
            ..none.clone()
        });
    }
    for time in [at(-50), at(-49), at(0), Timestamp::MIN, Timestamp::MAX] {
        filters.push(TransferFilter {
            from: Some(time),
            ..none.clone()
        });
        filters.push(TransferFilter {
            to: Some(time),
            ..none.clone()
        });
        filters.push(TransferFilter {
            from: Some(time),
            to: Some(time),
            ..none.clone()
        });
    }
    for filter in &filters {
        agrees(&fixture, &crowd, filter).await;
    }
}

#[test]
fn filters_together_find_what_they_mean() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let crowd = crowd();
    let fixture = runtime.block_on(async {
        let fixture = Fixture::new().await;
        fixture.insert(&crowd).await;
        fixture
    });
    proptest!(ProptestConfig::with_cases(64), |(filter in filters())| {
        runtime.block_on(agrees(&fixture, &crowd, &filter));
    });
}

#[tokio::test]
async fn pages_join_to_the_whole_list() {
    let fixture = Fixture::new().await;
    let crowd = crowd();
    fixture.insert(&crowd).await;
    let filter = TransferFilter {
        connection_uuid: Some(Uuid::nil()),
        ..TransferFilter::default()
    };
    for filter in [TransferFilter::default(), filter] {
        let wanted: Vec<_> = crowd
            .iter()
            .filter(|each| filter.matches(each))
            .cloned()
            .collect();
        for order in [SortOrder::Ascending, SortOrder::Descending] {
            let mut found = Vec::new();
            let mut after = None;
            loop {
                let window = Window {
                    after,
                    skip: 0,
                    limit: 7,
                };
                let page = fixture
                    .store
                    .transfers(&filter, order, window)
                    .await
                    .expect("read");
                let Some(last) = page.last() else { break };
                after = Some(Position {
                    micros: last.inserted_at.as_micros(),
                    uuid: last.uuid,
                });
                found.extend(page.into_iter().map(|each| each.uuid));
            }
            assert_eq!(found, sorted(wanted.clone(), order), "{filter:?} {order:?}");
        }
        let all = sorted(wanted, SortOrder::Ascending);
        let window = Window {
            after: None,
            skip: 5,
            limit: 3,
        };
        let skipped = fixture
            .store
            .transfers(&filter, SortOrder::Ascending, window);
        let skipped: Vec<_> = skipped
            .await
            .expect("read")
            .into_iter()
            .map(|each| each.uuid)
            .collect();
        assert_eq!(skipped, all[5..8]);
    }
}

#[tokio::test]
async fn approvals_are_listed_until_they_are_overdue() {
    let fixture = Fixture::new().await;
    let crowd = crowd();
    fixture.insert(&crowd).await;
    let now = at(16);
    let mut waiting: Vec<_> = crowd
        .iter()
        .filter(|each| each.status == TransferStatus::PendingApproval)
        .collect();
    waiting.sort_by_key(|each| (each.approval_expires_at, each.uuid));
    let uuids = |filter: &dyn Fn(&Transfer) -> bool| -> Vec<Uuid> {
        waiting
            .iter()
            .filter(|each| filter(each))
            .map(|each| each.uuid)
            .collect()
    };
    let open = |each: &Transfer| each.approval_expires_at.is_some_and(|end| now < end);
    let overdue = |each: &Transfer| each.approval_expires_at.is_some_and(|end| end <= now);

    let found = fixture
        .store
        .overdue_approvals(now, 1_000)
        .await
        .expect("read");
    assert_eq!(found, uuids(&overdue));
    assert_eq!(
        fixture.store.overdue_approvals(now, 2).await.expect("read"),
        found[..2]
    );

    let by_table = ApprovalFilter {
        table_name: Some("ITEMS".to_owned()),
        connection_uuid: None,
    };
    let by_site = ApprovalFilter {
        connection_uuid: Some(Uuid::max()),
        table_name: None,
    };
    for filter in [ApprovalFilter::default(), by_table, by_site] {
        let wanted = uuids(&|each| {
            open(each)
                && filter
                    .table_name
                    .as_ref()
                    .is_none_or(|name| *name == each.declared.table_name)
                && (filter.connection_uuid.is_none()
                    || filter.connection_uuid == each.declared.connection_uuid)
        });
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let window = Window {
                after,
                skip: 0,
                limit: 3,
            };
            let page = fixture
                .store
                .pending_approvals(&filter, now, window)
                .await
                .expect("read");
            let Some(last) = page.last() else { break };
            let end = last.approval_expires_at.expect("it has one").as_micros();
            after = Some(Position {
                micros: end,
                uuid: last.uuid,
            });
            found.extend(page.into_iter().map(|each| each.uuid));
        }
        assert_eq!(found, wanted, "{filter:?}");
    }
}

#[tokio::test]
async fn the_silent_are_those_in_progress_whose_heartbeat_ran_out() {
    let fixture = Fixture::new().await;
    let crowd = crowd();
    fixture.insert(&crowd).await;
    let now = at(94);
    let silent = crowd.iter().filter(|each| {
        each.status == TransferStatus::InProgress
            && each.heartbeat_expires_at.is_some_and(|end| end <= now)
    });
    let wanted = sorted(silent.cloned().collect(), SortOrder::Ascending);
    assert!(!wanted.is_empty());
    assert_eq!(
        fixture
            .store
            .silent_transfers(now, 1_000)
            .await
            .expect("read"),
        wanted
    );
    assert_eq!(
        fixture.store.silent_transfers(now, 1).await.expect("read"),
        wanted[..1]
    );
}
