//! Clients that do not wait for their answers: some abandon calls and retry at another replica, some set deadlines that
//! most calls miss.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use tokio::task::JoinSet;

use super::{
    Fleet, Report, crash,
    load::{Load, LoadOptions},
};

const CLIENTS: u64 = 32;
/// Of the calls whose answers are to be dropped, the least share that must be abandoned, and be repeated at the other
/// replica, in percent of all calls that are made.
const DROPPED: u64 = 30;
/// Walkers who have next to no time, and those who have.
const DEADLINE_CLIENTS: u64 = 8;
const UNLIMITED_CLIENTS: u64 = 3;
/// The longest deadline where changes are fast.
const DEADLINE: Duration = Duration::from_millis(20);
/// Throughput is the middle one of so many measurements of that length, once the clients are under way.
const WINDOWS: usize = 11;
const WINDOW: Duration = Duration::from_millis(400);
const UNDER_WAY: Duration = Duration::from_secs(1);
/// Time before each of them, for the clients that have just been let out.
const SETTLING: Duration = Duration::from_millis(100);
/// Of the throughput before a storm, what there has to be after it, in percent.
const RECOVERED_PERCENT: u64 = 95;
/// How often it is measured after the storm until it is.
const TRIES: u64 = 3;

/// So many calls, of which at least 30 % are abandoned under way and made again at the other replica.
pub async fn idempotent(fleet: &Fleet, calls: u64, seed: u64) -> Report {
    let mut report = Report::new("idempotent", seed);
    let load = Load::new(LoadOptions {
        // Of the changes. Each that is abandoned makes two calls.
        abandoned: 60,
        ..LoadOptions::default()
    });
    until(&load, fleet, CLIENTS, calls, seed, &mut report).await;
    compare(&load, fleet, &mut report).await;
    {
        let record = load.record();
        let share = |part: usize| part * 100 / record.calls.max(1);
        report.require("calls", record.calls, calls);
        report.require("% of them abandoned", share(record.abandoned), DROPPED);
        report.count(
            "calls abandoned before there was an answer",
            record.unanswered,
        );
        // A single server gets the retry itself.
        let least = if fleet.len() > 1 { DROPPED } else { 0 };
        let retried_elsewhere = share(record.retried_elsewhere);
        report.require("% repeated at the other replica", retried_elsewhere, least);
    }
    crash::add_counts(&load, &mut report, calls / 2, 0);
    report
}

/// So many calls with deadlines of 0.1 to 20 ms, or up to what a change takes where that is more, none of which reaches `spared`, a fleet of the same kind.
pub async fn deadlines(fleet: &Fleet, control: &Fleet, calls: u64, seed: u64) -> Report {
    let mut report = Report::new("deadlines", seed);
    let before = throughput([fleet, control], seed, &mut report).await;
    // So many callers have as many changes under way: by Little's law each takes that long.
    let rate = u32::try_from(before[0].max(1)).unwrap_or(u32::MAX);
    let takes = Duration::from_secs(DEADLINE_CLIENTS + UNLIMITED_CLIENTS) / rate;
    let longest = takes.max(DEADLINE);
    report.count("ms is the longest deadline", longest.as_millis());
    let load = Load::new(LoadOptions {
        max_deadline: Some(longest),
        ..LoadOptions::default()
    });
    // Others take their time meanwhile, and are told of changes that must not be lost.
    let unlimited = Load::new(LoadOptions::default());
    let clients = unlimited.start_clients(
        &fleet.addresses(),
        UNLIMITED_CLIENTS,
        seed.wrapping_add(500),
    );
    until(&load, fleet, DEADLINE_CLIENTS, calls, seed, &mut report).await;
    join(&unlimited, clients, &mut report).await;
    compare(&load, fleet, &mut report).await;
    compare(&unlimited, fleet, &mut report).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    if let Some(idle) = idle_in_transaction(fleet).await {
        report.count("sessions idle in a transaction afterwards", idle);
        if idle > 0 {
            report.fault(format!("{idle} sessions are idle in a transaction"));
        }
    }
    check_recovered(before, [fleet, control], seed, &mut report).await;
    let (made, in_time) = {
        let record = load.record();
        let acknowledged = record.history.acknowledged.len();
        // Calls on streams have no deadline.
        (record.calls, acknowledged - record.streamed)
    };
    report.require("calls", made, calls);
    report.require("of them done in time", in_time, (calls / 100).max(20));
    crash::add_counts(&load, &mut report, 0, calls / 20);
    crash::add_counts(&unlimited, &mut report, 100, 0);
    report
}

/// Measures throughput again. What the machine has to do besides changes over time, for the spared fleet as well, whose
/// throughput tells how much could be had. What is left of chance is the reason for more than one try.
async fn check_recovered(before: [u64; 2], fleets: [&Fleet; 2], seed: u64, report: &mut Report) {
    report.require("changes/s before", before[0], 1);
    report.require("at the same time where no deadlines will be", before[1], 1);
    for number in 1..=TRIES {
        let after = throughput(fleets, seed.wrapping_add(1_000 * number), report).await;
        report.count("changes/s after", after[0]);
        report.count("at the same time where no deadlines was", after[1]);
        if after[0] * before[1] * 100 >= before[0] * after[1] * RECOVERED_PERCENT {
            return;
        }
    }
    report.fault(format!(
        "of the throughput before the deadlines less than {RECOVERED_PERCENT} % is back"
    ));
}

/// Runs clients until they have made so many calls.
async fn until(
    load: &Arc<Load>,
    fleet: &Fleet,
    clients: u64,
    calls: u64,
    seed: u64,
    report: &mut Report,
) {
    let clients = load.start_clients(&fleet.addresses(), clients, seed);
    while (load.record().calls as u64) < calls && !clients.is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    join(load, clients, report).await;
}

/// Compares what the clients of a load were told with the ledger, which nobody may be changing.
async fn compare(load: &Load, fleet: &Fleet, report: &mut Report) {
    let paused = load.pause.write().await;
    crash::compare(fleet, load, &paused, 0, "at the end", report).await;
}

async fn join(load: &Load, mut clients: JoinSet<()>, report: &mut Report) {
    load.stop.cancel();
    while let Some(walked) = clients.join_next().await {
        if let Err(error) = walked {
            report.fault(error);
        }
    }
}

/// Acknowledged changes in a second of either fleet, measured in turns: while one is under load, the other one rests.
async fn throughput(fleets: [&Fleet; 2], seed: u64, report: &mut Report) -> [u64; 2] {
    let loads = fleets.map(|_| Load::new(LoadOptions::default()));
    let clients = [0, 1].map(|number| {
        let addresses = fleets[number].addresses();
        loads[number].start_clients(&addresses, CLIENTS, seed.wrapping_add(100))
    });
    tokio::time::sleep(UNDER_WAY).await;
    let mut rates = [Vec::new(), Vec::new()];
    for _ in 0..WINDOWS {
        for number in [0, 1] {
            let _paused = loads[1 - number].pause.write().await;
            tokio::time::sleep(SETTLING).await;
            rates[number].push(rate(&loads[number]).await);
        }
    }
    for (load, clients) in loads.iter().zip(clients) {
        join(load, clients, report).await;
    }
    rates.map(|mut rates| {
        rates.sort_unstable();
        rates[rates.len() / 2]
    })
}

/// Changes that a load was told of in a second, measured in a short time.
async fn rate(load: &Load) -> u64 {
    let told = || load.record().history.acknowledged.len() as u64;
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
