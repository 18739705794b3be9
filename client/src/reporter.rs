//! The progress reporter: an agent says how far it has come as often as it likes, and is told when to stop.
//!
//! `slot` holds the newest totals and what became of them; `worker` is the task between the cell and the server.

mod slot;
mod worker;

use std::{fmt, sync::Arc, time::Duration};

use self::{slot::ReportSlot, worker::ReportWorker};
use crate::{
    Client, Error, Failure, Phase, Reason, Run, Stop, Totals, Transfer, TransferStatus, Transfers,
};
use tokio_util::task::AbortOnDropHandle;

/// Reports the progress of one transfer from a task of its own; made by [`Transfers::report_progress`].
///
/// Reporting never waits: the newest totals replace what was not sent yet, and are sent at most every 100 ms over one
/// stream, which is opened anew, with growing pauses, whenever it breaks. Totals are absolute, so whatever gets lost
/// is made good by the next report, and the newest are sent again until the server has stored them.
///
/// A transfer with a heartbeat timeout is kept alive while the reporter lives: the newest totals are repeated when there
/// was nothing to report for a third of it. So hold the reporter only as long as the agent works.
///
/// Dropping the reporter stops its task and completes nothing: end a transfer with [`finish`](Self::finish),
/// [`fail`](Self::fail) or, when asked to stop, [`acknowledge_stop`](Self::acknowledge_stop).
#[must_use = "dropping a reporter stops its reports"]
pub struct ProgressReporter {
    client: Client,
    run: Run,
    slot: Arc<ReportSlot>,
    _task: AbortOnDropHandle<()>,
}

/// Why an agent should stop.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ReporterStop {
    /// The transfer is to be cancelled or paused: stop, and say so with [`ProgressReporter::acknowledge_stop`]. Until then
    /// the reporter goes on, and whoever asked may take it back.
    Requested(Stop),
    /// The transfer is no longer in progress: it was cancelled, failed for want of a heartbeat, or was ended by another.
    Left(TransferStatus),
    /// The server refused a report for good: the lease was lost ([`Error::is_lease_lost`]), totals below those reported
    /// before, a transfer that is not started or does not exist, or the like.
    Refused(Error),
}

impl fmt::Display for ReporterStop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requested(stop) => match &stop.reason {
                Some(reason) => write!(f, "asked to {}: {reason}", stop.kind),
                None => write!(f, "asked to {}", stop.kind),
            },
            Self::Left(status) => write!(f, "the transfer is {status}"),
            Self::Refused(error) => write!(f, "the report was refused: {error}"),
        }
    }
}

impl Transfers {
    /// Begins to report the progress of a transfer that was started: best of what [`start`](Self::start) answered,
    /// so that the reports name its lease.
    ///
    /// The server is told of the reporter at once, so a cancellation is noticed even before the first report.
    pub fn report_progress(&self, run: impl Into<Run>) -> ProgressReporter {
        let run = run.into();
        let slot = Arc::<ReportSlot>::default();
        if run.heartbeat_timeout.is_some() {
            slot.set_heartbeat(run.heartbeat_timeout);
        }
        let worker = ReportWorker::new(self.client.clone(), run, Arc::clone(&slot));
        let task = self.client.runtime().spawn(worker.run());
        ProgressReporter {
            client: self.client.clone(),
            run,
            slot,
            _task: AbortOnDropHandle::new(task),
        }
    }
}

impl ProgressReporter {
    /// Repeats the newest totals whenever a third of `timeout` passed without a report. By default the timeout is the
    /// transfer's own `heartbeat_timeout`, which the reporter asks the server for.
    pub fn heartbeat(self, timeout: Duration) -> Self {
        self.slot.set_heartbeat(Some(timeout));
        self
    }

    /// Says how far the transfer has come. Never waits and never fails; see [`status`](Self::status) for refusals.
    pub fn report(&self, totals: Totals) {
        self.slot.put(totals, None);
    }

    /// Says how far the transfer has come, and where the agent would resume from there: at most 4,096 bytes.
    ///
    /// Both are stored together. A checkpoint is sent until it is stored or replaced by a newer one.
    pub fn report_with_checkpoint(&self, totals: Totals, checkpoint: impl Into<Vec<u8>>) {
        self.slot.put(totals, Some(checkpoint.into()));
    }

    /// Says that the run enters a phase. Never waits and never fails; a run does not go back to an earlier one.
    pub fn enter(&self, phase: Phase) {
        self.slot.enter(phase);
    }

    /// Why the agent should stop, once there is a reason. Cheap enough to ask after every row.
    #[must_use]
    pub fn status(&self) -> Option<ReporterStop> {
        self.slot.stop()
    }

    /// Waits for a reason to stop.
    pub async fn stopped(&self) -> ReporterStop {
        self.slot.stopped().await
    }

    /// The newest totals that are known to be stored durably; `None` before the first.
    #[must_use]
    pub fn acknowledged(&self) -> Option<Totals> {
        self.slot.acknowledged()
    }

    /// Waits until everything reported so far is stored durably; for as long as the server cannot be reached.
    ///
    /// # Errors
    /// The reason to stop, when it comes first: the refusal, or `FAILED_PRECONDITION` (`ILLEGAL_TRANSITION`) when the
    /// transfer left its progress.
    pub async fn flush(&self) -> Result<(), Error> {
        self.slot.flushed().await
    }

    /// Completes the transfer with its final totals, which need not have been reported before.
    ///
    /// # Errors
    /// The refusal of the completion: `LEASE_LOST`, `ILLEGAL_TRANSITION` when the transfer is no longer in progress,
    /// `PROGRESS_REGRESSED` for totals below those reported. `UNAVAILABLE` after all tries: the transfer may or may not
    /// be completed, and [`Transfers::complete`] may be called for it again.
    pub async fn finish(self, totals: Totals) -> Result<Transfer, Error> {
        // The reporter lives on until the answer is there, so that the heartbeat goes on during retries.
        self.client
            .transfers()
            .complete(self.run)
            .progress(totals.into())
            .await
    }

    /// Says, with its final totals, that the agent has stopped as it was asked to: see [`ReporterStop::Requested`]. `None`
    /// when the request was taken back meanwhile: go on.
    ///
    /// A checkpoint that is not stored yet is stored first, as in [`fail`](Self::fail).
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub async fn acknowledge_stop(&self, totals: Totals) -> Result<Option<Transfer>, Error> {
        self.store_checkpoint().await;
        let call = self.client.transfers().acknowledge_stop(self.run);
        match call.progress(totals.into()).await {
            Err(error) if error.reason() == Some(Reason::StopNotRequested) => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// Gives the transfer up with its final totals: for a text of 1 to 2,000 characters, or a [`Failure`] that says more.
    ///
    /// A checkpoint that is not stored yet is stored first, so that another transfer can resume from it, unless that
    /// takes longer than the client's timeout.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub async fn fail(
        self,
        failure: impl Into<Failure>,
        totals: Totals,
    ) -> Result<Transfer, Error> {
        let failure = failure.into();
        self.store_checkpoint().await;
        let mut call = self
            .client
            .transfers()
            .fail(self.run, failure.error_message);
        if let Some(code) = failure.code {
            call = call.code(code);
        }
        let call = call.retryable(failure.retryable);
        call.progress(totals.into()).await
    }

    /// Ending matters more than the checkpoint: whatever becomes of it, whoever calls this goes on.
    async fn store_checkpoint(&self) {
        if self.slot.holds_checkpoint() {
            let _ = tokio::time::timeout(self.client.timeout(), self.flush()).await;
        }
    }
}

impl fmt::Debug for ProgressReporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProgressReporter")
            .field("run", &self.run)
            .field("acknowledged", &self.acknowledged())
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}
