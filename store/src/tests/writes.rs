//! Batches: what they load, store, number and roll back.

use super::{
    super::{Effect, PriorRequest, StoreError},
    fixture::{Fixture, at, connection, event, first, full, mark, plain, shared},
};
use tidegate_domain::{
    event::{EventDetail, EventType},
    fixtures::id,
    id::ConnectionId,
    movement::Movement,
    query::{EventFilter, SortOrder, TransferFilter},
    status::{Direction, TransferStatus},
    transfer::Transfer,
};

#[tokio::test]
async fn every_field_comes_back_as_it_went_in() {
    let fixture = Fixture::new().await;
    let transfers = [plain(1), full(2)];
    fixture.insert(&transfers).await;
    for wanted in transfers {
        assert_eq!(fixture.stored(wanted.uuid).await, Some(wanted));
    }
    assert_eq!(fixture.stored(id(3)).await, None);
}

#[tokio::test]
async fn a_full_update_stores_all_that_can_change() {
    let fixture = Fixture::new().await;
    for (from, to) in [(plain(1), full(1)), (full(2), plain(2))] {
        fixture.insert(std::slice::from_ref(&from)).await;
        let mut wanted = Transfer {
            declared: from.declared.clone(),
            acted_by_uuid: from.acted_by_uuid,
            observed_ip: from.observed_ip,
            start_within: from.start_within,
            finish_within: from.finish_within,
            retry_number: from.retry_number,
            inserted_at: from.inserted_at,
            ..to
        };
        let batch = fixture.store.begin().await.expect("a batch");
        batch
            .update_transfers(&shared(std::slice::from_ref(&wanted)))
            .await
            .expect("updated");
        batch.commit().await.expect("committed");
        // Kept in one column with what holds now.
        wanted.declared.requires_approval = wanted.requires_approval;
        wanted.declared.finish_by = wanted.finish_expires_at;
        assert_eq!(fixture.stored(from.uuid).await, Some(wanted));
    }
}

#[tokio::test]
async fn progress_stores_only_what_progress_changes() {
    let fixture = Fixture::new().await;
    // One more than the sizes of the pieces add up to.
    let before: Vec<_> = (0..86).map(plain).collect();
    fixture.insert(&before).await;
    let reported: Vec<_> = (0..86).map(full).collect();
    let batch = fixture.store.begin().await.expect("a batch");
    let written = batch.update_progress(&shared(&reported)).await;
    written.expect("updated");
    batch.commit().await.expect("committed");
    for (before, reported) in before.into_iter().zip(reported) {
        let wanted = Transfer {
            totals: reported.totals,
            pace: reported.pace,
            checkpoint: reported.checkpoint,
            heartbeat_expires_at: reported.heartbeat_expires_at,
            updated_at: reported.updated_at,
            revision: reported.revision,
            ..before
        };
        assert_eq!(fixture.stored(wanted.uuid).await, Some(wanted));
    }
}

#[tokio::test]
async fn locked_rows_come_in_order_and_without_the_missing() {
    let fixture = Fixture::new().await;
    let transfers: Vec<_> = (0..300).rev().map(plain).collect();
    fixture.insert(&transfers).await;
    let batch = fixture.store.begin().await.expect("a batch");
    let wanted: Vec<_> = (100..2_000).map(id).collect();
    let found = batch.lock_transfers(&wanted).await.expect("loaded");
    assert!(
        found
            .iter()
            .map(|transfer| transfer.uuid)
            .eq((100..300).map(id))
    );
    assert!(batch.lock_transfers(&[]).await.expect("nothing").is_empty());
}

#[tokio::test]
async fn what_is_not_committed_is_gone() {
    let fixture = Fixture::new().await;
    let batch = fixture.store.begin().await.expect("a batch");
    let inserted = batch.insert_transfers(&shared(&[plain(1)])).await;
    inserted.expect("inserted");
    batch
        .append_events(&mut [event(&plain(1), None)], &[])
        .await
        .expect("appended");
    drop(batch);
    assert_eq!(fixture.store.transfer(id(1)).await.expect("read"), None);
    // The numbers that it took are given out again.
    let batch = fixture.store.begin().await.expect("a batch");
    let mut events = [event(&plain(2), None)];
    batch
        .append_events(&mut events, &[])
        .await
        .expect("appended");
    assert_eq!(events[0].sequence, 1);
}

#[tokio::test]
async fn deleting_leaves_the_history() {
    let fixture = Fixture::new().await;
    let transfers: Vec<_> = (0..20).map(plain).collect();
    fixture.insert(&transfers).await;
    let batch = fixture.store.begin().await.expect("a batch");
    let uuids: Vec<_> = transfers[1..]
        .iter()
        .map(|transfer| transfer.uuid)
        .collect();
    batch.delete_transfers(&uuids).await.expect("deleted");
    let mut gone = event(&transfers[1], Some(mark("delete")));
    gone.body.event_type = EventType::Deleted;
    batch
        .append_events(&mut [gone], &[])
        .await
        .expect("appended");
    batch.commit().await.expect("committed");
    let count = fixture
        .store
        .count_transfers(&TransferFilter::default())
        .await
        .expect("counted");
    assert_eq!(count, 1);
    let events = fixture
        .store
        .events(&EventFilter::default(), 9)
        .await
        .expect("read");
    assert_eq!(events.len(), 1);
}

#[tokio::test]
async fn a_vanished_row_is_an_error() {
    let fixture = Fixture::new().await;
    fixture.insert(&[plain(1)]).await;
    let batch = fixture.store.begin().await.expect("a batch");
    let updated = batch.update_progress(&shared(&[plain(1), plain(2)])).await;
    assert!(
        matches!(updated, Err(StoreError::Internal(_))),
        "{updated:?}"
    );
    let deleted = batch.delete_transfers(&[id(2)]).await;
    assert!(
        matches!(deleted, Err(StoreError::Internal(_))),
        "{deleted:?}"
    );
}

#[tokio::test]
async fn events_are_numbered_without_gaps_and_read_back_whole() {
    let fixture = Fixture::new().await;
    let mut written = Vec::new();
    for count in [1, 3, 100] {
        let base = written.len() as u128;
        let mut events: Vec<_> = (0..count)
            .map(|number| {
                event(
                    &full(base + number + 1),
                    Some(mark(&format!("{base}-{number}"))),
                )
            })
            .collect();
        let batch = fixture.store.begin().await.expect("a batch");
        batch
            .append_events(&mut events, &[])
            .await
            .expect("appended");
        batch
            .append_events(&mut [], &[])
            .await
            .expect("nothing to do");
        batch.commit().await.expect("committed");
        written.extend(events);
    }
    assert!(written.iter().map(|event| event.sequence).eq(1..=104));
    let found = fixture
        .store
        .events(&EventFilter::default(), 1_000)
        .await
        .expect("read");
    assert_eq!(found, written);
}

#[tokio::test]
async fn events_are_found_by_transfer_connection_and_place() {
    let fixture = Fixture::new().await;
    let (mut one, mut two) = (plain(1), plain(2));
    one.declared.connection_uuid = Some(id(8));
    two.declared.connection_uuid = Some(id(8));
    let mut events = [&one, &two, &plain(3), &one].map(|transfer| event(transfer, None));
    let batch = fixture.store.begin().await.expect("a batch");
    batch
        .append_events(&mut events, &[])
        .await
        .expect("appended");
    batch.commit().await.expect("committed");
    let by = |transfer_uuid, connection: Option<ConnectionId>, after_sequence| EventFilter {
        transfer_uuid,
        connections: connection.into(),
        after_sequence,
    };
    let (t1, c8) = (Some(one.uuid), Some(id(8)));
    for (filter, wanted) in [
        (by(None, None, 0), &[1_i64, 2, 3, 4][..]),
        (by(None, None, 3), &[4]),
        (by(t1, None, 0), &[1, 4]),
        (by(t1, None, 1), &[4]),
        (by(None, c8, 0), &[1, 2, 4]),
        (by(t1, c8, 0), &[1, 4]),
        (by(t1, Some(id(0)), 0), &[]),
        (by(None, None, i64::MAX), &[]),
    ] {
        let found = fixture.store.events(&filter, 9).await.expect("read");
        let found: Vec<_> = found.iter().map(|event| event.sequence).collect();
        assert_eq!(found, wanted, "{filter:?}");
        let meant = events.iter().filter(|event| filter.matches(event));
        let meant: Vec<_> = meant.map(|event| event.sequence).collect();
        assert_eq!(meant, wanted, "{filter:?}");
    }
    let limited = fixture
        .store
        .events(&EventFilter::default(), 2)
        .await
        .expect("read");
    assert_eq!(limited.len(), 2);
}

#[tokio::test]
async fn requests_are_remembered_with_what_they_did() {
    let fixture = Fixture::new().await;
    let site = |request, event_type| {
        let mut event = event(&plain(0), Some(mark(request)));
        event.transfer_uuid = None;
        event.connection_uuid = Some(id(5));
        event.body.event_type = event_type;
        event
    };
    let mut deleted = event(&plain(2), Some(mark("delete")));
    deleted.body.event_type = EventType::Deleted;
    let mut other = event(&plain(3), Some(mark("create")));
    other.actor = "somebody else".to_owned();
    let mut claimed = event(&plain(7), Some(mark("claim")));
    claimed.body.event_type = EventType::Started;
    claimed.body.detail = Some(EventDetail::Claim {
        claimed_with: vec![id(8), id(9)],
    });
    let mut events = [
        event(&plain(1), Some(mark("create"))),
        claimed,
        deleted,
        other,
        event(&plain(4), None),
        site("connect", EventType::ConnectionCreated),
        site("disconnect", EventType::ConnectionDeleted),
    ];
    let batch = fixture.store.begin().await.expect("a batch");
    batch
        .insert_connections(&[connection(6, 1)])
        .await
        .expect("inserted");
    batch
        .append_events(&mut events, &[])
        .await
        .expect("appended");
    batch.commit().await.expect("committed");

    let batch = fixture.store.begin().await.expect("a batch");
    let mut ids = vec![
        "create",
        "delete",
        "claim",
        "connect",
        "disconnect",
        "unknown",
    ];
    ids.extend(["filler"; 30]);
    let mut found = batch.prior_requests(&ids).await.expect("read");
    found.sort_by(|one, two| {
        one.actor
            .cmp(&two.actor)
            .then_with(|| one.request.request_id.cmp(&two.request.request_id))
    });
    let transfer = |number, deleted_by_it| Effect::Transfer {
        uuid: id(number),
        deleted_by_it,
    };
    let connection = |number, deleted_by_it| Effect::Connection {
        uuid: id(number),
        deleted_by_it,
    };
    let memory = |actor: &str, id: &str, effect| PriorRequest {
        actor: actor.to_owned(),
        request: mark(id),
        effect,
    };
    let claim = Effect::Claim([7, 8, 9].map(id).to_vec());
    let wanted = [
        memory("agent", "claim", claim),
        memory("agent", "connect", connection(5, false)),
        memory("agent", "create", transfer(1, false)),
        memory("agent", "delete", transfer(2, true)),
        memory("agent", "disconnect", connection(5, true)),
        memory("somebody else", "create", transfer(3, false)),
    ];
    assert_eq!(found, wanted);
    assert!(batch.prior_requests(&[]).await.expect("read").is_empty());
}

#[tokio::test]
async fn a_race_on_a_request_id_asks_for_another_try() {
    let fixture = Fixture::new().await;
    let batch = fixture.store.begin().await.expect("a batch");
    let mut twice = [1, 2].map(|number| event(&plain(number), Some(mark("same"))));
    let result = batch.append_events(&mut twice, &[]).await;
    assert!(matches!(result, Err(StoreError::Conflict(_))), "{result:?}");
    drop(batch);
    let batch = fixture.store.begin().await.expect("a batch");
    let mut elsewhere = plain(1);
    elsewhere.declared.correlation_uuid = Some(id(9));
    let result = batch
        .insert_transfers(&shared(&[plain(1), elsewhere]))
        .await;
    assert!(matches!(result, Err(StoreError::Internal(_))), "{result:?}");
}

#[tokio::test]
async fn a_side_of_a_movement_has_one_newest_transfer_in_each_connection() {
    let of = |number, connection_uuid, superseded| {
        let mut transfer = plain(number);
        transfer.declared.correlation_uuid = Some(id(9));
        transfer.declared.connection_uuid = connection_uuid;
        transfer.superseded = superseded;
        transfer.completed_at = superseded.then(|| at(5));
        transfer
    };
    let fixture = Fixture::new().await;
    let mut other = of(3, Some(id(5)), false);
    other.declared.direction = Direction::Receive;
    let sides = [
        of(1, None, false),
        of(2, Some(id(5)), false),
        other,
        of(4, Some(id(6)), false),
        of(5, Some(id(5)), true),
    ];
    fixture.insert(&sides).await;
    for connection_uuid in [None, Some(id(5))] {
        let batch = fixture.store.begin().await.expect("a batch");
        let second = [of(7, connection_uuid, false)];
        let result = batch.insert_transfers(&shared(&second)).await;
        assert!(matches!(result, Err(StoreError::Conflict(_))), "{result:?}");
    }
    let batch = fixture.store.begin().await.expect("a batch");
    let movements = [None, Some(id(5))].map(|connection_uuid| Movement {
        correlation_uuid: id(9),
        connection_uuid,
    });
    let peeked = batch.peek_movements(&[id(1), id(5), id(404)]).await;
    let mut peeked = peeked.expect("read");
    peeked.sort_unstable();
    assert_eq!(peeked, movements);
    let found = batch.lock_movements(&movements.into()).await.expect("read");
    let expected = [
        ((movements[0], Direction::Send), id(1)),
        ((movements[1], Direction::Send), id(2)),
        ((movements[1], Direction::Receive), id(3)),
    ];
    assert_eq!(
        found,
        expected.into(),
        "those of another connection are left out"
    );
}

#[tokio::test]
async fn one_write_at_a_time_while_reads_go_on() {
    let fixture = Fixture::new().await;
    fixture.insert(&[plain(1)]).await;
    let batch = fixture.store.begin().await.expect("a batch");
    let inserted = batch.insert_transfers(&shared(&[plain(2)])).await;
    inserted.expect("inserted");
    let any = TransferFilter::default();
    let seen = fixture
        .store
        .transfers(&any, SortOrder::Ascending, first(9));
    assert_eq!(seen.await.expect("read").len(), 1);
    let second = fixture
        .store
        .begin()
        .await
        .expect_err("the first one holds the only writer");
    assert!(matches!(second, StoreError::Unavailable(_)), "{second:?}");
    batch.commit().await.expect("committed");
    fixture.store.begin().await.expect("the writer is free");
}

#[tokio::test]
async fn the_newest_event_tells_the_time() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.store.latest_time().await.expect("read"), None);
    fixture.store.probe(true).await.expect("it answers");
    let mut events = [plain(1), plain(2)].map(|transfer| event(&transfer, None));
    events[0].occurred_at = at(70);
    events[1].occurred_at = at(60);
    let batch = fixture.store.begin().await.expect("a batch");
    batch
        .append_events(&mut events, &[])
        .await
        .expect("appended");
    batch.commit().await.expect("committed");
    assert_eq!(
        fixture.store.latest_time().await.expect("read"),
        Some(at(60))
    );
}

#[tokio::test]
async fn a_meaningless_row_is_an_error_and_not_a_guess() {
    let fixture = Fixture::new().await;
    let mut odd = plain(1);
    odd.status = TransferStatus::Pending;
    fixture.insert(&[odd]).await;
    let writer = &fixture.store.writer();
    sea_orm::ConnectionTrait::execute_unprepared(writer, "UPDATE transfer SET metadata = '[]'")
        .await
        .expect("changed behind the store's back");
    fixture.store.clear_cache();
    let read = fixture.store.transfer(id(1)).await;
    assert!(matches!(read, Err(StoreError::Internal(_))), "{read:?}");
}
