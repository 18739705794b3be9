//! A transfer and its agent, as they go through time.

use super::*;
use crate::{
    command::Verb,
    decide::{Change, decide},
    fixtures::transfer,
    progress::Report,
};

pub(super) const START: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

/// A transfer and its agent.
pub(super) struct Simulated {
    pub(super) transfer: Transfer,
    pub(super) now: Timestamp,
    /// Records moved, of which reports tell whole ones.
    pub(super) done: f64,
}

impl Simulated {
    pub(super) fn start(requested: i64, timeout: Option<Duration>) -> Self {
        let mut transfer = transfer();
        transfer.declared.records_requested = requested;
        let mut simulated = Self {
            transfer,
            now: START,
            done: 0.0,
        };
        simulated.run(timeout);
        simulated
    }

    pub(super) fn run(&mut self, heartbeat_timeout: Option<Duration>) {
        self.change(&Verb::Start {
            heartbeat_timeout,
            agent_instance: String::new(),
            owner_uuid: None,
        });
    }

    pub(super) fn change(&mut self, verb: &Verb) {
        match decide(&self.transfer, verb, self.now).expect("it may") {
            Change::Progress(after) | Change::Transition(after, _) => self.transfer = after,
            Change::Nothing => {}
            Change::Removal(_) => panic!("it is gone"),
        }
    }

    /// Totals as they are, each record of 10 bytes.
    pub(super) fn report(&mut self) {
        let records = format!("{:.0}", self.done.floor())
            .parse()
            .expect("a count");
        self.tell(Report {
            records_transferred: Some(records),
            bytes_transferred: Some(records * 10),
            ..Report::default()
        });
    }

    /// No totals at all.
    pub(super) fn beat(&mut self) {
        self.tell(Report::default());
    }

    pub(super) fn tell(&mut self, report: Report) {
        self.change(&Verb::UpdateProgress {
            report,
            checkpoint: None,
            lease_epoch: None,
        });
    }

    /// Moves `speed` records a second for a while, and reports every `interval`.
    pub(super) fn go(&mut self, speed: f64, time: Duration, interval: Duration) {
        let end = self.now.after(time);
        while self.now < end {
            self.now = self.now.after(interval);
            self.done += speed * interval.as_secs_f64();
            self.report();
        }
    }

    pub(super) fn rate(&self) -> f64 {
        self.rates().records
    }

    pub(super) fn rates(&self) -> Rates {
        self.transfer.rates(self.now).expect("it has a rate")
    }

    pub(super) fn health(&self) -> TransferHealth {
        self.standing().health
    }

    pub(super) fn standing(&self) -> Standing {
        self.transfer.health(self.now).expect("it runs")
    }

    /// Whether the bounds of the estimate hold the time at which all will be done at `speed`.
    pub(super) fn expects(&self, speed: f64) -> bool {
        let left = difference(self.transfer.declared.records_requested, 0) - self.done;
        let truth = self.now.after(duration(left / speed));
        let estimate = self.transfer.estimate(self.now).expect("an estimate");
        assert!(estimate.earliest <= estimate.at && estimate.at <= estimate.latest);
        assert!(self.now <= estimate.earliest);
        estimate.earliest <= truth && truth <= estimate.latest
    }

    pub(super) fn unknown(&self) -> EstimateUnknownReason {
        self.transfer
            .estimate(self.now)
            .expect_err("it is not known")
    }
}
