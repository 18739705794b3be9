//! What is asked of a session before it is used, and what it is left in by callers who go away.

use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};
use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend, Statement};
use tidegate_proto::v1::GetTransferRequest;
use tidegate_store::{Options, Store};
use tidegate_tests::{Database, ServerProcess, raw::Raw};

/// Reads of one row, one after the other.
const READS: usize = 300;
/// Statements that a server may send beside them meanwhile: its own tasks, and a look at a session ten times a second.
const BESIDE: usize = 200;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
async fn a_read_that_stands_alone_is_one_statement() {
    let database = Database::fresh().await;
    let arguments = ["--log", "info,sqlx::query=debug"];
    let server = ServerProcess::start(&database, 0, &arguments).await;
    let mut raw = Raw::on(server.channel().await);
    let uuid = raw.declared().await.uuid;
    let sent = || server.log().matches("sqlx::query").count();
    let before = sent();
    for _ in 0..READS {
        let read = GetTransferRequest {
            uuid: uuid.clone(),
            ..GetTransferRequest::default()
        };
        raw.transfers.get_transfer(read).await.expect("it is there");
    }
    let statements = sent() - before;
    eprintln!("{READS} reads: {statements} statements");
    assert!(
        statements >= READS,
        "a log that tells nothing: {statements}"
    );
    assert!(statements < READS + BESIDE, "{statements}");
    server.kill().await;
}

/// Neither a read nor the beginning of a change notices that the session it is given has just ended.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
async fn a_session_that_ends_between_two_looks_is_replaced() {
    const END: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let database = Database::fresh().await;
    let admin = database.connect().await;
    for begins in [false, true] {
        // One that has no reason to look yet.
        let store = Store::open(database.url(), &Options::default()).await;
        let store = store.expect("it opens");
        tokio::time::sleep(Duration::from_millis(200)).await;
        // Looked at now. Whoever comes within a tenth of a second is given the same session without a look at it.
        store.log_bounds().await.expect("an answer");
        admin.execute_unprepared(END).await.expect("they end");
        if begins {
            let begun = store.begin().await.expect("another session");
            begun.rollback().await.expect("it ends");
        } else {
            store.log_bounds().await.expect("another session");
        }
        store.close().await;
    }
}

/// Sessions of `database` that are inside of a transaction and do nothing.
async fn waiting(admin: &DatabaseConnection) -> i64 {
    let count = "SELECT count(*) FROM pg_stat_activity \
         WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
    let count = Statement::from_string(DbBackend::Postgres, count);
    let row = admin.query_one_raw(count).await.expect("an answer");
    row.expect("a row").try_get_by_index(0).expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
async fn a_transaction_whose_beginning_is_given_up_is_rolled_back() {
    let database = Database::fresh().await;
    let store = Store::open(database.url(), &Options::default()).await;
    let store = store.expect("it opens");
    let admin = database.connect().await;
    let mut given_up = 0;
    for round in 0..500_u64 {
        let begins = (0..10).map(|caller: u64| {
            let patience = Duration::from_micros(20 + (round * 10 + caller) * 7 % 1_500);
            let store = &store;
            async move { tokio::time::timeout(patience, store.begin()).await.is_err() }
        });
        let begins = stream::iter(begins).buffer_unordered(10);
        given_up += begins.filter(|&late| async move { late }).count().await;
        // PostgreSQL would end such a session itself, but not so soon.
        let end = Instant::now() + Duration::from_secs(2);
        while waiting(&admin).await > 0 {
            assert!(Instant::now() < end, "round {round}, {given_up} given up");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    eprintln!("{given_up} of 5000 given up");
    assert!(given_up >= 250, "{given_up}");
    store.close().await;
}
