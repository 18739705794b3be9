//! Sweeps: of approvals that are overdue and approvals that are not, several replicas expire exactly the former, each
//! once, although one of them is killed at it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::{StreamExt as _, stream};
use tidegate_domain::{event::EventType, status::TransferStatus};

use super::{
    Fleet, Report, Setup,
    checker::{History, Snapshot, check},
    snapshot,
};
use tidegate_tests::{database::Kind, raw::Raw};

const AT_ONCE: usize = 64;
/// The shortest time to decide that may be asked for.
const NEAR: Duration = Duration::from_secs(1);
const FAR: Duration = Duration::from_secs(24 * 3_600);
/// Longest time until everything overdue is expired.
const PATIENCE: Duration = Duration::from_secs(60);

/// So many overdue approvals, and as many that are not.
pub async fn run(kind: Kind, replicas: usize, count: u64, seed: u64) -> Report {
    let mut report = Report::new("sweep", seed);
    let lazy = Setup {
        arguments: vec!["--sweep-interval".to_owned(), "1h".to_owned()],
        ..Setup::default()
    };
    let mut fleet = Fleet::prepared(kind, replicas, lazy).await;
    fleet.restart(0).await;
    let raw = fleet.raw(0);
    let overdue = request_approvals(&raw, count, NEAR).await;
    let waiting = request_approvals(&raw, count, FAR).await;
    fleet.terminate(0).await;
    tokio::time::sleep(NEAR).await;
    *fleet.setup() = Setup::default();
    for number in 0..replicas {
        fleet.restart(number).await;
    }
    let survivor = fleet.raw(0);
    if replicas > 1 {
        // In the middle of it.
        reached(&survivor, count / 10).await;
        fleet.kill(replicas - 1).await;
        report.count(
            "expired when a replica was killed",
            expired(&survivor).await,
        );
    }
    if !reached(&survivor, count).await {
        report.fault("not everything that was overdue was expired in time");
    }
    // Time to expire something once more, or something that should stay.
    tokio::time::sleep(Duration::from_millis(500)).await;
    match snapshot::read(&survivor, &BTreeSet::new(), true).await {
        Ok(snapshot) => compare(&snapshot, &overdue, &waiting, &mut report),
        Err(status) => report.fault(format!("the ledger cannot be read: {status}")),
    }
    report
}

/// Transfers that wait for a decision.
async fn request_approvals(raw: &Raw, count: u64, expires_in: Duration) -> Vec<String> {
    let one = |_| {
        let mut raw = raw.clone();
        async move {
            let uuid = raw.declared().await.uuid;
            raw.ask(&uuid, expires_in).await.uuid
        }
    };
    stream::iter(0..count)
        .map(one)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await
}

/// How many transfers are expired.
async fn expired(raw: &Raw) -> u64 {
    let request = tidegate_proto::v1::CountTransfersRequest {
        filter: Some(tidegate_proto::v1::TransferFilter {
            status: vec![tidegate_proto::v1::TransferStatus::Expired.into()],
            ..tidegate_proto::v1::TransferFilter::default()
        }),
    };
    let counted = raw.clone().transfers.count_transfers(request).await;
    let count = counted.map_or(0, |answer| answer.into_inner().count);
    u64::try_from(count).unwrap_or(0)
}

async fn reached(raw: &Raw, count: u64) -> bool {
    let waiting = async {
        while expired(raw).await < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.is_ok()
}

fn compare(snapshot: &Snapshot, overdue: &[String], waiting: &[String], report: &mut Report) {
    report.faults("at the end", check(&History::default(), snapshot));
    let mut events: BTreeMap<&str, u64> = BTreeMap::new();
    for entry in &snapshot.entries {
        if entry.event_type == EventType::Expired {
            *events.entry(&entry.transfer).or_default() += 1;
        }
    }
    let status = |uuid: &String| Some((*snapshot.rows.get(uuid)?)?.status);
    for uuid in overdue {
        if status(uuid) != Some(TransferStatus::Expired) || events.get(uuid.as_str()) != Some(&1) {
            let times = events.get(uuid.as_str());
            report.fault(format!(
                "{uuid} was overdue, is {:?} with {times:?} events",
                status(uuid)
            ));
        }
    }
    for uuid in waiting {
        if status(uuid) != Some(TransferStatus::PendingApproval)
            || events.contains_key(uuid.as_str())
        {
            report.fault(format!("{uuid} was not overdue and is {:?}", status(uuid)));
        }
    }
    report.require("overdue", overdue.len(), 1);
    report.count("not overdue", waiting.len());
    report.count("expired", events.len());
}
