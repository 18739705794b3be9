//! The ledger's time: the database's clock where replicas share one, the server's own otherwise.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use crate::clock::Clock;
use tidegate_domain::time::Timestamp;
use tidegate_store::{Store, StoreError, WriteTransaction};

/// Tells the ledger's time; cheap to clone.
#[derive(Clone)]
pub struct Time {
    clock: Clock,
    store: Store,
    /// By how much the database's clock was ahead of this server's when it was asked last, in microseconds.
    ahead: Arc<AtomicI64>,
}

impl Time {
    /// The time of the ledger that is kept in `store`.
    pub fn new(clock: Clock, store: Store) -> Self {
        Self {
            clock,
            store,
            ahead: Arc::default(),
        }
    }

    /// The server's own clock, for identities.
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The time now, where nobody has to be asked for it: not where the database's clock rules.
    pub fn own(&self) -> Option<Timestamp> {
        let rules = self.clock.is_hand_moved() || !self.store.is_shared();
        rules.then(|| self.clock.now())
    }

    /// The time now as far as it is known without asking anybody: where the database's clock rules, by how far it was
    /// ahead when it was asked last. Not for decisions.
    pub fn roughly_now(&self) -> Timestamp {
        let ahead = self.ahead.load(Ordering::Relaxed);
        Timestamp::from_micros(self.clock.now().as_micros().saturating_add(ahead))
    }

    /// The time now, to look for what is overdue by.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn now(&self) -> Result<Timestamp, StoreError> {
        if self.clock.is_hand_moved() {
            return Ok(self.clock.now());
        }
        Ok(self.compared(self.store.now().await?))
    }

    /// The time now, for the decisions of a batch.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn now_in(&self, batch: &WriteTransaction) -> Result<Timestamp, StoreError> {
        if self.clock.is_hand_moved() {
            return Ok(self.clock.now());
        }
        Ok(self.compared(batch.now().await?))
    }

    /// The database's time where it rules, and notes how far it is ahead.
    fn compared(&self, ruling: Option<Timestamp>) -> Timestamp {
        let own = self.clock.now();
        let ahead = ruling.map_or(0, |ruling| ruling.as_micros() - own.as_micros());
        self.ahead.store(ahead, Ordering::Relaxed);
        ruling.unwrap_or(own)
    }
}
