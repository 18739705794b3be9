//! `chaos`: kills, cuts and races real servers by a seed, and says whether a promise was broken.
//!
//! Ends with 0 when nothing is wrong, 1 when something is, 3 when there was too little load to tell.

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};
use tidegate_chaos::{
    Fleet, Report, Setup, Verdict, agents, cancellation, crash, detect, failover,
    faults::{self, FaultKind},
    flood, races, rolling, sweep, watch,
};
use tidegate_tests::database::Kind;

#[derive(Parser)]
#[command(
    about = "Kills, cuts and races real servers, and compares their answers with their ledger"
)]
struct Arguments {
    /// Repeats the choices of an earlier run.
    #[arg(long, global = true)]
    seed: Option<u64>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
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
        /// Also lets servers end at failpoints, in migrations and drains among them.
        #[arg(long)]
        failpoints: bool,
    },
    /// Kills agents that run transfers, which others go on with.
    Agents {
        /// How often one is killed.
        #[arg(long, default_value_t = 20)]
        kills: u64,
        #[command(flatten)]
        on: ReplicaOptions,
    },
    /// One of the agents that are killed.
    #[command(hide = true)]
    Work {
        /// The server.
        #[arg(long)]
        address: String,
        /// What it calls itself.
        #[arg(long)]
        instance: String,
        /// Where it writes down what it was told.
        #[arg(long)]
        journal: PathBuf,
    },
    /// Lets approval, denial, cancellation, deadline and start race for transfers, over two replicas.
    Races {
        /// How often.
        #[arg(long, default_value_t = 1_000)]
        count: u64,
        #[command(flatten)]
        on: ReplicaOptions,
    },
    /// Lets three replicas expire what is overdue, and kills one of them.
    Sweep {
        /// How many approvals are overdue, and as many are not.
        #[arg(long, default_value_t = 1_000)]
        count: u64,
        #[command(flatten)]
        on: ReplicaOptions,
    },
    /// Abandons calls under way and makes them again at the other replica.
    Idempotent {
        /// How many calls.
        #[arg(long, default_value_t = 2_000)]
        count: u64,
        #[command(flatten)]
        on: ReplicaOptions,
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
        on: ReplicaOptions,
    },
    /// Restarts two replicas in turn under the load of clients.
    Rolling {
        /// How often.
        #[arg(long, default_value_t = 5)]
        rounds: u64,
        #[command(flatten)]
        on: ReplicaOptions,
    },
    /// Runs what has to notice a fault, against a server that has it: ends with 1 when it is noticed.
    Detect {
        /// Which fault.
        #[arg(value_parser = detect::FAULTS)]
        fault: String,
        /// The program of the server, built with the feature `failpoints`.
        #[arg(long)]
        server: PathBuf,
    },
    /// Kills the node that leads three of PostgreSQL, whose place Patroni gives to another; needs root.
    Failover {
        /// How often.
        #[arg(long, default_value_t = 3)]
        count: u64,
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
    Deadlines {
        /// How many calls.
        #[arg(long, default_value_t = 2_000)]
        count: u64,
        #[command(flatten)]
        on: ReplicaOptions,
    },
}

/// Which servers.
#[derive(Args)]
struct ReplicaOptions {
    /// What the servers keep their ledger in: sqlite or postgres. On SQLite there is one server.
    #[arg(long, value_parser = kind, default_value = "postgres")]
    database: Kind,
}

impl ReplicaOptions {
    fn replicas(&self, wanted: usize) -> usize {
        if self.database == Kind::Sqlite {
            1
        } else {
            wanted
        }
    }

    async fn fleet(&self) -> Fleet {
        Fleet::start(self.database, self.replicas(2), Setup::default()).await
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
    let Arguments { seed, command } = Arguments::parse();
    let seed = seed.unwrap_or_else(rand::random);
    let mut worst = ExitCode::SUCCESS;
    let began = std::time::Instant::now();
    for report in command.run(seed).await {
        eprintln!("{report} ({} s)", began.elapsed().as_secs());
        match report.verdict() {
            Verdict::Passed => {}
            Verdict::Failed => return ExitCode::FAILURE,
            Verdict::Inconclusive => worst = ExitCode::from(3),
        }
    }
    worst
}

impl Command {
    async fn run(self, seed: u64) -> Vec<Report> {
        match self {
            Self::Crash {
                kind,
                kills,
                db_restarts,
                failpoints,
            } => crashes(kind, kills, db_restarts, failpoints, seed).await,
            Self::Agents { kills, on } => vec![agents::run(on.database, kills, seed).await],
            Self::Work {
                address,
                instance,
                journal,
            } => {
                let worked = agents::work(&address, &instance, &journal).await;
                worked.expect("an agent is refused nothing");
                Vec::new()
            }
            Self::Races { count, on } => {
                vec![races::run(&on.fleet().await, count, seed).await]
            }
            Self::Sweep { count, on } => {
                vec![sweep::run(on.database, on.replicas(3), count, seed).await]
            }
            Self::Idempotent { count, on } => {
                vec![cancellation::idempotent(&on.fleet().await, count, seed).await]
            }
            Self::Detect { fault, server } => {
                let server = std::path::absolute(server).expect("a path");
                vec![detect::run(&fault, &server.to_string_lossy(), seed).await]
            }
            Self::Watch {
                reconnects,
                events,
                on,
            } => vec![watch::run(&mut on.fleet().await, reconnects, events, seed).await],
            Self::Failover { count } => vec![failover::run(count, seed).await],
            Self::Flood { sockets, tls } => vec![flood::run(sockets, tls, seed).await],
            Self::Rolling { rounds, on } => {
                vec![rolling::run(&mut on.fleet().await, rounds, seed).await]
            }
            Self::Faults { kind, runs, only } => vec![faults::run(kind, runs, only, seed).await],
            Self::Deadlines { count, on } => {
                let (fleet, control) = (on.fleet().await, on.fleet().await);
                vec![cancellation::deadlines(&fleet, &control, count, seed).await]
            }
        }
    }
}

async fn crashes(
    kind: Kind,
    kills: u64,
    database_restarts: u64,
    failpoints: bool,
    seed: u64,
) -> Vec<Report> {
    let options = crash::CrashOptions {
        kind,
        replicas: if kind == Kind::Sqlite { 1 } else { 2 },
        kills,
        database_restarts,
        setup: if failpoints {
            Setup::with_failpoints()
        } else {
            Setup::default()
        },
        failpoints,
    };
    let mut reports = vec![crash::run(&options, seed).await];
    if failpoints {
        reports.push(crash::mid_migration(kind, seed).await);
        reports.push(crash::mid_drain(kind, seed).await);
    }
    reports
}
