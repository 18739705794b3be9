//! Health tells what callers would meet.

use std::time::Instant;

use tidegate_tests::Database;

use super::*;

/// How soon health tells.
const TOLD: Duration = Duration::from_secs(5);

/// The server and each of its services.
const NAMES: [&str; 6] = [
    "",
    "tidegate.v1.TransferService",
    "tidegate.v1.EventService",
    "tidegate.v1.ConnectionService",
    "tidegate.v1.CredentialService",
    "tidegate.v1.BulkService",
];

/// Waits until all of them are said to be so.
async fn becomes(server: &ServerProcess, wanted: ServingStatus) {
    let began = Instant::now();
    for name in NAMES {
        let change = async {
            while health(server, name).await.expect("known") != wanted {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        soon("the change of health", change).await;
    }
    assert!(
        began.elapsed() < TOLD,
        "{wanted:?} after {:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn a_service_that_is_not_there_is_unknown_and_its_watch_stays_open() {
    let server = ServerProcess::fresh().await;
    for name in ["nope", "tidegate.v1.Nothing", "TRANSFERSERVICE"] {
        let mut watch = watch_health(&server, name).await;
        assert_eq!(next(&mut watch).await, Some(ServingStatus::ServiceUnknown));
        let more = tokio::time::timeout(Duration::from_millis(300), watch.next()).await;
        assert!(more.is_err(), "{name}: {more:?}");
        let refused = health(&server, name).await.expect_err("nobody knows it");
        assert_eq!(refused.code(), Code::NotFound);
    }
    let (status, took) = server.terminate().await;
    assert_eq!(status.code(), Some(0));
    assert!(took < LONGEST, "{took:?}");
}

mod sqlite_only {
    use tidegate_tests::{fault::SmallDisk, needs::Need, skip_without};

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_disk_that_is_full_is_not_served_until_there_is_room() {
        skip_without!(Need::Mount);
        let disk = SmallDisk::mount(4 << 20);
        let database = Database::file(&disk.path().join("tidegate.db"));
        let server = ServerProcess::start(&database, 0, &[]).await;
        let mut client = server.raw().await;
        create_all(&client, 5).await;
        disk.fill();
        let refused = async { while client.create_transfer(plain()).await.is_ok() {} };
        soon("a refusal", refused).await;
        becomes(&server, ServingStatus::NotServing).await;
        // Locks can be had all the same; nobody is deceived by that.
        tokio::time::sleep(Duration::from_secs(2)).await;
        becomes(&server, ServingStatus::NotServing).await;
        disk.make_room();
        becomes(&server, ServingStatus::Serving).await;
        create_all(&client, 5).await;
        server.kill().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_file_that_another_program_has_locked_is_not_served() {
        let database = Database::fresh().await;
        let server = ServerProcess::start(&database, 0, &[]).await;
        let client = server.raw().await;
        create_all(&client, 1).await;
        let other = rusqlite::Connection::open(database.path().expect("a file")).expect("it opens");
        other.execute_batch("BEGIN IMMEDIATE").expect("it is free");
        becomes(&server, ServingStatus::NotServing).await;
        other.execute_batch("ROLLBACK").expect("it is held");
        becomes(&server, ServingStatus::Serving).await;
        create_all(&client, 1).await;
        server.kill().await;
    }
}

mod postgres_only {
    use sea_orm::{
        ConnectionTrait as _, DatabaseConnection, TransactionOptions, TransactionTrait as _,
    };
    use tidegate_tests::cluster::Cluster;

    use super::*;

    async fn set(admin: &DatabaseConnection, setting: &str) {
        for sql in [
            &format!("ALTER SYSTEM SET {setting}"),
            "SELECT pg_reload_conf()",
        ] {
            admin.execute_unprepared(sql).await.expect("it is set");
        }
    }

    /// Breaks and mends the database by a setting; before it is mended, and after, callers agree with health.
    async fn follows(broken: &str, mended: &str) {
        let cluster = Cluster::start().await;
        let database = Database::on(&cluster.url).await;
        let server = ServerProcess::start(&database, 0, &[]).await;
        let admin = database.connect().await;
        let client = server.raw().await;
        create_all(&client, 1).await;
        set(&admin, broken).await;
        let mut caller = client.clone();
        let refused = soon("an answer", caller.create_transfer(plain())).await;
        refused.expect_err(broken);
        becomes(&server, ServingStatus::NotServing).await;
        // It stays so for as long as it is broken.
        tokio::time::sleep(Duration::from_secs(2)).await;
        becomes(&server, ServingStatus::NotServing).await;
        set(&admin, mended).await;
        becomes(&server, ServingStatus::Serving).await;
        create_all(&client, 1).await;
        server.kill().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn a_database_that_waits_with_every_commit_is_not_served() {
        let nobody = "synchronous_standby_names = 'nobody'";
        follows(nobody, "synchronous_standby_names = ''").await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn a_database_that_only_reads_is_not_served() {
        let read_only = "default_transaction_read_only = on";
        follows(read_only, "default_transaction_read_only = off").await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn a_lock_that_every_change_needs_and_somebody_holds_is_told() {
        let database = Database::fresh().await;
        let server = ServerProcess::start(&database, 0, &[]).await;
        let somebody = database.connect().await;
        let held = somebody
            .begin_with_options(TransactionOptions::default())
            .await
            .expect("it begins");
        let lock = "SELECT FROM event_counter FOR UPDATE";
        held.execute_unprepared(lock).await.expect("it is free");
        becomes(&server, ServingStatus::NotServing).await;
        held.rollback().await.expect("it ends");
        becomes(&server, ServingStatus::Serving).await;
        create_all(&server.raw().await, 1).await;
        server.kill().await;
    }
}
