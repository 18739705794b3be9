//! A disk without room.

mod sqlite_only {
    use std::{
        fs::File,
        io::Write as _,
        path::{Path, PathBuf},
        process::Command,
        time::{Duration, Instant},
    };

    use tempfile::TempDir;
    use tidegate_proto::v1;
    use tidegate_tests::{
        Database, ServerProcess, assert_refused,
        raw::{Raw, plain},
        soon,
    };
    use tonic::{Code, Status};

    /// How soon all is well once the fault is over.
    const RECOVERED: Duration = Duration::from_secs(10);

    /// A disk of 3 MiB, gone when it is dropped.
    struct SmallDisk(TempDir);

    impl SmallDisk {
        fn mount() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let mounted = Command::new("mount")
                .args(["-t", "tmpfs", "-o", "size=3m", "tmpfs"])
                .arg(folder.path())
                .status();
            assert!(
                mounted.expect("mount runs").success(),
                "mounting needs root"
            );
            Self(folder)
        }

        fn path(&self) -> &Path {
            self.0.path()
        }

        /// Takes all the room that is left.
        fn fill(&self) -> PathBuf {
            let path = self.path().join("ballast");
            let mut file = File::create(&path).expect("a file");
            for size in [4_096, 1] {
                while file.write_all(&vec![7; size]).is_ok() {}
            }
            path
        }
    }

    impl Drop for SmallDisk {
        fn drop(&mut self) {
            _ = Command::new("umount").arg("-l").arg(self.path()).status();
        }
    }

    async fn create(raw: &mut Raw) -> Result<String, Status> {
        let created = soon("an answer", raw.transfers.create_transfer(plain())).await?;
        let transfer = created.into_inner().transfer;
        Ok(transfer.expect("the answer carries it").uuid)
    }

    async fn get(raw: &mut Raw, uuid: &str) -> Result<(), Status> {
        let request = v1::GetTransferRequest {
            uuid: uuid.to_owned(),
            ..v1::GetTransferRequest::default()
        };
        raw.transfers.get_transfer(request).await.map(drop)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_acknowledged_after_a_full_disk_stands() {
        let disk = SmallDisk::mount();
        let database = Database::file(&disk.path().join("tidegate.db"));
        let server = ServerProcess::start(&database, 0, &[]).await;
        let mut raw = Raw::on(server.channel().await);
        let mut acknowledged = vec![create(&mut raw).await.expect("there is room")];
        for _ in 0..2 {
            let ballast = disk.fill();
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
            std::fs::remove_file(ballast).expect("room again");
            let began = Instant::now();
            while acknowledged.len() % 20 != 0 {
                match create(&mut raw).await {
                    Ok(uuid) => acknowledged.push(uuid),
                    Err(status) => {
                        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
                        assert!(began.elapsed() < RECOVERED, "{status:?}");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                }
            }
        }
        server.kill().await;
        let server = ServerProcess::start(&database, 0, &[]).await;
        let mut raw = Raw::on(server.channel().await);
        for uuid in &acknowledged {
            get(&mut raw, uuid).await.expect("it was acknowledged");
        }
        assert!(server.terminate().await.0.success());
    }
}
