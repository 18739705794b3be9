//! Single transfers that are read at the same time.

use std::{task::Poll, time::Duration};

use futures::future::join_all;
use sea_orm::ConnectionTrait as _;

use super::{
    super::error::StoreError,
    fixture::{Fixture, plain},
};
use tidegate_domain::{fixtures::id, transfer::Transfer};

fn numbered(count: u128) -> Vec<Transfer> {
    (0..count).map(plain).collect()
}

#[tokio::test]
async fn reads_that_come_together_share_statements() {
    let fixture = Fixture::new().await;
    fixture.insert(&numbered(300)).await;
    // One in three does not exist, and one in two is asked for twice.
    let asked: Vec<u128> = (0..450).chain((0..450).step_by(2)).collect();
    let mut reads = Box::pin(join_all(
        asked
            .iter()
            .map(|number| fixture.store.transfer(id(*number))),
    ));
    let waiting = std::future::poll_fn(|context| {
        assert!(reads.as_mut().poll(context).is_pending(), "they all wait");
        Poll::Ready(fixture.store.lookups.waiting())
    });
    // Some had a statement of their own, and some are about to be served together.
    let waiting = waiting.await;
    assert!(waiting > asked.len() / 2, "{waiting}");
    for (number, found) in asked.into_iter().zip(reads.await) {
        let found = found.expect("the file can be read");
        let wanted = (number < 300).then(|| plain(number));
        assert_eq!(found.as_deref(), wanted.as_ref(), "{number}");
    }
    assert_eq!(fixture.store.lookups.waiting(), 0);
}

#[tokio::test]
async fn who_gives_up_keeps_nobody_waiting() {
    let fixture = Fixture::new().await;
    fixture.insert(&numbered(10)).await;
    let read = |number| fixture.store.transfer(id(number));
    // The first two have the turns, and are dropped with them; so is one that waits.
    let mut gone: Vec<_> = (0..3).map(|number| Box::pin(read(number))).collect();
    let mut stays = Box::pin(read(9));
    let polled = std::future::poll_fn(|context| {
        for read in &mut gone {
            _ = read.as_mut().poll(context);
        }
        Poll::Ready(stays.as_mut().poll(context))
    });
    let at_once = polled.await;
    drop(gone);
    let found = match at_once {
        Poll::Ready(found) => found,
        Poll::Pending => tokio::time::timeout(Duration::from_secs(20), stays)
            .await
            .expect("it is answered"),
    };
    assert_eq!(found.expect("it can be read"), Some(plain(9).into()));
    // And the turns are free again.
    let again = read(1).await.expect("it can be read");
    assert_eq!(again, Some(plain(1).into()));
}

#[tokio::test]
async fn who_has_gone_is_forgotten() {
    let fixture = Fixture::new().await;
    fixture.insert(&numbered(1)).await;
    let lookups = &fixture.store.lookups;
    // Both turns are taken by reads that do not end.
    let turns = lookups.occupied(&fixture.store);
    for number in 0..1_000 {
        let read = Box::pin(fixture.store.transfer(id(number)));
        let gone = tokio::time::timeout(Duration::from_millis(0), read).await;
        assert!(gone.is_err(), "nobody can be answered");
    }
    let mut stays = Box::pin(fixture.store.transfer(id(0)));
    let polled = std::future::poll_fn(|context| Poll::Ready(stays.as_mut().poll(context)));
    assert!(polled.await.is_pending());
    assert_eq!(lookups.waiting(), 1_001);
    drop(turns);
    // Those who have gone went with the first turn, and the one who stays is being served.
    assert_eq!(lookups.waiting(), 0);
    let found = tokio::time::timeout(Duration::from_secs(20), stays).await;
    let found = found.expect("it is answered").expect("it can be read");
    assert_eq!(found, Some(plain(0).into()));
}

#[tokio::test]
async fn a_row_without_a_meaning_is_the_trouble_of_whoever_asks_for_it() {
    let fixture = Fixture::new().await;
    fixture.insert(&numbered(50)).await;
    let damage = format!(
        "UPDATE transfer SET metadata = 'no JSON' WHERE uuid = x'{:032x}'",
        7
    );
    let changed = fixture.store.writer().execute_unprepared(&damage).await;
    assert_eq!(changed.expect("it is damaged").rows_affected(), 1);
    fixture.store.clear_cache();
    let reads = join_all((0..50).map(|number| fixture.store.transfer(id(number)))).await;
    for (number, found) in (0..).zip(reads) {
        match found {
            Err(StoreError::Internal(_)) => assert_eq!(number, 7),
            found => assert_eq!(found.expect("it can be read"), Some(plain(number).into())),
        }
    }
}
