//! Connections.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::fixture::{Fixture, connection, plain};
use crate::domain::{connection::ConnectionDirection, page::Position, query::Window};

#[tokio::test]
async fn connections_are_listed_newest_first() {
    let fixture = Fixture::new().await;
    let rows: Vec<_> = (0..25)
        .map(|number| connection(number, i64::try_from(number / 4).expect("small")))
        .collect();
    let batch = fixture.store.begin().await.expect("a batch");
    batch.insert_connections(&rows).await.expect("inserted");
    let some: Vec<_> = (20..40).map(Uuid::from_u128).collect();
    let existing = batch.existing_connections(&some).await.expect("read");
    let existing: BTreeSet<_> = existing.into_iter().map(|each| each.uuid).collect();
    assert!(existing.into_iter().eq((20..25).map(Uuid::from_u128)));
    batch.commit().await.expect("committed");

    for direction in [
        None,
        Some(ConnectionDirection::Sender),
        Some(ConnectionDirection::Receiver),
    ] {
        let mut wanted: Vec<_> = rows
            .iter()
            .map(|row| row.connection.clone())
            .filter(|each| direction.is_none_or(|wanted| wanted == each.declared.direction))
            .collect();
        wanted.sort_by_key(|each| std::cmp::Reverse((each.inserted_at, each.uuid)));
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let window = Window {
                after,
                skip: 0,
                limit: 4,
            };
            let page = fixture
                .store
                .connections(direction, window)
                .await
                .expect("read");
            let Some(last) = page.last() else { break };
            after = Some(Position {
                micros: last.inserted_at.as_micros(),
                uuid: last.uuid,
            });
            found.extend(page);
        }
        assert_eq!(found, wanted);
    }
    let window = Window {
        after: None,
        skip: 24,
        limit: 4,
    };
    assert_eq!(
        fixture
            .store
            .connections(None, window)
            .await
            .expect("read")
            .len(),
        1
    );
}

#[tokio::test]
async fn the_connections_of_transfers_come_once_each() {
    let fixture = Fixture::new().await;
    let batch = fixture.store.begin().await.expect("a batch");
    let rows: Vec<_> = (0..3).map(|number| connection(number, 1)).collect();
    batch.insert_connections(&rows).await.expect("inserted");
    batch.commit().await.expect("committed");
    let with = |number, connection: Option<u128>| {
        let mut transfer = plain(number);
        transfer.declared.connection_uuid = connection.map(Uuid::from_u128);
        transfer
    };
    let transfers = [
        with(1, Some(2)),
        with(2, None),
        with(3, Some(2)),
        with(4, Some(77)),
    ];
    let found = fixture
        .store
        .connections_of(&transfers)
        .await
        .expect("read");
    assert_eq!(found.len(), 1);
    assert_eq!(found.get(&Uuid::from_u128(2)), Some(&rows[2].connection));
    assert!(
        fixture
            .store
            .connections_of(&[])
            .await
            .expect("read")
            .is_empty()
    );
    let one = fixture
        .store
        .connection(Uuid::from_u128(1))
        .await
        .expect("read");
    assert_eq!(one.as_ref(), Some(&rows[1].connection));
    assert_eq!(
        fixture.store.connection(Uuid::max()).await.expect("read"),
        None
    );
}
