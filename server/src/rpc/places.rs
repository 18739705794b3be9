//! Places of which so many may be taken, by a limit that may change meanwhile. Who has one keeps it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::Notify;

#[derive(Debug, Default)]
pub(super) struct Places {
    taken: AtomicUsize,
    freed: Notify,
}

/// A place; given back with its drop.
#[derive(Debug)]
pub(super) struct Place(Arc<Places>);

impl Places {
    /// A place, if fewer than `most` are taken.
    pub(super) fn take(self: &Arc<Self>, most: usize) -> Option<Place> {
        let more = |taken: usize| (taken < most).then_some(taken + 1);
        let taken = self
            .taken
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
        taken.ok().map(|_| Place(Arc::clone(self)))
    }

    /// Resolves when a place was given back since it did so before. For one who waits.
    pub(super) async fn freed(&self) {
        self.freed.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::AcqRel);
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_limit_may_change_while_places_are_taken() {
        let places = Arc::<Places>::default();
        let mut held: Vec<_> = (0..3).map(|_| places.take(3)).collect();
        assert!(held.iter().all(Option::is_some));
        assert!(places.take(3).is_none());
        held.push(places.take(4));
        assert!(held[3].is_some(), "there are more");
        assert!(places.take(2).is_none(), "there are fewer");
        held.truncate(2);
        places.freed().await;
        assert!(places.take(2).is_none(), "two are left");
        held.pop();
        assert!(places.take(2).is_some());
    }
}
