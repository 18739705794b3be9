//! Acknowledged changes survive `kill -9` of the server, none is carried out twice, and the log stays whole.
//!
//! `TIDEGATE_CRASHES` says how often it is killed, `TIDEGATE_SEED` repeats a run's choices.

mod ask;
mod checker;
mod planted;
mod walker;

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tidegate_proto::v1;
use tidegate_tests::{ServerProcess, soon};
use tokio::{sync::RwLockWriteGuard, task::JoinSet};
use tonic::Code;

use checker::{Account, Entry, Row, check};
use walker::{Town, Walker};

const CRASHES: u64 = 20;
const WALKERS: u64 = 8;
/// Fewer acknowledged changes than that between two crashes prove too little.
const LEAST_LOAD: u64 = 15;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_changes_survive_kill_9() {
    let crashes = variable("TIDEGATE_CRASHES").unwrap_or(CRASHES);
    let seed = variable("TIDEGATE_SEED").unwrap_or_else(rand::random);
    eprintln!("crash: TIDEGATE_SEED={seed} TIDEGATE_CRASHES={crashes}");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let database = folder.path().join("tidegate.db");
    let port = free_port();
    let mut server = start(&database, port).await;
    let town = Arc::<Town>::default();
    let mut walkers = JoinSet::new();
    for number in 0..WALKERS {
        let walker = Walker::new(
            Arc::clone(&town),
            &server.address,
            seed.wrapping_add(number),
        );
        walkers.spawn(walker.run());
    }
    let mut random = StdRng::seed_from_u64(seed);
    let mut seen = 0;
    for crash in 1..=crashes {
        tokio::time::sleep(Duration::from_millis(random.random_range(100..500))).await;
        server.kill().await;
        let quiet = town.gate.write().await;
        integrity(&database);
        server = start(&database, port).await;
        seen = examine(
            &server,
            &town,
            &quiet,
            seen,
            &format!("after crash {crash}"),
        )
        .await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    town.evening.cancel();
    while let Some(walked) = walkers.join_next().await {
        walked.expect("no walker fails");
    }
    let quiet = town.gate.write().await;
    examine(&server, &town, &quiet, 0, "at the end").await;
    let (status, _) = server.terminate().await;
    assert!(status.success(), "{status}");
    integrity(&database);
    report(&town, crashes);
}

fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is not a number")),
    )
}

/// A port that nothing uses, outside of the range that systems give to clients: the server has to get it back.
fn free_port() -> u16 {
    let is_free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    std::iter::repeat_with(|| rand::random_range(20_000..30_000))
        .take(100)
        .find(is_free)
        .expect("a free port")
}

async fn start(database: &Path, port: u16) -> ServerProcess {
    ServerProcess::start(database, port, &["--sweep-interval", "50ms"]).await
}

/// Checks the file as the killed server left it, on a copy: the server has to recover it by itself.
fn integrity(database: &Path) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let copy = folder.path().join("copy.db");
    std::fs::copy(database, &copy).expect("the database can be copied");
    let log = database.with_extension("db-wal");
    if log.exists() {
        std::fs::copy(log, copy.with_extension("db-wal")).expect("its log can be copied");
    }
    let file = rusqlite::Connection::open(&copy).expect("it opens");
    let verdict: String = file
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .expect("it can be checked");
    assert_eq!(verdict, "ok");
    let orphans = file
        .prepare("PRAGMA foreign_key_check")
        .and_then(|mut check| check.exists([]));
    assert_eq!(orphans, Ok(false), "rows without their parents");
}

/// Compares what the clients were told from answer `since` on with what the ledger says, while none of them changes it.
async fn examine(
    server: &ServerProcess,
    town: &Town,
    _quiet: &RwLockWriteGuard<'_, ()>,
    since: usize,
    when: &str,
) -> usize {
    let journal = town.ledger().journal.clone();
    let touched: BTreeSet<String> = journal.acknowledged[since..]
        .iter()
        .map(|told| told.transfer.clone())
        .collect();
    let account = soon("a view of the ledger at one moment", async {
        loop {
            let account = read(server, &touched, since == 0).await;
            // The sweeper needs no client: if it was at work meanwhile, rows and events may be of different moments.
            let last = account.entries.last().map_or(0, |entry| entry.sequence);
            if entries(server, last).await.is_empty() {
                return account;
            }
        }
    })
    .await;
    let faults = check(&journal, &account);
    assert!(
        faults.is_empty(),
        "{when}: {} faults, among them {:#?}",
        faults.len(),
        &faults[..faults.len().min(10)]
    );
    journal.acknowledged.len()
}

/// The whole log, and the rows of `touched`, or of all transfers.
async fn read(server: &ServerProcess, touched: &BTreeSet<String>, all: bool) -> Account {
    let mut account = Account {
        entries: entries(server, 0).await,
        ..Account::default()
    };
    let mut wanted = touched.clone();
    let mut client = server.raw().await;
    if all {
        wanted.extend(account.entries.iter().map(|entry| entry.transfer.clone()));
        let counted = client
            .count_transfers(v1::CountTransfersRequest::default())
            .await;
        account.row_count = Some(counted.expect("it counts").into_inner().count);
    }
    for uuid in wanted {
        let row = row(&mut client, &uuid).await;
        account.rows.insert(uuid, row);
    }
    account
}

/// The log after a position, page by page.
async fn entries(server: &ServerProcess, after: i64) -> Vec<Entry> {
    let mut client = server.raw_events().await;
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let after_sequence = entries.last().map_or(after, |entry| entry.sequence);
        let request = v1::ListEventsRequest {
            after_sequence,
            page_size: 1_000,
            ..Default::default()
        };
        let page = client
            .list_events(request)
            .await
            .expect("the log is there")
            .into_inner()
            .events;
        if page.is_empty() {
            return entries;
        }
        entries.extend(page.into_iter().map(|event| Entry {
            sequence: event.sequence,
            transfer: event.transfer_uuid,
            action: ask::action(event.action),
            from: ask::status(event.from_status),
            to: ask::status(event.to_status),
            request_id: event.request_id,
            revision: event.revision,
        }));
    }
}

async fn row(
    client: &mut v1::transfer_service_client::TransferServiceClient<tonic::transport::Channel>,
    uuid: &str,
) -> Option<Row> {
    let request = v1::GetTransferRequest {
        uuid: uuid.to_owned(),
        preload: Vec::new(),
    };
    match client.get_transfer(request).await {
        Ok(answer) => {
            let transfer = answer
                .into_inner()
                .transfer
                .expect("an answer has a transfer");
            let status = ask::status(transfer.status).expect("every transfer has a status");
            Some(Row {
                status,
                revision: transfer.revision,
                totals: ask::totals(&transfer),
            })
        }
        Err(status) if status.code() == Code::NotFound => None,
        Err(status) => panic!("{uuid}: {status:?}"),
    }
}

fn report(town: &Town, crashes: u64) {
    let ledger = town.ledger();
    let acknowledged = ledger.journal.acknowledged.len();
    eprintln!(
        "crash: {crashes} crashes, {acknowledged} acknowledged ({} on streams, {} to repetitions), {} refused, {} in the dark",
        ledger.streamed,
        ledger.repeated,
        ledger.journal.refused.len(),
        ledger.unknown,
    );
    assert!(
        ledger.surprises.is_empty(),
        "{:#?}",
        &ledger.surprises[..ledger.surprises.len().min(10)]
    );
    assert!(
        acknowledged as u64 >= crashes * LEAST_LOAD,
        "too little load: the run proves nothing"
    );
    let in_the_dark = ledger.unknown as u64;
    assert!(
        in_the_dark >= crashes,
        "{in_the_dark}: the crashes met no call under way"
    );
}
