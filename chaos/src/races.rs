//! Races: five callers want different things of one transfer at the same moment, at any replica. Each status is left
//! exactly once, and answers, rows and events tell the same story.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::{StreamExt as _, future::join_all, stream};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use tidegate_domain::{event::EventType, status::TransferStatus};
use tidegate_proto::v1;
use tokio::{sync::Mutex, time::Instant};
use uuid::Uuid;

use super::{
    Fleet, Report, audit,
    change::{self, CallFailure, ChangeRequest},
    checker::{Acknowledged, History, Snapshot, Transition, check},
    snapshot,
};
use tidegate_tests::raw::{ADMIN, Raw, wire_duration};

/// Transfers that are raced for at the same time.
const WAVE: u64 = 250;
/// Races that are prepared at the same time.
const AT_ONCE: usize = 32;
/// The shortest time to decide that may be asked for.
const NEAR: Duration = Duration::from_secs(1);
const FAR: Duration = Duration::from_secs(24 * 3_600);

/// One race to be run.
struct Race {
    uuid: String,
    /// When it begins.
    at: Instant,
    /// Whether its deadline passes meanwhile.
    near: bool,
    random: StdRng,
}

/// So many races.
pub async fn run(fleet: &Fleet, count: u64, seed: u64) -> Report {
    let mut report = Report::new("races", seed);
    let mut random = StdRng::seed_from_u64(seed);
    let mut raws = Vec::new();
    for number in 0..fleet.len() {
        raws.push(fleet.raw(number));
    }
    let history = Arc::<Mutex<History>>::default();
    let mut far = Vec::new();
    let mut left = count;
    while left > 0 {
        let wave = left.min(WAVE);
        left -= wave;
        let seeds: Vec<u64> = (0..wave).map(|_| random.random()).collect();
        let races: Vec<Race> = stream::iter(seeds)
            .map(|seed| prepare(&raws, StdRng::seed_from_u64(seed)))
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        far.extend(
            races
                .iter()
                .filter(|race| !race.near)
                .map(|race| race.uuid.clone()),
        );
        let unexpected = join_all(races.into_iter().map(|race| race.run(&raws, &history))).await;
        report.faults("unexpected answer", unexpected.into_iter().flatten());
    }
    // What nobody decided is the sweeper's.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let history = history.lock().await.clone();
    match snapshot::read(&raws[0], &std::collections::BTreeSet::new(), true).await {
        Ok(snapshot) => compare(&history, &snapshot, &far, count, &mut report),
        Err(status) => report.fault(format!("the ledger cannot be read: {status}")),
    }
    audit::check(fleet.database(), "at the end", &mut report).await;
    report
}

/// A transfer that waits for a decision.
async fn prepare(raws: &[Raw], mut random: StdRng) -> Race {
    let mut raw = raws
        .choose(&mut random)
        .expect("there is a replica")
        .clone();
    let uuid = raw.declared().await.uuid;
    let near = random.random_bool(0.5);
    raw.ask(&uuid, if near { NEAR } else { FAR }).await;
    // Around the deadline, where there is one soon.
    let wait = if near {
        random.random_range(960..1_030)
    } else {
        1_000
    };
    Race {
        uuid,
        at: Instant::now() + Duration::from_millis(wait),
        near,
        random,
    }
}

impl Race {
    /// Lets everybody loose; what no server of ours should have answered.
    async fn run(mut self, raws: &[Raw], history: &Mutex<History>) -> Vec<String> {
        let changes = self.changes();
        let mut spread = |_: &ChangeRequest| {
            let raw = raws
                .choose(&mut self.random)
                .expect("there is a replica")
                .clone();
            (
                raw,
                Duration::from_micros(self.random.random_range(0..3_000)),
            )
        };
        let callers: Vec<_> = changes.iter().map(&mut spread).collect();
        let (mut sweeping, _) = spread(&changes[0]);
        tokio::time::sleep_until(self.at).await;
        let calls = changes
            .iter()
            .zip(callers)
            .map(|(change, (raw, delay))| async move {
                tokio::time::sleep(delay).await;
                call(change, raw, history).await
            });
        let sweep = sweeping
            .transfers
            .expire_pending_approvals(v1::ExpirePendingApprovalsRequest::default());
        let (called, swept) = tokio::join!(join_all(calls), sweep);
        let swept = swept.err().map(|status| format!("sweep: {status:?}"));
        called.into_iter().flatten().chain(swept).collect()
    }

    fn changes(&mut self) -> Vec<ChangeRequest> {
        let mut request_id = || Uuid::from_u128(self.random.random()).to_string();
        let (uuid, admin_user_uuid) = (&self.uuid, ADMIN.to_owned());
        vec![
            ChangeRequest::Approve(v1::ApproveTransferRequest {
                uuid: uuid.clone(),
                admin_user_uuid: admin_user_uuid.clone(),
                request_id: request_id(),
                ..v1::ApproveTransferRequest::default()
            }),
            ChangeRequest::Deny(v1::DenyTransferRequest {
                uuid: uuid.clone(),
                admin_user_uuid,
                reason: "not today".to_owned(),
                request_id: request_id(),
                ..Default::default()
            }),
            ChangeRequest::Cancel(v1::CancelTransferRequest {
                uuid: uuid.clone(),
                reason: "called off".to_owned(),
                request_id: request_id(),
                grace: Some(prost_types::Duration::default()),
            }),
            ChangeRequest::Start(v1::StartTransferRequest {
                agent_instance: String::new(),
                uuid: uuid.clone(),
                heartbeat_timeout: Some(wire_duration(FAR)),
                request_id: request_id(),
            }),
        ]
    }
}

async fn call(change: &ChangeRequest, mut raw: Raw, history: &Mutex<History>) -> Option<String> {
    let (request_id, event_type) = change.transition()?;
    match change.send(&mut raw.transfers, None).await {
        Ok(Some(transfer)) => {
            let row = snapshot::row(&transfer);
            history.lock().await.acknowledged.push(Acknowledged {
                transfer: transfer.uuid,
                revision: row.revision,
                status: row.status,
                totals: Some(row.totals),
                transition: Some(Transition {
                    request_id: request_id.to_owned(),
                    event_type,
                    repeated: false,
                }),
            });
            None
        }
        Err(status) if matches!(change::classify(&status), CallFailure::Refused) => {
            history.lock().await.refused.push(request_id.to_owned());
            None
        }
        other => Some(format!("{change:?}: {other:?}")),
    }
}

fn compare(
    history: &History,
    snapshot: &Snapshot,
    far: &[String],
    races: u64,
    report: &mut Report,
) {
    report.faults("at the end", check(history, snapshot));
    let mut left: BTreeMap<&str, u64> = BTreeMap::new();
    let mut ends: BTreeMap<EventType, u64> = BTreeMap::new();
    for entry in &snapshot.entries {
        let waited = entry.from == Some(TransferStatus::PendingApproval);
        *left.entry(&entry.transfer).or_default() += u64::from(waited);
        if waited {
            *ends.entry(entry.event_type).or_default() += 1;
        }
        if entry.event_type == EventType::Expired && far.contains(&entry.transfer) {
            report.fault(format!("{} expired before its deadline", entry.transfer));
        }
    }
    for (transfer, times) in left.iter().filter(|(_, times)| **times != 1) {
        report.fault(format!("{transfer} left PENDING_APPROVAL {times} times"));
    }
    report.require("races", left.len(), races);
    let won = |event_type| ends.get(&event_type).copied().unwrap_or(0);
    let least = races / 50;
    report.require("won by approval", won(EventType::Approved), least);
    report.require("by denial", won(EventType::Denied), least);
    report.require("by cancellation", won(EventType::Cancelled), least);
    report.require("by the deadline", won(EventType::Expired), least);
    report.count("acknowledged", history.acknowledged.len());
    report.count("refused", history.refused.len());
}
