//! Crowds of clients that do not wait for their answers: some go away and ask another replica, some have no time at all.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use tokio::task::JoinSet;

use super::{
    Fleet, Report, crash,
    town::{Manner, Town},
};

const WALKERS: u64 = 32;
/// Of the calls whose answers are to be dropped, the least share that must be abandoned, and be repeated at the other
/// replica, in percent of all calls that are made.
const DROPPED: u64 = 30;
/// Walkers who have next to no time, and those who have.
const HURRIED: u64 = 8;
const PATIENT: u64 = 3;
/// The longest deadline where changes are fast.
const DEADLINE: Duration = Duration::from_millis(20);
/// Throughput is the middle one of so many measurements of that length, once the walkers are under way.
const WINDOWS: usize = 11;
const WINDOW: Duration = Duration::from_millis(400);
const UNDER_WAY: Duration = Duration::from_secs(1);
/// Time before each of them, for the walkers that have just been let out.
const SETTLING: Duration = Duration::from_millis(100);
/// Of the throughput before a storm, what there has to be after it, in percent.
const BACK: u64 = 95;
/// How often it is measured after the storm until it is.
const TRIES: u64 = 3;

/// So many calls, of which at least 30 % are abandoned under way and made again at the other replica.
pub async fn idempotent(fleet: &Fleet, calls: u64, seed: u64) -> Report {
    let mut report = Report::new("idempotent", seed);
    let town = Town::new(Manner {
        // Of the changes. Each that is abandoned makes two calls.
        abandoned: 60,
        ..Manner::default()
    });
    until(&town, fleet, WALKERS, calls, seed, &mut report).await;
    examine(&town, fleet, &mut report).await;
    {
        let ledger = town.ledger();
        let share = |part: usize| part * 100 / ledger.calls.max(1);
        report.load("calls", ledger.calls, calls);
        report.load("% of them abandoned", share(ledger.abandoned), DROPPED);
        report.count(
            "calls abandoned before there was an answer",
            ledger.under_way,
        );
        // A single server is asked again itself.
        let least = if fleet.len() > 1 { DROPPED } else { 0 };
        let elsewhere = share(ledger.elsewhere);
        report.load("% repeated at the other replica", elsewhere, least);
    }
    crash::account_for(&town, &mut report, calls / 2, 0);
    report
}

/// So many calls with deadlines of 0.1 to 20 ms, or up to what a change takes where that is more, none of which reaches `spared`, a fleet of the same kind.
pub async fn storm(fleet: &Fleet, spared: &Fleet, calls: u64, seed: u64) -> Report {
    let mut report = Report::new("storm", seed);
    let before = throughput([fleet, spared], seed, &mut report).await;
    // So many callers have as many changes under way: by Little's law each takes that long.
    let rate = u32::try_from(before[0].max(1)).unwrap_or(u32::MAX);
    let takes = Duration::from_secs(HURRIED + PATIENT) / rate;
    let longest = takes.max(DEADLINE);
    report.count("ms is the longest deadline", longest.as_millis());
    let town = Town::new(Manner {
        hurried: Some(longest),
        ..Manner::default()
    });
    // Others take their time meanwhile, and are told of changes that must not be lost.
    let patient = Town::new(Manner::default());
    let walkers = patient.walk(&fleet.addresses(), PATIENT, seed.wrapping_add(500));
    until(&town, fleet, HURRIED, calls, seed, &mut report).await;
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
    is_back(before, [fleet, spared], seed, &mut report).await;
    let (made, in_time) = {
        let ledger = town.ledger();
        let acknowledged = ledger.journal.acknowledged.len();
        // Nobody is in a hurry on a stream.
        (ledger.calls, acknowledged - ledger.streamed)
    };
    report.load("calls", made, calls);
    report.load("of them done in time", in_time, (calls / 100).max(20));
    crash::account_for(&town, &mut report, 0, calls / 20);
    crash::account_for(&patient, &mut report, 100, 0);
    report
}

/// Measures throughput again. What the machine has to do besides changes over time, for the spared fleet as well, whose
/// throughput tells how much could be had. What is left of chance is the reason for more than one try.
async fn is_back(before: [u64; 2], fleets: [&Fleet; 2], seed: u64, report: &mut Report) {
    report.load("changes/s before", before[0], 1);
    report.load("at the same time where no storm will be", before[1], 1);
    for number in 1..=TRIES {
        let after = throughput(fleets, seed.wrapping_add(1_000 * number), report).await;
        report.count("changes/s after", after[0]);
        report.count("at the same time where no storm was", after[1]);
        if after[0] * before[1] * 100 >= before[0] * after[1] * BACK {
            return;
        }
    }
    report.fault(format!(
        "of the throughput before the storm less than {BACK} % is back"
    ));
}

/// Lets walkers walk until they have made so many calls.
async fn until(
    town: &Arc<Town>,
    fleet: &Fleet,
    walkers: u64,
    calls: u64,
    seed: u64,
    report: &mut Report,
) {
    let walkers = town.walk(&fleet.addresses(), walkers, seed);
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

/// Acknowledged changes in a second of either fleet, measured in turns: while one is under load, the other one rests.
async fn throughput(fleets: [&Fleet; 2], seed: u64, report: &mut Report) -> [u64; 2] {
    let towns = fleets.map(|_| Town::new(Manner::default()));
    let walkers = [0, 1].map(|number| {
        let addresses = fleets[number].addresses();
        towns[number].walk(&addresses, WALKERS, seed.wrapping_add(100))
    });
    tokio::time::sleep(UNDER_WAY).await;
    let mut rates = [Vec::new(), Vec::new()];
    for _ in 0..WINDOWS {
        for number in [0, 1] {
            let _resting = towns[1 - number].gate.write().await;
            tokio::time::sleep(SETTLING).await;
            rates[number].push(rate(&towns[number]).await);
        }
    }
    for (town, walkers) in towns.iter().zip(walkers) {
        at_home(town, walkers, report).await;
    }
    rates.map(|mut rates| {
        rates.sort_unstable();
        rates[rates.len() / 2]
    })
}

/// Changes that a town was told of in a second, measured in a short time.
async fn rate(town: &Town) -> u64 {
    let told = || town.ledger().journal.acknowledged.len() as u64;
    let (before, began) = (told(), Instant::now());
    tokio::time::sleep(WINDOW).await;
    let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    (told() - before) * 1_000 / took.max(1)
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
