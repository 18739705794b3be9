//! The limit of time of a call.

mod sqlite_only {
    use std::time::{Duration, Instant};

    use futures::future::join_all;
    use sea_orm::ConnectionTrait as _;
    use tidegate_proto::v1;
    use tidegate_tests::{
        World, assert_refused,
        raw::{plain, told},
        soon,
    };
    use tonic::Code;

    use super::super::ANSWERED;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_file_that_another_program_locks_is_said_in_time_and_nothing_refused_is_done() {
        let world = World::start().await;
        let mut raw = world.services().await;
        told(raw.transfers.create_transfer(plain())).await;
        let other = world.database().connect().await;
        let lock = "BEGIN IMMEDIATE";
        other.execute_unprepared(lock).await.expect("the lock");
        let calls = (0..20).map(|_| {
            let mut raw = raw.clone();
            async move {
                let began = Instant::now();
                let refusal = soon("an answer", raw.transfers.create_transfer(plain())).await;
                let refusal = refusal.expect_err("the file is locked");
                let refused = assert_refused(&refusal, Code::Unavailable, "DATABASE_UNAVAILABLE");
                assert!(refused.has_retry_info);
                assert!(began.elapsed() < ANSWERED, "{:?}", began.elapsed());
            }
        });
        join_all(calls).await;
        // Reads are not kept.
        let count = v1::CountTransfersRequest::default();
        let counted = told(raw.transfers.count_transfers(count.clone())).await;
        assert_eq!(counted.count, 1);
        // The writer may still be at its last try, and what comes meanwhile is refused with it.
        tokio::time::sleep(Duration::from_secs(1)).await;
        // Waiting for less than the limit is nothing that a caller notices.
        let mut waiting = raw.clone();
        let waiting = tokio::spawn(async move {
            told(waiting.transfers.create_transfer(plain())).await;
        });
        tokio::time::sleep(Duration::from_millis(500)).await;
        other
            .execute_unprepared("ROLLBACK")
            .await
            .expect("it lets go");
        soon("the change", waiting).await.expect("it is done");
        told(raw.transfers.create_transfer(plain())).await;
        let counted = told(raw.transfers.count_transfers(count)).await;
        assert_eq!(counted.count, 3);
    }
}

mod postgres_only {
    use std::time::{Duration, Instant};

    use futures::future::join_all;
    use sea_orm::ConnectionTrait as _;
    use tidegate_tests::{
        Database, ServerProcess, assert_refused,
        cluster::Cluster,
        raw::{Raw, plain},
        soon,
    };
    use tonic::Code;

    use super::super::ANSWERED;

    async fn wait_for_standby(database: &Database, name: &str) {
        let session = database.connect().await;
        for sql in [
            format!("ALTER SYSTEM SET synchronous_standby_names = '{name}'"),
            "SELECT pg_reload_conf()".to_owned(),
        ] {
            session.execute_unprepared(&sql).await.expect("the setting");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn a_commit_that_waits_for_a_standby_that_is_gone_is_said_in_time() {
        let cluster = Cluster::start().await;
        let database = Database::on(&cluster.url).await;
        let server = ServerProcess::start(&database, 0, &[]).await;
        let raw = Raw::on(server.channel().await);
        wait_for_standby(&database, "nobody").await;
        for _ in 0..2 {
            let calls = (0..12).map(|_| {
                let mut raw = raw.clone();
                async move {
                    let began = Instant::now();
                    let refusal = soon("an answer", raw.transfers.create_transfer(plain())).await;
                    let refusal = refusal.expect_err("it cannot be made durable");
                    assert_refused(&refusal, Code::Unavailable, "DATABASE_UNAVAILABLE");
                    assert!(began.elapsed() < ANSWERED, "{:?}", began.elapsed());
                }
            });
            join_all(calls).await;
        }
        wait_for_standby(&database, "").await;
        let back = Instant::now();
        let mut raw = raw.clone();
        while let Err(status) = raw.transfers.create_transfer(plain()).await {
            assert!(back.elapsed() < Duration::from_secs(10), "{status:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(server.terminate().await.0.success());
    }
}
