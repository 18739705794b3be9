//! What a caller may read: an agent its own connection, others everything.

use std::borrow::Borrow;

use uuid::Uuid;

use super::fixture::{Fixture, at, connection, event, first, plain, shared};
use crate::{Readers, ScopedReader};
use tidegate_domain::{
    caller::{ConnectionScope, Role},
    fixtures::{caller, id},
    id::ConnectionId,
    query::{
        ApprovalFilter, ConnectionFilter, EventFilter, SortOrder, StatsFilter, TransferFilter,
    },
    status::TransferStatus,
    transfer::Transfer,
};

const OWN: ConnectionId = ConnectionId(Uuid::from_u128(1));
const OTHER: ConnectionId = ConnectionId(Uuid::from_u128(2));

fn of(number: u128, connection_uuid: ConnectionId, status: TransferStatus) -> Transfer {
    let mut transfer = plain(number);
    transfer.declared.connection_uuid = Some(connection_uuid);
    transfer.status = status;
    if status == TransferStatus::PendingApproval {
        transfer.approval_expires_at = Some(at(9));
    }
    transfer
}

/// A store with transfers of two connections and one of none, and what the agent of the first and an approver may read.
async fn readers() -> (Fixture, ScopedReader, ScopedReader) {
    let fixture = Fixture::new().await;
    let transfers = [
        of(11, OWN, TransferStatus::PendingApproval),
        of(12, OWN, TransferStatus::Completed),
        of(13, OTHER, TransferStatus::PendingApproval),
        of(14, OTHER, TransferStatus::Completed),
        plain(15),
    ];
    let batch = fixture.store.begin().await.expect("a batch");
    let sites = [connection(1, 1), connection(2, 2)];
    batch.insert_connections(&sites).await.expect("inserted");
    let inserted = batch.insert_transfers(&shared(&transfers)).await;
    inserted.expect("inserted");
    let ended = transfers.iter().filter(|it| it.status.is_terminal());
    let ended: Vec<_> = ended.map(|transfer| transfer.uuid).collect();
    batch.count_ended(&ended).await.expect("counted");
    let mut events: Vec<_> = transfers.iter().map(|it| event(it, None)).collect();
    batch
        .append_events(&mut events, &[])
        .await
        .expect("appended");
    batch.commit().await.expect("committed");
    let readers = Readers::new(fixture.store.clone());
    let agent = readers.as_seen_by(&caller(Role::Agent, Some(OWN)));
    let approver = readers.as_seen_by(&caller(Role::Approver, None));
    (fixture, agent, approver)
}

fn numbers(transfers: &[impl Borrow<Transfer>]) -> Vec<u128> {
    let numbers = transfers.iter().map(|it| it.borrow().uuid.0.as_u128());
    let mut numbers: Vec<_> = numbers.collect();
    numbers.sort_unstable();
    numbers
}

#[tokio::test]
async fn transfers_are_those_of_the_own_connection() {
    let (_fixture, agent, approver) = readers().await;
    let any = TransferFilter::default();
    let of_other = TransferFilter {
        connections: ConnectionScope::Only(OTHER),
        ..any.clone()
    };
    let all = [11, 12, 13, 14, 15, 16].map(id);
    for (reader, seen, of_the_other) in [
        (&agent, vec![11, 12], vec![]),
        (&approver, vec![11, 12, 13, 14, 15], vec![13, 14]),
    ] {
        let found = reader.existing_transfers(&all).await.expect("read");
        assert_eq!(numbers(&found), seen);
        for (filter, seen) in [(&any, &seen), (&of_other, &of_the_other)] {
            let order = SortOrder::Ascending;
            let found = reader.transfers(filter, order, first(10)).await;
            assert_eq!(numbers(&found.expect("read")), *seen);
            let count = reader.count_transfers(filter).await.expect("read");
            assert_eq!(usize::try_from(count), Ok(seen.len()));
        }
        for number in 11..=16 {
            let found = reader.transfer(id(number)).await;
            assert_eq!(found.expect("read").is_some(), seen.contains(&number));
        }
    }
}

#[tokio::test]
async fn approvals_and_sums_are_those_of_the_own_connection() {
    let (_fixture, agent, approver) = readers().await;
    for (reader, waiting, completed, of_other) in
        [(&agent, vec![11], 1, 0), (&approver, vec![11, 13], 2, 2)]
    {
        let filter = ApprovalFilter::default();
        let found = reader.pending_approvals(&filter, at(1), first(10)).await;
        assert_eq!(numbers(&found.expect("read")), waiting);
        let filter = StatsFilter::default();
        let tables = reader.table_stats(&filter, 10).await.expect("read");
        let counts: Vec<_> = tables.iter().map(|table| table.count).collect();
        assert_eq!(counts, [completed]);
        let filter = StatsFilter {
            connections: ConnectionScope::Only(OTHER),
            ..filter
        };
        let stats = reader.connection_stats(&filter).await.expect("read");
        assert_eq!(stats.total(), of_other);
    }
}

#[tokio::test]
async fn connections_are_the_own_one() {
    let (_fixture, agent, approver) = readers().await;
    let transfers = [
        of(11, OWN, TransferStatus::Pending),
        of(13, OTHER, TransferStatus::Pending),
    ];
    for (reader, seen) in [(&agent, vec![OWN]), (&approver, vec![OTHER, OWN])] {
        let filter = ConnectionFilter::default();
        let found = reader.connections(&filter, first(10)).await.expect("read");
        let uuids: Vec<_> = found.iter().map(|it| it.uuid).collect();
        assert_eq!(uuids, seen);
        let found = reader.connections_of(&transfers).await.expect("read");
        assert_eq!(found.len(), seen.len());
        for uuid in [OWN, OTHER] {
            let found = reader.connection(uuid).await.expect("read");
            assert_eq!(
                found.map(|it| it.uuid),
                seen.contains(&uuid).then_some(uuid)
            );
        }
    }
}

#[tokio::test]
async fn events_are_those_of_the_own_connection_and_the_ends_of_the_log_are_for_all() {
    let (_fixture, agent, approver) = readers().await;
    for (reader, seen) in [(&agent, vec![1, 2]), (&approver, vec![1, 2, 3, 4, 5])] {
        let found = reader.events(&EventFilter::default(), 10).await;
        let sequences: Vec<_> = found.expect("read").iter().map(|it| it.sequence).collect();
        assert_eq!(sequences, seen);
        let bounds = reader.log_bounds().await.expect("read");
        assert_eq!((bounds.floor.sequence, bounds.last.sequence), (0, 5));
        let view = reader.look(3).await.expect("read");
        assert_eq!(view.bounds, bounds);
        assert_eq!(view.event.map(|it| it.sequence), Some(3));
    }
}
