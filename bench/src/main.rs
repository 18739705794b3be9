//! Measures a real server, in a process of its own, against yardsticks of the same run on the same machine.
//!
//! Absolute figures are the machine's; what counts is the ratio of two figures that were taken side by side.

mod calls;
mod echo;
mod entrance;
mod history;
mod load;
mod machine;
mod measure;
mod predecessor;
mod replicas;
mod report;
mod secured;
mod subject;
mod watchers;
mod yardstick;

use std::{io::Write as _, path::PathBuf};

use anyhow::Context as _;
use clap::Parser;

use history::Plan;
use load::{Sample, Span};
use measure::Measurement;
use report::{LINES, Line, Outcome, Round};
use subject::{Kind, Subject};

/// Measures Tidegate.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    /// Lines of the table whose names begin with one of these; all when none is given.
    names: Vec<String>,
    /// Only lines with exactly these names.
    #[arg(long)]
    exact: bool,
    /// The database; both when absent.
    #[arg(long)]
    db: Option<Kind>,
    /// How often everything is measured, in turn; the median counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Length of one measurement in seconds.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// One round of a second for each measurement: shows that all of it works, and little else.
    #[arg(long, conflicts_with_all = ["rounds", "seconds"])]
    quick: bool,
    /// How many transfers the ledgers of the history lines have, each of which is compared with one of 20,000 (2,000
    /// with --quick); 1000000 unless given, 20000 with --quick.
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',')]
    transfers: Vec<u32>,
    /// The ledgers of the history lines have hardly any events, and need less than half of the disk.
    #[arg(long)]
    without_events: bool,
    /// Where all figures go, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measures this server instead of one that is built now.
    #[arg(long, value_name = "PROGRAM")]
    server: Option<PathBuf>,
    /// Serves as the echo.
    #[arg(long, hide = true)]
    echo: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if arguments.echo {
        return echo::serve().await;
    }
    let binary = match &arguments.server {
        Some(server) => server.canonicalize().context("--server")?,
        None => subject::build().await?,
    };
    let wanted = |name: &str| {
        let is_meant = |given: &String| match arguments.exact {
            true => name == given,
            false => name.starts_with(given.as_str()),
        };
        arguments.names.is_empty() || arguments.names.iter().any(is_meant)
    };
    let lines: Vec<&Line> = LINES.iter().filter(|line| wanted(line.name)).collect();
    let plan = arguments.history(wanted)?;
    anyhow::ensure!(
        !lines.is_empty() || !plan.lines.is_empty(),
        "no line of the table has such a name"
    );
    let (rounds, span) = arguments.length();
    let kinds = [Kind::Sqlite, Kind::Postgres];
    let mut outcomes = Vec::new();
    say(&report::head())?;
    for kind in kinds
        .into_iter()
        .filter(|kind| arguments.db.is_none_or(|db| db == *kind))
    {
        let lines: Vec<&Line> = lines
            .iter()
            .copied()
            .filter(|line| line.is_on(kind))
            .collect();
        if !lines.is_empty() {
            outcomes.extend(measure(kind, &binary, &lines, rounds, span).await?);
        }
        if !plan.lines.is_empty() {
            outcomes.extend(history::measure(kind, &binary, &plan).await?);
        }
    }
    anyhow::ensure!(!outcomes.is_empty(), "these lines are of another database");
    if let Some(path) = &arguments.json {
        let file = std::fs::File::create(path).context("--json")?;
        serde_json::to_writer_pretty(file, &outcomes)?;
    }
    Ok(())
}

impl Arguments {
    /// How many rounds, and how long each measurement is.
    fn length(&self) -> (usize, Span) {
        let (rounds, seconds) = match self.quick {
            true => (1, 1.0),
            false => (self.rounds, self.seconds),
        };
        let span = Span {
            quick: self.quick,
            ..Span::of(seconds)
        };
        (rounds, span)
    }

    /// What the lines of the history are to do.
    fn history(&self, wanted: impl Fn(&str) -> bool) -> anyhow::Result<Plan> {
        let lines = history::LINES.iter().filter(|line| wanted(line.name));
        let (few, many) = match self.quick {
            true => (2_000, 20_000),
            false => (20_000, 1_000_000),
        };
        let many = match self.transfers.as_slice() {
            [] => vec![many],
            given => given.to_vec(),
        };
        anyhow::ensure!(
            many.iter().all(|transfers| *transfers > few),
            "--transfers are more than {few}, which each is compared with"
        );
        let (rounds, span) = self.length();
        Ok(Plan {
            lines: lines.collect(),
            few,
            many,
            events: !self.without_events,
            rounds,
            // A short look takes a short time: these lines are as many as the others.
            span: if self.quick { Span::of(0.3) } else { span },
        })
    }
}

/// All rounds on one database.
async fn measure(
    kind: Kind,
    binary: &std::path::Path,
    lines: &[&Line],
    rounds: usize,
    span: Span,
) -> anyhow::Result<Vec<Outcome>> {
    let subject = Subject::start(kind, binary).await?;
    let mut found: Vec<Vec<Round>> = vec![Vec::new(); lines.len()];
    for round in 1..=rounds {
        // Each yardstick once a round, however many lines are held against it.
        let mut yardsticks: Vec<(Measurement, Sample)> = Vec::new();
        for (line, of_line) in lines.iter().zip(&mut found) {
            eprintln!("round {round} of {rounds}, {}: {}", kind.name(), line.name);
            let failed = || format!("{} on {}", line.name, kind.name());
            let work = line.work.take(&subject, span).await.with_context(failed)?;
            let yardstick = match line.yardstick {
                None => None,
                Some(wanted) => match yardsticks.iter().find(|(known, _)| *known == wanted) {
                    Some((_, sample)) => Some(sample.clone()),
                    None => {
                        let sample = wanted.take(&subject, span).await.with_context(failed)?;
                        yardsticks.push((wanted, sample.clone()));
                        Some(sample)
                    }
                },
            };
            of_line.push(Round { work, yardstick });
        }
    }
    let outcomes = lines.iter().zip(found);
    let outcomes: Vec<_> = outcomes
        .map(|(line, rounds)| Outcome::new(line.name.to_owned(), line.better(), kind, rounds))
        .collect();
    for outcome in &outcomes {
        say(&outcome.text())?;
    }
    Ok(outcomes)
}

fn say(line: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{line}").context("stdout is gone")
}
