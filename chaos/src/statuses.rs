//! The statuses that callers were answered with, and whether a caller may be answered so while the database is away.

use std::collections::BTreeMap;

use tidegate_proto::v1;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::{
    Report,
    change::{CallFailure, classify_reason},
};

/// Answers that are kept word for word; all are counted.
const KEPT: usize = 5;

/// What an answer other than success tells its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The rules say no.
    Refused,
    /// To try again: UNAVAILABLE with `RetryInfo`.
    TryAgain,
    /// What nobody should be told for the sake of the database.
    Wrong,
}

/// What callers were answered.
#[derive(Clone, Debug, Default)]
pub struct Statuses {
    succeeded: u64,
    others: BTreeMap<String, (Meaning, u64)>,
    wrong: Vec<String>,
}

impl Meaning {
    /// What a status tells.
    pub fn of(code: Code, reason: Option<&str>, has_retry_info: bool) -> Self {
        let is_refusal = || matches!(reason.map(classify_reason), Some(CallFailure::Refused));
        match code {
            Code::Unavailable if has_retry_info => Self::TryAgain,
            Code::Unavailable => Self::Wrong,
            _ if is_refusal() => Self::Refused,
            _ => Self::Wrong,
        }
    }
}

impl Statuses {
    /// Notes an answer without an error.
    pub const fn succeeded(&mut self) {
        self.succeeded += 1;
    }

    /// Notes the status that a call or a stream ended with; what it tells.
    pub fn note(&mut self, call: &str, status: &Status) -> Meaning {
        let details = status.get_error_details();
        let reason = details.error_info().map(|info| info.reason.as_str());
        let has_retry_info = details
            .retry_info()
            .is_some_and(|info| info.retry_delay.is_some());
        let meaning = Meaning::of(status.code(), reason, has_retry_info);
        let with = if has_retry_info { "with" } else { "without" };
        let name = format!(
            "{:?} {} {with} RetryInfo",
            status.code(),
            reason.unwrap_or("of no reason"),
        );
        self.count(name, meaning, || format!("{call}: {status:?}"));
        meaning
    }

    /// Notes an error among the answers of a stream that goes on. `retry_delay` stands for `RetryInfo` there.
    pub fn note_report(&mut self, error: &v1::ReportProgressError) -> Meaning {
        let code = Code::from(error.code);
        let has_delay = error.retry_delay.is_some();
        let meaning = Meaning::of(code, Some(&error.reason), has_delay);
        let with = if has_delay { "with" } else { "without" };
        let name = format!("{code:?} {} {with} retry_delay on a stream", error.reason);
        self.count(name, meaning, || format!("ReportProgress: {error:?}"));
        meaning
    }

    /// Notes that there was something else than an answer or a status.
    pub fn wrong(&mut self, call: &str, what: &str) {
        self.count(what.to_owned(), Meaning::Wrong, || {
            format!("{call}: {what}")
        });
    }

    fn count(&mut self, name: String, meaning: Meaning, text: impl FnOnce() -> String) {
        self.others.entry(name).or_insert((meaning, 0)).1 += 1;
        if meaning == Meaning::Wrong && self.wrong.len() < KEPT {
            self.wrong.push(text());
        }
    }

    /// Adds what others were answered.
    pub fn add(&mut self, others: Self) {
        self.succeeded += others.succeeded;
        for (name, (meaning, count)) in others.others {
            self.others.entry(name).or_insert((meaning, 0)).1 += count;
        }
        let room = KEPT.saturating_sub(self.wrong.len());
        self.wrong.extend(others.wrong.into_iter().take(room));
    }

    /// Tells a report how many there were of each. Those that are wrong are faults.
    pub fn judge(&self, report: &mut Report) {
        report.count("other answers without an error", self.succeeded);
        for (name, (meaning, count)) in &self.others {
            report.count(name.clone(), *count);
            if *meaning == Meaning::Wrong {
                report.fault(format!("{count} answers were {name}"));
            }
        }
        for text in &self.wrong {
            report.fault(format!("answered {text}"));
        }
    }
}
