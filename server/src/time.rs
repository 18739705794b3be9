//! The ledger's time: the database's clock where replicas share one, the server's own otherwise.

use crate::clock::Clock;
use tidegate_domain::time::Timestamp;
use tidegate_store::{Store, StoreError, WriteTransaction};

/// Tells the ledger's time; cheap to clone.
#[derive(Clone)]
pub struct Time {
    clock: Clock,
    store: Store,
}

impl Time {
    /// The time of the ledger that is kept in `store`.
    pub const fn new(clock: Clock, store: Store) -> Self {
        Self { clock, store }
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

    /// The time now, to look for what is overdue by.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn now(&self) -> Result<Timestamp, StoreError> {
        if self.clock.is_hand_moved() {
            return Ok(self.clock.now());
        }
        Ok(self.store.now().await?.unwrap_or_else(|| self.clock.now()))
    }

    /// The time now, for the decisions of a batch.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn now_in(&self, batch: &WriteTransaction) -> Result<Timestamp, StoreError> {
        if self.clock.is_hand_moved() {
            return Ok(self.clock.now());
        }
        Ok(batch.now().await?.unwrap_or_else(|| self.clock.now()))
    }
}
