//! Faults of what servers stand on, one of them in each run, at a random moment under mixed load; then `kill -9`, and what
//! was told to anybody is held against what stands.

use std::{
    ops::Range,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::FutureExt as _;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};

use super::{
    Report,
    town::{Manner, Town},
};
use tidegate_tests::{cluster::Cluster, database::Kind};

mod kind;
mod observer;
mod outcome;
mod recovery;
mod system;
mod verdict;

pub use kind::{DiskFault, Fault, FaultKind};
pub use observer::{Observer, Told};
pub use outcome::Outcome;
pub use system::System;

use outcome::Tally;

/// Clients that write at the same time.
const WALKERS: u64 = 6;

/// So many runs, each with a seed of its own: the first has `seed`, the next the number after it.
pub async fn run(kind: Kind, runs: u64, only: Option<FaultKind>, seed: u64) -> Report {
    let mut report = Report::new(format!("faults {kind:?}"), seed);
    let mut kinds = only.map_or_else(|| FaultKind::all(kind), |only| vec![only]);
    kinds.shuffle(&mut StdRng::seed_from_u64(seed));
    let (mut cluster, mut tally) = (None, Tally::default());
    for (number, what) in (0..runs).zip(kinds.into_iter().cycle()) {
        if kind == Kind::Postgres && cluster.is_none() {
            cluster = Some(Arc::new(Cluster::start().await));
        }
        let seed = seed.wrapping_add(number);
        let began = Instant::now();
        // A run that panics has found something.
        let outcome = AssertUnwindSafe(one(kind, cluster.clone(), what, seed)).catch_unwind();
        let outcome = outcome.await.unwrap_or_else(|_| Outcome {
            findings: vec!["panicked, as was said above".to_owned()],
            ..Outcome::default()
        });
        let repeat = format!("--runs 1 --only {} --seed {seed}", what.name());
        let took = began.elapsed().as_secs_f64();
        eprintln!("  {}: {repeat}: {outcome} ({took:.1} s)", number + 1);
        if !outcome.findings.is_empty() {
            // Whatever is wrong with it may be wrong for the next run too.
            cluster = None;
        }
        tally.add(&outcome);
        for finding in outcome.shown() {
            report.fault(format!("{repeat}: {finding}"));
        }
    }
    report.load(
        "runs that met their fault under load",
        tally.met,
        runs.div_ceil(2),
    );
    report.count("ends with a documented code", tally.exits);
    report.count("changes acknowledged", tally.acknowledged);
    report.count("updates told to watchers", tally.told);
    report.count("ms of the slowest recovery", tally.recovery.as_millis());
    report.count("ms of the slowest answer", tally.slowest.as_millis());
    report
}

async fn one(kind: Kind, cluster: Option<Arc<Cluster>>, what: FaultKind, seed: u64) -> Outcome {
    let mut random = StdRng::seed_from_u64(seed);
    let fault = Fault::draw(what, &mut random);
    let mut system = System::start(kind, cluster, &fault).await;
    let addresses = system.fleet.addresses();
    let town = Town::new(Manner::default());
    let walkers = town.walk(&addresses, WALKERS, seed);
    let observers = [
        Observer::of_events(&addresses),
        Observer::of_transfers(&addresses),
    ];
    let mut pause = |range: Range<u64>| Duration::from_millis(random.random_range(range));
    let (before, after) = (pause(200..800), pause(200..500));
    let calm = Instant::now() + before;
    system.supervise(calm, calm).await;
    let mut outcome = Outcome {
        fault: fault.to_string(),
        met: system.suffer(&fault, &mut random).await,
        ..Outcome::default()
    };
    let ended = Instant::now();
    match recovery::wait(&mut system, &town, &observers[0]).await {
        Ok(obstacle) => {
            outcome.recovery = ended.elapsed();
            outcome.obstacle = obstacle.unwrap_or_default();
            let calm = Instant::now() + after;
            system.supervise(calm, calm).await;
        }
        Err(finding) => outcome.findings.push(finding),
    }
    outcome.note(&town, &fault);
    town.evening.cancel();
    for number in 0..system.fleet.len() {
        system.fleet.kill(number).await;
    }
    walkers.join_all().await;
    for observer in observers {
        outcome.watched.push(observer.end().await);
    }
    verdict::judge(&mut system, &town, &mut outcome).await;
    outcome
}
