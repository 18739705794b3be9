//! Failovers: of three nodes of PostgreSQL the one that leads is killed under load, and Patroni lets another lead.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tokio::task::JoinSet;

use super::{
    Fleet, Report, Setup, audit,
    crash::{add_counts, compare},
    faults::Observer,
    load::{Load, LoadOptions},
};
use tidegate_tests::{Database, trio::Trio};

mod reader;
mod timing;

pub use timing::{ALLOWED, Begun, Timing, serves};

use reader::Readers;
use timing::{Probe, service};

/// Clients that write at the same time.
const CLIENTS: u64 = 8;
/// Replicas on the database.
const REPLICAS: usize = 2;

/// The longest times of any failover.
#[derive(Default)]
struct Slowest {
    database: Duration,
    service: Duration,
    behind: Duration,
}

/// All who call while the leader is killed.
struct Callers {
    writers: JoinSet<()>,
    readers: Readers,
    watchers: [Observer; 2],
}

/// Kills who leads, so many times, and looks each time how long it took, and whether the next one has all that was
/// acknowledged. Nobody may be told anything but to try again meanwhile.
pub async fn run(failovers: u64, seed: u64) -> Report {
    let mut report = Report::new("failover", seed);
    let mut random = StdRng::seed_from_u64(seed);
    let trio = Trio::start().await;
    let probe = Probe::on(&trio.url).await;
    let mut fleet = Fleet::on(Database::on(&trio.url).await, REPLICAS, Setup::default());
    fleet.restart_dead().await;
    let load = Load::new(LoadOptions::default());
    let callers = Callers::start(&fleet, &load, seed);
    let (mut seen, mut slowest) = (0, Slowest::default());
    for number in 1..=failovers {
        let when = format!("after failover {number}");
        tokio::time::sleep(Duration::from_millis(random.random_range(500..2_500))).await;
        trio.kill_leader().await;
        let timing = measure(&probe, &load).await;
        eprintln!("  {number}: {timing:?}");
        slowest.add(timing);
        if let Some(fault) = timing.fault() {
            report.fault(format!("{when}: {fault}"));
            break;
        }
        let paused = load.pause.write().await;
        seen = compare(&fleet, &load, &paused, seen, &when, &mut report).await;
        drop(paused);
        if report.has_failed() {
            break;
        }
        trio.mend().await;
    }
    callers.end(&load, &mut report).await;
    end(&mut fleet, &load, &mut report).await;
    report.count("failovers", failovers);
    slowest.tell(&mut report);
    add_counts(&load, &mut report, failovers * 200, failovers);
    report
}

/// Both times from now on, at the same time.
async fn measure(probe: &Probe, load: &Load) -> Timing {
    let killed = Instant::now();
    let (database, service) = tokio::join!(
        probe.first_commit(killed),
        service(load, killed, CLIENTS, REPLICAS)
    );
    Timing { database, service }
}

impl Slowest {
    fn add(&mut self, timing: Timing) {
        let longer = |slowest: &mut Duration, took: Option<Duration>| {
            *slowest = (*slowest).max(took.unwrap_or_default());
        };
        longer(&mut self.database, timing.database);
        longer(&mut self.service, timing.service);
        longer(&mut self.behind, timing.behind());
    }

    fn tell(&self, report: &mut Report) {
        for (what, took) in [
            ("ms until the slowest database was written", self.database),
            ("ms until the slowest service was back", self.service),
            ("ms between both at most", self.behind),
        ] {
            report.count(what, took.as_millis());
        }
    }
}

impl Callers {
    fn start(fleet: &Fleet, load: &Arc<Load>, seed: u64) -> Self {
        let mut addresses = fleet.addresses();
        let writers = load.start_clients(&addresses, CLIENTS, seed);
        let events = Observer::of_events(&addresses);
        addresses.reverse();
        Self {
            writers,
            readers: Readers::start(fleet),
            watchers: [events, Observer::of_transfers(&addresses)],
        }
    }

    /// Stops them, and tells what they were answered.
    async fn end(mut self, load: &Load, report: &mut Report) {
        load.stop.cancel();
        while let Some(walked) = self.writers.join_next().await {
            if let Err(error) = walked {
                report.fault(error);
            }
        }
        let mut statuses = load.record().statuses.clone();
        statuses.add(self.readers.end().await);
        for watcher in self.watchers {
            let told = watcher.end().await;
            report.faults("a watcher", told.findings);
            statuses.add(told.statuses);
        }
        statuses.judge(report);
    }
}

/// The last look at everything, and at the chain of events.
async fn end(fleet: &mut Fleet, load: &Load, report: &mut Report) {
    let paused = load.pause.write().await;
    let ended = fleet.restart_dead().await;
    if ended > 0 {
        report.fault(format!("{ended} replicas ended by themselves"));
    }
    compare(fleet, load, &paused, 0, "at the end", report).await;
    audit::check(fleet.database(), "at the end", report).await;
    for number in 0..fleet.len() {
        if !fleet.terminate(number).await {
            report.fault(format!("replica {number} did not end as it should"));
        }
    }
}
