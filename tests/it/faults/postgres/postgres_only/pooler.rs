//! A pooler between the server and PostgreSQL, in both of its modes.

use std::time::Duration;

use futures::future::try_join_all;
use sea_orm::{
    ConnectionTrait as _, DbBackend, Statement,
    sqlx::{ConnectOptions as _, Executor as _, Row as _, postgres::PgConnectOptions},
};
use tidegate_proto::v1::{TransferStatus, WatchTransferRequest};
use tidegate_tests::{Database, ServerProcess, pooler::Pooler, raw::Raw, soon};

use super::settings::{live, refusal, refusal_with};

/// Two replicas on one database.
async fn replicas(database: &Database, arguments: &[&str]) -> [ServerProcess; 2] {
    [
        ServerProcess::start(database, 0, arguments).await,
        ServerProcess::start(database, 0, arguments).await,
    ]
}

/// Callers bring transfers to their end through both replicas, and what one replica changes the other one tells.
async fn serve_well(replicas: [ServerProcess; 2]) {
    let [first, second] = &replicas;
    let sides = [
        Raw::on(first.channel().await),
        Raw::on(second.channel().await),
    ];
    let callers = (0..16).map(|caller| {
        let raw = &sides[caller % 2];
        async move {
            for _ in 0..4 {
                live(raw).await?;
            }
            Ok::<(), tonic::Status>(())
        }
    });
    let all = try_join_all(callers).await;
    let logs = || replicas.each_ref().map(ServerProcess::log).concat();
    assert!(all.is_ok(), "nobody is refused: {all:?}\n{}", logs());
    let [mut here, mut there] = sides;
    let uuid = here.running().await.uuid;
    let request = WatchTransferRequest { uuid: uuid.clone() };
    let watch = there.transfers.watch_transfer(request).await;
    let mut watch = watch.expect("it is accepted").into_inner();
    here.complete(&uuid, 1).await;
    soon("the change of the other replica", async {
        loop {
            let change = watch
                .message()
                .await
                .expect("it goes on")
                .expect("a change");
            if change.transfer.expect("a state").status() == TransferStatus::Completed {
                return;
            }
        }
    })
    .await;
    drop(watch);
    for replica in replicas {
        let log = replica.log();
        assert!(!log.contains("ERROR"), "{log}");
        let (status, took) = replica.terminate().await;
        assert!(
            status.success() && took < Duration::from_secs(10),
            "{took:?}"
        );
    }
}

/// How many sessions of PostgreSQL are listening to us, or were lent after they listened.
async fn listening(database: &Database) -> i64 {
    let sql = "SELECT count(*) FROM pg_stat_activity \
               WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    number(database, sql).await
}

async fn number(database: &Database, sql: &str) -> i64 {
    let statement = Statement::from_string(DbBackend::Postgres, sql);
    let row = database.connect().await.query_one_raw(statement).await;
    let row = row.expect("an answer").expect("a row");
    row.try_get_by_index(0).expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
async fn a_pooler_in_session_mode_needs_no_flag() {
    let database = Database::fresh().await;
    let pooler = Pooler::before(&database, "session").await;
    let replicas = replicas(&pooler.to(&database), &[]).await;
    soon("listening", async {
        while listening(&database).await < 2 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    serve_well(replicas).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
async fn a_pooler_that_lends_sessions_is_noticed() {
    let database = Database::fresh().await;
    let pooler = Pooler::before(&database, "transaction").await;
    let line = refusal(&pooler.to(&database)).await;
    assert!(line.contains("--database-pooling transaction"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
async fn lent_sessions_are_left_as_they_were() {
    let database = Database::fresh().await;
    let name = database.name().expect("it has a name");
    let strict =
        format!("ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'");
    let admin = database.connect().await;
    admin.execute_unprepared(&strict).await.expect("it is set");
    let pooler = Pooler::before(&database, "transaction").await;
    let lent = pooler.to(&database);
    serve_well(replicas(&lent, &["--database-pooling", "transaction"]).await).await;
    assert_eq!(listening(&database).await, 0);
    // What the server used is lent to us now.
    let sql = "SELECT count(*) FROM pg_settings WHERE source = 'session' AND name IN \
               ('lock_timeout', 'statement_timeout', 'idle_in_transaction_session_timeout', \
                'default_transaction_isolation')";
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()";
    assert!(number(&database, sessions).await > 2);
    let options = lent.url().parse::<PgConnectOptions>().expect("a URL");
    let bare = options.extra_float_digits(None).connect().await;
    let mut bare = bare.expect("the pooler listens");
    for _ in 0..10 {
        let row = bare.fetch_one(sql).await.expect("an answer");
        let changed: &str = row.try_get_unchecked(0).expect("text");
        assert_eq!(changed, "0");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
async fn a_direct_address_is_listened_on_beside_lent_sessions() {
    // Without a schema: the direct address is for migrations, too.
    let database = Database::empty().await;
    let pooler = Pooler::before(&database, "transaction").await;
    let lent = pooler.to(&database);
    let line = refusal_with(&lent, &["--database-pooling", "transaction"]).await;
    assert!(line.contains("--database-direct-url"), "{line}");
    let arguments = [
        "--database-pooling",
        "transaction",
        "--database-direct-url",
        database.url(),
    ];
    let replicas = replicas(&lent, &arguments).await;
    soon("listening", async {
        while listening(&database).await < 2 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    serve_well(replicas).await;
}
