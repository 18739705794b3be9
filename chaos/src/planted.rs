//! Deliberate faults of a server that is built for it, and the run that has to notice each.

use super::{
    Fleet, Report, Setup,
    crash::{self, Crashes},
    races, watch,
};
use tidegate_tests::database::Kind;

/// The faults, by the names that the server knows them by.
pub const BUGS: [&str; 11] = [
    "table-ignored",
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

/// Runs what is to notice `bug`, against a server that has it, or, unless `planted`, against one that has not.
///
/// # Panics
/// When there is no such fault.
pub async fn hunt(bug: &str, planted: bool, seed: u64) -> Report {
    let mut variables = Vec::new();
    if planted {
        variables.push(("TIDEGATE_PLANTED_BUG", bug.to_owned()));
    }
    let place = |at: &str| ("FAILPOINTS", at.to_owned());
    match bug {
        "table-ignored" | "revision-stuck" | "progress-falls" | "request-forgotten" => {
            crashes(Kind::Sqlite, variables, 0, 0, seed).await
        }
        "answer-first" => crashes(Kind::Sqlite, variables, 6, 0, seed).await,
        "event-outside" => {
            variables.push(place("after-commit=2%return"));
            crashes(Kind::Sqlite, variables, 8, 0, seed).await
        }
        "counter-unlocked" => {
            variables.push(place("before-commit=2%return"));
            crashes(Kind::Postgres, variables, 6, 0, seed).await
        }
        "unsynced" => crashes(Kind::Postgres, variables, 0, 8, seed).await,
        "deadline-reversed" => races::run(&one(variables).await, 60, seed).await,
        "publish-first" => watch::told_is_committed(&one(variables).await, 60, seed).await,
        "lag-skipped" => watch::slow(&one(variables).await, 12_000, seed).await,
        _ => panic!("there is no fault named {bug}"),
    }
}

async fn one(variables: Vec<(&'static str, String)>) -> Fleet {
    Fleet::start(Kind::Sqlite, 1, Setup::tortured(variables)).await
}

async fn crashes(
    kind: Kind,
    variables: Vec<(&'static str, String)>,
    kills: u64,
    database_restarts: u64,
    seed: u64,
) -> Report {
    let crashes = Crashes {
        kind,
        replicas: if kind == Kind::Sqlite { 1 } else { 2 },
        kills,
        database_restarts,
        setup: Setup::tortured(variables),
        places: false,
    };
    crash::run(&crashes, seed).await
}
