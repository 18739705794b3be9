//! Crowds of clients that do not wait for their answers: some go away and ask another replica, some have no time at all.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use tokio::task::JoinSet;

use super::{
    Fleet, Report, crash,
    walker::{Manner, Town},
};

const WALKERS: u64 = 32;
/// How long throughput is measured without a storm.
const CALM: Duration = Duration::from_secs(3);
/// Of the throughput before a storm, what there has to be after it, in percent. Rows have become more by then.
const BACK: u64 = 70;

/// So many calls with a request id, of which 30 % are abandoned under way and made again at any replica.
pub async fn idempotent(fleet: &Fleet, calls: u64, seed: u64) -> Report {
    let mut report = Report::new("idempotent", seed);
    let town = Town::new(Manner {
        dropped: 30,
        ..Manner::default()
    });
    until(&town, fleet, calls, seed, &mut report).await;
    examine(&town, fleet, &mut report).await;
    let (made, dropped) = {
        let ledger = town.ledger();
        (ledger.calls, ledger.dropped)
    };
    report.load("calls", made, calls);
    report.load("of them abandoned and made again", dropped, calls / 5);
    crash::account_for(&town, &mut report, calls / 2, 0);
    report
}

/// So many calls with deadlines of 0.1 to 20 ms.
pub async fn storm(fleet: &Fleet, calls: u64, seed: u64) -> Report {
    let mut report = Report::new("storm", seed);
    let before = throughput(fleet, seed, &mut report).await;
    let town = Town::new(Manner {
        deadline: Some(200),
        ..Manner::default()
    });
    // Others take their time meanwhile, and are told of changes that must not be lost.
    let patient = Town::new(Manner::default());
    let walkers = patient.walk(&fleet.addresses(), WALKERS / 4, seed.wrapping_add(500));
    until(&town, fleet, calls, seed, &mut report).await;
    at_home(&patient, walkers, &mut report).await;
    examine(&town, fleet, &mut report).await;
    examine(&patient, fleet, &mut report).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    if let Some(idle) = idle_in_transaction(fleet).await {
        report.count("sessions idle in a transaction afterwards", idle);
        if idle > 0 {
            report.fault(format!("{idle} sessions are idle in a transaction"));
        }
    }
    let after = throughput(fleet, seed.wrapping_add(1_000), &mut report).await;
    report.count("changes/s before", before);
    report.count("changes/s after", after);
    if after * 100 < before * BACK {
        report.fault(format!(
            "{before} changes/s before the storm, {after} after it"
        ));
    }
    let made = town.ledger().calls;
    report.load("calls", made, calls);
    crash::account_for(&town, &mut report, 0, calls / 20);
    crash::account_for(&patient, &mut report, 100, 0);
    report
}

/// Lets walkers walk until they have made so many calls.
async fn until(town: &Arc<Town>, fleet: &Fleet, calls: u64, seed: u64, report: &mut Report) {
    let walkers = town.walk(&fleet.addresses(), WALKERS, seed);
    while (town.ledger().calls as u64) < calls && !walkers.is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    at_home(town, walkers, report).await;
}

/// Compares what the walkers of a town were told with the ledger, which nobody may be changing.
async fn examine(town: &Town, fleet: &Fleet, report: &mut Report) {
    let quiet = town.gate.write().await;
    crash::examine(fleet, town, &quiet, 0, "at the end", report).await;
}

async fn at_home(town: &Town, mut walkers: JoinSet<()>, report: &mut Report) {
    town.evening.cancel();
    while let Some(walked) = walkers.join_next().await {
        if let Err(error) = walked {
            report.fault(error);
        }
    }
}

/// Acknowledged changes in a second.
async fn throughput(fleet: &Fleet, seed: u64, report: &mut Report) -> u64 {
    let town = Town::new(Manner::default());
    let walkers = town.walk(&fleet.addresses(), WALKERS, seed.wrapping_add(100));
    let began = Instant::now();
    tokio::time::sleep(CALM).await;
    let acknowledged = town.ledger().journal.acknowledged.len() as u64;
    let took = began.elapsed().as_millis();
    at_home(&town, walkers, report).await;
    u64::try_from(u128::from(acknowledged) * 1_000 / took.max(1)).unwrap_or(u64::MAX)
}

/// Sessions that hold a transaction open and do nothing, for longer than any statement between two others takes; `None`
/// where there are no sessions.
async fn idle_in_transaction(fleet: &Fleet) -> Option<i64> {
    fleet.cluster()?;
    let question = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                    AND state LIKE 'idle in transaction%' AND state_change < now() - interval '500 ms'";
    let pool = fleet.database().connect().await;
    let row = pool
        .query_one_raw(Statement::from_string(DbBackend::Postgres, question))
        .await
        .expect("PostgreSQL knows its sessions");
    row?.try_get_by_index(0).ok()
}
