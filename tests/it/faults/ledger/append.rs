//! How the log grows: under the lock of its counter, in as few statements as can be.

mod postgres_only {
    use std::time::Duration;

    use sea_orm::{ConnectionTrait as _, DatabaseConnection};
    use tidegate_domain::{chain::link, query::EventFilter};
    use tidegate_store::{Options, Store};
    use tidegate_tests::{
        Database, ServerProcess,
        raw::{Raw, plain, told},
        soon,
    };

    const ROUNDS: usize = 10;

    /// A session whose open transaction has the lock.
    async fn holder(database: &Database) -> DatabaseConnection {
        let session = database.connect().await;
        run(&session, "BEGIN; SELECT 1 FROM event_counter FOR UPDATE").await;
        session
    }

    async fn run(session: &DatabaseConnection, sql: &str) {
        session.execute_unprepared(sql).await.expect("it is done");
    }

    async fn told_server() -> (ServerProcess, Database) {
        let database = Database::fresh().await;
        let arguments = ["--log", "info,sqlx::query=debug"];
        let server = ServerProcess::start(&database, 0, &arguments).await;
        (server, database)
    }

    /// The beginnings of the statements that say one of these, from the server's log after so many bytes.
    fn statements(server: &ServerProcess, after: usize, words: &[&str]) -> Vec<String> {
        let text = server.log()[after..].replace("\\\"", "\"");
        let says = |line: &&str| words.iter().any(|word| line.contains(word));
        let lines = text.lines().filter(says);
        let summary = |line: &str| line.split_once("\"summary\":\"").map(|it| it.1.to_owned());
        lines.filter_map(summary).collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn an_end_is_written_down_and_counted_by_one_statement() {
        let (server, _) = told_server().await;
        let mut raw = Raw::on(server.channel().await);
        let transfer = raw.running().await;
        let before = server.log().len();
        raw.complete(&transfer.uuid, 1).await;
        let words = [
            "AS \"hash\" FROM \"event_counter\"",
            "transfer_stats",
            "INTO \"event\"",
            "UPDATE \"event_counter\"",
        ];
        let found = statements(&server, before, &words);
        assert_eq!(found.len(), 2, "{found:#?}");
        assert!(
            found[0].starts_with("SELECT \"event_counter\""),
            "{found:#?}"
        );
        assert!(found[1].starts_with("WITH counted AS"), "{found:#?}");
        server.kill().await;
    }

    /// A writer that waited for the other one does not see what that has written.
    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn what_the_other_writer_has_appended_is_not_read() {
        let (server, database) = told_server().await;
        let mut raw = Raw::on(server.channel().await);
        let before = server.log().len();
        for _ in 0..ROUNDS {
            let session = holder(&database).await;
            let calls = (0..8).map(|_| {
                let mut raw = raw.clone();
                tokio::spawn(async move { raw.declared().await })
            });
            let calls: Vec<_> = calls.collect();
            tokio::time::sleep(Duration::from_millis(200)).await;
            run(&session, "COMMIT").await;
            for call in calls {
                soon("the answer", call).await.expect("no panic");
            }
        }
        let locks = statements(&server, before, &["FOR UPDATE"]).len();
        let read = statements(
            &server,
            before,
            &["\"summary\":\"SELECT \"event\".\"hash\" FROM"],
        );
        assert!(
            locks >= 2 * ROUNDS,
            "both writers had something to write: {locks}"
        );
        assert!(read.len() < ROUNDS / 2, "{} of {ROUNDS}", read.len());
        raw.declared().await;
        server.kill().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn what_the_log_ends_with_counts_and_not_what_is_remembered_of_it() {
        let server = ServerProcess::fresh().await;
        let database = server.database().clone();
        let mut raw = Raw::on(server.channel().await);
        raw.declared().await;
        let session = holder(&database).await;
        let mut waiting = raw.clone();
        let waiting =
            tokio::spawn(async move { told(waiting.transfers.create_transfer(plain())).await });
        tokio::time::sleep(Duration::from_millis(300)).await;
        // The log gets another end at the same place while the server waits for its turn.
        let other = format!(
            "UPDATE event SET hash = '\\x{}' WHERE sequence = 1; \
             UPDATE event_counter SET floor_sequence = floor_sequence; COMMIT",
            "07".repeat(32)
        );
        run(&session, &other).await;
        soon("the answer", waiting).await.expect("no panic");
        server.kill().await;
        let store = Store::open(database.url(), &Options::default()).await;
        let store = store.expect("it opens");
        let events = store.events(&EventFilter::default(), 9).await;
        let events = events.expect("they are read");
        assert_eq!(events.len(), 2);
        assert_eq!(events[1].hash, Some(link(&[7; 32], &events[1])));
        store.close().await;
    }
}
