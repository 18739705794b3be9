//! Rolling restarts under load: a client that retries as it does by default notices nothing.

use std::{collections::BTreeSet, time::Duration};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tidegate_domain::status::TransferStatus;

use super::{
    Balancer, Fleet, Report,
    checker::{History, check},
    lifecycles::{EVENTS, Lifecycles},
    snapshot,
};

/// Restarts every replica, one after the other, so many times.
pub async fn run(fleet: &mut Fleet, rounds: u64, seed: u64) -> Report {
    let mut report = Report::new("rolling", seed);
    let mut random = StdRng::seed_from_u64(seed);
    let balancer = Balancer::to(&fleet.addresses(), random.random()).await;
    let lifecycles = Lifecycles::start(&balancer.address, 4, 8);
    for round in 1..=rounds {
        for number in 0..fleet.len() {
            tokio::time::sleep(Duration::from_millis(random.random_range(100..300))).await;
            if !fleet.terminate(number).await {
                report.fault(format!(
                    "round {round}: replica {number} did not end as it should"
                ));
            }
            fleet.restart(number).await;
        }
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let (reported, errors) = lifecycles.stop().await;
    report.faults("a client reported", errors);
    report.count("restarts", rounds * fleet.len() as u64);
    report.count("connections made", balancer.opened());
    match snapshot::read(&fleet.raw(0), &BTreeSet::new(), true).await {
        Ok(snapshot) => {
            report.faults("at the end", check(&History::default(), &snapshot));
            let completed = snapshot.rows.values().flatten();
            let completed = completed.filter(|row| row.status == TransferStatus::Completed);
            let completed = completed.count() as u64;
            if completed != reported || snapshot.entries.len() as u64 != reported * EVENTS {
                let events = snapshot.entries.len();
                report.fault(format!(
                    "{reported} lifecycles, {completed} completed, {events} events"
                ));
            }
        }
        Err(status) => report.fault(format!("the ledger cannot be read: {status}")),
    }
    report.require("lifecycles", reported, rounds * 20);
    report
}
