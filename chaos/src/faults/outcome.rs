//! What a run came to.

use std::{
    fmt::{self, Display},
    time::Duration,
};

use tonic::Status;
use tonic_types::StatusExt as _;

use super::{Fault, FaultKind, Observed};
use crate::load::Load;

/// Longest wait of a caller, whatever fails: the documented 3 s, and room for a machine that has much to do.
const SLOWEST: Duration = Duration::from_secs(6);
/// A recovery that takes longer is worth an explanation.
const SLOW: Duration = Duration::from_secs(2);
/// Fewer acknowledged changes than that prove too little.
const LEAST_LOAD: usize = 20;

/// Findings of a run that are shown, and the longest of them.
const SHOWN: usize = 4;
const LONGEST: usize = 300;

/// What one run came to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What failed.
    pub fault: String,
    /// What must not be.
    pub findings: Vec<String>,
    /// Whether the servers met the fault.
    pub met: bool,
    /// How often a server ended with a documented code.
    pub exits: u64,
    /// Changes that were acknowledged.
    pub acknowledged: usize,
    /// Answers that left it open whether the change was made.
    pub unknown: usize,
    /// What watchers were told.
    pub watched: Vec<Observed>,
    /// The slowest answer.
    pub slowest: Duration,
    /// How long it took from the end of the fault until all was well.
    pub recovery: Duration,
    /// What was in the way last.
    pub obstacle: String,
}

impl Outcome {
    /// Adds what the clients have recorded.
    pub(super) fn note(&mut self, load: &Load, fault: &Fault) {
        let record = load.record();
        self.acknowledged = record.history.acknowledged.len();
        self.unknown = record.unknown;
        self.slowest = record.slowest;
        let unexpected = record.unexpected.iter();
        self.findings
            .extend(unexpected.map(|unexpected| format!("answered {unexpected}")));
        // A process that stands still answers nobody.
        let limit = match fault.kind {
            FaultKind::ProcessStopped => SLOWEST + fault.lasts,
            _ => SLOWEST,
        };
        if record.slowest > limit {
            let slowest = record.slowest;
            self.findings.push(format!("an answer took {slowest:?}"));
        }
    }

    /// The first findings, which say most of it, and how many more there are.
    pub(super) fn shown(&self) -> Vec<String> {
        let first = self.findings.iter().take(SHOWN);
        let mut shown: Vec<String> = first
            .map(|finding| finding.chars().take(LONGEST).collect())
            .collect();
        if self.findings.len() > SHOWN {
            shown.push(format!("and {} more", self.findings.len() - SHOWN));
        }
        shown
    }

    fn told(&self) -> usize {
        let told = self.watched.iter();
        told.map(|told| told.events.len() + told.transfers.len())
            .sum()
    }
}

impl Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match (self.findings.is_empty(), self.met) {
            (false, _) => "FAILED",
            (true, true) => "ok",
            (true, false) => "ok, but not met",
        };
        write!(
            f,
            "{verdict}: {}: {} acknowledged, {} unknown, {} told, slowest {} ms, back after {} ms",
            self.fault,
            self.acknowledged,
            self.unknown,
            self.told(),
            self.slowest.as_millis(),
            self.recovery.as_millis()
        )?;
        if self.exits > 0 {
            write!(f, ", {} documented ends", self.exits)?;
        }
        if self.recovery > SLOW {
            write!(f, "\n     slowly: {}", self.obstacle)?;
        }
        for finding in self.shown() {
            write!(f, "\n     {finding}")?;
        }
        Ok(())
    }
}

/// A status in few words.
pub(super) fn brief(status: &Status) -> String {
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| info.reason.clone());
    format!("{:?} {reason:?}: {}", status.code(), status.message())
}

/// What all runs came to.
#[derive(Debug, Default)]
pub(super) struct Summary {
    pub(super) met: u64,
    pub(super) exits: u64,
    pub(super) acknowledged: usize,
    pub(super) told: usize,
    pub(super) slowest: Duration,
    pub(super) recovery: Duration,
}

impl Summary {
    pub(super) fn add(&mut self, outcome: &Outcome) {
        self.met += u64::from(outcome.met && outcome.acknowledged >= LEAST_LOAD);
        self.exits += outcome.exits;
        self.acknowledged += outcome.acknowledged;
        self.told += outcome.told();
        self.slowest = self.slowest.max(outcome.slowest);
        self.recovery = self.recovery.max(outcome.recovery);
    }
}
