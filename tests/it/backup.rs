//! `tidegate-server backup`: a whole ledger in a file of its own, whatever is written meanwhile.

use std::path::Path;

use tidegate_tests::process::{Finished, binary, command, run};

async fn backup(database_url: &str, copy: &Path) -> Finished {
    let mut server = command(binary("tidegate-server"));
    server.arg("backup").arg(copy);
    run(server.args(["--database-url", database_url])).await
}

/// The one line of a backup that was refused.
async fn refused(database_url: &str, copy: &Path) -> String {
    let ended = backup(database_url, copy).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(ended.stdout, "");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    ended.stderr
}

#[tokio::test]
async fn postgresql_has_a_program_of_its_own_for_that() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let copy = folder.path().join("copy.db");
    let line = refused("postgres://ledger:S3CRET@db.example/ledger", &copy).await;
    assert!(
        line.contains("postgres://db.example/ledger is PostgreSQL: pg_dump"),
        "{line}"
    );
    assert!(!line.contains("S3CRET") && !copy.exists());
}

mod sqlite_only {
    use std::{
        fs,
        os::unix::fs::PermissionsExt as _,
        sync::atomic::{AtomicBool, AtomicU64, Ordering},
    };

    use futures::{TryStreamExt as _, future::join_all};
    use tidegate_client::{Client, Error, LogPosition, Reason};
    use tidegate_proto::v1;
    use tidegate_tests::{
        Database, ServerProcess,
        audit::verify,
        raw::{plain, told},
        soon,
    };

    use super::*;

    /// How many transfers a server has.
    async fn count(server: &ServerProcess) -> u64 {
        let request = v1::CountTransfersRequest::default();
        let answer = told(server.raw().await.count_transfers(request)).await;
        u64::try_from(answer.count).expect("no less than none")
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_was_acknowledged_before_is_in_a_copy_that_was_made_under_load() {
        let server = ServerProcess::fresh().await;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (acknowledged, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
        let load = join_all((0..8).map(async |_| {
            let mut raw = server.raw().await;
            while !is_over.load(Ordering::Relaxed) {
                told(raw.create_transfer(plain())).await;
                acknowledged.fetch_add(1, Ordering::Relaxed);
            }
        }));
        let copies = async {
            let (mut copies, mut meanwhile) = (Vec::new(), 0);
            for number in 1..=3 {
                while acknowledged.load(Ordering::Relaxed) < 300 * number {
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                }
                let before = acknowledged.load(Ordering::Relaxed);
                let copy = folder.path().join(format!("{number}.db"));
                let made = backup(server.database().url(), &copy).await;
                assert_eq!(made.code, Some(0), "{made:?}");
                assert!(made.stdout.ends_with(&format!("{number}.db\n")), "{made:?}");
                meanwhile += acknowledged.load(Ordering::Relaxed) - before;
                copies.push((copy, before));
            }
            is_over.store(true, Ordering::Relaxed);
            // A disk may have everybody wait for a moment, but not for as long as each copy takes.
            assert!(meanwhile > 0, "everybody was kept waiting");
            copies
        };
        let (_, copies) = tokio::join!(load, copies);
        let total = acknowledged.load(Ordering::Relaxed);
        for (copy, before) in copies {
            let mode = fs::metadata(&copy)
                .expect("it is there")
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
            let database = Database::file(&copy);
            let verified = verify(&database, &[]).await;
            assert_eq!(verified.code, Some(0), "{verified:?}");
            let restored = ServerProcess::start(&database, 0, &[]).await;
            let found = count(&restored).await;
            assert!(
                (before..=total).contains(&found),
                "{before} {found} {total}"
            );
            // It is a ledger like any other.
            told(restored.raw().await.create_transfer(plain())).await;
            assert_eq!(count(&restored).await, found + 1);
            restored.terminate().await;
            let verified = verify(&database, &[]).await;
            let line = format!("events 1–{} verified", found + 1);
            assert!(verified.stdout.starts_with(&line), "{verified:?}");
        }
        let left = fs::read_dir(folder.path()).expect("it can be listed");
        let parts = left.filter(|it| {
            it.as_ref()
                .is_ok_and(|it| it.path().extension() == Some("part".as_ref()))
        });
        assert_eq!(parts.count(), 0);
        server.kill().await;
    }

    async fn declare(server: &ServerProcess, count: usize) {
        for _ in 0..count {
            told(server.raw().await.create_transfer(plain())).await;
        }
    }

    /// The next event after a position, by a list and by a watch.
    async fn read_on(client: &Client, after: &LogPosition) -> [Result<i64, Error>; 2] {
        let listed = client.events().list().after(after.clone()).await;
        let mut watch = client.events().watch().after(after.clone()).into_stream();
        let told = soon("the next event", watch.try_next()).await;
        [
            listed.map(|events| events.first().expect("there is more").sequence),
            told.map(|event| event.expect("it goes on").sequence),
        ]
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn whoever_has_read_more_than_a_restored_backup_held_is_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let copy = folder.path().join("copy.db");
        let server = ServerProcess::fresh().await;
        declare(&server, 2).await;
        let made = backup(server.database().url(), &copy).await;
        assert_eq!(made.code, Some(0), "{made:?}");
        declare(&server, 2).await;
        let client = server.client().await;
        let events = client.events().list().await.expect("the log");
        let [_, held, _, lost] = events.as_slice() else {
            panic!("four events: {events:?}");
        };
        let (held, lost) = (held.position(), lost.position());
        declare(&server, 1).await;
        for next in read_on(&client, &lost).await {
            assert_eq!(next.expect("nothing was restored"), 5);
        }
        server.terminate().await;

        let restored = ServerProcess::start(&Database::file(&copy), 0, &[]).await;
        let client = restored.client().await;
        for (events, reason) in [(1, Reason::CursorAhead), (2, Reason::LogDiverged)] {
            declare(&restored, events).await;
            for next in read_on(&client, &lost).await {
                let refused = next.expect_err("the log is another one");
                assert_eq!(refused.reason(), Some(reason));
                assert!(refused.is_position_lost());
            }
        }
        for next in read_on(&client, &held).await {
            assert_eq!(next.expect("both logs have it"), 3);
        }
        restored.kill().await;
    }

    #[tokio::test]
    async fn nothing_is_overwritten_and_nothing_is_left_of_what_failed() {
        let server = ServerProcess::fresh().await;
        let url = server.database().url().to_owned();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let copy = folder.path().join("copy.db");
        fs::write(&copy, "dear to somebody").expect("it can be written");
        let line = refused(&url, &copy).await;
        assert!(
            line.contains("copy.db cannot be written: File exists"),
            "{line}"
        );
        assert_eq!(fs::read(&copy).expect("it is there"), b"dear to somebody");
        fs::remove_file(&copy).expect("it is there");

        let nowhere = folder.path().join("no").join("copy.db");
        let line = refused(&url, &nowhere).await;
        assert!(line.contains("No such file or directory"), "{line}");
        for (source, word) in [
            (
                format!("sqlite://{}/none.db", folder.path().display()),
                "does not exist",
            ),
            ("sqlite::memory:".to_owned(), "memory"),
        ] {
            let line = refused(&source, &copy).await;
            assert!(line.contains(word), "{line}");
        }
        // A file of something else is no ledger.
        let other = folder.path().join("other.db");
        rusqlite::Connection::open(&other)
            .and_then(|file| file.execute_batch("CREATE TABLE t (x)"))
            .expect("it is made");
        let line = refused(&format!("sqlite://{}", other.display()), &copy).await;
        assert!(line.contains("migrate"), "{line}");
        let left: Vec<_> = fs::read_dir(folder.path())
            .expect("it can be listed")
            .collect();
        assert_eq!(left.len(), 1, "{left:?}");
        server.kill().await;
    }
}
