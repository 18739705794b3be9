//! The word that this replica is about to commit events, so that whoever reads them first leaves the telling to it.

use super::Feed;
use crate::domain::log::Appended;

/// Events that are about to be committed. Dropped before [`stands`](Self::stands), they are left to
/// [`tail`](super::tail) to find.
#[must_use = "dropped, it says that nothing was committed"]
pub struct Announcement {
    feed: Feed,
    events: Option<Appended>,
}

impl Feed {
    /// Takes in that this replica's ledger is about to commit these events, and will say so when it has.
    pub fn announce(&self, events: Option<Appended>) -> Announcement {
        if let Some(events) = events
            && !self.registry().position.announce(events)
        {
            self.suspect();
        }
        Announcement {
            feed: self.clone(),
            events,
        }
    }
}

impl Announcement {
    /// They are committed; [`Feed::committed`] follows.
    pub fn stands(mut self) {
        self.events = None;
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        if let Some(events) = &self.events {
            self.feed.registry().position.revoke(events);
        }
    }
}
