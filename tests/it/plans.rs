//! How PostgreSQL carries out the queries that run all the time, on tables that have grown: through which index, and
//! without reading or sorting a whole table. What SQLite does is tested where the queries are written.

mod postgres_only {
    use std::{path::PathBuf, time::Duration};

    use sea_orm::ConnectionTrait as _;
    use tidegate_proto::v1::{self, TransferStatus};
    use tidegate_tests::{
        Database, World, WorldOptions,
        cluster::Cluster,
        raw::{Raw, plain, told, wire_duration},
        request,
        site::limiting,
        soon,
    };

    const HOUR: Duration = Duration::from_secs(3_600);
    /// Times that each call is made: PostgreSQL plans the first five for their values, and may then keep a plan for any.
    const TIMES: usize = 8;
    /// How earlier requests are looked for.
    const REQUESTS: &str = r#""event"."request_id" = ANY"#;
    /// Requests of the rows that are copied.
    const REQUEST: &str = "0190b7a2-1111-7000-8000-00000000000";

    /// What nothing belongs to.
    const PLAN: &str = "0190b7a2-2222-7000-8000-000000000001";

    /// The plans that a PostgreSQL wrote into its log.
    struct Plans {
        log: PathBuf,
        /// Where the part begins that counts.
        from: usize,
    }

    impl Plans {
        fn read(&self) -> Vec<String> {
            let log = std::fs::read(&self.log).expect("PostgreSQL has a log");
            let log = String::from_utf8_lossy(&log[self.from..]).into_owned();
            let plans = log.split("plan:\n").skip(1);
            plans
                .map(|plan| {
                    let lines = plan.lines().take_while(|line| line.starts_with('\t'));
                    lines.collect::<Vec<_>>().join("\n")
                })
                .collect()
        }

        /// From here on.
        fn forget(&mut self) {
            let log = std::fs::metadata(&self.log).expect("PostgreSQL has a log");
            self.from = usize::try_from(log.len()).expect("a small file");
        }

        /// Waits for the plans of statements that contain `sql`.
        async fn of(&self, sql: &str) -> Vec<String> {
            soon(sql, async {
                loop {
                    let mut plans = self.read();
                    plans.retain(|plan| plan.contains(sql));
                    if plans.len() >= TIMES {
                        break plans;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            })
            .await
        }

        /// Finds `index` in each plan of statements that contain `sql`, and no sort.
        async fn follow(&self, sql: &str, index: &str) {
            let plans = self.of(sql).await;
            let through = [
                format!("using {index} on"),
                format!("Index Scan on {index} "),
            ];
            for plan in plans {
                let follows = through.iter().any(|through| plan.contains(through));
                assert!(follows && !plan.contains("Sort Key"), "{index}:\n{plan}");
            }
        }

        /// No table was read from one end to the other, but for connections that have come to their end: no index holds
        /// that, since there are few connections.
        fn assert_nothing_was_scanned(&self) {
            let mut plans = self.read();
            plans.retain(|plan| !plan.contains(r#""connection"."expires_at" <= "#));
            for plan in plans {
                for table in ["transfer", "connection"] {
                    let scan = format!("Seq Scan on {table}");
                    assert!(!plan.contains(&scan), "{plan}");
                }
            }
        }
    }

    /// Sessions in `database` log the plan of every statement, made for a disk that need not turn.
    async fn explain_all(database: &Database) {
        let pool = database.connect().await;
        let name = database.name().expect("it has one");
        let sql = format!(
            "LOAD 'auto_explain';
             ALTER DATABASE {name} SET session_preload_libraries = 'auto_explain';
             ALTER DATABASE {name} SET auto_explain.log_min_duration = 0;
             ALTER DATABASE {name} SET random_page_cost = 1.1;"
        );
        pool.execute_unprepared(&sql).await.expect("it can be set");
        pool.close().await.expect("it closes");
    }

    /// A database whose sessions do so, on a PostgreSQL of its own.
    async fn explained() -> (Cluster, Database) {
        let cluster = Cluster::start().await;
        let database = Database::on(&cluster.url).await;
        explain_all(&database).await;
        (cluster, database)
    }

    fn of(connection_uuid: &str, number: usize) -> v1::CreateTransferRequest {
        v1::CreateTransferRequest {
            connection_uuid: connection_uuid.to_owned(),
            request_id: format!("{REQUEST}{number}"),
            ..plain()
        }
    }

    /// A long history of what ended, and a little that goes on: an approval that is awaited and a transfer that runs, whose
    /// uuid is given back with that of their connection.
    async fn grow(world: &mut World) -> (String, String) {
        let mut raw = world.services().await;
        let connection = raw.connection("mirror").await;
        for number in 0..4 {
            let uuid = raw.create(of(&connection, number)).await.uuid;
            raw.start(&uuid).await;
            raw.complete(&uuid, 1).await;
        }
        let session = v1::CreateSessionRequest {
            connection_uuid: connection.clone(),
            ..v1::CreateSessionRequest::default()
        };
        told(raw.credentials.create_session(session)).await;
        let person = v1::CreateCredentialRequest {
            name: "viewer".to_owned(),
            role: v1::Role::Viewer.into(),
            ..v1::CreateCredentialRequest::default()
        };
        told(raw.credentials.create_credential(person)).await;
        world.stop().await;
        let pool = world.database().connect().await;
        // Whatever columns there are, copies differ from their originals in their keys only.
        let copies = "
            INSERT INTO transfer SELECT copy.* FROM transfer, generate_series(1, 5000) AS n,
                jsonb_populate_record(transfer, jsonb_build_object(
                    'uuid', md5(transfer.uuid::text || n)::uuid,
                    'correlation_uuid', md5(transfer.uuid::text || n)::uuid,
                    'connection_uuid', CASE WHEN n % 200 = 0 THEN connection_uuid ELSE md5((n % 200)::text)::uuid END,
                    'inserted_at', transfer.inserted_at - n)) AS copy;
            INSERT INTO event SELECT copy.* FROM event, generate_series(1, 5000) AS n,
                jsonb_populate_record(event, jsonb_build_object(
                    'sequence', event.sequence + n * 100,
                    'transfer_uuid', md5(event.transfer_uuid::text || n)::uuid,
                    'connection_uuid', CASE WHEN n % 200 = 0 THEN connection_uuid ELSE md5((n % 200)::text)::uuid END,
                    'request_id', event.request_id || n)) AS copy;
            INSERT INTO connection SELECT copy.* FROM connection, generate_series(1, 5000) AS n,
                jsonb_populate_record(connection, jsonb_build_object(
                    'uuid', md5(connection.uuid::text || n)::uuid,
                    'inserted_at', connection.inserted_at - n)) AS copy;
            INSERT INTO credential SELECT copy.* FROM credential, generate_series(1, 5000) AS n,
                jsonb_populate_record(credential, jsonb_build_object(
                    'uuid', md5(credential.uuid::text || n)::uuid)) AS copy;
            INSERT INTO session SELECT copy.* FROM session, generate_series(1, 5000) AS n,
                jsonb_populate_record(session, jsonb_build_object(
                    'uuid', md5(session.uuid::text || n)::uuid,
                    'digest', '\\x' || encode(sha256(n::text::bytea), 'hex'))) AS copy;
            UPDATE event_counter SET last_sequence = (SELECT max(sequence) FROM event);";
        let copied = pool.execute_unprepared(copies).await;
        copied.expect("there are more of them");
        world.resume().await;
        let mut raw = world.services().await;
        let awaited = raw.declared().await.uuid;
        raw.ask(&awaited, HOUR).await;
        let running = raw.declared().await.uuid;
        let starting = v1::StartTransferRequest {
            heartbeat_timeout: Some(wire_duration(HOUR)),
            ..request::starting(&running)
        };
        told(raw.transfers.start_transfer(starting)).await;
        let analyzed = pool.execute_unprepared("VACUUM ANALYZE").await;
        analyzed.expect("it is analysed");
        pool.close().await.expect("it closes");
        (connection, running)
    }

    #[tokio::test]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn what_runs_all_the_time_follows_an_index_on_tables_that_have_grown() {
        let (cluster, database) = explained().await;
        let options = WorldOptions {
            arguments: &["--access-retention", "24h"],
            ..WorldOptions::default()
        };
        let mut world = World::on(database, options).await;
        let (connection, running) = grow(&mut world).await;
        // Sessions that have planned nothing yet.
        world.stop().await;
        world.resume().await;
        let mut raw = world.services().await;
        let mut plans = Plans {
            log: cluster.folder().join("log"),
            from: 0,
        };
        plans.forget();
        writes(&mut raw, &plans, &connection, &running).await;
        claims(&mut raw, &mut plans, &connection).await;
        lists(&mut raw, &mut plans, &connection).await;
        events(&mut raw, &mut plans, &connection, &running).await;
        // The sweeper has run all the while.
        let (overdue, late, silent) = (
            r#""approval_expires_at" <= "#,
            r#""start_expires_at" <= "#,
            r#""heartbeat_expires_at" <= "#,
        );
        plans.follow(overdue, "transfer_pending_approval").await;
        plans.follow(late, "transfer_start_expires_at").await;
        plans.follow(silent, "transfer_active").await;
        let (revoked, spent, over) = (
            r#""credential"."revoked_at" < "#,
            r#""credential"."inserted_at" < "#,
            r#""session"."expires_at" < "#,
        );
        plans.follow(revoked, "credential_revoked_at").await;
        plans.follow(spent, "credential_session").await;
        plans.follow(over, "session_expires_at").await;
    }

    /// PostgreSQL thinks little of a table that grows faster than it is analysed: it would read all of it for every batch.
    #[tokio::test]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn many_requests_are_looked_for_by_their_key_in_a_table_that_nobody_has_analysed() {
        const CALLERS: usize = 64;
        const CALLS: usize = 25;
        let (cluster, database) = explained().await;
        let world = World::on(database, WorldOptions::default()).await;
        let pool = world.database().connect().await;
        for table in ["event", "transfer"] {
            let unknown = format!("ALTER TABLE {table} SET (autovacuum_enabled = off)");
            pool.execute_unprepared(&unknown).await.expect("it is set");
        }
        pool.close().await.expect("it closes");
        let raw = world.raw().await;
        let callers = (0..CALLERS).map(|_| {
            let mut raw = raw.clone();
            async move {
                for _ in 0..CALLS {
                    let request = v1::CreateTransferRequest {
                        request_id: uuid::Uuid::new_v4().to_string(),
                        ..plain()
                    };
                    told(raw.create_transfer(request)).await;
                }
            }
        });
        futures::future::join_all(callers).await;
        let plans = Plans {
            log: cluster.folder().join("log"),
            from: 0,
        };
        plans.follow(REQUESTS, "event_request_key").await;
        plans.assert_nothing_was_scanned();
    }

    /// With many more open than when the table was analysed, PostgreSQL would find those of one connection among all of them.
    #[tokio::test]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn what_is_open_at_one_connection_is_not_looked_for_among_all() {
        let (cluster, database) = explained().await;
        let mut world = World::on(database, WorldOptions::default()).await;
        let (connection, _) = grow(&mut world).await;
        let pool = world.database().connect().await;
        let open = "ALTER TABLE transfer SET (autovacuum_enabled = off);
            UPDATE transfer SET status = 'PENDING', completed_at = NULL, started_at = NULL, retry_at = NULL
                WHERE uuid IN (SELECT uuid FROM transfer WHERE status = 'COMPLETED' LIMIT 3000)";
        pool.execute_unprepared(open).await.expect("they are open");
        pool.close().await.expect("it closes");
        world.stop().await;
        world.resume().await;
        let mut raw = world.services().await;
        let mut plans = Plans {
            log: cluster.folder().join("log"),
            from: 0,
        };
        plans.forget();
        for _ in 0..TIMES {
            let stats = v1::GetConnectionStatsRequest {
                connection_uuid: connection.clone(),
                ..v1::GetConnectionStatsRequest::default()
            };
            told(raw.transfers.get_connection_stats(stats)).await;
            let pending = v1::ListTransfersRequest {
                filter: Some(v1::TransferFilter {
                    connection_uuid: connection.clone(),
                    status: vec![TransferStatus::Pending.into()],
                    ..v1::TransferFilter::default()
                }),
                ..v1::ListTransfersRequest::default()
            };
            told(raw.transfers.list_transfers(pending)).await;
        }
        let list = r#"ORDER BY "transfer"."inserted_at" DESC"#;
        for sql in [r#"AS "meant""#, list] {
            for plan in plans.of(sql).await {
                assert!(plan.contains("transfer_active_of_connection"), "{plan}");
                assert!(!plan.contains("transfer_active on"), "{plan}");
                assert!(!plan.contains("transfer_pending_approval on"), "{plan}");
            }
        }
    }

    /// The rows of a batch, and the requests that it repeats.
    async fn writes(raw: &mut Raw, plans: &Plans, connection: &str, running: &str) {
        for number in 0..TIMES {
            raw.now(running).await;
            raw.report(running, 1).await;
            let again = of(connection, number % 4);
            raw.create(again).await;
        }
        plans
            .follow(
                r#"FROM "transfer" WHERE "transfer"."uuid" = "#,
                "transfer_pkey",
            )
            .await;
        plans
            .follow(
                r#"FROM "transfer" WHERE "transfer"."uuid" = ANY"#,
                "transfer_pkey",
            )
            .await;
        plans.follow(REQUESTS, "event_request_key").await;
        plans.assert_nothing_was_scanned();
    }

    /// What may be started, of a connection and of none, and when there is more; then what runs.
    async fn claims(raw: &mut Raw, plans: &mut Plans, connection: &str) {
        plans.forget();
        for _ in 0..TIMES {
            for connection in ["", connection] {
                let claim = request::claim(connection);
                let claimed = told(raw.transfers.claim_transfers(claim)).await;
                assert_eq!(claimed.transfers, []);
            }
        }
        let (found, next) = (
            r#"ORDER BY "transfer"."connection_uuid" ASC, "transfer"."priority" DESC"#,
            r#"MIN("transfer"."not_before")"#,
        );
        plans.follow(found, "transfer_queued").await;
        plans.follow(next, "transfer_queued").await;
        let limited = v1::ConnectionPolicy {
            max_running: Some(9),
            ..v1::ConnectionPolicy::default()
        };
        let limited = limiting(connection, limited, &["policy.max_running"]);
        told(raw.connections.update_connection(limited)).await;
        for _ in 0..TIMES {
            let claim = request::claim(connection);
            told(raw.transfers.claim_transfers(claim)).await;
        }
        plans.follow("GROUP BY", "transfer_running").await;
        plans.assert_nothing_was_scanned();
    }

    async fn lists(raw: &mut Raw, plans: &mut Plans, connection: &str) {
        let every = v1::TransferFilter::default();
        let of_one = v1::TransferFilter {
            connection_uuid: connection.to_owned(),
            ..every.clone()
        };
        let active = v1::TransferFilter {
            status: vec![TransferStatus::InProgress.into()],
            ..every.clone()
        };
        let movement = v1::TransferFilter {
            correlation_uuid: PLAN.to_owned(),
            ..every.clone()
        };
        let diverged = v1::TransferFilter {
            reconciliation: v1::ReconciliationState::Diverged.into(),
            ..every.clone()
        };
        let planned = v1::TransferFilter {
            plan_uuid: PLAN.to_owned(),
            ..every.clone()
        };
        for (filter, index) in [
            (movement, "transfer_correlation"),
            (planned, "transfer_plan"),
            (diverged, "transfer_reconciliation"),
            (every, "transfer_inserted_at"),
            (of_one, "transfer_connection"),
            (active, "transfer_active"),
        ] {
            plans.forget();
            let mut page_token = String::new();
            for _ in 0..TIMES {
                let request = v1::ListTransfersRequest {
                    filter: Some(filter.clone()),
                    page_size: 50,
                    page_token,
                    ..v1::ListTransfersRequest::default()
                };
                page_token = told(raw.transfers.list_transfers(request))
                    .await
                    .next_page_token;
            }
            let list = r#"ORDER BY "transfer"."inserted_at" DESC"#;
            plans.follow(list, index).await;
            plans.assert_nothing_was_scanned();
        }
        plans.forget();
        let mut page_token = String::new();
        for _ in 0..TIMES {
            let approvals = v1::ListPendingApprovalsRequest::default();
            told(raw.transfers.list_pending_approvals(approvals)).await;
            let connections = v1::ListConnectionsRequest {
                page_size: 50,
                page_token,
                ..v1::ListConnectionsRequest::default()
            };
            let page = told(raw.connections.list_connections(connections)).await;
            page_token = page.next_page_token;
        }
        let approvals = r#""approval_expires_at" > "#;
        plans.follow(approvals, "transfer_pending_approval").await;
        let connections = r#"ORDER BY "connection"."inserted_at" DESC"#;
        plans.follow(connections, "connection_inserted_at").await;
        plans.assert_nothing_was_scanned();
    }

    async fn events(raw: &mut Raw, plans: &mut Plans, connection: &str, running: &str) {
        let every = v1::ListEventsRequest {
            page_size: 50,
            ..v1::ListEventsRequest::default()
        };
        let of_transfer = v1::ListEventsRequest {
            transfer_uuid: running.to_owned(),
            ..every.clone()
        };
        let of_connection = v1::ListEventsRequest {
            connection_uuid: connection.to_owned(),
            ..every.clone()
        };
        for (request, sql, index) in [
            (every, r#"WHERE "event"."sequence" > "#, "event_pkey"),
            (
                of_transfer,
                r#""event"."transfer_uuid" = "#,
                "event_transfer",
            ),
            (
                of_connection,
                r#""event"."connection_uuid" = "#,
                "event_connection",
            ),
        ] {
            plans.forget();
            for after_sequence in 0..TIMES {
                let request = v1::ListEventsRequest {
                    after_sequence: i64::try_from(after_sequence * 10_000).expect("small"),
                    ..request.clone()
                };
                told(raw.events.list_events(request)).await;
            }
            plans.follow(sql, index).await;
            plans.assert_nothing_was_scanned();
        }
    }
}
