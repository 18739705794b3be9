//! The lines of the table: what is compared with what, and how it came out.

use serde::Serialize;

use crate::{
    load::Sample,
    measure::Measurement::{self, *},
    predecessor::Script,
    secured::Work,
    subject::Kind,
    watchers::Figure,
    yardstick::Statement,
};

/// Others may take so much of the machine; a measurement beside more is void.
pub(crate) const FOREIGN_MAX: f64 = 0.1;

/// Which way a figure is good, and its ratio with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Better {
    More,
    Less,
}

/// A line of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    pub(crate) name: &'static str,
    pub(crate) work: Measurement,
    pub(crate) yardstick: Option<Measurement>,
    /// The only database that it makes sense on.
    only: Option<Kind>,
}

impl Line {
    /// Whether it is measured on this database.
    pub(crate) fn is_on(&self, kind: Kind) -> bool {
        self.only.is_none_or(|only| only == kind)
    }

    /// Several servers share a database, or a program of PostgreSQL's is the yardstick.
    const fn on_postgres(self) -> Self {
        Self {
            only: Some(Kind::Postgres),
            ..self
        }
    }
}

const fn line(name: &'static str, work: Measurement, yardstick: Option<Measurement>) -> Line {
    Line {
        name,
        work,
        yardstick,
        only: None,
    }
}

impl Line {
    /// What is held against a yardstick is a rate, but for memory; the others are costs.
    pub(crate) const fn better(&self) -> Better {
        match (self.work, self.yardstick) {
            (Watchers(Figure::Memory), _) | (_, None) => Better::Less,
            _ => Better::More,
        }
    }
}

/// The table, but for the lines of [`history`](crate::history).
pub(crate) const LINES: [Line; 23] = [
    line("memory-at-start", MemoryAtStart, None),
    line("idle", Idle, None),
    line("start", Start, None),
    line("get", Get(256), Some(Echo(256))),
    line("get-alone", Get(1), Some(Echo(1))),
    line("progress", Update(256), Some(Alone(Statement::Update))),
    line(
        "progress-1024",
        Update(1_024),
        Some(Alone(Statement::Update)),
    ),
    line(
        "acknowledged",
        Acknowledged(64),
        Some(Alone(Statement::Update)),
    ),
    line("reports", Reports(16), Some(EchoReports(16))),
    line("create", Create(256), Some(Alone(Statement::Insert))),
    line("lifecycle", Lifecycle(256), Some(Alone(Statement::Insert))),
    line("follow", Follow, Some(EchoEvents)),
    line("watchers", Watchers(Figure::Seen), None),
    line("watchers-calls", Watchers(Figure::Calls), None),
    line(
        "watchers-memory",
        Watchers(Figure::Memory),
        Some(EchoWatchers),
    ),
    line("progress-elsewhere", ProgressElsewhere, None).on_postgres(),
    line("replicas-progress", UpdateAtTwo(256), Some(Update(256))).on_postgres(),
    line(
        "replicas-lifecycle",
        LifecycleAtTwo(256),
        Some(Lifecycle(256)),
    )
    .on_postgres(),
    line(
        "predecessor-lifecycle",
        Lifecycle(256),
        Some(Predecessor(Script::Lifecycle)),
    )
    .on_postgres(),
    line(
        "predecessor-progress",
        Update(256),
        Some(Predecessor(Script::Progress)),
    )
    .on_postgres(),
    line("tls-get", Secured(Work::Get), Some(Unsecured(Work::Get))),
    line(
        "tls-progress",
        Secured(Work::Update),
        Some(Unsecured(Work::Update)),
    ),
    line("memory", Memory, None),
];

/// What one round found for a line.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Round {
    pub(crate) work: Sample,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) yardstick: Option<Sample>,
}

impl Round {
    pub(crate) fn ratio(&self) -> Option<f64> {
        Some(self.work.value / self.yardstick.as_ref()?.value)
    }

    fn foreign(&self) -> f64 {
        let yardstick = self.yardstick.as_ref().map_or(0.0, |sample| sample.foreign);
        self.work.foreign.max(yardstick)
    }
}

/// A line with all its rounds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) name: String,
    pub(crate) better: Better,
    pub(crate) database: &'static str,
    pub(crate) rounds: Vec<Round>,
    /// Whether others took too much of the machine to believe it.
    pub(crate) void: bool,
}

impl Outcome {
    pub(crate) fn new(name: String, better: Better, kind: Kind, rounds: Vec<Round>) -> Self {
        Self {
            name,
            better,
            database: kind.name(),
            void: rounds.iter().any(|round| round.foreign() > FOREIGN_MAX),
            rounds,
        }
    }

    /// The line for people.
    pub(crate) fn text(&self) -> String {
        let of =
            |figure: fn(&Round) -> Option<f64>| Spread::of(self.rounds.iter().filter_map(figure));
        let value = of(|round| Some(round.work.value));
        let yardstick = of(|round| Some(round.yardstick.as_ref()?.value));
        let ratio = of(Round::ratio);
        let middle = self
            .rounds
            .get(self.rounds.len() / 2)
            .map(|round| &round.work);
        let latency = middle.and_then(|sample| sample.latency);
        let latency = latency.map(|it| {
            let [p50, p90, p99] = [it.p50, it.p90, it.p99].map(milliseconds);
            format!("{p50} {p90} {p99}")
        });
        let cpu = middle
            .filter(|sample| sample.server_ms > 0.0)
            .map(|sample| {
                let Sample {
                    server_ms,
                    database_ms,
                    generator_ms,
                    ..
                } = sample;
                format!("{server_ms:.0} {database_ms:.0} {generator_ms:.0}")
            });
        format!(
            "{:<9} {:<22} {:<6} {:>10} {:>10}  {:<21} {:<20} {:<16}{}",
            self.database,
            self.name,
            match self.better {
                Better::More => "more",
                Better::Less => "less",
            },
            value.map_or_else(String::new, |it| short(it.median)),
            yardstick.map_or_else(String::new, |it| short(it.median)),
            ratio.map_or_else(String::new, |it| format!(
                "{:.3} ({:.3}-{:.3})",
                it.median, it.least, it.most
            )),
            latency.unwrap_or_default(),
            cpu.unwrap_or_default(),
            if self.void {
                "VOID: others were at work"
            } else {
                ""
            },
        )
        .trim_end()
        .to_owned()
    }
}

/// What stands above the lines.
pub(crate) fn head() -> String {
    format!(
        "{:<9} {:<22} {:<6} {:>10} {:>10}  {:<21} {:<20} {}",
        "database",
        "line",
        "better",
        "value",
        "yardstick",
        "ratio (least-most)",
        "p50 p90 p99 ms",
        "CPU ms/1000: server database generator"
    )
}

/// Several rounds of one figure.
struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

impl Spread {
    fn of(figures: impl Iterator<Item = f64>) -> Option<Self> {
        let mut figures: Vec<f64> = figures.collect();
        figures.sort_unstable_by(f64::total_cmp);
        Some(Self {
            least: *figures.first()?,
            median: *figures.get(figures.len() / 2)?,
            most: *figures.last()?,
        })
    }
}

fn short(value: f64) -> String {
    if value >= 1_000_000.0 {
        format!("{:.2} M", value / 1_000_000.0)
    } else if value >= 1_000.0 {
        format!("{:.1} k", value / 1_000.0)
    } else if value >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below what a double holds")]
fn milliseconds(micros: u64) -> String {
    format!("{:.1}", micros as f64 / 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_rounds_is_one_of_them() {
        let spread = Spread::of([3.0, 1.0, 2.0].into_iter()).expect("there are figures");
        assert_eq!((spread.least, spread.median, spread.most), (1.0, 2.0, 3.0));
        assert!(Spread::of(std::iter::empty()).is_none());
    }

    #[test]
    fn a_round_beside_others_is_void() {
        let quiet = Sample {
            value: 1.0,
            ..Sample::default()
        };
        let busy = Sample {
            foreign: 2.0 * FOREIGN_MAX,
            ..quiet.clone()
        };
        let outcome = |yardstick| {
            let round = Round {
                work: quiet.clone(),
                yardstick: Some(yardstick),
            };
            Outcome::new(String::new(), Better::More, Kind::Sqlite, vec![round])
        };
        assert!(!outcome(quiet.clone()).void && outcome(busy).void);
    }
}
