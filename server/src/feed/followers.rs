//! Those who follow a filter, found by the connection that it is for: a change is compared with the filters that may mean
//! it, not with everybody's.

use std::{collections::HashMap, sync::Arc};

use super::{FeedChange, Mailbox};
use tidegate_domain::{caller::ConnectionScope, id::ConnectionId, query::TransferFilter};

/// A subscription to what a filter means.
pub(super) struct Follower {
    pub filter: TransferFilter,
    /// Whether it is told how runs go.
    pub with_progress: bool,
    pub mailbox: Arc<Mailbox>,
}

/// All of them, by the numbers of their subscriptions.
#[derive(Default)]
pub(super) struct Followers {
    of_one: HashMap<ConnectionId, HashMap<u64, Follower>>,
    /// Of all connections, and of none.
    others: HashMap<u64, Follower>,
}

impl Followers {
    pub(super) fn insert(&mut self, id: u64, follower: Follower) {
        let place = match follower.filter.connections {
            ConnectionScope::Only(one) => self.of_one.entry(one).or_default(),
            ConnectionScope::All | ConnectionScope::Nothing => &mut self.others,
        };
        place.insert(id, follower);
    }

    /// Removes the one whose filter is for these connections.
    pub(super) fn remove(&mut self, id: u64, connections: ConnectionScope) {
        let ConnectionScope::Only(one) = connections else {
            self.others.remove(&id);
            return;
        };
        if let Some(followers) = self.of_one.get_mut(&one) {
            followers.remove(&id);
            if followers.is_empty() {
                self.of_one.remove(&one);
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&u64, &Follower)> {
        self.of_one.values().flatten().chain(&self.others)
    }

    /// Whether somebody follows this connection alone.
    pub(super) fn has_connection(&self, one: ConnectionId) -> bool {
        self.of_one.contains_key(&one)
    }

    /// Whether somebody follows a connection alone.
    pub(super) fn has_one_connection(&self) -> bool {
        !self.of_one.is_empty()
    }

    /// Whether somebody follows everything.
    pub(super) fn has_any_connection(&self) -> bool {
        let mut scopes = self.others.values().map(|it| it.filter.connections);
        scopes.any(|it| it == ConnectionScope::All)
    }

    /// Those whose filters may mean a transfer of this connection.
    pub(super) fn of(&self, connection: Option<ConnectionId>) -> impl Iterator<Item = &Follower> {
        let of_one = connection.and_then(|one| self.of_one.get(&one));
        let of_one = of_one.into_iter().flat_map(HashMap::values);
        of_one.chain(self.others.values())
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.of_one.is_empty() && self.others.is_empty()
    }
}

impl FeedChange {
    /// The transfer's connection, which is the same before and after.
    pub(super) fn connection(&self) -> Option<ConnectionId> {
        let either = self.after.as_ref().or(self.before.as_ref());
        either.and_then(|transfer| transfer.declared.connection_uuid)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::at_site, *};
    use tidegate_domain::fixtures::id;

    fn follower(filter: TransferFilter) -> Follower {
        Follower {
            filter,
            with_progress: true,
            mailbox: Arc::default(),
        }
    }

    #[test]
    fn only_those_who_may_be_concerned_are_asked() {
        let mut followers = Followers::default();
        for number in 0..1_000_u32 {
            let filter = at_site((number % 500).into());
            followers.insert(number.into(), follower(filter));
        }
        followers.insert(1_000, follower(TransferFilter::default()));
        assert_eq!(followers.iter().count(), 1_001);
        assert_eq!(followers.of(Some(id(7))).count(), 3);
        assert_eq!(followers.of(Some(id(500))).count(), 1);
        assert_eq!(followers.of(None).count(), 1);
        assert!(followers.has_any_connection());
        followers.remove(1_000, ConnectionScope::All);
        followers.remove(7, ConnectionScope::Only(id(7)));
        assert_eq!(followers.of(Some(id(7))).count(), 1);
        assert_eq!(followers.of(None).count(), 0);
        followers.remove(507, ConnectionScope::Only(id(7)));
        assert!(!followers.has_connection(id(7)) && followers.has_connection(id(8)));
        assert!(followers.has_one_connection() && !followers.has_any_connection());
    }
}
