//! Deletes events that are older than they are to be kept, and bulk operations that ended before then, where that was
//! asked for.
//!
//! Needs no command in a writer's queue: it touches no row that a command changes but the counter, which it locks last, as
//! every batch does. On SQLite it waits its turn for the one connection that writes.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::chain;
use crate::{error::Error, time::Time};
use tidegate_domain::time::Timestamp;
use tidegate_store::{Store, StoreError};

/// Events that one transaction deletes.
const STRIDE: u32 = 500;
/// Time between two such transactions, so that commands are never crowded out.
const PAUSE: Duration = Duration::from_millis(20);

/// Keeps the log at its length.
pub struct Retention {
    store: Store,
    time: Time,
    keep: Duration,
}

impl Retention {
    /// Deletes what is older than `keep`.
    pub const fn new(store: Store, time: Time, keep: Duration) -> Self {
        Self { store, time, keep }
    }

    /// Looks for old events every `interval` until `stop` is cancelled.
    pub async fn run(self, interval: Duration, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = stop.cancelled() => return,
            }
            match self.trim(&stop).await {
                Ok(0) => {}
                Ok(deleted) => {
                    tracing::info!(deleted, "old events and bulk operations were deleted")
                }
                Err(error) => {
                    tracing::warn!(error = %chain(&error), "old events and bulk operations could not be deleted; the next look tries again");
                }
            }
        }
    }

    async fn trim(&self, stop: &CancellationToken) -> Result<u64, Error> {
        let before = self.time.now().await?.before(self.keep);
        let mut total = 0;
        loop {
            match self.store.within_limit(self.stride(before)).await {
                Ok(0) => return Ok(total),
                Ok(deleted) => total += deleted,
                // Another replica deletes the same ones.
                Err(StoreError::Conflict(_)) => return Ok(total),
                Err(error) => return Err(error.into()),
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = stop.cancelled() => return Ok(total),
            }
        }
    }

    /// Deletes the oldest events, and what is left of bulk operations that ended then, in one transaction; how many rows.
    async fn stride(&self, before: Timestamp) -> Result<u64, StoreError> {
        let batch = self.store.begin().await?;
        let mut deleted = batch.trim_bulk_operations(before, STRIDE).await?;
        deleted += batch.trim_log(before, STRIDE).await?;
        if deleted == 0 {
            batch.rollback().await?;
        } else {
            batch.commit().await?;
        }
        Ok(deleted)
    }
}
