//! The beginning of the log is cut off in order, and the floor says where.

use super::{
    super::Store,
    fixture::{Fixture, at, event, plain},
};
use tidegate_domain::{
    chain::Head,
    log::{LogBounds, LogView},
    query::EventFilter,
    time::Timestamp,
};

/// Events that happened at these times, in this order.
async fn log(store: &Store, times: &[i64]) {
    let batch = store.begin().await.expect("a batch");
    let mut events: Vec<_> = times
        .iter()
        .map(|time| {
            let mut event = event(&plain(1), None);
            event.occurred_at = at(*time);
            event
        })
        .collect();
    batch
        .append_events(&mut events, &[])
        .await
        .expect("appended");
    batch.commit().await.expect("committed");
}

async fn trim(store: &Store, before: Timestamp, limit: u32) -> u64 {
    let batch = store.begin().await.expect("a batch");
    let deleted = batch.trim_log(before, limit).await.expect("trimmed");
    batch.commit().await.expect("committed");
    deleted
}

async fn left(store: &Store) -> (Vec<i64>, (i64, i64)) {
    let events = store.events(&EventFilter::default(), 100).await;
    let sequences = events
        .expect("the log")
        .iter()
        .map(|it| it.sequence)
        .collect();
    let bounds = store.log_bounds().await.expect("the bounds");
    (sequences, (bounds.floor.sequence, bounds.last.sequence))
}

#[tokio::test]
async fn only_what_lies_before_every_younger_event_goes() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    assert_eq!(trim(store, at(100), 10).await, 0, "an empty log");
    // The third is younger than the fourth: two writers committed at once.
    log(store, &[1, 2, 9, 3, 12]).await;
    assert_eq!(trim(store, at(1), 10).await, 0, "as old as that is kept");
    assert_eq!(trim(store, at(5), 10).await, 2);
    assert_eq!(left(store).await, (vec![3, 4, 5], (2, 5)));
    assert_eq!(trim(store, at(5), 10).await, 0);
    assert_eq!(trim(store, at(10), 1).await, 1, "no more than asked for");
    assert_eq!(trim(store, at(10), 10).await, 1);
    assert_eq!(trim(store, at(13), 10).await, 1);
    assert_eq!(left(store).await, (vec![], (5, 5)));
    log(store, &[14]).await;
    assert_eq!(left(store).await, (vec![6], (5, 6)), "numbers go on");
}

#[tokio::test]
async fn a_trim_that_is_not_committed_changes_nothing() {
    let fixture = Fixture::new().await;
    log(&fixture.store, &[1, 2]).await;
    let batch = fixture.store.begin().await.expect("a batch");
    assert_eq!(batch.trim_log(at(9), 10).await.expect("trimmed"), 2);
    drop(batch);
    assert_eq!(left(&fixture.store).await, (vec![1, 2], (0, 2)));
}

#[tokio::test]
async fn the_ends_and_an_event_are_seen_with_their_hashes() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let view = |floor, last, event| LogView {
        bounds: LogBounds { floor, last },
        event,
    };
    let none = Head::default();
    let seen = async |sequence| store.look(sequence).await.expect("a view");
    assert_eq!(seen(0).await, view(none, none, None), "an empty log");
    log(store, &[1, 2, 3]).await;
    let events = store.events(&EventFilter::default(), 10).await;
    let heads: Vec<Head> = events.expect("the log").iter().map(Head::from).collect();
    let [first, second, third] = heads[..] else {
        panic!("{heads:?}")
    };
    assert_eq!(seen(2).await, view(none, third, Some(second)));
    assert_eq!(seen(4).await, view(none, third, None));
    assert_eq!(trim(store, at(2), 10).await, 1);
    assert_eq!(seen(1).await, view(first, third, None));
    assert_eq!(trim(store, at(9), 10).await, 2);
    assert_eq!(seen(3).await, view(third, third, None));
}
