//! Starts the servers that were killed, and compares what anybody was told with what is stored.

use std::collections::BTreeSet;

use tidegate_proto::v1;
use tonic::Status;

use super::{Outcome, System};
use crate::{Report, audit, checker::check, crash, load::Load, snapshot};
use tidegate_tests::raw::Raw;

/// Adds what is wrong to the findings, and stops the servers.
pub(super) async fn run(system: &mut System, load: &Load, outcome: &mut Outcome) {
    outcome.findings.append(&mut system.findings);
    outcome.exits = system.exits;
    let mut report = Report::part();
    crash::integrity(&system.database, "after kill -9", &mut report);
    for number in 0..system.fleet.len() {
        system.fleet.restart(number).await;
    }
    let mut history = load.record().history.clone();
    for told in &mut outcome.watched {
        history.acknowledged.append(&mut told.transfers.clone());
        outcome.findings.append(&mut told.findings);
    }
    let raw = system.fleet.raw(0);
    match snapshot::read(&raw, &BTreeSet::new(), true).await {
        Ok(snapshot) => {
            report.faults("after kill -9", check(&history, &snapshot));
            let deleted = outcome.watched.iter().flat_map(|told| &told.deleted);
            let there =
                deleted.filter(|uuid| snapshot.rows.get(*uuid).is_some_and(Option::is_some));
            report.faults("told of the deletion of what is there", there);
        }
        Err(status) => report.fault(format!("the ledger cannot be read: {status}")),
    }
    match events(raw).await {
        Ok(stands) => compare(outcome, &stands),
        Err(status) => report.fault(format!("the log cannot be read: {status}")),
    }
    audit::check(&system.database, "after kill -9", &mut report).await;
    for number in 0..system.fleet.len() {
        if !system.fleet.terminate(number).await {
            report.fault(format!("server {number} did not end as it should"));
        }
    }
    // What was lost is said before how its loss was met.
    outcome.findings.splice(0..0, report.into_faults());
}

/// Whatever a watcher was told is in the log, word for word.
fn compare(outcome: &mut Outcome, stands: &[v1::Event]) {
    let told = outcome.watched.iter().flat_map(|told| &told.events);
    let differs = told.filter(|told| {
        let place = usize::try_from(told.sequence - 1).unwrap_or(usize::MAX);
        stands.get(place) != Some(*told)
    });
    let differs: Vec<i64> = differs.map(|event| event.sequence).collect();
    if let Some(first) = differs.first() {
        outcome.findings.push(format!(
            "a watcher was told {} events that do not stand, the first of them {first}; {} stand",
            differs.len(),
            stands.len()
        ));
    }
}

async fn events(mut raw: Raw) -> Result<Vec<v1::Event>, Status> {
    let mut events: Vec<v1::Event> = Vec::new();
    loop {
        let request = v1::ListEventsRequest {
            after_sequence: events.last().map_or(0, |event| event.sequence),
            page_size: 1_000,
            ..Default::default()
        };
        let page = raw.events.list_events(request).await?.into_inner().events;
        if page.is_empty() {
            return Ok(events);
        }
        events.extend(page);
    }
}
