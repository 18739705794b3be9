//! Crashes: replicas that are killed or end at failpoints, and PostgreSQL under them.

use std::{collections::BTreeSet, path::Path, time::Duration};

use rand::{
    Rng as _, SeedableRng as _,
    rngs::StdRng,
    seq::{IndexedRandom as _, SliceRandom as _},
};
use tokio::sync::RwLockWriteGuard;

use super::{
    Fleet, Report, Setup, audit,
    checker::check,
    fleet::WITH_FAILPOINTS,
    load::{Load, LoadOptions},
    snapshot,
};
use tidegate_tests::{Database, database::Kind, raw::Raw};

/// Clients that write at the same time.
const CLIENTS: u64 = 8;
/// Fewer acknowledged changes than that for each kill prove too little.
const LEAST_LOAD: u64 = 15;
/// Longest time after PostgreSQL's return until all replicas serve again.
const RECOVERY: Duration = Duration::from_secs(5);
/// The failpoints where a server may end, and how likely it is to at each passing.
const FAILPOINTS: [&str; 4] = [
    "before-commit=2%return",
    "after-commit=2%return",
    "before-answer=2%return",
    "mid-sweep=20%return",
];

/// What to do to which servers.
#[derive(Clone, Debug)]
pub struct CrashOptions {
    /// What they keep their ledger in.
    pub kind: Kind,
    /// How many there are; SQLite takes one.
    pub replicas: usize,
    /// How often one of them is killed.
    pub kills: u64,
    /// How often PostgreSQL is.
    pub database_restarts: u64,
    /// How the servers are started.
    pub setup: Setup,
    /// Whether every other server that is started ends at a failpoint.
    pub failpoints: bool,
}

enum Crash {
    Server,
    Database,
}

/// What is counted on the way.
#[derive(Default)]
struct Counts {
    /// The longest time from a start until the replica served.
    slowest: Duration,
    /// Replicas that ended at a failpoint.
    ends: u64,
}

/// Kills as `crashes` say, and compares answers and ledger after every kill.
pub async fn run(options: &CrashOptions, seed: u64) -> Report {
    let mut report = Report::new(format!("crash {:?}", options.kind), seed);
    let mut random = StdRng::seed_from_u64(seed);
    let mut fleet = Fleet::start(options.kind, options.replicas, options.setup.clone()).await;
    let load = Load::new(LoadOptions::default());
    let mut clients = load.start_clients(&fleet.addresses(), CLIENTS, seed);
    let mut crashes: Vec<Crash> = (0..options.kills).map(|_| Crash::Server).collect();
    crashes.extend((0..options.database_restarts).map(|_| Crash::Database));
    crashes.shuffle(&mut random);
    let (mut seen, mut counts) = (0, Counts::default());
    for (number, crash) in crashes.iter().enumerate() {
        tokio::time::sleep(Duration::from_millis(random.random_range(100..500))).await;
        let when = format!("after crash {}", number + 1);
        let paused = match crash {
            Crash::Server => {
                let alone = kill(options, &mut fleet, &load, &mut random, &mut counts).await;
                integrity(fleet.database(), &when, &mut report);
                let victim = fleet.dead();
                counts.slowest = counts.slowest.max(fleet.restart(victim).await);
                match alone {
                    Some(paused) => paused,
                    None => load.pause.write().await,
                }
            }
            Crash::Database => {
                match fleet.crash_database().await {
                    Some(recovered) if recovered <= RECOVERY => {}
                    late => report.fault(format!("{when}: serving again after {late:?}")),
                }
                load.pause.write().await
            }
        };
        counts.ends += fleet.restart_dead().await;
        seen = compare(&fleet, &load, &paused, seen, &when, &mut report).await;
        if report.has_failed() {
            break;
        }
    }
    let rest = if crashes.is_empty() { 2_000 } else { 200 };
    tokio::time::sleep(Duration::from_millis(rest)).await;
    load.stop.cancel();
    while let Some(walked) = clients.join_next().await {
        if let Err(error) = walked {
            report.fault(error);
        }
    }
    end(options, fleet, &load, &mut report).await;
    report.count("kills", options.kills);
    report.count("ends at failpoints", counts.ends);
    report.count("restarts of PostgreSQL", options.database_restarts);
    let slowest = counts.slowest.as_millis();
    report.count("ms until the slowest restart served", slowest);
    let crashes = crashes.len() as u64;
    add_counts(&load, &mut report, (crashes * LEAST_LOAD).max(100), crashes);
    report
}

/// The last look at everything.
async fn end(options: &CrashOptions, mut fleet: Fleet, load: &Load, report: &mut Report) {
    let paused = load.pause.write().await;
    fleet.setup().set_failpoints(None);
    fleet.restart_dead().await;
    compare(&fleet, load, &paused, 0, "at the end", report).await;
    // Beside the servers that run, and once more on what they leave.
    audit::check(fleet.database(), "at the end", report).await;
    for number in 0..fleet.len() {
        // One that may still end at a failpoint would not end as it should.
        if options.setup.has_failpoints() {
            fleet.kill(number).await;
        } else if !fleet.terminate(number).await {
            report.fault(format!("replica {number} did not end as it should"));
        }
    }
    integrity(fleet.database(), "at the end", report);
    audit::check(fleet.database(), "after the end", report).await;
}

/// Kills a replica, unless it ended by itself before. Where it was the only one, no client makes a call until the ledger is
/// compared.
async fn kill<'a>(
    options: &CrashOptions,
    fleet: &mut Fleet,
    load: &'a Load,
    random: &mut StdRng,
    counts: &mut Counts,
) -> Option<RwLockWriteGuard<'a, ()>> {
    let victim = random.random_range(0..fleet.len());
    counts.ends += u64::from(fleet.kill(victim).await);
    if options.failpoints {
        let ends_there = random.random_bool(0.5);
        fleet
            .setup()
            .set_failpoints(FAILPOINTS.choose(random).filter(|_| ends_there).copied());
    }
    if fleet.len() > 1 {
        return None;
    }
    Some(load.pause.write().await)
}

/// Compares what the clients were told from answer `since` on with what the ledger says, while none of them changes it;
/// how many answers there are by now.
pub async fn compare(
    fleet: &Fleet,
    load: &Load,
    _paused: &RwLockWriteGuard<'_, ()>,
    since: usize,
    when: &str,
    report: &mut Report,
) -> usize {
    let history = load.record().history.clone();
    let touched: BTreeSet<String> = history.acknowledged[since..]
        .iter()
        .map(|told| told.transfer.clone())
        .collect();
    for number in 0..fleet.len() {
        let raw = fleet.raw(number);
        match read(&raw, &touched, since == 0).await {
            Some(snapshot) => {
                report.faults(when, check(&history, &snapshot));
                return history.acknowledged.len();
            }
            // It has ended at a failpoint; another one will do.
            None => continue,
        }
    }
    report.fault(format!("{when}: no replica tells what is in the ledger"));
    since
}

async fn read(
    raw: &Raw,
    touched: &BTreeSet<String>,
    all: bool,
) -> Option<super::checker::Snapshot> {
    let patience = Duration::from_secs(60);
    let snapshot = tokio::time::timeout(patience, snapshot::read(raw, touched, all)).await;
    snapshot.ok()?.ok()
}

/// Checks an SQLite file as the killed server left it, on a copy: the server has to recover it by itself.
pub(super) fn integrity(database: &Database, when: &str, report: &mut Report) {
    let Some(path) = database.path() else {
        return;
    };
    match integrity_check(path) {
        Ok(found) if found == "ok" => {}
        other => report.fault(format!("{when}: the file is not in order: {other:?}")),
    }
}

fn integrity_check(database: &Path) -> anyhow::Result<String> {
    let folder = tempfile::tempdir()?;
    let copy = folder.path().join("copy.db");
    std::fs::copy(database, &copy)?;
    let log = database.with_extension("db-wal");
    if log.exists() {
        std::fs::copy(log, copy.with_extension("db-wal"))?;
    }
    let file = rusqlite::Connection::open(&copy)?;
    Ok(file.query_row("PRAGMA integrity_check", [], |row| row.get(0))?)
}

/// Adds what the clients have counted, and whether it was enough: changes acknowledged, and calls whose outcome was
/// unknown for a while.
pub fn add_counts(load: &Load, report: &mut Report, acknowledged: u64, unknown: u64) {
    let record = load.record();
    report.faults("unexpected answer", &record.unexpected);
    report.require(
        "acknowledged",
        record.history.acknowledged.len(),
        acknowledged,
    );
    report.count("of them on streams", record.streamed);
    report.count("of them to repetitions", record.repeated);
    report.count("refused", record.history.refused.len());
    report.require("of unknown outcome for a while", record.unknown, unknown);
}

/// A server that ends within a migration leaves a database that the next one brings up to date.
pub async fn mid_migration(kind: Kind, seed: u64) -> Report {
    let mut report = Report::new(format!("crash in a migration, {kind:?}"), seed);
    let replicas = if kind == Kind::Sqlite { 1 } else { 2 };
    let mut fleet = Fleet::prepared(kind, replicas, Setup::default()).await;
    let mut ends = 0_u64;
    // Its statements are waited for one after the other: more often than that.
    for statements in [1, 6, 12] {
        let failpoint = format!("mid-migration={statements}*off->return");
        match fleet.exit_at(&failpoint).await {
            None => ends += 1,
            Some(code) => report.fault(format!(
                "{WITH_FAILPOINTS} ended with {code} instead of aborting"
            )),
        }
    }
    let mut events = 0;
    for number in 0..replicas {
        fleet.restart(number).await;
        let mut raw = fleet.raw(number);
        let uuid = raw.declared().await.uuid;
        events += raw.events_of(&uuid).await.len();
    }
    report.require("ends in a migration", ends, 3);
    report.require("events afterwards", events, replicas as u64);
    report
}

/// A server that ends while it drains has kept what it acknowledged.
pub async fn mid_drain(kind: Kind, seed: u64) -> Report {
    let mut report = Report::new(format!("crash in a drain, {kind:?}"), seed);
    let mut setup = Setup::with_failpoints();
    setup.set_failpoints(Some("mid-drain=return"));
    let mut fleet = Fleet::start(kind, 1, setup).await;
    let load = Load::new(LoadOptions::default());
    let mut clients = load.start_clients(&fleet.addresses(), CLIENTS, seed);
    let mut seen = 0;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        if fleet.terminate(0).await {
            report.fault("it drained to its end");
        }
        let paused = load.pause.write().await;
        fleet.restart(0).await;
        seen = compare(&fleet, &load, &paused, seen, "after a drain", &mut report).await;
    }
    load.stop.cancel();
    while clients.join_next().await.is_some() {}
    report.count("ends in a drain", 3_u64);
    add_counts(&load, &mut report, 100, 3);
    report
}
