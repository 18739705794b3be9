//! How far the watchers of this process are behind.

use std::{collections::HashMap, sync::Arc};

use super::{Feed, Mailbox};

/// What the watchers have not taken yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Subscriptions that follow anything.
    pub subscriptions: usize,
    /// Transfers with a change that waits, over all of them.
    pub waiting: usize,
    /// The same of the one that is furthest behind.
    pub longest: usize,
}

impl Feed {
    /// Everything up to this event has been told to whom it concerns.
    pub fn told_up_to(&self) -> i64 {
        *self.0.told.borrow()
    }

    /// What watchers have not taken yet.
    pub fn backlog(&self) -> Backlog {
        let mut backlog = Backlog::default();
        for mailbox in self.mailboxes().values() {
            let waiting = mailbox.waiting().order.len();
            backlog.subscriptions += 1;
            backlog.waiting += waiting;
            backlog.longest = backlog.longest.max(waiting);
        }
        backlog
    }

    /// The mailbox of each subscription, of those that follow several transfers once.
    fn mailboxes(&self) -> HashMap<u64, Arc<Mailbox>> {
        let registry = self.registry();
        let of_one = registry.by_uuid.values().flatten();
        let of_many = registry.by_filter.iter();
        let of_many = of_many.map(|(id, follower)| (id, &follower.mailbox));
        let all = of_one.chain(of_many);
        all.map(|(id, mailbox)| (*id, Arc::clone(mailbox)))
            .collect()
    }
}
