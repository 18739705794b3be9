//! One site: what changes there, and when that is known.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use anyhow::Context as _;
use tidegate_proto::v1::{self, watch_transfers_response::Update};
use tonic::{Streaming, transport::Channel};

use crate::{
    calls::{run, totals},
    entrance::{Transfers, connect},
};

/// A connection of the ledger with one transfer that runs.
pub(super) struct Site {
    connection: String,
    transfer: String,
    /// Those of the transfer; the totals of each are its place in here, counted from one.
    changes: Mutex<Vec<Change>>,
    /// Totals must not fall, so the calls wait for each other.
    turn: tokio::sync::Mutex<()>,
}

/// A change, and when it came to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    /// When its call was to be made.
    pub(super) due: Instant,
    pub(super) answered: Option<Instant>,
    /// When the watcher had it, or a newer one.
    pub(super) seen: Option<Instant>,
}

impl Site {
    pub(super) async fn new(channel: Channel, mut client: Transfers) -> anyhow::Result<Self> {
        let connection = connect(channel).await?;
        Ok(Self {
            transfer: run(&mut client, &connection).await?,
            connection,
            changes: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        })
    }

    /// Reports progress.
    pub(super) async fn change(&self, mut client: Transfers, due: Instant) -> anyhow::Result<()> {
        let _turn = self.turn.lock().await;
        let place = self.begin(due);
        let request = v1::UpdateProgressRequest {
            uuid: self.transfer.clone(),
            progress: Some(totals(i64::try_from(place)? + 1)),
            ..v1::UpdateProgressRequest::default()
        };
        client.update_progress(request).await?;
        self.known()[place].answered = Some(Instant::now());
        Ok(())
    }

    /// The place of a new change.
    fn begin(&self, due: Instant) -> usize {
        let mut known = self.known();
        known.push(Change {
            due,
            answered: None,
            seen: None,
        });
        known.len() - 1
    }

    /// Begins to watch the transfers of the connection.
    pub(super) async fn watch(
        &self,
        client: Transfers,
    ) -> anyhow::Result<Streaming<v1::WatchTransfersResponse>> {
        let filter = v1::TransferFilter {
            connection_uuid: self.connection.clone(),
            ..v1::TransferFilter::default()
        };
        watch(client, Some(filter)).await
    }

    /// Takes what is told until the watch ends.
    pub(super) async fn follow(
        &self,
        mut updates: Streaming<v1::WatchTransfersResponse>,
    ) -> anyhow::Result<()> {
        while let Some(answer) = updates.message().await? {
            let Some(Update::Transfer(transfer)) = answer.update else {
                anyhow::bail!("no transfer: {answer:?}");
            };
            let progress = transfer.progress.context("a transfer has progress")?;
            let records = progress.records_transferred.unwrap_or_default();
            self.see(usize::try_from(records)?, Instant::now());
        }
        anyhow::bail!("the server ended it")
    }

    /// Takes in totals that the watcher was told: whatever came before them is known with them.
    fn see(&self, records: usize, now: Instant) {
        for change in self.known().iter_mut().take(records) {
            change.seen.get_or_insert(now);
        }
    }

    /// All that has changed so far.
    pub(super) fn changes(&self) -> Vec<Change> {
        self.known().clone()
    }

    fn known(&self) -> MutexGuard<'_, Vec<Change>> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Begins to watch all transfers.
pub(super) async fn watch_all(
    client: Transfers,
) -> anyhow::Result<Streaming<v1::WatchTransfersResponse>> {
    watch(client, None).await
}

async fn watch(
    mut client: Transfers,
    filter: Option<v1::TransferFilter>,
) -> anyhow::Result<Streaming<v1::WatchTransfersResponse>> {
    let request = v1::WatchTransfersRequest {
        filter,
        ..v1::WatchTransfersRequest::default()
    };
    let mut updates = client.watch_transfers(request).await?.into_inner();
    let first = updates.message().await?.context("the watch ended")?;
    anyhow::ensure!(
        first.update == Some(Update::CaughtUp(true)),
        "not live: {first:?}"
    );
    Ok(updates)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_change_that_was_skipped_is_seen_with_the_next_and_none_twice() {
        let site = Site {
            connection: String::new(),
            transfer: String::new(),
            changes: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        };
        let first = Instant::now();
        for _ in 0..3 {
            site.begin(first);
        }
        let second = first + Duration::from_secs(1);
        site.see(1, first);
        site.see(2, second);
        let seen: Vec<_> = site.changes().iter().map(|change| change.seen).collect();
        assert_eq!(seen, [Some(first), Some(second), None]);
    }
}
