//! What an export and an import cost: their memory does not grow with the ledger.
//!
//! `TIDEGATE_TEST_TRANSFERS` is how many transfers the larger ledger has, 2,560 with long notes unless set; with 100000 it
//! takes some minutes, and tells the times with `--nocapture`.

use std::{
    env, fs,
    time::{Duration, Instant},
};

use prost_types::{Struct, Value, value::Kind};
use tidegate_tests::ServerProcess;
use tokio::process::Command;

use super::*;

/// Transfers of the smaller ledger: more than are read or written at once.
const FEW: usize = 640;

/// How many transfers the larger ledger has, and how many bytes of notes each of either has.
fn size() -> (usize, usize) {
    match env::var("TIDEGATE_TEST_TRANSFERS") {
        Ok(number) => (number.parse().expect("a number of transfers"), 200),
        Err(_) => (2_560, 8_000),
    }
}

async fn ledger(count: usize, notes: usize) -> Database {
    let server = ServerProcess::fresh().await;
    let notes = Value {
        kind: Some(Kind::StringValue("x".repeat(notes))),
    };
    let request = v1::CreateTransferRequest {
        metadata: Some(Struct {
            fields: [("notes".to_owned(), notes)].into(),
        }),
        ..plain()
    };
    let load = (0..64).map(async |number| {
        let mut raw = server.raw().await;
        for _ in (number..count).step_by(64) {
            told(raw.create_transfer(request.clone())).await;
        }
    });
    join_all(load).await;
    let database = server.database().clone();
    server.terminate().await;
    database
}

/// Runs a program to its end; the most KiB that it took at once.
async fn measured(command: &mut Command) -> u64 {
    let (began, mut child) = (Instant::now(), command.spawn().expect("it starts"));
    let status = format!("/proc/{}/status", child.id().expect("it runs"));
    let mut peak = 0;
    while child.try_wait().expect("it can be asked").is_none() {
        let status = fs::read_to_string(&status).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
        peak = number.and_then(|it| it.parse().ok()).unwrap_or(peak);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let ended = finish(child).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let said = [ended.stdout, ended.stderr].concat();
    eprintln!("{:.1?}, {peak} KiB: {}", began.elapsed(), said.trim_end());
    assert!(peak > 0, "it was looked at");
    peak
}

/// Carries a ledger over: the size of its export, and the most KiB that export and import took.
async fn carried(source: &Database) -> (u64, [u64; 2]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("ledger.ndjson");
    let exported = measured(program("export", source).arg("--output").arg(&file)).await;
    let bytes = file.metadata().expect("it is there").len();
    eprintln!("{bytes} bytes");
    let imported = measured(program("import", &new().await).arg(&file)).await;
    (bytes / 1_024, [exported, imported])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_does_not_grow_with_the_ledger() {
    let (many, notes) = size();
    let (few, least) = carried(&ledger(FEW, notes).await).await;
    let (many, most) = carried(&ledger(many, notes).await).await;
    let allowed = (many - few) / 2;
    assert!(allowed > 8_000, "memory is not that exact");
    for (least, most) in least.into_iter().zip(most) {
        assert!(most < least + allowed, "{least} KiB, then {most} KiB");
    }
}
