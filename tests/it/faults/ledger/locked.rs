//! Rows that an operator's session holds.

mod postgres_only {
    use std::time::{Duration, Instant};

    use futures::future::join_all;
    use sea_orm::{ConnectionTrait as _, DatabaseConnection};
    use tidegate_proto::v1;
    use tidegate_tests::{
        Database, ServerProcess, assert_refused,
        raw::{Raw, plain, told, totals, wire_duration},
        request::{reporting, starting},
        soon,
    };
    use tonic::Code;

    use super::super::ANSWERED;

    /// How soon a call is answered that has nothing to do with what is locked.
    const AT_ONCE: Duration = Duration::from_secs(1);
    /// As long as a batch waits for its turn on a connection.
    const TURN: Duration = Duration::from_secs(2);

    async fn start() -> (ServerProcess, Raw) {
        let server = ServerProcess::fresh().await;
        let raw = Raw::on(server.channel().await);
        (server, raw)
    }

    /// Somebody's session with an open transaction that has done this.
    async fn session(database: &Database, sql: &str) -> DatabaseConnection {
        let session = database.connect().await;
        let sql = format!("BEGIN; {sql}");
        session.execute_unprepared(&sql).await.expect("the lock");
        session
    }

    async fn ends(session: DatabaseConnection) {
        let end = session.execute_unprepared("ROLLBACK").await;
        end.expect("it lets go");
    }

    fn holding(table: &str, uuid: &str) -> String {
        format!("SELECT 1 FROM {table} WHERE uuid = '{uuid}' FOR UPDATE")
    }

    async fn running(raw: &mut Raw, connection: &str) -> String {
        let request = v1::CreateTransferRequest {
            connection_uuid: connection.to_owned(),
            ..plain()
        };
        let created = told(raw.transfers.create_transfer(request)).await.transfer;
        let uuid = created.expect("the answer carries it").uuid;
        told(raw.transfers.start_transfer(starting(&uuid))).await;
        uuid
    }

    /// Reports for all of them at once; every one is answered in time.
    async fn reports(raw: &Raw, uuids: &[String], records: i64, within: Duration) {
        let calls = uuids.iter().map(|uuid| {
            let (mut raw, uuid) = (raw.clone(), uuid.clone());
            async move {
                let began = Instant::now();
                told(
                    raw.transfers
                        .update_progress(reporting(&uuid, totals(records))),
                )
                .await;
                assert!(began.elapsed() < within, "{:?}", began.elapsed());
            }
        });
        soon("the reports", join_all(calls)).await;
    }

    /// Moves a deadline that has to pass to a moment from now.
    async fn soon_due(admin: &DatabaseConnection, column: &str, uuid: &str) {
        let sql = format!(
            "UPDATE transfer SET revision = revision + 1, {column} = \
               floor(extract(epoch FROM clock_timestamp()) * 1000000)::bigint + 1500000 WHERE uuid = '{uuid}'"
        );
        admin.execute_unprepared(&sql).await.expect("it is set");
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn a_locked_transfer_that_is_overdue_keeps_no_other_from_its_end() {
        let (server, mut raw) = start().await;
        let admin = server.database().connect().await;
        let (locked, waiting) = (raw.declared().await.uuid, raw.declared().await.uuid);
        let minute = Duration::from_secs(60);
        for uuid in [&locked, &waiting] {
            raw.ask(uuid, minute).await;
            soon_due(&admin, "approval_expires_at", uuid).await;
        }
        let session = session(server.database(), &holding("transfer", &locked)).await;
        let silent = raw.declared().await.uuid;
        let start = v1::StartTransferRequest {
            heartbeat_timeout: Some(wire_duration(Duration::from_secs(1))),
            ..starting(&silent)
        };
        told(raw.transfers.start_transfer(start)).await;
        let ended = async {
            while raw.now(&waiting).await.status() != v1::TransferStatus::Expired
                || raw.now(&silent).await.status() != v1::TransferStatus::Failed
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        soon("the end of the others", ended).await;
        // Whoever sweeps by hand is not refused for it either.
        let began = Instant::now();
        let request = v1::ExpirePendingApprovalsRequest::default();
        let swept = told(raw.transfers.expire_pending_approvals(request)).await;
        assert_eq!(swept.expired_count, 0);
        assert!(began.elapsed() < ANSWERED, "{:?}", began.elapsed());
        ends(session).await;
        let ended = async {
            while raw.now(&locked).await.status() != v1::TransferStatus::Expired {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        soon("the end of the last one", ended).await;
        server.kill().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn a_locked_transfer_holds_up_nobody_else() {
        let (server, mut raw) = start().await;
        let mut uuids = Vec::new();
        for _ in 0..40 {
            uuids.push(running(&mut raw, "").await);
        }
        let locked = uuids.pop().expect("there are some");
        let session = session(server.database(), &holding("transfer", &locked)).await;
        let mut waiting = raw.clone();
        let report = reporting(&locked, totals(7));
        let waiting = tokio::spawn(async move {
            let began = Instant::now();
            (
                waiting.transfers.update_progress(report).await,
                began.elapsed(),
            )
        });
        for round in 1..=3 {
            reports(&raw, &uuids, round, AT_ONCE).await;
        }
        let (answer, took) = soon("an answer", waiting).await.expect("no panic");
        let refusal = answer.expect_err("it is locked");
        assert!(assert_refused(&refusal, Code::Unavailable, "ROW_LOCKED").has_retry_info);
        assert!(took < ANSWERED, "{took:?}");
        // What was refused is not done later.
        ends(session).await;
        let request = v1::GetTransferRequest {
            uuid: locked.clone(),
            ..v1::GetTransferRequest::default()
        };
        reports(&raw, &uuids, 4, AT_ONCE).await;
        let transfer = told(raw.transfers.get_transfer(request)).await.transfer;
        let progress = transfer.and_then(|it| it.progress).expect("progress");
        assert_eq!(progress.records_transferred, Some(0));
        reports(&raw, &[locked], 7, AT_ONCE).await;
        assert!(server.terminate().await.0.success());
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn what_waits_for_a_lock_is_done_in_its_order_once_it_is_let_go() {
        let (server, mut raw) = start().await;
        let locked = running(&mut raw, "").await;
        let session = session(server.database(), &holding("transfer", &locked)).await;
        // Totals never go back, so that only their order has all of them accepted.
        let mut calls = Vec::new();
        for records in 1..=10 {
            let (mut raw, report) = (raw.clone(), reporting(&locked, totals(records)));
            calls.push(tokio::spawn(async move {
                told(raw.transfers.update_progress(report)).await;
            }));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        ends(session).await;
        for call in calls {
            soon("the report", call).await.expect("it is accepted");
        }
        assert!(server.terminate().await.0.success());
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn as_many_wait_for_a_lock_as_come_at_once() {
        let (server, mut raw) = start().await;
        let locked = running(&mut raw, "").await;
        let session = session(server.database(), &holding("transfer", &locked)).await;
        let calls = join_all((0..4).map(|_| server.channel())).await;
        let calls = calls.into_iter().flat_map(|channel| {
            let (raw, locked) = (Raw::on(channel), &locked);
            (0..200).map(move |_| {
                let (mut raw, report) = (raw.clone(), reporting(locked, totals(1)));
                async move { told(raw.transfers.update_progress(report)).await }
            })
        });
        let lock = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            ends(session).await;
        };
        soon("the reports", async { tokio::join!(join_all(calls), lock) }).await;
        assert!(server.terminate().await.0.success());
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn a_locked_connection_holds_up_its_own_transfers_alone() {
        let (server, mut raw) = start().await;
        let mut connections = Vec::new();
        for max_transfers in [None, Some(100)] {
            let request = v1::CreateConnectionRequest {
                name: "mirror".to_owned(),
                direction: v1::ConnectionDirection::Sender.into(),
                site_url: format!("https://mirror-{}.example", connections.len()),
                policy: Some(v1::ConnectionPolicy {
                    max_transfers,
                    ..v1::ConnectionPolicy::default()
                }),
                ..v1::CreateConnectionRequest::default()
            };
            let answer = told(raw.connections.create_connection(request)).await;
            connections.push(answer.connection.expect("the answer carries it").uuid);
        }
        let others = [running(&mut raw, "").await];
        for (turn, connection) in (0..).zip(connections) {
            let held = running(&mut raw, &connection).await;
            let session = session(server.database(), &holding("connection", &connection)).await;
            let began = Instant::now();
            let report = reporting(&held, totals(1));
            let mut waiting = raw.clone();
            let waiting =
                tokio::spawn(async move { waiting.transfers.update_progress(report).await });
            for round in 1..=3 {
                reports(&raw, &others, turn * 3 + round, TURN).await;
            }
            let refusal = soon("an answer", waiting).await.expect("no panic");
            let refusal = refusal.expect_err("its connection is locked");
            assert_refused(&refusal, Code::Unavailable, "ROW_LOCKED");
            assert!(began.elapsed() < ANSWERED, "{:?}", began.elapsed());
            ends(session).await;
            reports(&raw, &[held], 1, TURN).await;
        }
        assert!(server.terminate().await.0.success());
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn a_locked_event_counter_is_said_in_time() {
        let (server, mut raw) = start().await;
        let sql = "SELECT 1 FROM event_counter FOR UPDATE";
        let session = session(server.database(), sql).await;
        let began = Instant::now();
        let refusal = soon("an answer", raw.transfers.create_transfer(plain())).await;
        let refusal = refusal.expect_err("nothing can be written");
        assert_refused(&refusal, Code::Unavailable, "DATABASE_UNAVAILABLE");
        assert!(began.elapsed() < ANSWERED, "{:?}", began.elapsed());
        ends(session).await;
        told(raw.transfers.create_transfer(plain())).await;
        assert!(server.terminate().await.0.success());
    }
}
