//! A standby that lacks the last commits becomes the primary, while servers run and are watched.

mod postgres_only {
    use std::time::Duration;

    use tidegate_proto::v1;
    use tidegate_tests::{
        Database, World, WorldOptions, assert_refused, cluster::Cluster, raw::Raw, relay::Relay,
        soon,
    };
    use tonic::{Code, Status};

    use super::super::{caught_up, end, ends, follow, hex, list, resume};

    /// A relay to a cluster's port, and the database by way of it.
    async fn by_relay(database: &Database) -> (Relay, Database) {
        let mut url = url::Url::parse(database.url()).expect("a URL");
        let relay = Relay::to(&authority(database.url())).await;
        let port = relay
            .address
            .rsplit(':')
            .next()
            .and_then(|port| port.parse().ok());
        url.set_port(port).expect("it has ports");
        (relay, database.at(url.as_str()))
    }

    fn authority(url: &str) -> String {
        let url = url::Url::parse(url).expect("a URL");
        format!("127.0.0.1:{}", url.port().expect("a port"))
    }

    /// Waits until the standby has what the primary has.
    async fn follows(standby: &Cluster, database: &Database, sequence: i64) {
        use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
        let mut url = url::Url::parse(&standby.url).expect("a URL");
        url.set_path(database.name().expect("it has a name"));
        let sql = "SELECT last_sequence FROM event_counter";
        soon("the standby's following", async {
            loop {
                let statement = Statement::from_string(DbBackend::Postgres, sql);
                if let Ok(pool) = sea_orm::Database::connect(url.as_str()).await
                    && let Ok(Some(row)) = pool.query_one_raw(statement).await
                    && row.try_get_by_index::<i64>(0).ok() == Some(sequence)
                {
                    return pool.close().await.expect("closed");
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
    }

    /// Declares a transfer, however often it takes.
    async fn declares(raw: &mut Raw) {
        soon("a change", async {
            while let Err(refusal) = raw
                .transfers
                .create_transfer(tidegate_tests::raw::plain())
                .await
            {
                assert_unavailable(&refusal);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
    }

    fn assert_unavailable(refusal: &Status) {
        assert_eq!(refusal.code(), Code::Unavailable, "{refusal:?}");
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn a_standby_that_lacks_commits_is_told_to_every_watcher_on_every_replica() {
        let primary = Cluster::start().await;
        let database = Database::on(&primary.url).await;
        let (relay, by_way) = by_relay(&database).await;
        let a = World::on(by_way, WorldOptions::default()).await;
        let b = a.replica().await;
        let (mut on_a, mut on_b) = (a.services().await, b.services().await);
        for _ in 0..3 {
            on_a.declared().await;
        }
        let standby = primary.standby().await;
        let common = end(&mut on_a).await;
        follows(&standby, &database, common.sequence).await;
        standby.stop().await;

        // Acknowledged, told, and lost.
        let lost = on_a.declared().await;
        on_b.declared().await;
        on_a.start(&lost.uuid).await;
        let known = end(&mut on_b).await;
        let mut watches = Vec::new();
        for raw in [&mut on_a, &mut on_b] {
            let (many, place) = caught_up(raw).await;
            assert_eq!(place, known);
            let one = v1::WatchTransferRequest {
                uuid: lost.uuid.clone(),
            };
            let one = raw.transfers.watch_transfer(one).await.expect("it exists");
            let log = follow(raw, &place).await.expect("accepted");
            watches.push((many, one.into_inner(), log));
        }
        primary.stop().await;
        standby.resume().await;
        standby.promote().await;
        relay.lead_to(&authority(&standby.url));
        // The numbers are used again, and more than that.
        for _ in 0..4 {
            declares(&mut on_a).await;
        }
        for (many, one, log) in &mut watches {
            for refused in [
                ends("the end of the watch of all", many).await,
                ends("the end of the watch of one", one).await,
                ends("the end of the watch of the log", log).await,
            ] {
                assert_eq!(
                    refused.metadata["known_sequence"],
                    known.sequence.to_string()
                );
                assert_eq!(refused.metadata["known_hash"], hex(&known.hash));
            }
        }
        for raw in [&mut on_a, &mut on_b] {
            for refusal in [
                list(raw, &known).await.map(drop),
                follow(raw, &known).await.map(drop),
                resume(raw, &known).await.map(drop),
            ] {
                let refusal = refusal.expect_err("it is another event");
                assert_refused(&refusal, Code::DataLoss, "LOG_DIVERGED");
            }
            let news = list(raw, &common).await.expect("both logs have it");
            assert_eq!(news.len(), 4);
        }
        // What one replica commits is told by the other again, at numbers that both have told before.
        let (mut many, _) = caught_up(&mut on_b).await;
        let created = on_a.declared().await;
        soon("the creation elsewhere", async {
            loop {
                let message = many
                    .message()
                    .await
                    .expect("no refusal")
                    .expect("it goes on");
                let told = v1::watch_transfers_response::Update::Transfer(created.clone());
                if message.update == Some(told) {
                    break;
                }
            }
        })
        .await;
        // Where the test's database is to be deleted.
        primary.resume().await;
    }
}
