//! Deletes transfers that had ended for as long as they are to be kept, where that was asked for.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{STRIDE, Sweeper};
use crate::error::Error;
use tidegate_domain::{
    caller::Caller,
    command::{TransferCommand, Verb},
};

/// Sweeps between two looks: what is kept for days may be kept for a minute more.
const SWEEPS: u32 = 60;

impl Sweeper {
    /// Deletes what had ended before `keep`, until `stop` is cancelled. A task of its own: the first look may find very many,
    /// and no deadline waits for that.
    pub async fn run_transfer_retention(
        self,
        keep: Duration,
        sweep_interval: Duration,
        stop: CancellationToken,
    ) {
        let mut looks = interval(sweep_interval.saturating_mul(SWEEPS));
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = looks.tick() => {}
                () = stop.cancelled() => return,
            }
            match self.delete_ended_transfers(keep, &stop).await {
                Ok(0) => {}
                Ok(transfers) => tracing::info!(transfers, "transfers that had ended were deleted"),
                Err(error) => {
                    tracing::warn!(error = %error, "transfers that had ended could not be deleted; the next look tries again");
                }
            }
        }
    }

    async fn delete_ended_transfers(
        &self,
        keep: Duration,
        stop: &CancellationToken,
    ) -> Result<i64, Error> {
        let mut total = 0;
        while !stop.is_cancelled() {
            let before = self.time.now().await?.before(keep);
            let ended = self.store.ended_transfers(before, STRIDE).await?;
            let commands = ended.iter().map(|uuid| TransferCommand::Change {
                uuid: *uuid,
                verb: Verb::Delete,
            });
            let deleted = self
                .carry_out(commands, &Caller::server(), Option::is_none)
                .await?;
            self.metrics
                .swept
                .inc_by("transfer", deleted.unsigned_abs());
            total += deleted;
            if deleted == 0 {
                break;
            }
        }
        Ok(total)
    }
}
