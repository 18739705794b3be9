//! Watches through cuts: what a watcher of the log is told is the log, and what a watcher of transfers is told rises and
//! ends with what is stored.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt as _, future::join_all};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tidegate_client::{Client, WatchUpdate};
use tidegate_proto::v1::{self, watch_transfers_response::Update};
use tokio::task::JoinHandle;
use tonic::{Code, transport::Endpoint};
use uuid::Uuid;

use super::{
    Balancer, Fleet, Report, checker,
    checker::check,
    lifecycles::{EVENTS, Lifecycles},
    snapshot,
};
use tidegate_tests::{
    raw::{Raw, plain},
    soon,
};

const LOG_WATCHERS: u64 = 6;
const TRANSFER_WATCHERS: u64 = 2;
/// Of how many cuts one is the death of a replica.
const DEATHS: u64 = 50;
/// The least room that HTTP/2 lets a receiver have at first, in bytes.
const NARROW: u32 = 65_535;
/// Longest wait for watchers to have caught up.
const PATIENCE: Duration = Duration::from_secs(30);

/// A watcher of the log, which notes what it is told.
struct LogWatcher {
    balancer: Balancer,
    reached: Arc<AtomicI64>,
    task: JoinHandle<Vec<(i64, Uuid, i64)>>,
}

/// A watcher of all transfers.
struct TransferWatcher {
    balancer: Balancer,
    heard: Arc<Mutex<Heard>>,
    task: JoinHandle<()>,
}

/// What a watcher of transfers has noted.
#[derive(Clone, Default)]
struct Heard {
    /// The last revision told of each.
    told: HashMap<Uuid, i64>,
    faults: Vec<String>,
}

/// At least so many reconnections of watchers over at least so many events.
///
/// # Panics
/// When a client cannot be made.
pub async fn run(fleet: &mut Fleet, reconnects: u64, events: u64, seed: u64) -> Report {
    let mut report = Report::new("watch", seed);
    let mut random = StdRng::seed_from_u64(seed);
    let addresses = fleet.addresses();
    let mut logs = Vec::new();
    for _ in 0..LOG_WATCHERS {
        logs.push(LogWatcher::start(
            Balancer::to(&addresses, random.random()).await,
        ));
    }
    let mut many = Vec::new();
    for _ in 0..TRANSFER_WATCHERS {
        many.push(TransferWatcher::start(
            Balancer::to(&addresses, random.random()).await,
        ));
    }
    let balancer = Balancer::to(&addresses, random.random()).await;
    let lifecycles = Lifecycles::start(&balancer.address, 4, 16);
    let (mut cuts, mut deaths) = (0_u64, 0_u64);
    let balancers: Vec<&Balancer> = logs
        .iter()
        .map(|each| &each.balancer)
        .chain(many.iter().map(|each| &each.balancer))
        .collect();
    let reconnected = || {
        balancers
            .iter()
            .map(|balancer| balancer.opened().saturating_sub(1) as u64)
            .sum::<u64>()
    };
    while reconnected() < reconnects || lifecycles.completed() * EVENTS < events {
        tokio::time::sleep(Duration::from_millis(random.random_range(20..120))).await;
        cuts += 1;
        if cuts % DEATHS == 0 && fleet.len() > 1 {
            let victim = random.random_range(0..fleet.len());
            fleet.kill(victim).await;
            fleet.restart(victim).await;
            deaths += 1;
        } else if reconnected() < reconnects {
            balancers[random.random_range(0..balancers.len())].cut();
        }
    }
    let count = reconnected();
    let (_, errors) = lifecycles.stop().await;
    report.faults("a client reported", errors);
    report.require("reconnections", count, reconnects);
    report.count("deaths of replicas", deaths);
    compare(fleet, logs, many, events, &mut report).await;
    report
}

async fn compare(
    fleet: &Fleet,
    logs: Vec<LogWatcher>,
    many: Vec<TransferWatcher>,
    events: u64,
    report: &mut Report,
) {
    let snapshot = match snapshot::read(&fleet.raw(0), &BTreeSet::new(), true).await {
        Ok(snapshot) => snapshot,
        Err(status) => return report.fault(format!("the ledger cannot be read: {status}")),
    };
    report.faults("at the end", check(&checker::History::default(), &snapshot));
    report.require("events", snapshot.entries.len(), events);
    let written: Vec<(i64, Uuid, i64)> = snapshot
        .entries
        .iter()
        .map(|entry| {
            (
                entry.sequence,
                entry.transfer.parse().unwrap_or_default(),
                entry.revision,
            )
        })
        .collect();
    let last = written.last().map_or(0, |(sequence, ..)| *sequence);
    for (number, watcher) in logs.into_iter().enumerate() {
        let told = watcher.end(last).await;
        if told != written {
            let place = told
                .iter()
                .zip(&written)
                .position(|(told, written)| told != written);
            report.fault(format!(
                "log watcher {number} was told {} events of {}, and another from the {place:?}th on: {:?}",
                told.len(),
                written.len(),
                place.map(|place| (told[place], written[place])),
            ));
        }
    }
    let rows: HashMap<Uuid, i64> = snapshot
        .rows
        .iter()
        .filter_map(|(uuid, row)| Some((uuid.parse().ok()?, (*row)?.revision)))
        .collect();
    for (number, watcher) in many.into_iter().enumerate() {
        let heard = watcher.end(&rows).await;
        report.faults(&format!("transfer watcher {number}"), heard.faults);
        let missing = rows
            .iter()
            .filter(|(uuid, revision)| heard.told.get(uuid) != Some(revision));
        report.faults(
            &format!("transfer watcher {number} was not told of"),
            missing,
        );
    }
}

impl LogWatcher {
    fn start(balancer: Balancer) -> Self {
        let client = Client::builder(balancer.address.clone()).connect_lazy();
        let mut watch = client
            .expect("the address is one")
            .events()
            .watch()
            .into_stream();
        let reached = Arc::<AtomicI64>::default();
        let note = Arc::clone(&reached);
        let task = tokio::spawn(async move {
            let mut told = Vec::new();
            while note.load(Ordering::SeqCst) >= 0 {
                let next = tokio::time::timeout(Duration::from_millis(50), watch.next()).await;
                let Ok(next) = next else { continue };
                let Some(Ok(event)) = next else { return told };
                let uuid = event.transfer_uuid.unwrap_or_default();
                told.push((event.sequence, uuid, event.revision));
                // -1 is the word to stop; it must not be overwritten.
                _ = note.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |was| {
                    (was >= 0).then_some(event.sequence)
                });
            }
            told
        });
        Self {
            balancer,
            reached,
            task,
        }
    }

    /// What it was told, once it was told `last`, and a moment later, for what should not come.
    async fn end(self, last: i64) -> Vec<(i64, Uuid, i64)> {
        let arrival = async {
            while self.reached.load(Ordering::SeqCst) < last && !self.task.is_finished() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        _ = tokio::time::timeout(PATIENCE, arrival).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        self.reached.store(-1, Ordering::SeqCst);
        self.task.await.unwrap_or_default()
    }
}

impl TransferWatcher {
    fn start(balancer: Balancer) -> Self {
        let client = Client::builder(balancer.address.clone()).connect_lazy();
        let watch = client.expect("the address is one").transfers().watch_all();
        let mut updates = watch.include_existing(true).into_stream();
        let heard = Arc::<Mutex<Heard>>::default();
        let note = Arc::clone(&heard);
        let task = tokio::spawn(async move {
            while let Some(update) = updates.next().await {
                let mut heard = lock(&note);
                match update {
                    Err(error) => heard.faults.push(error.to_string()),
                    Ok(WatchUpdate::Transfer(transfer)) => {
                        let (uuid, revision) = (transfer.uuid, transfer.revision);
                        let before = heard.told.insert(uuid, revision);
                        if before.is_some_and(|before| before >= revision) {
                            let fault = format!("{uuid}: {revision} after {before:?}");
                            heard.faults.push(fault);
                        }
                    }
                    Ok(_) => {}
                }
            }
        });
        Self {
            balancer,
            heard,
            task,
        }
    }

    /// What it has heard, once it was told each of `rows` at its last revision, and a moment later, for what should not
    /// come.
    async fn end(self, rows: &HashMap<Uuid, i64>) -> Heard {
        let is_told = |heard: &Heard| {
            let mut rows = rows.iter();
            rows.all(|(uuid, revision)| heard.told.get(uuid) >= Some(revision))
        };
        let arrival = async {
            while !is_told(&lock(&self.heard)) && !self.task.is_finished() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        _ = tokio::time::timeout(PATIENCE, arrival).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        self.task.abort();
        lock(&self.heard).clone()
    }
}

fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a watcher is told is committed: whoever looks at that moment sees it.
///
/// # Panics
/// When a call fails.
pub async fn told_is_committed(fleet: &Fleet, count: u64, seed: u64) -> Report {
    let mut report = Report::new("told is committed", seed);
    let mut raw = fleet.raw(0);
    let request = v1::WatchTransfersRequest::default();
    let opened = raw.transfers.watch_transfers(request).await;
    let mut updates = opened.expect("the watch is accepted").into_inner();
    let mut writer = fleet.raw(0);
    let writing = tokio::spawn(async move {
        for _ in 0..count {
            writer.running().await;
        }
    });
    let mut compared = 0_u64;
    while compared < count {
        let update = match soon("an update", updates.message()).await {
            Ok(message) => message.and_then(|message| message.update),
            // The server itself found that it had told of something that was not committed.
            Err(refusal) => {
                report.fault(format!("the watch ended: {}", refusal.message()));
                break;
            }
        };
        let Some(Update::Transfer(told)) = update else {
            continue;
        };
        let request = v1::GetTransferRequest {
            uuid: told.uuid.clone(),
            preload: Vec::new(),
        };
        let found = raw.transfers.get_transfer(request).await;
        let found = found.ok().and_then(|answer| answer.into_inner().transfer);
        compared += 1;
        if found
            .as_ref()
            .is_none_or(|found| found.revision < told.revision)
        {
            let found = found.map(|found| found.revision);
            report.fault(format!(
                "{} was told at {}, and is {found:?}",
                told.uuid, told.revision
            ));
        }
    }
    writing.await.expect("no call fails");
    report.require("updates compared", compared, count);
    report
}

/// A watcher that falls too far behind is told so, or misses nothing.
///
/// # Panics
/// When a call fails.
pub async fn slow(fleet: &Fleet, count: u64, seed: u64) -> Report {
    let mut report = Report::new("slow watcher", seed);
    // Little room on the way, so that what is not read waits in the server.
    let narrow = Endpoint::from_shared(fleet.addresses()[0].clone()).expect("a valid address");
    let narrow = narrow
        .initial_stream_window_size(NARROW)
        .initial_connection_window_size(NARROW);
    let mut raw = Raw::on(narrow.connect_lazy());
    let request = v1::WatchTransfersRequest::default();
    let opened = raw.transfers.watch_transfers(request).await;
    let mut updates = opened.expect("the watch is accepted").into_inner();
    let mut writers = Vec::new();
    for _ in 0..64 {
        writers.push(fleet.raw(0));
    }
    let each = count.div_ceil(writers.len() as u64);
    join_all(writers.into_iter().map(|mut raw| async move {
        for _ in 0..each {
            raw.create(plain()).await;
        }
    }))
    .await;
    let mut told = BTreeSet::new();
    let is_told_so = loop {
        match tokio::time::timeout(Duration::from_secs(2), updates.message()).await {
            Ok(Ok(Some(message))) => {
                if let Some(Update::Transfer(transfer)) = message.update {
                    told.insert(transfer.uuid);
                }
            }
            Ok(Err(status)) => break status.code() == Code::ResourceExhausted,
            Ok(Ok(None)) | Err(_) => break false,
        }
    };
    let missed = (each * 64).saturating_sub(told.len() as u64);
    if missed > 0 && !is_told_so {
        report.fault(format!("{missed} transfers were missed without a word"));
    }
    report.require("transfers", each * 64, 11_000);
    report.count("of them told", told.len());
    report
}
