//! Whether a call costs more the longer the ledger's history is: the same call to a ledger of many transfers and to one
//! of few, in turn.

use std::{
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{
    load::{Sample, Span, closed_loop},
    machine::Watched,
    report::{Better, Outcome, Round},
    subject::{Kind, Subject},
};
use ask::Call;
use ledger::Ledger;

mod ask;
mod ledger;
mod sql;

/// A line of the table for each number of transfers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    pub(crate) name: &'static str,
    call: Call,
    /// Calls in flight.
    calls: usize,
}

const fn line(name: &'static str, call: Call, calls: usize) -> Line {
    Line { name, call, calls }
}

/// The last one adds to what the others read.
pub(crate) const LINES: [Line; 6] = [
    line("history-stats", Call::Stats, 16),
    line("history-span", Call::StatsOfSpan, 16),
    line("history-tables", Call::Tables, 16),
    line("history-list", Call::List, 16),
    line("history-deep", Call::ListFromMiddle, 16),
    line("history-create", Call::Create, 64),
];

/// What is measured.
pub(crate) struct Plan {
    pub(crate) lines: Vec<&'static Line>,
    /// Transfers of the ledger that is the yardstick.
    pub(crate) few: u32,
    /// Those of the ledgers that are compared with it.
    pub(crate) many: Vec<u32>,
    /// Whether their transfers have events.
    pub(crate) events: bool,
    pub(crate) rounds: usize,
    pub(crate) span: Span,
}

/// All rounds on one database.
pub(crate) async fn measure(
    kind: Kind,
    binary: &Path,
    plan: &Plan,
) -> anyhow::Result<Vec<Outcome>> {
    let subject = Subject::start(kind, binary).await?;
    let past = Past {
        end: this_hour(),
        asked: u64::from(plan.few / 2),
        events: plan.events,
    };
    let few = Ledger::make(&subject, plan.few, past).await?;
    let mut outcomes = Vec::new();
    for transfers in &plan.many {
        let many = Ledger::make(&subject, *transfers, past).await?;
        for outcome in compare(&subject, &few, &many, plan).await? {
            crate::say(&outcome.text())?;
            outcomes.push(outcome);
        }
    }
    Ok(outcomes)
}

/// What the history is. The ledgers differ in nothing but how far back theirs goes.
#[derive(Clone, Copy, Debug)]
struct Past {
    /// When it ends, in seconds. It has a transfer a second.
    end: u64,
    /// Seconds before that which are asked for where a call names a span of time.
    asked: u64,
    /// Whether all of it has events.
    events: bool,
}

impl Past {
    fn asked(self) -> (SystemTime, SystemTime) {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        (at(self.end - self.asked), at(self.end))
    }
}

/// In seconds; on the hour, so that the sums of whole hours end there, too.
fn this_hour() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |since| since.as_secs());
    now - now % 3_600
}

async fn compare(
    subject: &Subject,
    few: &Ledger,
    many: &Ledger,
    plan: &Plan,
) -> anyhow::Result<Vec<Outcome>> {
    let mut found: Vec<Vec<Round>> = vec![Vec::new(); plan.lines.len()];
    for round in 1..=plan.rounds {
        for (line, of_line) in plan.lines.iter().zip(&mut found) {
            eprintln!(
                "round {round} of {}, {}: {} beside {} transfers",
                plan.rounds,
                subject.kind.name(),
                line.of(many.transfers),
                few.transfers
            );
            of_line.push(Round {
                work: take(subject, many, line, plan.span).await?,
                yardstick: Some(take(subject, few, line, plan.span).await?),
            });
        }
    }
    let outcomes = plan.lines.iter().zip(found).map(|(line, rounds)| {
        let name = line.of(many.transfers);
        Outcome::new(name, Better::Less, subject.kind, rounds)
    });
    Ok(outcomes.collect())
}

async fn take(
    subject: &Subject,
    ledger: &Ledger,
    line: &Line,
    span: Span,
) -> anyhow::Result<Sample> {
    let watched = Watched {
        servers: vec![ledger.server.pid()],
        ..subject.watched()
    };
    let callers = ask::callers(ledger, line.call, line.calls).await?;
    let sample = closed_loop(&watched, span, callers).await?;
    Ok(time_of_call(sample, line.calls))
}

/// What a call takes in milliseconds on average, where so many in flight come to the rate of `sample`: a time says by
/// itself that less is better.
#[expect(clippy::cast_precision_loss, reason = "few calls")]
fn time_of_call(sample: Sample, calls: usize) -> Sample {
    Sample {
        value: calls as f64 * 1_000.0 / sample.value,
        ..sample
    }
}

impl Line {
    /// Its name with the number of transfers.
    fn of(&self, transfers: u32) -> String {
        let short = match transfers {
            0..1_000 => transfers.to_string(),
            _ if transfers.is_multiple_of(1_000_000) => format!("{}M", transfers / 1_000_000),
            _ if transfers.is_multiple_of(1_000) => format!("{}k", transfers / 1_000),
            _ => transfers.to_string(),
        };
        format!("{}-{short}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_takes_longer_has_the_higher_ratio() {
        let rate = |value| Sample {
            value,
            ..Sample::default()
        };
        let round = Round {
            work: time_of_call(rate(1_000.0), 16),
            yardstick: Some(time_of_call(rate(2_000.0), 16)),
        };
        assert!((round.work.value - 16.0).abs() < 1e-9, "{round:?}");
        assert!(
            round
                .ratio()
                .is_some_and(|ratio| (ratio - 2.0).abs() < 1e-9)
        );
    }

    #[test]
    fn a_line_has_a_name_for_each_ledger() {
        let name = |transfers| LINES[0].of(transfers);
        assert_eq!(name(5_000_000), "history-stats-5M");
        assert_eq!(name(1_500_000), "history-stats-1500k");
        assert_eq!(name(20_001), "history-stats-20001");
    }
}
