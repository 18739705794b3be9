//! Clocks that are wrong, and clocks that are set right. Where replicas share a database its clock is theirs, so this is
//! about SQLite.

mod sqlite_only {
    use std::time::Duration;

    use tidegate_domain::time::Timestamp;
    use tidegate_proto::v1::{self, TransferStatus};
    use tidegate_server::clock::Clock;
    use tidegate_tests::{
        Database, ServerProcess, World, WorldOptions,
        fault::FakeClock,
        needs::Need,
        raw::{Raw, done, wire_duration},
        request, skip_without, soon,
    };

    const HOUR: i64 = 3_600;

    /// When a transfer that is declared now is declared, by the ledger's time, in microseconds.
    async fn now(raw: &mut Raw) -> i64 {
        let time = raw.declared().await.inserted_at.expect("it is told");
        time.seconds * 1_000_000 + i64::from(time.nanos / 1_000)
    }

    #[tokio::test]
    async fn time_goes_on_when_a_clock_that_was_ahead_is_set_right() {
        skip_without!(Need::Faketime);
        let clock = FakeClock::new();
        let variables = clock.variables();
        let variables: Vec<_> = variables
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let database = Database::fresh().await;
        let arguments = ["--sweep-interval", "50ms"];
        let server =
            ServerProcess::start_as("tidegate-server", &database, 0, &arguments, &variables).await;
        let mut raw = Raw::on(server.channel().await);
        let right = now(&mut raw).await;
        clock.set(6 * HOUR);
        let ahead = now(&mut raw).await;
        assert!(
            ahead - right >= 6 * HOUR * 1_000_000 - 1_000_000,
            "the clock is not ahead"
        );
        clock.set(0);
        let still = now(&mut raw).await;
        assert!(still >= ahead, "time went back");
        // An agent that falls silent is noticed after twice its time, and not after six hours.
        let uuid = raw.declared().await.uuid;
        let start = v1::StartTransferRequest {
            heartbeat_timeout: Some(wire_duration(Duration::from_secs(1))),
            ..request::starting(&uuid)
        };
        done(raw.transfers.start_transfer(start)).await;
        soon("the end of a silent agent's transfer", async {
            while raw.now(&uuid).await.status() != TransferStatus::Failed {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
        assert!(now(&mut raw).await - still >= 1_000_000);
        // It is said once, however often somebody asks; and not at all that it was set back a second time.
        clock.set(-HOUR);
        let back = now(&mut raw).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(now(&mut raw).await > back);
        let said = server.log();
        let lines = said
            .lines()
            .filter(|line| line.contains("the machine's clock is behind"));
        assert_eq!(lines.count(), 1, "{said}");
    }

    #[tokio::test]
    async fn an_event_from_the_future_is_believed_within_an_hour() {
        let machine = Clock::machine();
        let future = machine.now().after(Duration::from_secs(30 * 24 * 3_600));
        let mut world = World::start_with(WorldOptions {
            clock: Clock::manual(future),
            ..WorldOptions::still()
        })
        .await;
        let mut raw = world.services().await;
        let wrong = Timestamp::from_micros(now(&mut raw).await);
        assert_eq!(wrong, future);
        drop(raw);
        world.stop().await;
        let database = world.database().clone();
        let world = World::on(database, WorldOptions::default()).await;
        let mut raw = world.services().await;
        let first = now(&mut raw).await;
        let ahead = first - machine.now().as_micros();
        assert!(ahead <= HOUR * 1_000_000, "{ahead} microseconds ahead");
        soon("time that goes on", async {
            while now(&mut raw).await - first < 100_000 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }
}
