//! Agents in processes of their own that claim, run and complete transfers, and are killed at it.
//!
//! Each transfer ends once, no two agents run it at a time, and nothing that was stored for one is lost to the next.

pub mod runs;
mod worker;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::PathBuf,
    time::Duration,
};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tempfile::TempDir;
use tidegate_client::{Client, Direction, Error, TransferFilter, TransferStatus};
use tidegate_tests::{
    database::Kind,
    process::{binary, command},
};
use tokio::{process::Child, time::Instant};
use uuid::Uuid;

use self::runs::{Attempt, Entry};
use crate::{
    Fleet, Report, Setup,
    checker::{History, check},
    snapshot,
};
pub use worker::work;

/// How many agents there are at a time.
const AGENTS: usize = 6;
/// How often a transfer may be started: as often as it takes.
const ATTEMPTS: u32 = 100;
/// Longest wait for the last transfers once nobody is killed any more.
const PATIENCE: Duration = Duration::from_secs(60);
const AT_ONCE: usize = 16;

/// One agent and where it writes down what it was told.
struct Agent {
    process: Child,
    journal: PathBuf,
}

/// What the agents live in.
struct Herd {
    folder: TempDir,
    addresses: Vec<String>,
    born: usize,
}

impl Herd {
    fn journal(&self, instance: &str) -> PathBuf {
        self.folder.path().join(instance)
    }

    /// Another agent, with a name of its own.
    fn spawn(&mut self) -> io::Result<Agent> {
        let instance = format!("agent-{}", self.born);
        let address = &self.addresses[self.born % self.addresses.len()];
        let journal = self.journal(&instance);
        self.born += 1;
        let process = command(binary("chaos"))
            .args(["work", "--address", address, "--instance", &instance])
            .arg("--journal")
            .arg(&journal)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::inherit())
            .spawn()?;
        Ok(Agent { process, journal })
    }

    /// Everything that agents were told, whether they live or not.
    fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for number in 0..self.born {
            let instance = format!("agent-{number}");
            entries.extend(runs::read(&self.journal(&instance), &instance)?);
        }
        Ok(entries)
    }
}

/// Kills agents so often while others go on with what they ran.
///
/// # Panics
/// When the agents cannot be started or looked into.
pub async fn run(kind: Kind, kills: u64, seed: u64) -> Report {
    let mut report = Report::new(format!("agents on {kind:?}"), seed);
    let replicas = if kind == Kind::Sqlite { 1 } else { 2 };
    let fleet = Fleet::start(kind, replicas, Setup::default()).await;
    let addresses = fleet.addresses();
    let client = Client::builder(addresses[0].as_str()).connect_lazy();
    let client = client.expect("the address is one");
    let mut herd = Herd {
        folder: tempfile::tempdir().expect("a folder"),
        addresses,
        born: 0,
    };
    // There is always something to run, until the killing is over.
    let count = AGENTS + usize::try_from(kills).expect("a few") / 2;
    let found = async {
        let transfers = declare(&client, count).await?;
        let killed = kill_some(&mut herd, kills, seed).await;
        let ledger = ended(&client, &transfers).await?;
        Ok::<_, Error>((killed.expect("agents can be killed"), ledger))
    };
    let (killed, ledger) = match found.await {
        Ok(found) => found,
        Err(error) => {
            report.fault(format!("the ledger does not answer: {error}"));
            return report;
        }
    };
    let entries = herd.entries().expect("the journals can be read");
    report.faults("of the runs", runs::check(&entries, &ledger));
    match snapshot::read(&fleet.raw(0), &BTreeSet::new(), true).await {
        Ok(snapshot) => report.faults("at the end", check(&History::default(), &snapshot)),
        Err(status) => report.fault(format!("the ledger cannot be read: {status}")),
    }
    count_runs(&mut report, &ledger, killed, kills);
    report
}

async fn declare(client: &Client, count: usize) -> Result<Vec<Uuid>, Error> {
    stream::iter(0..count)
        .map(|_| async {
            let create = client.transfers().create(Direction::Send, "rows");
            Ok(create.max_attempts(ATTEMPTS).await?.uuid)
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

/// Kills agents that have a run, each of which another one takes the place of; how many. The others end by themselves when
/// there is nothing left to run.
async fn kill_some(herd: &mut Herd, kills: u64, seed: u64) -> io::Result<u64> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut agents = Vec::new();
    for _ in 0..AGENTS {
        agents.push(herd.spawn()?);
    }
    let mut killed = 0;
    let end = Instant::now() + PATIENCE + Duration::from_secs(kills);
    while killed < kills && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(random.random_range(20..250))).await;
        let number = random.random_range(0..agents.len());
        let agent = &mut agents[number];
        if !runs::has_run(&fs::read_to_string(&agent.journal).unwrap_or_default()) {
            continue;
        }
        agent.process.kill().await?;
        killed += 1;
        agents[number] = herd.spawn()?;
    }
    for agent in &mut agents {
        _ = tokio::time::timeout(PATIENCE, agent.process.wait()).await;
    }
    Ok(killed)
}

/// The attempts at each transfer, once nothing is left to run or time is up.
async fn ended(
    client: &Client,
    transfers: &[Uuid],
) -> Result<BTreeMap<String, Vec<Attempt>>, Error> {
    let completed = TransferFilter {
        status: vec![TransferStatus::Completed],
        ..TransferFilter::default()
    };
    let end = Instant::now() + PATIENCE;
    while client.transfers().count().filter(completed.clone()).await?
        < i64::try_from(transfers.len()).unwrap_or(i64::MAX)
        && Instant::now() < end
    {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    stream::iter(transfers)
        .map(|uuid| async {
            let attempts = client.transfers().list_attempts(*uuid).await?;
            let attempts = attempts.into_iter().map(Attempt::from);
            Ok((uuid.to_string(), attempts.collect()))
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

fn count_runs(
    report: &mut Report,
    ledger: &BTreeMap<String, Vec<Attempt>>,
    killed: u64,
    kills: u64,
) {
    let attempts: usize = ledger.values().map(Vec::len).sum();
    report.require("killed while they ran something", killed, kills);
    report.count("transfers", ledger.len());
    report.count("attempts", attempts);
    let longest = ledger.values().map(Vec::len).max();
    report.count("most attempts at one", longest.unwrap_or(0));
}
