//! The word that this replica is about to commit events, so that whoever reads them first leaves the telling to it.

use super::Feed;
use tidegate_domain::log::Appended;

/// Events that are about to be committed. Dropped before [`stands`](Self::stands), they are left to
/// [`log_follower`](super::log_follower) to find.
#[must_use = "dropped, it says that nothing was committed"]
pub struct PendingCommit {
    feed: Feed,
    events: Option<Appended>,
}

impl Feed {
    /// Takes in that this replica's ledger is about to commit these events, and will say so when it has.
    pub fn begin_commit(&self, events: Option<Appended>) -> PendingCommit {
        if let Some(events) = events
            && !self.registry().position.begin_commit(events)
        {
            self.suspect();
        }
        PendingCommit {
            feed: self.clone(),
            events,
        }
    }
}

impl PendingCommit {
    /// They are committed; [`Feed::committed`] follows.
    pub fn stands(mut self) {
        self.events = None;
    }
}

impl Drop for PendingCommit {
    fn drop(&mut self) {
        if let Some(events) = &self.events {
            self.feed.registry().position.revoke(events);
        }
    }
}
