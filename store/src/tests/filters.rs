//! Filters find the same transfers as the rule that they stand for.

use proptest::{prelude::*, sample::subsequence};
use uuid::Uuid;

use super::{
    fixture::{Fixture, at, first},
    lists::{crowd, sorted},
};
use tidegate_domain::{
    caller::ConnectionScope,
    fixtures::id,
    query::{SortOrder, TimeRange, TransferFilter},
    reconcile::ReconciliationState,
    status::{Direction, TransferStatus},
    time::Timestamp,
    transfer::Transfer,
};

fn filters() -> impl Strategy<Value = TransferFilter> {
    let time = || prop::option::of((-60_i64..220).prop_map(Timestamp::from_micros));
    (
        prop::option::of(prop::sample::select(Direction::ALL)),
        subsequence(TransferStatus::ALL, 0..=3),
        prop::option::of(prop::sample::select(vec![id(0), id(u128::MAX), id(9)])),
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
                TransferFilter {
                    direction,
                    status,
                    connections: connection_uuid.into(),
                    tables: table_name.into_iter().map(str::to_owned).collect(),
                    requires_approval,
                    from,
                    to,
                    ..TransferFilter::default()
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
    for uuid in [crowd[3].uuid.0, id(1)] {
        filters.push(TransferFilter {
            correlation_uuid: Some(uuid),
            ..none.clone()
        });
        filters.push(TransferFilter {
            plan_uuid: Some(uuid),
            ..none.clone()
        });
    }
    for state in ReconciliationState::ALL {
        filters.push(TransferFilter {
            reconciliation: Some(*state),
            ..none.clone()
        });
    }
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
            tables: vec![table.to_owned()],
            ..none.clone()
        });
    }
    filters.push(TransferFilter {
        tables: vec!["rooms".to_owned(), "ITEMS".to_owned()],
        ..none.clone()
    });
    for prefix in ["i", "IT", "items", "itemss", "i%", "_tems", ""] {
        filters.push(TransferFilter {
            table_prefix: Some(prefix.to_owned()),
            ..none.clone()
        });
    }
    for flag in [false, true] {
        filters.push(TransferFilter {
            requires_approval: Some(flag),
            ..none.clone()
        });
    }
    for uuid in [id(0), id(u128::MAX), id(4)] {
        filters.push(TransferFilter {
            connections: ConnectionScope::Only(uuid),
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

#[tokio::test]
async fn transfers_are_found_by_who_did_what_and_when() {
    let fixture = Fixture::new().await;
    let crowd = crowd();
    fixture.insert(&crowd).await;
    let none = TransferFilter::default();
    let mut filters = Vec::new();
    for person in [1, 2, 9].map(Uuid::from_u128) {
        filters.push(TransferFilter {
            initiated_by_uuid: Some(person),
            ..none.clone()
        });
        filters.push(TransferFilter {
            decided_by_uuid: Some(person),
            ..none.clone()
        });
        filters.push(TransferFilter {
            lease_owner_uuid: Some(person.into()),
            ..none.clone()
        });
    }
    for flag in [false, true] {
        filters.push(TransferFilter {
            partial: Some(flag),
            ..none.clone()
        });
    }
    for (from, to) in [
        (None, Some(4)),
        (Some(4), None),
        (Some(3), Some(6)),
        (Some(99), None),
    ] {
        let range = TimeRange {
            from: from.map(at),
            to: to.map(at),
        };
        filters.push(TransferFilter {
            started: range,
            ..none.clone()
        });
        filters.push(TransferFilter {
            ended: range,
            ..none.clone()
        });
        filters.push(TransferFilter {
            updated: range,
            ..none.clone()
        });
    }
    let found = filters
        .iter()
        .filter(|filter| crowd.iter().any(|it| filter.matches(it)));
    assert!(found.count() > 15, "most of them mean something");
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
