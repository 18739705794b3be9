//! The fault harness itself: what it breaks is broken, and what it leaves alone is not.

mod relay;

/// None of this depends on what a server keeps its ledger in.
mod sqlite_only {
    use std::{fs, path::Path, time::Duration};

    use tidegate_proto::v1;
    use tidegate_tests::{
        Database, ServerProcess,
        fault::{Failure, FakeClock, Op, Shim, SmallDisk, Variables, shim, together},
        needs::Need,
        process::{Finished, Launch, Reading, command, heard, run},
        raw::{Raw, plain},
        skip_without, soon,
    };

    async fn shell(script: &str, variables: Variables) -> Finished {
        run(command("/bin/sh").args(["-c", script]).envs(variables)).await
    }

    /// What to do to a file, and to another one, and the kind of call that it takes.
    const DEEDS: [(Op, &str); 7] = [
        (Op::Write, "dd if=/dev/zero bs=4 count=1 of="),
        (Op::Fsync, "dd if=/dev/null conv=notrunc,fsync of="),
        (Op::Fdatasync, "dd if=/dev/null conv=notrunc,fdatasync of="),
        (Op::Open, "cat <"),
        (Op::Truncate, "truncate --size 3 "),
        (Op::Read, "cat "),
        (Op::Unlink, "rm "),
    ];

    #[tokio::test]
    async fn chosen_calls_on_chosen_files_fail_and_no_others() {
        skip_without!(Need::Compiler);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = |name: &str| folder.path().join(name).display().to_string();
        let shim = Shim::new();
        for (op, action) in DEEDS {
            for (failure, says) in [
                (Failure::Eio, "Input/output error"),
                (Failure::Enospc, "No space left on device"),
                (Failure::Edquot, "Disk quota exceeded"),
            ] {
                fs::write(file("chosen"), "text").expect("it can be written");
                fs::write(file("other"), "text").expect("it can be written");
                let before = shim.struck();
                shim.fail(&[op], "*/chosen", failure);
                let broken = shell(&format!("{action}{}", file("chosen")), shim.variables()).await;
                assert_ne!(broken.code, Some(0), "{op:?}");
                // The shell has words of its own for what it cannot open.
                if op != Op::Open {
                    assert!(broken.stderr.contains(says), "{op:?}: {broken:?}");
                }
                assert!(shim.struck() > before, "{op:?} was counted");
                let whole = shell(&format!("{action}{}", file("other")), shim.variables()).await;
                assert_eq!(whole.code, Some(0), "{op:?}: {whole:?}");
                shim.heal();
                let healed = shell(&format!("{action}{}", file("chosen")), shim.variables()).await;
                assert_eq!(healed.code, Some(0), "{op:?}: {healed:?}");
            }
        }
    }

    #[tokio::test]
    async fn renames_fail_by_the_new_name() {
        skip_without!(Need::Compiler);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = |name: &str| folder.path().join(name).display().to_string();
        fs::write(file("old"), "text").expect("it can be written");
        let shim = Shim::new();
        shim.fail(&[Op::Rename], "*/chosen", Failure::Eio);
        let rename = |new: &str| format!("mv {} {}", file("old"), file(new));
        let broken = shell(&rename("chosen"), shim.variables()).await;
        assert!(broken.stderr.contains("Input/output error"), "{broken:?}");
        let whole = shell(&rename("other"), shim.variables()).await;
        assert_eq!(whole.code, Some(0), "{whole:?}");
    }

    #[tokio::test]
    async fn the_third_call_fails_and_the_fourth_does_not() {
        skip_without!(Need::Compiler);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let shim = Shim::new();
        shim.fail_some(&[Op::Write], "*/file", Failure::Eio, 2, 1);
        let script = "for line in 1 2 3 4; do echo $line || true; done 2>/dev/null";
        let script = format!("({script}) >{}/file", folder.path().display());
        shell(&script, shim.variables()).await;
        let written = fs::read_to_string(folder.path().join("file")).expect("it is there");
        assert_eq!(written, "1\n2\n4\n");
        assert_eq!(shim.struck(), 1);
    }

    #[tokio::test]
    async fn the_log_fails_by_whichever_descriptor_it_is_written() {
        skip_without!(Need::Compiler);
        let shim = Shim::new();
        shim.fail(&[Op::Write], shim::LOG, Failure::Eio);
        let script = "exec 5>&2; echo said; echo lost >&5 || exit 7";
        let ended = shell(script, shim.variables()).await;
        assert_eq!(ended.code, Some(7), "{ended:?}");
        assert_eq!((&*ended.stdout, &*ended.stderr), ("said\n", ""));
    }

    #[tokio::test]
    async fn a_short_write_writes_half_and_a_hanging_one_waits() {
        skip_without!(Need::Compiler);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("file");
        let shim = Shim::new();
        shim.fail_some(&[Op::Write], "*/file", Failure::Short, 0, 1);
        let copy = format!(
            "printf 12345678 | dd bs=8 oflag=append conv=notrunc of={}",
            file.display()
        );
        shell(&copy, shim.variables()).await;
        // Whoever writes it goes on with the rest.
        assert_eq!(fs::read(&file).expect("it is there"), b"12345678");
        assert_eq!(shim.struck(), 1);
        shim.heal();
        shim.fail(&[Op::Write], "*/file", Failure::Hang);
        let writing = tokio::spawn({
            let variables = shim.variables();
            async move { shell(&copy, variables).await }
        });
        soon("the call", async {
            while shim.struck() < 2 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        assert_eq!(fs::read(&file).expect("it is there").len(), 8);
        shim.heal();
        let ended = soon("its end", writing).await.expect("no panic");
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(fs::read(&file).expect("it is there").len(), 16);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_running_server_meets_the_fault() {
        skip_without!(Need::Compiler);
        let shim = Shim::new();
        let launch = Launch {
            variables: shim.variables(),
            ..Launch::default()
        };
        let server = ServerProcess::launch(&Database::new_file(), launch).await;
        let mut raw = Raw::on(server.channel().await);
        let uuid = raw.declared().await.uuid;
        assert_eq!(shim.struck(), 0);
        shim.fail(&shim::SYNC, "*-wal", Failure::Eio);
        let refused = soon("an answer", raw.transfers.create_transfer(plain())).await;
        refused.expect_err("it cannot be made durable");
        assert!(shim.struck() > 0);
        shim.heal();
        // The server reads the file anew before it says anything about it again.
        soon("reading again", async {
            let request = v1::GetTransferRequest {
                uuid: uuid.clone(),
                ..Default::default()
            };
            while raw.transfers.get_transfer(request.clone()).await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
        server.kill().await;
    }

    #[test]
    fn a_small_disk_is_full_has_room_again_and_goes_away() {
        skip_without!(Need::Mount);
        let disk = SmallDisk::mount(1 << 20);
        let path = disk.path().to_owned();
        fs::write(path.join("first"), [7; 4_096]).expect("there is room");
        disk.fill();
        let full = fs::write(path.join("second"), [7; 4_096]).expect_err("there is none");
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
        disk.make_room();
        fs::write(path.join("second"), [7; 4_096]).expect("there is room again");
        let first = fs::read(path.join("first")).expect("it is there");
        assert_eq!(first, [7; 4_096]);
        assert!(is_mounted(&path));
        drop(disk);
        assert!(!is_mounted(&path));
    }

    fn is_mounted(path: &Path) -> bool {
        let mounts = fs::read_to_string("/proc/mounts").expect("Linux");
        mounts.contains(&format!(" {} ", path.display()))
    }

    #[tokio::test]
    async fn a_log_reader_is_stuck_reads_on_and_dies() {
        let mut talker = command("/bin/sh");
        talker.args(["-c", "while echo line; do :; done"]);
        let mut talker = talker.spawn().expect("it starts");
        let stdout = talker.stdout.take().expect("stdout is piped");
        let ((), said) = heard("a line", stdout, |line| (line == "line").then_some(())).await;
        let grows = async || {
            let before = said.so_far().len();
            tokio::time::sleep(Duration::from_millis(200)).await;
            said.so_far().len() > before
        };
        said.set_reading(Reading::Stuck);
        // One line may be under way.
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!grows().await);
        assert!(talker.try_wait().expect("it is ours").is_none(), "it waits");
        said.set_reading(Reading::On);
        assert!(grows().await);
        said.set_reading(Reading::Gone);
        let ended = soon("the end of who writes to nobody", talker.wait()).await;
        assert!(!ended.expect("it is ours").success());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_log_may_be_a_file_on_a_small_disk() {
        skip_without!(Need::Mount);
        let disk = SmallDisk::mount(1 << 20);
        let log = disk.path().join("log");
        let database = Database::new_file();
        for number in 1..=2 {
            let launch = Launch {
                log: Some(&log),
                ..Launch::default()
            };
            let server = ServerProcess::launch(&database, launch).await;
            let mut raw = server.raw().await;
            raw.create_transfer(plain()).await.expect("it serves");
            server.kill().await;
            let text = fs::read_to_string(&log).expect("it is there");
            assert_eq!(text.matches("\"serving\"").count(), number);
        }
    }

    #[tokio::test]
    async fn the_wall_clock_is_wrong_and_the_time_that_passes_is_not() {
        skip_without!(Need::Faketime, Need::Compiler);
        let (clock, shim) = (FakeClock::new(), Shim::new());
        let look = async |variables: Variables| -> (f64, f64) {
            let program = "import time; print(time.time(), time.monotonic())";
            let mut look = command("/usr/bin/env");
            look.args(["python3", "-c", program]).envs(variables);
            let looked = run(&mut look).await;
            let mut numbers = looked.stdout.split_whitespace().map(str::parse);
            let mut number = || numbers.next().expect("two numbers").expect("a number");
            (number(), number())
        };
        for ahead in [3_600, 0, -3_600] {
            clock.set(ahead.into());
            let (right, passed) = look(Variables::new()).await;
            // Beside the other library.
            let both = together([shim.variables(), clock.variables()]);
            let (wrong, passed_there) = look(both).await;
            assert!(
                (wrong - right - f64::from(ahead)).abs() < 60.0,
                "{wrong} at {right}"
            );
            assert!((passed_there - passed).abs() < 60.0, "{passed_there}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_running_server_sees_its_clock_step() {
        skip_without!(Need::Faketime);
        let clock = FakeClock::new();
        let launch = Launch {
            variables: clock.variables(),
            ..Launch::default()
        };
        let server = ServerProcess::launch(&Database::new_file(), launch).await;
        let mut raw = Raw::on(server.channel().await);
        let created = |transfer: v1::Transfer| transfer.updated_at.expect("it has a time").seconds;
        let before = created(raw.declared().await);
        clock.set(7_200);
        let after = created(raw.declared().await);
        assert!((7_200..7_260).contains(&(after - before)));
        server.kill().await;
    }
}

mod postgres_only {
    use std::fs;

    use tidegate_tests::{
        Database,
        cluster::{Cluster, How},
        process::{command, run},
    };

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn a_cluster_has_the_configuration_that_is_asked_for() {
        let how = How {
            settings: vec!["default_transaction_isolation = 'serializable'".to_owned()],
            variables: vec![("TIDEGATE_PROOF", "yes".to_owned())],
            encoding: Some("LATIN1"),
        };
        let cluster = Cluster::start_with(how).await;
        let database = Database::on(&cluster.url).await;
        for (setting, wanted) in [
            ("default_transaction_isolation", "serializable"),
            ("server_encoding", "LATIN1"),
        ] {
            let mut ask = command("/usr/bin/env");
            ask.args(["psql", "-tA", database.url(), "-c"]);
            ask.arg(format!("SHOW {setting}"));
            assert_eq!(run(&mut ask).await.stdout.trim(), wanted);
        }
        let pid = fs::read_to_string(cluster.folder().join("data/postmaster.pid"));
        let pid = pid.expect("it runs").lines().next().map(str::to_owned);
        let variables = fs::read(format!("/proc/{}/environ", pid.expect("its number")));
        let variables = String::from_utf8_lossy(&variables.expect("it runs")).into_owned();
        assert!(variables.contains("TIDEGATE_PROOF=yes"), "{variables}");
    }
}
