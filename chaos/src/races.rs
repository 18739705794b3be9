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
    Fleet, Report, account,
    ask::{self, Ask, Refusal},
    audit,
    checker::{Account, Acknowledged, Journal, Transition, check},
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
    let journal = Arc::<Mutex<Journal>>::default();
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
        let surprises = join_all(races.into_iter().map(|race| race.run(&raws, &journal))).await;
        report.faults("surprise", surprises.into_iter().flatten());
    }
    // What nobody decided is the sweeper's.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let journal = journal.lock().await.clone();
    match account::read(&raws[0], &std::collections::BTreeSet::new(), true).await {
        Ok(account) => judge(&journal, &account, &far, count, &mut report),
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
    async fn run(mut self, raws: &[Raw], journal: &Mutex<Journal>) -> Vec<String> {
        let asks = self.asks();
        let mut spread = |_: &Ask| {
            let raw = raws
                .choose(&mut self.random)
                .expect("there is a replica")
                .clone();
            (
                raw,
                Duration::from_micros(self.random.random_range(0..3_000)),
            )
        };
        let callers: Vec<_> = asks.iter().map(&mut spread).collect();
        let (mut sweeping, _) = spread(&asks[0]);
        tokio::time::sleep_until(self.at).await;
        let calls = asks
            .iter()
            .zip(callers)
            .map(|(ask, (raw, delay))| async move {
                tokio::time::sleep(delay).await;
                call(ask, raw, journal).await
            });
        let sweep = sweeping
            .transfers
            .expire_pending_approvals(v1::ExpirePendingApprovalsRequest::default());
        let (called, swept) = tokio::join!(join_all(calls), sweep);
        let swept = swept.err().map(|status| format!("sweep: {status:?}"));
        called.into_iter().flatten().chain(swept).collect()
    }

    fn asks(&mut self) -> Vec<Ask> {
        let mut request_id = || Uuid::from_u128(self.random.random()).to_string();
        let (uuid, admin_user_uuid) = (&self.uuid, ADMIN.to_owned());
        vec![
            Ask::Approve(v1::ApproveTransferRequest {
                uuid: uuid.clone(),
                admin_user_uuid: admin_user_uuid.clone(),
                request_id: request_id(),
                ..v1::ApproveTransferRequest::default()
            }),
            Ask::Deny(v1::DenyTransferRequest {
                uuid: uuid.clone(),
                admin_user_uuid,
                reason: "not today".to_owned(),
                request_id: request_id(),
                ..Default::default()
            }),
            Ask::Cancel(v1::CancelTransferRequest {
                uuid: uuid.clone(),
                reason: "called off".to_owned(),
                request_id: request_id(),
            }),
            Ask::Start(v1::StartTransferRequest {
                uuid: uuid.clone(),
                heartbeat_timeout: Some(wire_duration(FAR)),
                request_id: request_id(),
            }),
        ]
    }
}

async fn call(ask: &Ask, mut raw: Raw, journal: &Mutex<Journal>) -> Option<String> {
    let (request_id, event_type) = ask.transition()?;
    match ask.send(&mut raw.transfers, None).await {
        Ok(Some(transfer)) => {
            let row = account::row(&transfer);
            journal.lock().await.acknowledged.push(Acknowledged {
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
        Err(status) if matches!(ask::refusal(&status), Refusal::Certain) => {
            journal.lock().await.refused.push(request_id.to_owned());
            None
        }
        other => Some(format!("{ask:?}: {other:?}")),
    }
}

fn judge(journal: &Journal, account: &Account, far: &[String], races: u64, report: &mut Report) {
    report.faults("at the end", check(journal, account));
    let mut left: BTreeMap<&str, u64> = BTreeMap::new();
    let mut ends: BTreeMap<EventType, u64> = BTreeMap::new();
    for entry in &account.entries {
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
    report.load("races", left.len(), races);
    let won = |event_type| ends.get(&event_type).copied().unwrap_or(0);
    let least = races / 50;
    report.load("won by approval", won(EventType::Approved), least);
    report.load("by denial", won(EventType::Denied), least);
    report.load("by cancellation", won(EventType::Cancelled), least);
    report.load("by the deadline", won(EventType::Expired), least);
    report.count("acknowledged", journal.acknowledged.len());
    report.count("refused", journal.refused.len());
}
