//! `torture`: kills, cuts and races real servers by a seed, and says whether a promise was broken.
//!
//! Ends with 0 when nothing is wrong, 1 when something is, 3 when there was too little load to tell.

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tidegate_chaos::{
    Fleet, Report, Setup, Verdict, crash, crowd,
    faults::{self, FaultKind},
    flood, planted, races, rolling, sweep, watch,
};
use tidegate_tests::database::Kind;

#[derive(Parser)]
#[command(
    about = "Kills, cuts and races real servers, and holds their answers against their ledger"
)]
struct Arguments {
    /// Repeats the choices of an earlier run.
    #[arg(long, global = true)]
    seed: Option<u64>,
    #[command(subcommand)]
    torment: Torment,
}

#[derive(Subcommand)]
enum Torment {
    /// Kills servers, and PostgreSQL under them.
    Crash {
        /// What they keep their ledger in: sqlite or postgres.
        #[arg(value_parser = kind)]
        kind: Kind,
        /// How often a server is killed.
        #[arg(long, default_value_t = 20)]
        kills: u64,
        /// How often PostgreSQL is stopped as hard as a crash.
        #[arg(long, default_value_t = 0)]
        db_restarts: u64,
        /// Also lets servers die at chosen places in their code, in migrations and drains among them.
        #[arg(long)]
        places: bool,
    },
    /// Lets approval, denial, cancellation, deadline and start race for transfers, over two replicas.
    Races {
        /// How often.
        #[arg(long, default_value_t = 1_000)]
        count: u64,
        #[command(flatten)]
        place: Place,
    },
    /// Lets three replicas expire what is overdue, and kills one of them.
    Sweep {
        /// How many approvals are overdue, and as many are not.
        #[arg(long, default_value_t = 1_000)]
        count: u64,
        #[command(flatten)]
        place: Place,
    },
    /// Abandons calls under way and makes them again at the other replica.
    Idempotent {
        /// How many calls.
        #[arg(long, default_value_t = 2_000)]
        count: u64,
        #[command(flatten)]
        place: Place,
    },
    /// Cuts watches, and kills replicas under them, and compares what they were told with the log.
    Watch {
        /// How often a watcher has to connect again.
        #[arg(long, default_value_t = 100)]
        reconnects: u64,
        /// Over how many events.
        #[arg(long, default_value_t = 5_000)]
        events: u64,
        #[command(flatten)]
        place: Place,
    },
    /// Restarts two replicas in turn under the load of clients.
    Rolling {
        /// How often.
        #[arg(long, default_value_t = 5)]
        rounds: u64,
        #[command(flatten)]
        place: Place,
    },
    /// Gives servers a deliberate fault, each of which has to be found.
    Planted {
        /// Which one; all of them unless named.
        #[arg(long)]
        bug: Option<String>,
        /// Leaves the fault out: then nothing may be found.
        #[arg(long)]
        without: bool,
    },
    /// Floods a server with sockets that say next to nothing and with frames that mean nothing.
    Flood {
        /// How many sockets.
        #[arg(long, default_value_t = 500)]
        sockets: u64,
        /// Puts TLS between them.
        #[arg(long)]
        tls: bool,
    },
    /// Lets what servers stand on fail at random: disk, log, clock, network and PostgreSQL.
    Faults {
        /// What they keep their ledger in: sqlite or postgres.
        #[arg(value_parser = kind)]
        kind: Kind,
        /// How many runs, each with a fault and a seed of its own.
        #[arg(long, default_value_t = 10)]
        runs: u64,
        /// Only faults of this kind.
        #[arg(long, value_parser = FaultKind::parse)]
        only: Option<FaultKind>,
    },
    /// Makes calls that have next to no time.
    Storm {
        /// How many calls.
        #[arg(long, default_value_t = 2_000)]
        count: u64,
        #[command(flatten)]
        place: Place,
    },
}

/// Where to do it.
#[derive(Args)]
struct Place {
    /// What the servers keep their ledger in: sqlite or postgres. On SQLite there is one server.
    #[arg(long, value_parser = kind, default_value = "postgres")]
    on: Kind,
}

impl Place {
    fn replicas(&self, wanted: usize) -> usize {
        if self.on == Kind::Sqlite { 1 } else { wanted }
    }

    async fn fleet(&self) -> Fleet {
        Fleet::start(self.on, self.replicas(2), setup()).await
    }
}

/// A fault is only in a server that can have one.
fn setup() -> Setup {
    if std::env::var_os("TIDEGATE_PLANTED_BUG").is_some() {
        Setup::tortured(Vec::new())
    } else {
        Setup::default()
    }
}

fn kind(name: &str) -> Result<Kind, String> {
    match name {
        "sqlite" => Ok(Kind::Sqlite),
        "postgres" => Ok(Kind::Postgres),
        _ => Err("is sqlite or postgres".to_owned()),
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { seed, torment } = Arguments::parse();
    let seed = seed.unwrap_or_else(rand::random);
    let mut worst = ExitCode::SUCCESS;
    let began = std::time::Instant::now();
    for report in torment.run(seed).await {
        eprintln!("{report} ({} s)", began.elapsed().as_secs());
        match report.verdict() {
            Verdict::Green => {}
            Verdict::Red => return ExitCode::FAILURE,
            Verdict::Void => worst = ExitCode::from(3),
        }
    }
    worst
}

impl Torment {
    async fn run(self, seed: u64) -> Vec<Report> {
        match self {
            Self::Crash {
                kind,
                kills,
                db_restarts,
                places,
            } => crashes(kind, kills, db_restarts, places, seed).await,
            Self::Races { count, place } => {
                vec![races::run(&place.fleet().await, count, seed).await]
            }
            Self::Sweep { count, place } => {
                vec![sweep::run(place.on, place.replicas(3), count, seed).await]
            }
            Self::Idempotent { count, place } => {
                vec![crowd::idempotent(&place.fleet().await, count, seed).await]
            }
            Self::Planted { bug, without } => hunts(bug.as_deref(), without, seed).await,
            Self::Watch {
                reconnects,
                events,
                place,
            } => vec![watch::run(&mut place.fleet().await, reconnects, events, seed).await],
            Self::Flood { sockets, tls } => vec![flood::run(sockets, tls, seed).await],
            Self::Rolling { rounds, place } => {
                vec![rolling::run(&mut place.fleet().await, rounds, seed).await]
            }
            Self::Faults { kind, runs, only } => vec![faults::run(kind, runs, only, seed).await],
            Self::Storm { count, place } => {
                let (fleet, spared) = (place.fleet().await, place.fleet().await);
                vec![crowd::storm(&fleet, &spared, count, seed).await]
            }
        }
    }
}

async fn crashes(
    kind: Kind,
    kills: u64,
    database_restarts: u64,
    places: bool,
    seed: u64,
) -> Vec<Report> {
    let crashes = crash::Crashes {
        kind,
        replicas: if kind == Kind::Sqlite { 1 } else { 2 },
        kills,
        database_restarts,
        setup: if places {
            Setup::tortured(Vec::new())
        } else {
            setup()
        },
        places,
    };
    let mut reports = vec![crash::run(&crashes, seed).await];
    if places {
        reports.push(crash::mid_migration(kind, seed).await);
        reports.push(crash::mid_drain(kind, seed).await);
    }
    reports
}

/// Hunts for one fault, or for all; `without` it, where nothing may be found.
async fn hunts(bug: Option<&str>, without: bool, seed: u64) -> Vec<Report> {
    let bugs = match bug {
        Some(bug) => vec![bug],
        None => planted::BUGS.to_vec(),
    };
    let mut reports = Vec::new();
    for bug in bugs {
        let found = planted::hunt(bug, !without, seed).await;
        if without {
            reports.push(found);
            continue;
        }
        eprintln!("{bug}: found by: {found}");
        let mut report = Report::new(format!("planted {bug}"), seed);
        if !found.is_red() {
            report.fault("it went unnoticed");
        }
        reports.push(report);
    }
    reports
}
