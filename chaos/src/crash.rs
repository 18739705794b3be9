//! Kills: of replicas, from without and at chosen places from within, and of PostgreSQL under them.

use std::{collections::BTreeSet, path::Path, time::Duration};

use rand::{
    Rng as _, SeedableRng as _,
    rngs::StdRng,
    seq::{IndexedRandom as _, SliceRandom as _},
};
use tokio::sync::RwLockWriteGuard;

use super::{
    Fleet, Report, Setup, account, audit,
    checker::check,
    fleet::TORTURED,
    town::{Manner, Town},
};
use tidegate_tests::{Database, database::Kind, raw::Raw};

/// Clients that write at the same time.
const WALKERS: u64 = 8;
/// Fewer acknowledged changes than that for each kill prove too little.
const LEAST_LOAD: u64 = 15;
/// Longest time after PostgreSQL's return until all replicas serve again.
const RECOVERY: Duration = Duration::from_secs(5);
/// Where a server may end by itself, and how likely it is to at each passing.
const PLACES: [&str; 4] = [
    "before-commit=2%return",
    "after-commit=2%return",
    "before-answer=2%return",
    "mid-sweep=20%return",
];

/// What to do to which servers.
#[derive(Clone, Debug)]
pub struct Crashes {
    /// What they keep their ledger in.
    pub kind: Kind,
    /// How many there are; SQLite takes one.
    pub replicas: usize,
    /// How often one of them is killed.
    pub kills: u64,
    /// How often PostgreSQL is.
    pub database_restarts: u64,
    /// How the servers are started. Half of the lives of servers that can be tortured from within end there.
    pub setup: Setup,
    /// Whether to add places to die at to the servers' lives.
    pub places: bool,
}

enum Blow {
    Kill,
    DatabaseRestart,
}

/// What is learnt on the way.
#[derive(Default)]
struct Tally {
    /// The longest time from a start until the replica served.
    slowest: Duration,
    /// Replicas that ended at one of their places.
    deaths: u64,
}

/// Kills as `crashes` say, and compares answers and ledger after every kill.
pub async fn run(crashes: &Crashes, seed: u64) -> Report {
    let mut report = Report::new(format!("crash {:?}", crashes.kind), seed);
    let mut random = StdRng::seed_from_u64(seed);
    let mut fleet = Fleet::start(crashes.kind, crashes.replicas, crashes.setup.clone()).await;
    let town = Town::new(Manner::default());
    let mut walkers = town.walk(&fleet.addresses(), WALKERS, seed);
    let mut blows: Vec<Blow> = (0..crashes.kills).map(|_| Blow::Kill).collect();
    blows.extend((0..crashes.database_restarts).map(|_| Blow::DatabaseRestart));
    blows.shuffle(&mut random);
    let (mut seen, mut tally) = (0, Tally::default());
    for (number, blow) in blows.iter().enumerate() {
        tokio::time::sleep(Duration::from_millis(random.random_range(100..500))).await;
        let when = format!("after blow {}", number + 1);
        let quiet = match blow {
            Blow::Kill => {
                let alone = kill(crashes, &mut fleet, &town, &mut random, &mut tally).await;
                integrity(fleet.database(), &when, &mut report);
                let victim = fleet.dead();
                tally.slowest = tally.slowest.max(fleet.revive(victim).await);
                match alone {
                    Some(quiet) => quiet,
                    None => town.gate.write().await,
                }
            }
            Blow::DatabaseRestart => {
                match fleet.crash_database().await {
                    Some(recovered) if recovered <= RECOVERY => {}
                    late => report.fault(format!("{when}: serving again after {late:?}")),
                }
                town.gate.write().await
            }
        };
        tally.deaths += fleet.revive_dead().await;
        seen = examine(&fleet, &town, &quiet, seen, &when, &mut report).await;
        if report.is_red() {
            break;
        }
    }
    let rest = if blows.is_empty() { 2_000 } else { 200 };
    tokio::time::sleep(Duration::from_millis(rest)).await;
    town.evening.cancel();
    while let Some(walked) = walkers.join_next().await {
        if let Err(error) = walked {
            report.fault(error);
        }
    }
    end(crashes, fleet, &town, &mut report).await;
    report.count("kills", crashes.kills);
    report.count("deaths at places in the code", tally.deaths);
    report.count("restarts of PostgreSQL", crashes.database_restarts);
    let slowest = tally.slowest.as_millis();
    report.count("ms until the slowest restart served", slowest);
    let blows = blows.len() as u64;
    account_for(&town, &mut report, (blows * LEAST_LOAD).max(100), blows);
    report
}

/// The last look at everything.
async fn end(crashes: &Crashes, mut fleet: Fleet, town: &Town, report: &mut Report) {
    let quiet = town.gate.write().await;
    fleet.set_places(None);
    fleet.revive_dead().await;
    examine(&fleet, town, &quiet, 0, "at the end", report).await;
    // Beside the servers that run, and once more on what they leave.
    audit::check(fleet.database(), "at the end", report).await;
    for number in 0..fleet.len() {
        // One that may still die at a place would not end as it should.
        if crashes.setup.program == TORTURED {
            fleet.kill(number).await;
        } else if !fleet.terminate(number).await {
            report.fault(format!("replica {number} did not end as it should"));
        }
    }
    integrity(fleet.database(), "at the end", report);
    audit::check(fleet.database(), "after the end", report).await;
}

/// Kills a replica, unless it ended by itself before. Where it was the only one, nobody asks anything until the ledger is
/// compared.
async fn kill<'a>(
    crashes: &Crashes,
    fleet: &mut Fleet,
    town: &'a Town,
    random: &mut StdRng,
    tally: &mut Tally,
) -> Option<RwLockWriteGuard<'a, ()>> {
    let victim = random.random_range(0..fleet.len());
    tally.deaths += u64::from(fleet.kill(victim).await);
    if crashes.places {
        let dies = random.random_bool(0.5);
        fleet.set_places(PLACES.choose(random).filter(|_| dies).copied());
    }
    if fleet.len() > 1 {
        return None;
    }
    Some(town.gate.write().await)
}

/// Compares what the clients were told from answer `since` on with what the ledger says, while none of them changes it;
/// how many answers there are by now.
pub async fn examine(
    fleet: &Fleet,
    town: &Town,
    _quiet: &RwLockWriteGuard<'_, ()>,
    since: usize,
    when: &str,
    report: &mut Report,
) -> usize {
    let journal = town.ledger().journal.clone();
    let touched: BTreeSet<String> = journal.acknowledged[since..]
        .iter()
        .map(|told| told.transfer.clone())
        .collect();
    for number in 0..fleet.len() {
        let raw = fleet.raw(number);
        match read(&raw, &touched, since == 0).await {
            Some(account) => {
                report.faults(when, check(&journal, &account));
                return journal.acknowledged.len();
            }
            // It has ended at one of its places; another one will do.
            None => continue,
        }
    }
    report.fault(format!("{when}: no replica tells what is in the ledger"));
    since
}

async fn read(raw: &Raw, touched: &BTreeSet<String>, all: bool) -> Option<super::checker::Account> {
    let patience = Duration::from_secs(60);
    let account = tokio::time::timeout(patience, account::read(raw, touched, all)).await;
    account.ok()?.ok()
}

/// Checks an SQLite file as the killed server left it, on a copy: the server has to recover it by itself.
pub(super) fn integrity(database: &Database, when: &str, report: &mut Report) {
    let Some(path) = database.path() else {
        return;
    };
    match verdict(path) {
        Ok(verdict) if verdict == "ok" => {}
        other => report.fault(format!("{when}: the file is not in order: {other:?}")),
    }
}

fn verdict(database: &Path) -> anyhow::Result<String> {
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

/// Adds what the walkers have counted, and whether it was enough: changes acknowledged, and calls whose outcome was
/// unknown for a while.
pub fn account_for(town: &Town, report: &mut Report, acknowledged: u64, unknown: u64) {
    let ledger = town.ledger();
    report.faults("surprise", &ledger.surprises);
    report.load(
        "acknowledged",
        ledger.journal.acknowledged.len(),
        acknowledged,
    );
    report.count("of them on streams", ledger.streamed);
    report.count("of them to repetitions", ledger.repeated);
    report.count("refused", ledger.journal.refused.len());
    report.load("left in the dark for a while", ledger.unknown, unknown);
}

/// A server that dies amid a migration leaves a database that the next one brings up to date.
pub async fn mid_migration(kind: Kind, seed: u64) -> Report {
    let mut report = Report::new(format!("crash in a migration, {kind:?}"), seed);
    let replicas = if kind == Kind::Sqlite { 1 } else { 2 };
    let mut fleet = Fleet::prepared(kind, replicas, Setup::default()).await;
    let mut deaths = 0_u64;
    // Its statements are waited for one after the other: more often than that.
    for statements in [1, 6, 12] {
        let place = format!("mid-migration={statements}*off->return");
        match fleet.stillborn(&place).await {
            None => deaths += 1,
            Some(code) => report.fault(format!("{TORTURED} ended with {code} instead of dying")),
        }
    }
    let mut events = 0;
    for number in 0..replicas {
        fleet.revive(number).await;
        let mut raw = fleet.raw(number);
        let uuid = raw.declared().await.uuid;
        events += raw.events_of(&uuid).await.len();
    }
    report.load("deaths in a migration", deaths, 3);
    report.load("events afterwards", events, replicas as u64);
    report
}

/// A server that dies while it drains has kept what it acknowledged.
pub async fn mid_drain(kind: Kind, seed: u64) -> Report {
    let mut report = Report::new(format!("crash in a drain, {kind:?}"), seed);
    let setup = Setup::tortured(vec![("FAILPOINTS", "mid-drain=return".to_owned())]);
    let mut fleet = Fleet::start(kind, 1, setup).await;
    let town = Town::new(Manner::default());
    let mut walkers = town.walk(&fleet.addresses(), WALKERS, seed);
    let mut seen = 0;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        if fleet.terminate(0).await {
            report.fault("it drained in peace");
        }
        let quiet = town.gate.write().await;
        fleet.revive(0).await;
        seen = examine(&fleet, &town, &quiet, seen, "after a drain", &mut report).await;
    }
    town.evening.cancel();
    while walkers.join_next().await.is_some() {}
    report.count("deaths in a drain", 3_u64);
    account_for(&town, &mut report, 100, 3);
    report
}
