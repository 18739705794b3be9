//! Claims for as long as there are free slots.
//!
//! A claim that was sent may have started runs, whatever becomes of its answer. So it is repeated under the same request id
//! until there is one.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{CLAIM_MAX, ClaimedRun, RunSlot};
use crate::{ClaimTransfers, Client, Error, Transfer, retry};

/// How long one claim waits for something to run.
const WAIT: Duration = Duration::from_secs(30);
/// An empty answer that comes earlier is no answer of a server that waits.
const SHORTEST: Duration = Duration::from_secs(1);
/// How long a claim that is given up may take to say what it has started.
const LAST: Duration = Duration::from_secs(1);

/// The task that claims.
pub(super) struct Claims {
    pub(super) client: Client,
    pub(super) claim: ClaimTransfers,
    pub(super) slots: Arc<Semaphore>,
    pub(super) runs: mpsc::Sender<Result<ClaimedRun, Error>>,
    pub(super) stop: CancellationToken,
}

impl Claims {
    pub(super) async fn run(self) {
        let mut pauses = self.client.retry().endless();
        while let Some(free) = self.free_slots().await {
            let asked = Instant::now();
            match self.claimed(free.len()).await {
                Ok(transfers) if transfers.is_empty() && asked.elapsed() < SHORTEST => {
                    tokio::select! {
                        () = pauses.wait(None) => {}
                        () = self.stop.cancelled() => {}
                    }
                }
                Ok(transfers) => {
                    pauses.start_over();
                    self.hand_out(transfers, free).await;
                }
                Err(error) => {
                    // Nobody listens where the worker is gone.
                    let _ = self.runs.send(Err(error)).await;
                    return;
                }
            }
        }
    }

    /// Waits for a slot, and takes all that are free; `None` when no more are wanted.
    async fn free_slots(&self) -> Option<Vec<OwnedSemaphorePermit>> {
        let first = tokio::select! {
            biased;
            () = self.stop.cancelled() => return None,
            first = Arc::clone(&self.slots).acquire_owned() => first.ok()?,
        };
        let mut free = vec![first];
        while free.len() < CLAIM_MAX as usize
            && let Ok(another) = Arc::clone(&self.slots).try_acquire_owned()
        {
            free.push(another);
        }
        Some(free)
    }

    /// Starts at most so many, as soon as there are any.
    async fn claimed(&self, max: usize) -> Result<Vec<Transfer>, Error> {
        let max = u32::try_from(max).unwrap_or(CLAIM_MAX);
        let claim = self.claim.clone().max(max).wait(WAIT);
        let claim = claim.request_id(Uuid::new_v4().to_string());
        tokio::select! {
            biased;
            () = self.stop.cancelled() => {}
            claimed = self.persist(&claim, self.client.timeout() + WAIT) => return claimed,
        }
        let patience = self.client.timeout();
        let last = timeout(patience, self.persist(&claim, LAST));
        last.await.unwrap_or_else(|_elapsed| {
            tracing::warn!("what the last claim has started, if anything, ends with its leases");
            Ok(Vec::new())
        })
    }

    /// Sends a claim until it is answered, each time for at most so long.
    async fn persist(
        &self,
        claim: &ClaimTransfers,
        within: Duration,
    ) -> Result<Vec<Transfer>, Error> {
        let mut pauses = self.client.retry().endless();
        loop {
            match claim.send_once(within).await {
                Err(error) if retry::is_worth_reconnecting(&error) => {
                    tracing::debug!(%error, "a claim failed and is sent again");
                    pauses.wait(Some(&error)).await;
                }
                answer => return answer.map_err(|error| self.client.located(error)),
            }
        }
    }

    /// Hands runs out, each with its slot. Those are reported for from here on, so that no lease ends while they wait.
    async fn hand_out(&self, transfers: Vec<Transfer>, free: Vec<OwnedSemaphorePermit>) {
        for (transfer, permit) in transfers.into_iter().zip(free) {
            let run = ClaimedRun {
                reporter: self.client.transfers().report_progress(&transfer),
                transfer,
                slot: RunSlot { _permit: permit },
            };
            if self.runs.send(Ok(run)).await.is_err() {
                return;
            }
        }
    }
}
