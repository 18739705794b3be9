//! The beginning of the log is cut off in order, and the floor says where.

use super::{
    super::Store,
    fixture::{Fixture, at, event, plain},
};
use crate::domain::{
    query::{EventFilter, LogBounds},
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
    batch.append_events(&mut events).await.expect("appended");
    batch.commit().await.expect("committed");
}

async fn trim(store: &Store, before: Timestamp, limit: u32) -> u64 {
    let batch = store.begin().await.expect("a batch");
    let deleted = batch.trim_log(before, limit).await.expect("trimmed");
    batch.commit().await.expect("committed");
    deleted
}

async fn left(store: &Store) -> (Vec<i64>, LogBounds) {
    let events = store.events(&EventFilter::default(), 100).await;
    let sequences = events
        .expect("the log")
        .iter()
        .map(|it| it.sequence)
        .collect();
    (sequences, store.log_bounds().await.expect("the bounds"))
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
    let bounds = |floor, last| LogBounds { floor, last };
    assert_eq!(left(store).await, (vec![3, 4, 5], bounds(2, 5)));
    assert_eq!(trim(store, at(5), 10).await, 0);
    assert_eq!(trim(store, at(10), 1).await, 1, "no more than asked for");
    assert_eq!(trim(store, at(10), 10).await, 1);
    assert_eq!(trim(store, at(13), 10).await, 1);
    assert_eq!(left(store).await, (vec![], bounds(5, 5)));
    log(store, &[14]).await;
    assert_eq!(left(store).await, (vec![6], bounds(5, 6)), "numbers go on");
}

#[tokio::test]
async fn a_trim_that_is_not_committed_changes_nothing() {
    let fixture = Fixture::new().await;
    log(&fixture.store, &[1, 2]).await;
    let batch = fixture.store.begin().await.expect("a batch");
    assert_eq!(batch.trim_log(at(9), 10).await.expect("trimmed"), 2);
    drop(batch);
    let bounds = LogBounds { floor: 0, last: 2 };
    assert_eq!(left(&fixture.store).await, (vec![1, 2], bounds));
}
