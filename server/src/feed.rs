//! Live changes for watchers of this process. Carries nothing that is not committed.
//!
//! Every subscription holds at most one change for each transfer, the newest: a slow watcher loses steps in between, never
//! the last one, and delays nobody. One that falls behind by more than [`BACKLOG`] transfers is told so and ended.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;
use uuid::Uuid;

use crate::{
    domain::{query::TransferFilter, transfer::Transfer},
    error::Error,
};

/// Transfers with an undelivered change that one subscription may hold.
pub const BACKLOG: usize = 10_000;

/// One transfer before and after a commit; `None` where it does not exist.
#[derive(Clone, Debug)]
pub struct FeedChange {
    /// The transfer.
    pub uuid: Uuid,
    /// Before the commit.
    pub before: Option<Arc<Transfer>>,
    /// After it.
    pub after: Option<Arc<Transfer>>,
}

/// What a watcher is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Update {
    /// The transfer as it is now.
    Changed(Arc<Transfer>),
    /// It is gone.
    Deleted(Uuid),
}

impl Update {
    fn uuid(&self) -> Uuid {
        match self {
            Self::Changed(transfer) => transfer.uuid,
            Self::Deleted(uuid) => *uuid,
        }
    }
}

/// Passes commits on to subscriptions; cheap to clone.
#[derive(Clone, Default)]
pub struct Feed(Arc<Mutex<Registry>>);

#[derive(Default)]
struct Registry {
    next: u64,
    by_uuid: HashMap<Uuid, HashMap<u64, Arc<Mailbox>>>,
    by_filter: HashMap<u64, (TransferFilter, Arc<Mailbox>)>,
}

#[derive(Default)]
struct Mailbox {
    waiting: Mutex<Waiting>,
    notify: Notify,
}

#[derive(Default)]
struct Waiting {
    order: VecDeque<Uuid>,
    newest: HashMap<Uuid, Update>,
    overflowed: bool,
}

impl Feed {
    /// A subscription to single transfers; none at first, see [`Subscription::follow`].
    pub fn subscribe(&self) -> Subscription {
        let id = self.registry().claim();
        Subscription {
            feed: self.clone(),
            id,
            followed: Vec::new(),
            mailbox: Arc::default(),
        }
    }

    /// A subscription to every transfer that `filter` means before or after a change.
    pub fn subscribe_matching(&self, filter: TransferFilter) -> Subscription {
        let mailbox = Arc::<Mailbox>::default();
        let mut registry = self.registry();
        let id = registry.claim();
        registry
            .by_filter
            .insert(id, (filter, Arc::clone(&mailbox)));
        Subscription {
            feed: self.clone(),
            id,
            followed: Vec::new(),
            mailbox,
        }
    }

    /// Tells everybody concerned. Never waits for anybody.
    pub fn publish(&self, changes: &[FeedChange]) {
        let registry = self.registry();
        for change in changes {
            let update = match &change.after {
                Some(transfer) => Update::Changed(Arc::clone(transfer)),
                None => Update::Deleted(change.uuid),
            };
            for mailbox in registry
                .by_uuid
                .get(&change.uuid)
                .into_iter()
                .flat_map(HashMap::values)
            {
                mailbox.put(update.clone());
            }
            for (filter, mailbox) in registry.by_filter.values() {
                let concerns = |side: &Option<Arc<Transfer>>| {
                    side.as_ref()
                        .is_some_and(|transfer| filter.matches(transfer))
                };
                if concerns(&change.before) || concerns(&change.after) {
                    mailbox.put(update.clone());
                }
            }
        }
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registry {
    const fn claim(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

impl Mailbox {
    fn put(&self, update: Update) {
        let mut waiting = self.waiting();
        let uuid = update.uuid();
        if waiting.newest.insert(uuid, update).is_none() {
            waiting.order.push_back(uuid);
        }
        if waiting.order.len() > BACKLOG {
            *waiting = Waiting {
                overflowed: true,
                ..Waiting::default()
            };
        }
        drop(waiting);
        self.notify.notify_one();
    }

    fn take(&self) -> Option<Result<Update, Error>> {
        let mut waiting = self.waiting();
        if waiting.overflowed {
            return Some(Err(Error::WatchTooSlow { limit: BACKLOG }));
        }
        let uuid = waiting.order.pop_front()?;
        waiting.newest.remove(&uuid).map(Ok)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One watcher's share of the feed. Ends with its drop.
pub struct Subscription {
    feed: Feed,
    id: u64,
    followed: Vec<Uuid>,
    mailbox: Arc<Mailbox>,
}

impl Subscription {
    /// Also follows this transfer.
    pub fn follow(&mut self, uuid: Uuid) {
        let mut registry = self.feed.registry();
        let followers = registry.by_uuid.entry(uuid).or_default();
        if followers
            .insert(self.id, Arc::clone(&self.mailbox))
            .is_none()
        {
            self.followed.push(uuid);
        }
    }

    /// Follows this transfer no longer.
    pub fn unfollow(&mut self, uuid: Uuid) {
        self.followed.retain(|each| *each != uuid);
        forget(&mut self.feed.registry(), self.id, uuid);
    }

    /// Forgets a waiting change of this transfer unless it is newer than `revision`.
    ///
    /// For a watcher that has just read the row itself: an older change must not be told after it.
    pub fn discard(&self, uuid: Uuid, revision: i64) {
        let mut waiting = self.mailbox.waiting();
        let stale = waiting.newest.get(&uuid).is_some_and(
            |update| matches!(update, Update::Changed(transfer) if transfer.revision <= revision),
        );
        if stale {
            waiting.newest.remove(&uuid);
            waiting.order.retain(|each| *each != uuid);
        }
    }

    /// The next change, once there is one.
    ///
    /// # Errors
    /// [`Error::WatchTooSlow`], from then on always.
    pub async fn next(&self) -> Result<Update, Error> {
        loop {
            let woken = self.mailbox.notify.notified();
            if let Some(update) = self.mailbox.take() {
                return update;
            }
            woken.await;
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut registry = self.feed.registry();
        registry.by_filter.remove(&self.id);
        for uuid in &self.followed {
            forget(&mut registry, self.id, *uuid);
        }
    }
}

fn forget(registry: &mut Registry, id: u64, uuid: Uuid) {
    if let Some(followers) = registry.by_uuid.get_mut(&uuid) {
        followers.remove(&id);
        if followers.is_empty() {
            registry.by_uuid.remove(&uuid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::transfer::tests::sample;

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
            after.uuid = Uuid::from_u128(number);
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
}
