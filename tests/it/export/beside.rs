//! Exports and imports beside servers, and imports that are killed.

use std::{
    process::Stdio,
    sync::atomic::{AtomicBool, AtomicI64, Ordering},
};

use tidegate_tests::{ServerProcess, soon};
use tokio::process::{Child, ChildStdin};

use super::*;

async fn count(server: &ServerProcess) -> i64 {
    let request = v1::CountTransfersRequest::default();
    told(server.raw().await.count_transfers(request))
        .await
        .count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_under_load_is_a_ledger_of_one_moment() {
    let server = ServerProcess::fresh().await;
    let (acknowledged, is_over) = (AtomicI64::new(0), AtomicBool::new(false));
    let load = join_all((0..8).map(async |_| {
        let mut raw = server.raw().await;
        while !is_over.load(Ordering::Relaxed) {
            told(raw.create_transfer(plain())).await;
            acknowledged.fetch_add(1, Ordering::Relaxed);
        }
    }));
    let exports = async {
        let mut exports = Vec::new();
        for number in 1..=3 {
            while acknowledged.load(Ordering::Relaxed) < 300 * number {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let before = acknowledged.load(Ordering::Relaxed);
            let target = new().await;
            let imported = pipe(server.database(), &target).await;
            assert_eq!(imported.code, Some(0), "{imported:?}");
            let after = acknowledged.load(Ordering::Relaxed);
            assert!(after > before, "nobody was kept waiting");
            exports.push((target, before));
        }
        is_over.store(true, Ordering::Relaxed);
        exports
    };
    let (_, exports) = tokio::join!(load, exports);
    let total = acknowledged.load(Ordering::Relaxed);
    server.terminate().await;
    for (target, before) in exports {
        let verified = verify(&target, &[]).await;
        let server = ServerProcess::start(&target, 0, &[]).await;
        let found = count(&server).await;
        assert!(
            (before..=total).contains(&found),
            "{before} {found} {total}"
        );
        let line = format!("events 1–{found} verified");
        assert!(verified.stdout.starts_with(&line), "{verified:?}");
        server.terminate().await;
    }
}

/// An import that has read a part of its lines, and waits for more.
async fn begun(target: &Database, lines: &str) -> (Child, ChildStdin) {
    let mut import = program("import", target);
    let mut import = import.stdin(Stdio::piped()).spawn().expect("it starts");
    let mut stdin = import.stdin.take().expect("a pipe");
    // More than what a pipe holds, so some of it is read when all of it is written.
    assert!(lines.len() > 1 << 20);
    let written = stdin.write_all(lines.as_bytes());
    soon("the lines", written).await.expect("it reads");
    (import, stdin)
}

/// An export of some thousand transfers, cut in two within the events.
async fn halves() -> (String, String) {
    let server = ServerProcess::fresh().await;
    let load = (0..16).map(async |_| {
        let mut raw = server.raw().await;
        for _ in 0..150 {
            told(raw.create_transfer(plain())).await;
        }
    });
    join_all(load).await;
    let mut lines = export(server.database()).await;
    server.terminate().await;
    let rest = lines.split_off(lines.len() * 9 / 10);
    (lines, rest)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_of_an_import_that_was_killed() {
    let (most, rest) = halves().await;
    let target = new().await;
    let empty = export(&target).await;
    let (mut import, _stdin) = begun(&target, &most).await;
    import.kill().await.expect("it runs");
    assert_eq!(export(&target).await, empty);
    // It is as good as new: for a server, and for another import.
    let server = ServerProcess::start(&target, 0, &[]).await;
    assert_eq!(count(&server).await, 0);
    server.terminate().await;
    let (import, mut stdin) = begun(&target, &most).await;
    stdin.write_all(rest.as_bytes()).await.expect("it reads");
    drop(stdin);
    let imported = finish(import).await;
    assert_eq!(imported.code, Some(0), "{imported:?}");
    assert_eq!(export(&target).await, most + &rest);
}

mod sqlite_only {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_file_that_is_served_is_not_filled() {
        let server = ServerProcess::fresh().await;
        let said = refused("", server.database()).await;
        assert!(said.contains("is in use by another server"), "{said}");
        server.terminate().await;
    }
}

mod postgres_only {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn a_server_of_the_database_sees_all_of_it_or_nothing_and_changes_nothing_meanwhile() {
        let (most, rest) = halves().await;
        let target = new().await;
        let server = ServerProcess::start(&target, 0, &[]).await;
        let (import, mut stdin) = begun(&target, &most).await;
        assert_eq!(count(&server).await, 0);
        let refused = server.raw().await.create_transfer(plain()).await;
        let refused = refused.expect_err("the log is locked");
        assert_eq!(refused.code(), tonic::Code::Unavailable, "{refused:?}");
        // Longer than a session of the service may be idle in a transaction.
        tokio::time::sleep(Duration::from_secs(5)).await;
        stdin.write_all(rest.as_bytes()).await.expect("it reads");
        drop(stdin);
        let imported = finish(import).await;
        assert_eq!(imported.code, Some(0), "{imported:?}");
        assert_eq!(count(&server).await, 2_400);
        let works = async {
            while server.raw().await.create_transfer(plain()).await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        soon("a change", works).await;
        server.terminate().await;
        let verified = verify(&target, &[]).await;
        assert!(
            verified.stdout.starts_with("events 1–2401 verified"),
            "{verified:?}"
        );
    }
}
