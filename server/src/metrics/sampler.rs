//! Counts what only the database knows, now and then and whoever asks.

use std::{sync::Arc, time::Duration};

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::{Metrics, OPEN};
use crate::time::Time;
use tidegate_domain::{
    query::{ApprovalFilter, SortOrder, TransferFilter, Window},
    status::TransferStatus,
};
use tidegate_store::{Store, StoreError};

/// Time between two counts. Each reads an index that has open transfers alone.
const PAUSE: Duration = Duration::from_secs(15);

/// Counts until `stop` is cancelled. A count that fails leaves the one before it.
pub async fn run(store: Store, time: Time, metrics: Arc<Metrics>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(PAUSE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let work = async {
        loop {
            ticks.tick().await;
            if let Err(error) = sample(&store, &time, &metrics).await {
                tracing::debug!(%error, "open transfers could not be counted");
            }
        }
    };
    _ = stop.run_until_cancelled(work).await;
}

async fn sample(store: &Store, time: &Time, metrics: &Metrics) -> Result<(), StoreError> {
    for status in OPEN {
        let count = store.count_transfers(&with(status)).await?;
        metrics.open.set(status.name(), count);
    }
    let waiting = with(TransferStatus::PendingApproval);
    let first = Window {
        after: None,
        skip: 0,
        limit: 1,
    };
    let oldest = store
        .transfers(&waiting, SortOrder::Ascending, first)
        .await?;
    let age = match oldest.first() {
        Some(oldest) => time.now().await?.as_micros() - oldest.inserted_at.as_micros(),
        None => 0,
    };
    metrics.approval_age.set(age.max(0) / 1_000_000);
    let next = store
        .pending_approvals(&ApprovalFilter::default(), time.now().await?, first)
        .await?;
    let expiry = next.first().and_then(|next| next.approval_expires_at);
    let expiry = expiry.map_or(0, |expiry| expiry.as_micros() / 1_000_000);
    metrics.approval_next_expiry.set(expiry);
    Ok(())
}

fn with(status: TransferStatus) -> TransferFilter {
    TransferFilter {
        status: vec![status],
        ..TransferFilter::default()
    }
}
