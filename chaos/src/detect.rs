//! Faults that a server may have, by the names of the patches in `chaos/deliberate-faults`, and the run that has to notice
//! each.

use tidegate_tests::database::Kind;

use super::{
    Fleet, Report, Setup,
    crash::{self, CrashOptions},
    races, watch,
};

/// The faults.
pub const FAULTS: [&str; 11] = [
    "status-ignored",
    "deadline-reversed",
    "revision-stuck",
    "progress-falls",
    "request-forgotten",
    "event-outside",
    "publish-first",
    "answer-first",
    "lag-skipped",
    "counter-unlocked",
    "unsynced",
];

/// Runs what has to notice `fault` against the servers of the program at `server`, built with the feature `failpoints`.
///
/// # Panics
/// When there is no such fault.
pub async fn run(fault: &str, server: &str, seed: u64) -> Report {
    let mut setup = Setup {
        program: server.to_owned(),
        ..Setup::default()
    };
    match fault {
        "status-ignored" | "revision-stuck" | "progress-falls" | "request-forgotten" => {
            crashes(Kind::Sqlite, setup, 0, 0, seed).await
        }
        "answer-first" => crashes(Kind::Sqlite, setup, 6, 0, seed).await,
        "event-outside" => {
            setup.set_failpoints(Some("after-commit=2%return"));
            crashes(Kind::Sqlite, setup, 8, 0, seed).await
        }
        "counter-unlocked" => {
            setup.set_failpoints(Some("before-commit=2%return"));
            crashes(Kind::Postgres, setup, 6, 0, seed).await
        }
        "unsynced" => crashes(Kind::Postgres, setup, 0, 8, seed).await,
        "deadline-reversed" => races::run(&one(setup).await, 60, seed).await,
        "publish-first" => watch::told_is_committed(&one(setup).await, 60, seed).await,
        "lag-skipped" => watch::slow(&one(setup).await, 12_000, seed).await,
        _ => panic!("there is no fault named {fault}"),
    }
}

async fn one(setup: Setup) -> Fleet {
    Fleet::start(Kind::Sqlite, 1, setup).await
}

async fn crashes(
    kind: Kind,
    setup: Setup,
    kills: u64,
    database_restarts: u64,
    seed: u64,
) -> Report {
    let options = CrashOptions {
        kind,
        replicas: if kind == Kind::Sqlite { 1 } else { 2 },
        kills,
        database_restarts,
        setup,
        failpoints: false,
    };
    crash::run(&options, seed).await
}
