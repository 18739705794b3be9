//! A disk without room, and one that fails.

mod sqlite_only {
    use std::{
        fs,
        path::{Path, PathBuf},
        time::{Duration, Instant},
    };

    use tidegate_proto::v1;
    use tidegate_tests::{
        Database, ServerProcess, assert_refused,
        fault::{Failure, Op, Shim, SmallDisk, shim},
        needs::Need,
        process::Launch,
        raw::{Raw, plain},
        skip_without, soon,
    };
    use tonic::{Code, Status};

    /// How soon all is well once the fault is over.
    const RECOVERED: Duration = Duration::from_secs(10);

    async fn create(raw: &mut Raw) -> Result<String, Status> {
        let created = soon("an answer", raw.transfers.create_transfer(plain())).await?;
        let transfer = created.into_inner().transfer;
        Ok(transfer.expect("the answer carries it").uuid)
    }

    /// Creates until so many were acknowledged. Refusals end soon.
    async fn create_until(raw: &mut Raw, count: usize, acknowledged: &mut Vec<String>) {
        let began = Instant::now();
        while acknowledged.len() < count {
            match create(raw).await {
                Ok(uuid) => acknowledged.push(uuid),
                Err(status) => {
                    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
                    assert!(began.elapsed() < RECOVERED, "{status:?}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    async fn get(raw: &mut Raw, uuid: &str) -> Result<(), Status> {
        let request = v1::GetTransferRequest {
            uuid: uuid.to_owned(),
            ..v1::GetTransferRequest::default()
        };
        raw.transfers.get_transfer(request).await.map(drop)
    }

    /// After `kill -9`, everything that was acknowledged is there.
    async fn all_stand(server: ServerProcess, database: &Database, acknowledged: &[String]) {
        server.kill().await;
        let server = ServerProcess::start(database, 0, &[]).await;
        let mut raw = Raw::on(server.channel().await);
        for uuid in acknowledged {
            get(&mut raw, uuid).await.expect("it was acknowledged");
        }
        assert!(server.terminate().await.0.success());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_acknowledged_after_a_full_disk_stands() {
        skip_without!(Need::Mount);
        let disk = SmallDisk::mount(3 << 20);
        let database = Database::file(&disk.path().join("tidegate.db"));
        let server = ServerProcess::start(&database, 0, &[]).await;
        let mut raw = Raw::on(server.channel().await);
        let mut acknowledged = vec![create(&mut raw).await.expect("there is room")];
        for round in 1..=2 {
            disk.fill();
            let mut refusals = 0;
            while refusals < 3 {
                match create(&mut raw).await {
                    // What the log of writes had room for already.
                    Ok(uuid) => {
                        acknowledged.push(uuid);
                        assert!(acknowledged.len() < 1_000, "nothing is refused");
                    }
                    Err(status) => {
                        let refused = assert_refused(&status, Code::Unavailable, "DATABASE_FULL");
                        assert!(refused.has_retry_info);
                        refusals += 1;
                    }
                }
                // What stands is read all the while.
                get(&mut raw, &acknowledged[0]).await.expect("a read");
            }
            disk.make_room();
            create_until(&mut raw, round * 20, &mut acknowledged).await;
        }
        all_stand(server, &database, &acknowledged).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_acknowledged_after_writes_and_syncs_that_failed_stands() {
        skip_without!(Need::Compiler);
        let database = Database::new_file();
        let shim = Shim::new();
        let launch = Launch {
            variables: shim.variables(),
            ..Launch::default()
        };
        let server = ServerProcess::launch(&database, launch).await;
        let mut raw = Raw::on(server.channel().await);
        let mut acknowledged = vec![create(&mut raw).await.expect("all is well")];
        for (ops, files) in [
            (&shim::SYNC[..], "*-wal"),
            (&[Op::Write], "*-wal"),
            (&shim::SYNC[..], "*tidegate.db*"),
            (&[Op::Write, Op::Truncate], "*tidegate.db*"),
        ] {
            shim.fail(ops, files, Failure::Eio);
            for _ in 0..3 {
                let refusal = create(&mut raw).await.expect_err("it cannot be written");
                assert_refused(&refusal, Code::Unavailable, "DATABASE_UNAVAILABLE");
            }
            shim.heal();
            let count = acknowledged.len() + 20;
            create_until(&mut raw, count, &mut acknowledged).await;
        }
        assert!(shim.struck() > 0);
        all_stand(server, &database, &acknowledged).await;
    }

    /// The files that make up a database, with their content.
    fn content(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
        let beside = |end: &str| PathBuf::from(format!("{}{end}", path.display()));
        let read = |path: PathBuf| Some((path.clone(), fs::read(path).ok()?));
        ["", "-wal"]
            .into_iter()
            .map(beside)
            .filter_map(read)
            .collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_database_that_is_not_what_it_was_ends_the_process() {
        skip_without!(Need::Compiler);
        let database = Database::new_file();
        let path = database.path().expect("it is a file");
        let shim = Shim::new();
        let launch = Launch {
            variables: shim.variables(),
            ..Launch::default()
        };
        let server = ServerProcess::launch(&database, launch).await;
        let mut raw = Raw::on(server.channel().await);
        create(&mut raw).await.expect("all is well");
        let before = content(path);
        for _ in 0..3 {
            create(&mut raw).await.expect("all is well");
        }
        shim.fail(&shim::SYNC, "*tidegate.db*", Failure::Eio);
        create(&mut raw).await.expect_err("it cannot be synced");
        // Nobody has it open but for moments.
        tokio::time::sleep(Duration::from_millis(300)).await;
        for (path, content) in before {
            let other = path.with_extension("other");
            fs::write(&other, content).expect("written");
            fs::rename(&other, &path).expect("put in its place");
        }
        _ = fs::remove_file(format!("{}-shm", path.display()));
        shim.heal();
        let (log, status) = (server.log(), server.ended().await);
        assert_eq!(status.code(), Some(74), "{log}");
    }
}
