//! Failovers: of three nodes of PostgreSQL the one that leads is killed under load, and Patroni lets another lead.

use std::time::{Duration, Instant};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use super::{
    Fleet, Report, Setup, audit,
    crash::{add_counts, compare},
    load::{Load, LoadOptions},
};
use tidegate_tests::{Database, trio::Trio};

/// Clients that write at the same time.
const CLIENTS: u64 = 8;
/// Longest time from a kill until changes are acknowledged again. Patroni takes the lead from a node that was silent for
/// 10 s.
const RECOVERY: Duration = Duration::from_secs(40);
/// Changes that nobody can have been answered from before the kill: each client waits for one at most.
const ANSWERED: usize = 5 * 8;

/// Kills who leads, so many times, and looks each time whether the next one has all that was acknowledged.
pub async fn run(failovers: u64, seed: u64) -> Report {
    let mut report = Report::new("failover", seed);
    let mut random = StdRng::seed_from_u64(seed);
    let trio = Trio::start().await;
    let mut fleet = Fleet::on(Database::on(&trio.url).await, 2, Setup::default());
    fleet.restart_dead().await;
    let load = Load::new(LoadOptions::default());
    let mut clients = load.start_clients(&fleet.addresses(), CLIENTS, seed);
    let (mut seen, mut slowest) = (0, Duration::ZERO);
    for number in 1..=failovers {
        let when = format!("after failover {number}");
        tokio::time::sleep(Duration::from_millis(random.random_range(500..2_500))).await;
        trio.kill_leader().await;
        let Some(took) = recovered(&load).await else {
            report.fault(format!(
                "{when}: nothing was acknowledged within {RECOVERY:?}"
            ));
            break;
        };
        slowest = slowest.max(took);
        let paused = load.pause.write().await;
        seen = compare(&fleet, &load, &paused, seen, &when, &mut report).await;
        drop(paused);
        if report.has_failed() {
            break;
        }
        trio.mend().await;
    }
    load.stop.cancel();
    while let Some(walked) = clients.join_next().await {
        if let Err(error) = walked {
            report.fault(error);
        }
    }
    end(&mut fleet, &load, &mut report).await;
    report.count("failovers", failovers);
    report.count("ms until the slowest was served again", slowest.as_millis());
    add_counts(&load, &mut report, failovers * 200, failovers);
    report
}

/// How long it took until changes were acknowledged again.
async fn recovered(load: &Load) -> Option<Duration> {
    let answers = || load.record().history.acknowledged.len();
    let (began, before) = (Instant::now(), answers());
    while answers() < before + ANSWERED {
        if began.elapsed() > RECOVERY {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Some(began.elapsed())
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
