//! The subscriptions, without a ledger.

use std::ops::RangeInclusive;

use super::*;
use tidegate_domain::{
    caller::ConnectionScope,
    fixtures::{id, transfer as sample},
    id::ConnectionId,
    log::Divergence,
};

/// An event of the log whose events have their sequences for hashes.
pub(super) fn head(sequence: i64) -> Head {
    let byte = u8::try_from(sequence).expect("a small one");
    Head {
        sequence,
        hash: [byte; 32],
    }
}

/// Events of that log.
pub(super) fn appended(events: RangeInclusive<i64>) -> Appended {
    Appended {
        after: head(events.start() - 1),
        last: head(*events.end()),
    }
}

/// The transfers of one connection.
pub(super) fn at_site(connection: u128) -> TransferFilter {
    TransferFilter {
        connections: ConnectionScope::Only(id(connection)),
        ..TransferFilter::default()
    }
}

fn change(revision: i64) -> FeedChange {
    let mut after = sample();
    after.revision = revision;
    FeedChange {
        uuid: after.uuid,
        before: Some(Arc::new(sample())),
        after: Some(Arc::new(after)),
    }
}

fn revision(update: &Update) -> i64 {
    match update {
        Update::Changed(transfer) => transfer.revision,
        Update::Deleted(_) => -1,
    }
}

#[tokio::test]
async fn the_newest_change_wins() {
    let feed = Feed::default();
    let mut one = feed.subscribe();
    one.follow(sample().uuid);
    let all = feed.subscribe_matching(TransferFilter::default());
    for revision in 2..50 {
        feed.publish(&[change(revision)]);
    }
    for subscription in [&one, &all] {
        assert_eq!(
            revision(&subscription.next().await.expect("no overflow")),
            49
        );
        assert!(subscription.mailbox.take().is_none());
    }
}

#[tokio::test]
async fn leaving_a_filter_is_told() {
    let feed = Feed::default();
    let filter = TransferFilter {
        requires_approval: Some(false),
        ..TransferFilter::default()
    };
    let subscription = feed.subscribe_matching(filter);
    let mut left = change(2);
    let mut after = sample();
    after.requires_approval = true;
    left.after = Some(Arc::new(after));
    feed.publish(&[left.clone()]);
    assert!(subscription.mailbox.take().is_some());
    left.before.clone_from(&left.after);
    feed.publish(&[left]);
    assert!(subscription.mailbox.take().is_none());
}

#[tokio::test]
async fn falling_too_far_behind_is_an_error_not_a_gap() {
    let feed = Feed::default();
    let subscription = feed.subscribe_matching(TransferFilter::default());
    for number in 0..=BACKLOG as u128 {
        let mut each = change(2);
        let mut after = sample();
        after.uuid = id(number);
        each.uuid = after.uuid;
        each.after = Some(Arc::new(after));
        feed.publish(&[each]);
    }
    assert!(matches!(
        subscription.next().await,
        Err(Error::WatchTooSlow { .. })
    ));
}

#[test]
fn dropped_subscriptions_leave_nothing_behind() {
    let feed = Feed::default();
    let mut one = feed.subscribe();
    one.follow(sample().uuid);
    drop(one);
    drop(feed.subscribe_matching(TransferFilter::default()));
    let registry = feed.registry();
    assert!(registry.by_uuid.is_empty() && registry.by_filter.is_empty());
}

#[tokio::test]
async fn an_older_state_is_not_told_after_a_newer_one() {
    let feed = Feed::default();
    let subscription = feed.subscribe_matching(TransferFilter::default());
    feed.committed(&[change(7)], None);
    feed.publish(&[change(6)]);
    assert_eq!(
        revision(&subscription.next().await.expect("no overflow")),
        7
    );
    feed.publish(&[change(6)]);
    assert!(subscription.mailbox.take().is_none());
}

#[tokio::test]
async fn a_deletion_is_told_to_those_whom_it_may_concern_and_is_the_last_word() {
    let feed = Feed::default();
    let of = |connection: Option<ConnectionId>| TransferFilter {
        connections: connection.into(),
        ..TransferFilter::default()
    };
    let all = feed.subscribe_matching(of(None));
    let other = feed.subscribe_matching(of(Some(id(77))));
    let gone = Gone {
        uuid: sample().uuid,
        connection_uuid: Some(id(78)),
        status: TransferStatus::Completed,
    };
    feed.publish_gone(&gone);
    feed.publish(&[change(9)]);
    assert_eq!(
        all.mailbox.take().map(|it| it.expect("no overflow")),
        Some(Update::Deleted(gone.uuid))
    );
    assert!(all.mailbox.take().is_none() && other.mailbox.take().is_none());
}

#[test]
fn the_end_of_the_log_never_goes_back() {
    let feed = Feed::default();
    let mut end = feed.end();
    feed.committed(&[], Some(appended(3..=4)));
    feed.committed(&[], Some(appended(1..=2)));
    assert!(end.has_changed().expect("the feed lives"));
    assert_eq!(end.borrow_and_update().head, head(4));
    feed.advance(head(4));
    assert!(!end.has_changed().expect("the feed lives"));
    assert_eq!(feed.registry().position.known(), 4);
}

#[tokio::test]
async fn a_new_beginning_ends_every_watch_and_goes_back() {
    let feed = Feed::default();
    feed.committed(&[created(1, 5)], Some(appended(1..=5)));
    let mut one = feed.subscribe();
    one.follow(id(1));
    let all = feed.subscribe_matching(TransferFilter::default());
    all.watermark();
    let mut end = feed.end();
    let before = end.borrow_and_update().clone();
    let divergence = Divergence {
        known: head(5),
        found: head(3),
    };
    let why = Error::LogDiverged { divergence };
    feed.begin_anew(head(3), why);
    for subscription in [&one, &all] {
        let over = subscription.next().await.expect_err("it is over");
        assert_eq!(over.reason(), "LOG_DIVERGED");
    }
    all.watermark();
    assert_eq!(all.reached(), None, "nothing more is true of it");
    let after = end.borrow_and_update().clone();
    assert_eq!(after.head, head(3));
    let why = after.interrupted_since(&before).expect("it is over");
    assert_eq!(why.reason(), "LOG_DIVERGED");
    assert!(after.interrupted_since(&after).is_none());
    // From here on it is as if nothing had been: lower revisions are news, and so are the same positions.
    let all = feed.subscribe_matching(TransferFilter::default());
    assert_eq!((all.since(), feed.newest()), (head(3), 3));
    feed.committed(&[created(1, 4)], Some(appended(4..=4)));
    assert_eq!(revision(&all.next().await.expect("it goes on")), 4);
    feed.has_told(4).await;
}

fn created(uuid: u128, revision: i64) -> FeedChange {
    let mut change = change(revision);
    let mut after = sample();
    after.uuid = id(uuid);
    after.revision = revision;
    change.uuid = after.uuid;
    change.after = Some(Arc::new(after));
    change
}

#[tokio::test]
async fn a_mark_is_reached_when_what_waited_before_it_was_taken() {
    let feed = Feed::default();
    let subscription = feed.subscribe_matching(TransferFilter::default());
    subscription.watermark();
    assert_eq!(subscription.reached(), Some(head(0)), "nothing waits");
    feed.committed(&[created(1, 1), created(2, 1)], Some(appended(1..=2)));
    subscription.watermark();
    // A later mark must not displace the earlier one, which could be put off for ever.
    feed.committed(&[created(3, 1), created(1, 2)], Some(appended(3..=4)));
    subscription.watermark();
    for revision_of_next in [2, 1] {
        assert_eq!(subscription.reached(), None);
        let update = subscription.next().await.expect("no overflow");
        assert_eq!(revision(&update), revision_of_next);
    }
    assert_eq!(subscription.reached(), Some(head(2)));
    assert_eq!(subscription.reached(), None, "it was taken away");
    assert_eq!(
        feed.newest(),
        4,
        "and the first one told is of the last event"
    );
}

#[tokio::test]
async fn a_mark_stays_in_its_place_when_something_is_discarded() {
    let feed = Feed::default();
    let subscription = feed.subscribe_matching(TransferFilter::default());
    feed.committed(&[created(1, 1), created(2, 1)], Some(appended(1..=2)));
    subscription.watermark();
    feed.committed(&[created(3, 1)], Some(appended(3..=3)));
    subscription.discard(id(1), 1);
    subscription.discard(id(3), 1);
    assert_eq!(subscription.reached(), None);
    let update = subscription.next().await.expect("no overflow");
    assert_eq!(update.uuid(), id(2));
    assert_eq!(subscription.reached(), Some(head(2)));
}

#[tokio::test]
async fn a_position_waits_for_what_others_have_committed_before() {
    let feed = Feed::default();
    feed.committed(&[created(1, 1)], Some(appended(1..=1)));
    // Another replica has committed the second event, which was not read yet.
    feed.committed(&[created(3, 1)], Some(appended(3..=3)));
    let subscription = feed.subscribe_matching(TransferFilter::default());
    assert_eq!(subscription.since(), head(1));
    assert_eq!(feed.newest(), 3);
    let mut wait = std::pin::pin!(feed.has_told(3));
    let waits = futures::poll!(wait.as_mut());
    assert!(waits.is_pending());
    feed.publish(&[created(2, 1)]);
    feed.has_read(head(2));
    wait.await;
    subscription.watermark();
    assert!(subscription.next().await.is_ok());
    assert_eq!(subscription.reached(), Some(head(3)));
}
