//! Faults of what servers stand on, one of them in each run, at a random moment under mixed load; then `kill -9`, and what
//! was told to anybody is compared with what is stored.

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
    load::{Load, LoadOptions},
};
use tidegate_tests::{cluster::Cluster, database::Kind};

mod comparison;
mod kind;
mod observer;
mod outcome;
mod recovery;
mod system;

pub use kind::{DiskFault, Fault, FaultKind};
pub use observer::{Observed, Observer};
pub use outcome::Outcome;
pub use system::System;

use outcome::Summary;

/// Clients that write at the same time.
const CLIENTS: u64 = 6;

/// So many runs, each with a seed of its own: the first has `seed`, the next the number after it.
pub async fn run(kind: Kind, runs: u64, only: Option<FaultKind>, seed: u64) -> Report {
    let mut report = Report::new(format!("faults {kind:?}"), seed);
    let mut kinds = only.map_or_else(|| FaultKind::all(kind), |only| vec![only]);
    kinds.shuffle(&mut StdRng::seed_from_u64(seed));
    let (mut cluster, mut summary) = (None, Summary::default());
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
        summary.add(&outcome);
        for finding in outcome.shown() {
            report.fault(format!("{repeat}: {finding}"));
        }
    }
    report.require(
        "runs that met their fault under load",
        summary.met,
        runs.div_ceil(2),
    );
    report.count("ends with a documented code", summary.exits);
    report.count("changes acknowledged", summary.acknowledged);
    report.count("updates told to watchers", summary.told);
    report.count("ms of the slowest recovery", summary.recovery.as_millis());
    report.count("ms of the slowest answer", summary.slowest.as_millis());
    report
}

async fn one(kind: Kind, cluster: Option<Arc<Cluster>>, what: FaultKind, seed: u64) -> Outcome {
    let mut random = StdRng::seed_from_u64(seed);
    let fault = Fault::draw(what, &mut random);
    let mut system = System::start(kind, cluster, &fault).await;
    let addresses = system.fleet.addresses();
    let load = Load::new(LoadOptions::default());
    let clients = load.start_clients(&addresses, CLIENTS, seed);
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
        met: system.inject(&fault, &mut random).await,
        ..Outcome::default()
    };
    let ended = Instant::now();
    match recovery::wait(&mut system, &load, &observers[0]).await {
        Ok(obstacle) => {
            outcome.recovery = ended.elapsed();
            outcome.obstacle = obstacle.unwrap_or_default();
            let calm = Instant::now() + after;
            system.supervise(calm, calm).await;
        }
        Err(finding) => outcome.findings.push(finding),
    }
    outcome.note(&load, &fault);
    load.stop.cancel();
    for number in 0..system.fleet.len() {
        system.fleet.kill(number).await;
    }
    clients.join_all().await;
    for observer in observers {
        outcome.watched.push(observer.end().await);
    }
    comparison::run(&mut system, &load, &mut outcome).await;
    outcome
}
