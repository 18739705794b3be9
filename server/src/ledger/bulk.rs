//! Drives bulk operations: looks for the next transfers of each that runs, and asks the ledger for a step.
//!
//! What a step does, and how far the operation is then, is one transaction. So whoever drives may end at any time: the next
//! one, of this process or of any replica, goes on from what was committed. Where two drive one operation, one step counts.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::Ledger;
use crate::error::Error;
use tidegate_domain::{
    bulk::{BulkOperation, BulkState, STEP_MAX},
    caller::Caller,
    command::{BulkCommand, BulkStep, Submission},
    page::Position,
    query::{SortOrder, Window},
};
use tidegate_store::{Store, failpoint};

/// Time between two looks whether an operation runs that was started on another replica, or was left by one.
const LOOK: Duration = Duration::from_secs(1);

/// Takes bulk operations on.
pub struct BulkDriver {
    ledger: Ledger,
    store: Store,
}

impl BulkDriver {
    /// One that drives what is started in this ledger.
    pub const fn new(ledger: Ledger, store: Store) -> Self {
        Self { ledger, store }
    }

    /// Goes on with whatever runs, until `stop` is cancelled.
    pub async fn run(self, stop: CancellationToken) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = looks.tick() => {}
                () = self.ledger.bulk_started() => {}
                () = stop.cancelled() => return,
            }
            if let Err(error) = self.drive(&stop).await {
                tracing::warn!(error = %error, "bulk operations could not be looked for; the next look tries again");
            }
        }
    }

    /// Takes a step of each in turn, for as long as there is one to take.
    async fn drive(&self, stop: &CancellationToken) -> Result<(), Error> {
        let mut running = self.store.running_bulk_operations().await?;
        while !running.is_empty() && !stop.is_cancelled() {
            let mut rest = Vec::with_capacity(running.len());
            for operation in running {
                let uuid = operation.uuid;
                match self.step(operation).await {
                    Ok(next) => rest.extend(next),
                    Err(error) => {
                        tracing::warn!(%uuid, error = %error, "a bulk operation could not go on; the next look tries again");
                    }
                }
            }
            running = rest;
        }
        Ok(())
    }

    /// One step; the operation if there is another one to take. One that somebody else went on with is left to them.
    async fn step(&self, operation: BulkOperation) -> Result<Option<BulkOperation>, Error> {
        let mut step = self.next(&operation).await?;
        let expected = step.revision + 1;
        let answer = match self.submit(step.clone()).await {
            // Whoever holds a row that long may hold it for ever.
            Err(Error::RowLocked) => {
                step.leaves_locked = true;
                self.submit(step).await?
            }
            answer => answer?,
        };
        failpoint::pass("mid-bulk");
        let goes_on = answer.state == BulkState::Running && answer.revision == expected;
        Ok(goes_on.then_some(answer))
    }

    /// The next transfers, which may change before their turn: whether they are still meant is decided then.
    async fn next(&self, operation: &BulkOperation) -> Result<BulkStep, Error> {
        let window = Window {
            after: operation.after,
            skip: 0,
            limit: STEP_MAX,
        };
        let (filter, order) = (operation.search(), SortOrder::Ascending);
        let found = self.store.transfers(&filter, order, window).await?;
        let commands = found.iter().map(|it| operation.declared.command(it.uuid));
        Ok(BulkStep {
            uuid: operation.uuid,
            revision: operation.revision,
            commands: commands.collect(),
            upto: found.last().map(|last| Position {
                micros: last.inserted_at.as_micros(),
                uuid: last.uuid.into(),
            }),
            is_last: found.len() < STEP_MAX as usize,
            leaves_locked: false,
        })
    }

    async fn submit(&self, step: BulkStep) -> Result<BulkOperation, Error> {
        let submission = Submission {
            command: BulkCommand::Step(step),
            caller: Caller::server(),
            request: None,
        };
        let answer = self.ledger.submit_patiently(submission).await?;
        Ok(BulkOperation::clone(&answer))
    }
}
