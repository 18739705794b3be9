//! What a run found: its seed, what it counted, what is wrong, and whether there was enough load to prove anything.

use std::{
    borrow::Cow,
    fmt::{self, Debug, Display},
};

/// Faults that are shown; there may be thousands of a kind.
const SHOWN: usize = 10;

/// The outcome of one run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    name: String,
    seed: u64,
    counts: Vec<(Cow<'static, str>, u64)>,
    faults: Vec<String>,
    inconclusive: Vec<String>,
}

/// What a run proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is wrong.
    Passed,
    /// Something is.
    Failed,
    /// There was too little load to tell.
    Inconclusive,
}

impl Report {
    /// Of a run that begins now.
    pub fn new(name: impl Into<String>, seed: u64) -> Self {
        let report = Self {
            name: name.into(),
            seed,
            ..Self::default()
        };
        eprintln!("{}: begins with --seed {seed}", report.name);
        report
    }

    /// Of a part of a run, which says nothing by itself.
    pub fn part() -> Self {
        Self::default()
    }

    /// What is wrong.
    pub fn into_faults(self) -> Vec<String> {
        self.faults
    }

    /// Notes a number worth knowing.
    pub fn count(&mut self, what: impl Into<Cow<'static, str>>, number: impl TryInto<u64>) {
        let number = number.try_into().unwrap_or(u64::MAX);
        self.counts.push((what.into(), number));
    }

    /// Notes a number that proves too little when it is below `least`.
    pub fn require(&mut self, what: &'static str, number: impl TryInto<u64>, least: u64) {
        let number = number.try_into().unwrap_or(u64::MAX);
        self.counts.push((what.into(), number));
        if number < least {
            self.inconclusive
                .push(format!("{number} {what}, at least {least} are needed"));
        }
    }

    /// Notes what is wrong.
    pub fn fault(&mut self, fault: impl Display) {
        self.faults.push(fault.to_string());
    }

    /// Notes everything that is wrong.
    pub fn faults<T: Debug>(&mut self, when: &str, faults: impl IntoIterator<Item = T>) {
        let faults = faults.into_iter().map(|fault| format!("{when}: {fault:?}"));
        self.faults.extend(faults);
    }

    /// Whether something is wrong already.
    pub fn has_failed(&self) -> bool {
        !self.faults.is_empty()
    }

    /// What it proves. A fault is one however little load there was.
    pub fn verdict(&self) -> Verdict {
        if self.has_failed() {
            Verdict::Failed
        } else if self.inconclusive.is_empty() {
            Verdict::Passed
        } else {
            Verdict::Inconclusive
        }
    }

    /// Asserts that nothing is wrong and that this means something.
    ///
    /// # Panics
    /// Otherwise.
    pub fn assert_passed(&self) {
        eprintln!("{self}");
        assert_eq!(self.verdict(), Verdict::Passed, "{self}");
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {:?} with --seed {}",
            self.name,
            self.verdict(),
            self.seed
        )?;
        for (what, number) in &self.counts {
            write!(f, ", {number} {what}")?;
        }
        for inconclusive in &self.inconclusive {
            write!(f, "\n  inconclusive: {inconclusive}")?;
        }
        for fault in self.faults.iter().take(SHOWN) {
            write!(f, "\n  fault: {fault}")?;
        }
        match self.faults.len().checked_sub(SHOWN) {
            Some(more @ 1..) => write!(f, "\n  and {more} faults more"),
            _ => Ok(()),
        }
    }
}
