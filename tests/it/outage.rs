//! What happens while PostgreSQL is away, and when replicas start together or disagree about the time.

mod postgres_only {
    use std::time::{Duration, Instant};

    use futures::future::join_all;
    use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
    use tidegate_proto::v1::{self, TransferStatus};
    use tidegate_server::clock::Clock;
    use tidegate_tests::{
        Database, ServerProcess, World, WorldOptions, assert_refused,
        cluster::Cluster,
        process::{binary, command, run},
        raw::{Raw, plain},
        soon,
    };
    use tokio::{process::Command, sync::mpsc};
    use tokio_stream::wrappers::ReceiverStream;
    use tonic::Code;
    use tonic_health::pb::{
        HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
    };

    /// How soon callers learn that the database is away.
    const NOTICED: Duration = Duration::from_secs(3);
    /// How soon all is well after its return.
    const RECOVERED: Duration = Duration::from_secs(5);

    async fn serving(world: &World) -> bool {
        let mut health = HealthClient::new(world.channel().await);
        let request = HealthCheckRequest::default();
        let answer = health.check(request).await.expect("health always answers");
        answer.into_inner().status() == ServingStatus::Serving
    }

    async fn health_becomes(world: &World, wanted: bool) {
        soon("the change of health", async {
            while serving(world).await != wanted {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
    }

    /// Asks for a change and for a row; both are refused in time, with the reason.
    async fn is_refused_in_time(raw: &mut Raw, uuid: &str) {
        let began = Instant::now();
        let write = raw.transfers.create_transfer(plain());
        let refusal = soon("an answer", write).await.expect_err("it is away");
        let refused = assert_refused(&refusal, Code::Unavailable, "DATABASE_UNAVAILABLE");
        assert!(refused.has_retry_info);
        assert!(began.elapsed() < NOTICED, "{:?}", began.elapsed());
        let began = Instant::now();
        let request = v1::GetTransferRequest {
            uuid: uuid.to_owned(),
            ..v1::GetTransferRequest::default()
        };
        let refusal = soon("an answer", raw.transfers.get_transfer(request)).await;
        assert_refused(
            &refusal.expect_err("it is away"),
            Code::Unavailable,
            "DATABASE_UNAVAILABLE",
        );
        assert!(began.elapsed() < NOTICED, "{:?}", began.elapsed());
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn a_lost_database_is_said_in_time_and_its_return_is_noticed() {
        let cluster = Cluster::start().await;
        let database = Database::on(&cluster.url).await;
        let mut world = World::on(database, WorldOptions::default()).await;
        let mut raw = world.services().await;
        let uuid = raw.declared().await.uuid;
        assert!(serving(&world).await);
        for _ in 0..2 {
            cluster.stop().await;
            is_refused_in_time(&mut raw, &uuid).await;
            health_becomes(&world, false).await;
            // Many callers at once learn it as soon as one.
            let calls = (0..20).map(|_| {
                let mut raw = raw.clone();
                let uuid = uuid.clone();
                async move { is_refused_in_time(&mut raw, &uuid).await }
            });
            join_all(calls).await;
            cluster.resume().await;
            let back = Instant::now();
            health_becomes(&world, true).await;
            raw.declared().await;
            assert!(back.elapsed() < RECOVERED, "{:?}", back.elapsed());
        }
        assert_eq!(raw.now(&uuid).await.uuid, uuid);
        world.stop().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn a_report_on_a_stream_is_told_when_to_try_again() {
        let cluster = Cluster::start().await;
        let database = Database::on(&cluster.url).await;
        let world = World::on(database, WorldOptions::default()).await;
        let mut raw = world.services().await;
        let uuid = raw.declared().await.uuid;
        raw.start(&uuid).await;
        let (reports, stream) = mpsc::channel(4);
        let opened = raw.transfers.report_progress(ReceiverStream::new(stream));
        let mut answers = soon("the stream", opened)
            .await
            .expect("it opens")
            .into_inner();
        cluster.stop().await;
        let report = v1::ReportProgressRequest {
            uuid,
            progress: Some(v1::Progress {
                records_transferred: Some(1),
                ..v1::Progress::default()
            }),
            ..v1::ReportProgressRequest::default()
        };
        let refused = soon("a refusal", async {
            loop {
                reports.send(report.clone()).await.expect("it goes on");
                let answer = answers.message().await.expect("it goes on");
                if let Some(error) = answer.expect("it goes on").error {
                    return error;
                }
            }
        });
        let refused = refused.await;
        assert_eq!(refused.reason, "DATABASE_UNAVAILABLE", "{refused:?}");
        let pause = refused.retry_delay.expect("it helps");
        assert!(pause.seconds > 0 || pause.nanos > 0, "{pause:?}");
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn a_frozen_database_does_not_freeze_the_answers() {
        let cluster = Cluster::start().await;
        let database = Database::on(&cluster.url).await;
        let mut world = World::on(database, WorldOptions::default()).await;
        let mut raw = world.services().await;
        raw.declared().await;
        let frozen = backends(&cluster).await;
        send("STOP", &frozen).await;
        let began = Instant::now();
        let answer = soon("an answer", raw.transfers.create_transfer(plain())).await;
        let took = began.elapsed();
        send("CONT", &frozen).await;
        // A connection that was made meanwhile is not frozen, and may have done it.
        if let Err(refusal) = answer {
            assert_refused(&refusal, Code::Unavailable, "DATABASE_UNAVAILABLE");
        }
        assert!(took < NOTICED, "{took:?}");
        let thawed = Instant::now();
        soon("a change", async {
            while raw.transfers.create_transfer(plain()).await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
        assert!(thawed.elapsed() < RECOVERED, "{:?}", thawed.elapsed());
        world.stop().await;
    }

    /// The processes that serve connections to `cluster`.
    async fn backends(cluster: &Cluster) -> Vec<String> {
        let database = sea_orm::Database::connect(&cluster.url)
            .await
            .expect("it listens");
        let sql = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'tidegate%'";
        let rows = database
            .query_all_raw(Statement::from_string(DbBackend::Postgres, sql))
            .await
            .expect("an answer");
        let pid = |row: &sea_orm::QueryResult| -> i32 { row.try_get_by_index(0).expect("a pid") };
        let pids: Vec<_> = rows.iter().map(|row| pid(row).to_string()).collect();
        assert!(!pids.is_empty(), "the server is connected");
        pids
    }

    async fn send(signal: &str, pids: &[String]) {
        let sent = Command::new("kill")
            .arg(format!("-{signal}"))
            .args(pids)
            .status()
            .await;
        assert!(sent.expect("kill runs").success());
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn replicas_that_start_together_migrate_once() {
        let database = Database::empty().await;
        let replicas = (0..4).map(|_| ServerProcess::start(&database, 0, &[]));
        let replicas = join_all(replicas).await;
        let applied = count(&database, "SELECT count(*) FROM seaql_migrations").await;
        let distinct = "SELECT count(DISTINCT version) FROM seaql_migrations";
        assert_eq!(applied, count(&database, distinct).await);
        for replica in &replicas {
            let mut raw = replica.raw().await;
            raw.create_transfer(plain()).await.expect("it serves");
        }
        assert_eq!(count(&database, "SELECT count(*) FROM transfer").await, 4);
        for replica in replicas {
            assert!(replica.terminate().await.0.success());
        }
    }

    async fn count(database: &Database, sql: &str) -> i64 {
        let statement = Statement::from_string(DbBackend::Postgres, sql);
        let row = database.connect().await.query_one_raw(statement).await;
        let row = row.expect("an answer").expect("a row");
        row.try_get_by_index(0).expect("a count")
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn a_checking_server_waits_for_whoever_migrates() {
        let database = Database::empty().await;
        let server = || {
            let mut server = command(binary("tidegate-server"));
            server.args(["--listen", "127.0.0.1:0", "--migrate", "check"]);
            server.args(["--database-url", database.url()]);
            server
        };
        let refused = run(&mut server()).await;
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(
            refused.stderr.contains("tidegate-server migrate"),
            "{refused:?}"
        );
        let mut migrate = command(binary("tidegate-server"));
        migrate.args(["migrate", "--database-url", database.url()]);
        let migrated = run(&mut migrate).await;
        assert_eq!(migrated.code, Some(0), "{migrated:?}");
        let serving = ServerProcess::start(&database, 0, &["--migrate", "check"]).await;
        assert!(serving.terminate().await.0.success());
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn deadlines_are_judged_by_the_database_whatever_a_replica_believes() {
        let right = World::start().await;
        // An hour ahead: by this clock everything that was just asked for is overdue.
        let fast = Clock::machine();
        fast.not_before(fast.now().after(Duration::from_secs(3_600)));
        let options = WorldOptions {
            clock: fast,
            ..WorldOptions::default()
        };
        let ahead = right.replica_with(options).await;
        let (mut on_right, mut on_ahead) = (right.services().await, ahead.services().await);
        let uuid = on_right.declared().await.uuid;
        let asked = on_ahead.ask(&uuid, Duration::from_secs(60)).await;
        // Several sweeps of the replica whose clock is ahead.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let waiting = on_right.now(&uuid).await;
        assert_eq!(waiting.status(), TransferStatus::PendingApproval);
        assert_eq!(waiting.approval_expires_at, asked.approval_expires_at);
        let approved = on_ahead.approve(&uuid).await;
        assert_eq!(approved.status(), TransferStatus::Approved);
    }
}
