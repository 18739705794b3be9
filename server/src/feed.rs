//! Live changes for watchers of this process. Carries nothing that is not committed.
//!
//! Every subscription holds at most one change for each transfer, the newest: a slow watcher loses steps in between, never
//! the last one, and delays nobody. One that falls behind by more than [`BACKLOG`] transfers is told so and ended.
//!
//! Changes come from two sides: from this replica's ledger as it commits, and from [`log_follower`], which reads what the other
//! replicas have committed. Of one transfer, no older state is passed on after a newer one, whichever side it comes from.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, watch};

use crate::error::Error;

mod audience;
mod backlog;
mod connections;
mod end;
mod followers;
pub mod log_follower;
mod mailbox;
mod notify;
mod pending_commit;
mod position;
mod revisions;
mod rights;
mod watermark;

pub use backlog::Backlog;
pub use connections::ConnectionNews;
pub use end::LogEnd;
pub use mailbox::BACKLOG;
pub use pending_commit::PendingCommit;
pub use revisions::Revisions;
pub use rights::{Concern, RightsNews};

use connections::Connections;
use followers::{Follower, Followers};
use mailbox::Mailbox;
use position::Position;
use rights::Rights;
use tidegate_domain::{
    caller::ConnectionScope,
    chain::Head,
    event::Event,
    id::{ConnectionId, TransferId},
    log::Appended,
    query::TransferFilter,
    status::TransferStatus,
    transfer::Transfer,
};

/// One transfer before and after a commit; `None` where it does not exist.
#[derive(Clone, Debug)]
pub struct FeedChange {
    /// The transfer.
    pub uuid: TransferId,
    /// Before the commit.
    pub before: Option<Arc<Transfer>>,
    /// After it.
    pub after: Option<Arc<Transfer>>,
}

impl FeedChange {
    /// Whether it runs before and after: it may have moved, but is nobody's to start or to end.
    fn is_of_a_run(&self) -> bool {
        let runs = |side: &Option<Arc<Transfer>>| {
            side.as_ref()
                .is_some_and(|transfer| transfer.status == TransferStatus::InProgress)
        };
        runs(&self.before) && runs(&self.after)
    }

    /// Whether `filter` means the transfer before or after.
    pub fn concerns(&self, filter: &TransferFilter) -> bool {
        let meant = |side: &Option<Arc<Transfer>>| {
            side.as_ref()
                .is_some_and(|transfer| filter.matches(transfer))
        };
        meant(&self.before) || meant(&self.after)
    }
}

/// A transfer that another replica has deleted: all that is still known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone {
    /// The transfer.
    pub uuid: TransferId,
    /// Its connection.
    pub connection_uuid: Option<ConnectionId>,
    /// Its last status.
    pub status: TransferStatus,
}

impl Gone {
    /// Whether `filter` may have meant it.
    pub fn may_concern(&self, filter: &TransferFilter) -> bool {
        (filter.status.is_empty() || filter.status.contains(&self.status))
            && filter.connections.contains(self.connection_uuid)
    }
}

/// What a watcher is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Update {
    /// The transfer as it is now.
    Changed(Arc<Transfer>),
    /// It is gone.
    Deleted(TransferId),
}

impl Update {
    fn uuid(&self) -> TransferId {
        match self {
            Self::Changed(transfer) => transfer.uuid,
            Self::Deleted(uuid) => *uuid,
        }
    }

    /// Rises with every change; nothing comes after a deletion.
    fn revision(&self) -> i64 {
        match self {
            Self::Changed(transfer) => transfer.revision,
            Self::Deleted(_) => i64::MAX,
        }
    }
}

/// Passes commits on to subscriptions; cheap to clone.
#[derive(Clone, Default)]
pub struct Feed(Arc<Inner>);

#[derive(Default)]
struct Inner {
    registry: Mutex<Registry>,
    /// How far the log is known to be committed.
    end: watch::Sender<LogEnd>,
    /// The log may not be the one that is known.
    suspicion: Notify,
    /// Everything up to this position of the log has been told to whom it concerns.
    told: watch::Sender<i64>,
    /// This replica has committed something that the others want to know.
    committed: Notify,
    /// Whose rights may have ended.
    rights: Rights,
    /// Which connections have changed.
    connections: Connections,
}

#[derive(Default)]
struct Registry {
    position: Position,
    /// No state that was told rests on an event after this one, but for progress.
    newest: i64,
    revisions: Revisions,
    next: u64,
    /// One more with each transfer or filter that somebody begins to follow.
    joined: u64,
    by_uuid: HashMap<TransferId, HashMap<u64, Arc<Mailbox>>>,
    by_filter: Followers,
}

impl Feed {
    /// A subscription to single transfers; none at first, see [`Subscription::follow`].
    pub fn subscribe(&self) -> Subscription {
        let id = self.registry().claim();
        Subscription {
            feed: self.clone(),
            id,
            since: Head::default(),
            followed: Vec::new(),
            filtered: None,
            mailbox: Arc::default(),
        }
    }

    /// A subscription to every transfer that `filter` means before or after a change.
    pub fn subscribe_matching(&self, filter: TransferFilter) -> Subscription {
        self.subscribe_as(filter, true)
    }

    /// As [`subscribe_matching`](Self::subscribe_matching), but not to what happens to a transfer while it runs.
    pub fn subscribe_to_transitions(&self, filter: TransferFilter) -> Subscription {
        self.subscribe_as(filter, false)
    }

    fn subscribe_as(&self, filter: TransferFilter, with_progress: bool) -> Subscription {
        let mailbox = Arc::<Mailbox>::default();
        let mut registry = self.registry();
        let id = registry.claim();
        let connections = filter.connections;
        let follower = Follower {
            filter,
            with_progress,
            mailbox: Arc::clone(&mailbox),
        };
        registry.joined += 1;
        registry.by_filter.insert(id, follower);
        Subscription {
            feed: self.clone(),
            id,
            since: registry.position.told(),
            followed: Vec::new(),
            filtered: Some(connections),
            mailbox,
        }
    }

    /// Takes in what this replica's ledger has committed: the changes, and the positions of their events, if any. Tells
    /// everybody concerned and never waits for anybody.
    pub fn committed(&self, changes: &[FeedChange], events: Option<Appended>) {
        let mut registry = self.registry();
        registry.publish(changes);
        if let Some(events) = events {
            registry.position.written(events);
            registry.newest = registry.newest.max(events.last.sequence);
            self.advance(events.last);
            raise(&self.0.told, registry.position.told().sequence);
        }
        drop(registry);
        let has_news = !changes.is_empty() || events.is_some();
        if has_news {
            self.0.committed.notify_one();
        }
    }

    /// Takes in events that were committed, here or elsewhere, for those whose rights they may have ended, and for those who
    /// wait for a connection.
    pub fn tell_rights(&self, events: &[Event]) {
        self.0.rights.tell(events);
        self.0.connections.tell(events);
    }

    /// Which connections have changed, from now on.
    pub fn connection_news(&self) -> ConnectionNews {
        self.0.connections.listen()
    }

    /// Whose rights may have ended, from now on.
    pub fn rights(&self) -> RightsNews {
        self.0.rights.listen()
    }

    /// Takes in the states of transfers that were read from the database.
    pub fn publish(&self, changes: &[FeedChange]) {
        self.registry().publish(changes);
    }

    /// Takes in that a transfer was found deleted.
    pub fn publish_gone(&self, gone: &Gone) {
        self.registry().publish_gone(gone);
    }

    /// As [`publish`](Self::publish) for one change; whether it was still the newest that is known.
    fn publish_newest(&self, change: FeedChange) -> bool {
        self.registry().publish(&[change])
    }

    /// Resolves once this replica has committed something since it resolved before.
    pub async fn next_commit(&self) {
        self.0.committed.notified().await;
    }

    /// The newest revision of a transfer that was told in the last moments.
    fn told(&self, uuid: TransferId) -> Option<i64> {
        self.registry().revisions.told(uuid)
    }

    /// The transfers that are followed one by one.
    fn followed(&self) -> Vec<TransferId> {
        self.registry().by_uuid.keys().copied().collect()
    }

    /// Whether anybody follows a filter and is told how runs go.
    fn has_filters(&self) -> bool {
        let registry = self.registry();
        registry.by_filter.iter().any(|(_, it)| it.with_progress)
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.0
            .registry
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registry {
    const fn claim(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Whether all of them were the newest that is known.
    fn publish(&mut self, changes: &[FeedChange]) -> bool {
        let mut newest = true;
        for change in changes {
            let update = match &change.after {
                Some(transfer) => Update::Changed(Arc::clone(transfer)),
                None => Update::Deleted(change.uuid),
            };
            let of_run = change.is_of_a_run();
            newest &= self.tell(&update, change.connection(), |it| {
                (it.with_progress || !of_run) && change.concerns(&it.filter)
            });
        }
        newest
    }

    fn publish_gone(&mut self, gone: &Gone) {
        let update = Update::Deleted(gone.uuid);
        self.tell(&update, gone.connection_uuid, |it| {
            gone.may_concern(&it.filter)
        });
    }

    fn tell(
        &mut self,
        update: &Update,
        connection: Option<ConnectionId>,
        concerns: impl Fn(&Follower) -> bool,
    ) -> bool {
        // A row that was read just before this replica changed it must not be told after the change.
        if !self.revisions.admit(update.uuid(), update.revision()) {
            return false;
        }
        let followers = self.by_uuid.get(&update.uuid());
        for mailbox in followers.into_iter().flat_map(HashMap::values) {
            mailbox.put(update.clone());
        }
        for follower in self.by_filter.of(connection) {
            if concerns(follower) {
                follower.mailbox.put(update.clone());
            }
        }
        true
    }
}

/// One watcher's share of the feed. Ends with its drop.
pub struct Subscription {
    feed: Feed,
    id: u64,
    /// What was told up to this event was told before it began.
    since: Head,
    followed: Vec<TransferId>,
    /// The connections that its filter is for, if it has one.
    filtered: Option<ConnectionScope>,
    mailbox: Arc<Mailbox>,
}

impl Subscription {
    /// Also follows this transfer.
    pub fn follow(&mut self, uuid: TransferId) {
        let mut registry = self.feed.registry();
        registry.joined += 1;
        let followers = registry.by_uuid.entry(uuid).or_default();
        if followers
            .insert(self.id, Arc::clone(&self.mailbox))
            .is_none()
        {
            self.followed.push(uuid);
        }
    }

    /// Follows this transfer no longer.
    pub fn unfollow(&mut self, uuid: TransferId) {
        self.followed.retain(|each| *each != uuid);
        forget(&mut self.feed.registry(), self.id, uuid);
    }

    /// Forgets a waiting change of this transfer unless it is newer than `revision`.
    ///
    /// For a watcher that has just read the row itself: an older change must not be told after it.
    pub fn discard(&self, uuid: TransferId, revision: i64) {
        let mut waiting = self.mailbox.waiting();
        let stale = waiting.newest.get(&uuid).is_some_and(
            |update| matches!(update, Update::Changed(transfer) if transfer.revision <= revision),
        );
        if stale {
            waiting.newest.remove(&uuid);
            waiting.strike(uuid);
        }
    }

    /// The next change, once there is one.
    ///
    /// # Errors
    /// [`Error::WatchTooSlow`], [`Error::LogDiverged`] or [`Error::CursorExpired`], from then on always.
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
        if let Some(connections) = self.filtered {
            registry.by_filter.remove(self.id, connections);
        }
        for uuid in &self.followed {
            forget(&mut registry, self.id, *uuid);
        }
    }
}

fn raise(position: &watch::Sender<i64>, sequence: i64) {
    position.send_if_modified(|position| {
        let further = sequence > *position;
        *position = sequence.max(*position);
        further
    });
}

fn forget(registry: &mut Registry, id: u64, uuid: TransferId) {
    if let Some(followers) = registry.by_uuid.get_mut(&uuid) {
        followers.remove(&id);
        if followers.is_empty() {
            registry.by_uuid.remove(&uuid);
        }
    }
}

#[cfg(test)]
mod tests;
