//! What an agent said last, and what became of it: shared between the agent and the task that reports for it.
//!
//! The cell knows nothing of the wire. Its locks are held for a few moves of memory and never across an await.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{Notify, watch};

use super::ReporterStop;
use crate::{Error, Phase, Stop, Totals};

#[derive(Debug, Default)]
pub(super) struct ReportSlot {
    newest: Mutex<Newest>,
    settled: watch::Sender<Settled>,
    /// Tells the task that there is something new.
    wake: Notify,
}

#[derive(Debug, Default)]
struct Newest {
    /// How many reports there have been.
    count: u64,
    totals: Option<Totals>,
    /// The newest checkpoint that is not stored yet, and the count at which it came.
    checkpoint: Option<(u64, Vec<u8>)>,
    heartbeat: Option<Duration>,
    phase: Option<Phase>,
}

#[derive(Clone, Debug, Default)]
struct Settled {
    /// How many reports are covered by what is stored.
    count: u64,
    totals: Option<Totals>,
    stop: Option<ReporterStop>,
    /// What the agent is asked for while it may go on.
    request: Option<Stop>,
}

impl Settled {
    fn why_to_stop(&self) -> Option<ReporterStop> {
        let request = || self.request.clone().map(ReporterStop::Requested);
        self.stop.clone().or_else(request)
    }
}

/// What is to be sent: the newest of everything, and how many reports that covers.
#[derive(Clone, Debug)]
pub(super) struct PendingReport {
    pub(super) count: u64,
    pub(super) totals: Option<Totals>,
    pub(super) checkpoint: Option<Vec<u8>>,
    pub(super) phase: Option<Phase>,
}

impl ReportSlot {
    pub(super) fn put(&self, totals: Totals, checkpoint: Option<Vec<u8>>) {
        {
            let mut newest = self.newest();
            newest.count += 1;
            newest.totals = Some(totals);
            if let Some(checkpoint) = checkpoint {
                newest.checkpoint = Some((newest.count, checkpoint));
            }
        }
        self.wake.notify_one();
    }

    pub(super) fn enter(&self, phase: Phase) {
        {
            let mut newest = self.newest();
            newest.count += 1;
            newest.phase = Some(phase);
        }
        self.wake.notify_one();
    }

    pub(super) fn set_heartbeat(&self, timeout: Option<Duration>) {
        self.newest().heartbeat = timeout;
        self.wake.notify_one();
    }

    pub(super) fn heartbeat(&self) -> Option<Duration> {
        self.newest().heartbeat
    }

    pub(super) fn pending_report(&self) -> PendingReport {
        let newest = self.newest();
        PendingReport {
            count: newest.count,
            totals: newest.totals,
            checkpoint: newest.checkpoint.as_ref().map(|(_, bytes)| bytes.clone()),
            phase: newest.phase,
        }
    }

    pub(super) fn holds_checkpoint(&self) -> bool {
        self.newest().checkpoint.is_some()
    }

    /// Whether something was reported that is not stored.
    pub(super) fn has_news(&self) -> bool {
        let count = self.newest().count;
        count > self.settled.borrow().count
    }

    /// Waits until something is reported or set. May return early.
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// What the letter says is stored.
    pub(super) fn settle(&self, pending_report: &PendingReport) {
        {
            let mut newest = self.newest();
            if newest
                .checkpoint
                .as_ref()
                .is_some_and(|(count, _)| *count <= pending_report.count)
            {
                newest.checkpoint = None;
            }
        }
        self.settled.send_modify(|settled| {
            settled.count = pending_report.count;
            settled.totals = pending_report.totals.or(settled.totals);
        });
    }

    /// The first reason stays.
    pub(super) fn set_stop(&self, stop: ReporterStop) {
        self.settled.send_modify(|settled| {
            settled.stop.get_or_insert(stop);
        });
    }

    /// What the agent is asked for now.
    pub(super) fn set_request(&self, request: Option<Stop>) {
        self.settled.send_if_modified(|settled| {
            let is_news = settled.request != request;
            settled.request = request;
            is_news
        });
    }

    pub(super) fn stop(&self) -> Option<ReporterStop> {
        self.settled.borrow().why_to_stop()
    }

    pub(super) fn acknowledged(&self) -> Option<Totals> {
        self.settled.borrow().totals
    }

    pub(super) async fn stopped(&self) -> ReporterStop {
        let mut settled = self.settled.subscribe();
        let now = settled.wait_for(|settled| settled.why_to_stop().is_some());
        let stop = now.await.ok().and_then(|settled| settled.why_to_stop());
        stop.unwrap_or_else(|| ReporterStop::Refused(Error::reporter_ended()))
    }

    pub(super) async fn flushed(&self) -> Result<(), Error> {
        let count = self.newest().count;
        let mut settled = self.settled.subscribe();
        let now = settled
            .wait_for(|settled| settled.count >= count || settled.stop.is_some())
            .await
            .map_err(|_| Error::reporter_ended())?;
        match &now.stop {
            _ if now.count >= count => Ok(()),
            Some(ReporterStop::Left(status)) => Err(Error::left(*status)),
            Some(ReporterStop::Refused(error)) => Err(error.clone()),
            Some(ReporterStop::Requested(_)) | None => Ok(()),
        }
    }

    fn newest(&self) -> MutexGuard<'_, Newest> {
        // No holder can leave it half changed.
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
