//! Settings of a database or a role that the design leans on.

use std::time::Duration;

use futures::future::try_join_all;
use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend, Statement};
use tidegate_tests::{
    Database, ServerProcess, World, WorldOptions,
    cluster::{Cluster, How},
    process::{binary, command, run},
    raw::Raw,
};

/// Brings one transfer from its declaration to its completion, with a decision.
pub(super) async fn live(raw: &Raw) -> Result<(), tonic::Status> {
    use tidegate_tests::{
        raw::{plain, totals, wire_duration},
        request,
    };
    let mut transfers = raw.transfers.clone();
    let created = transfers.create_transfer(plain()).await?.into_inner();
    let uuid = created.transfer.expect("the answer carries it").uuid;
    let asking = tidegate_proto::v1::RequestApprovalRequest {
        expires_in: Some(wire_duration(Duration::from_secs(60))),
        ..request::asking(&uuid)
    };
    transfers.request_approval(asking).await?;
    transfers.approve_transfer(request::approval(&uuid)).await?;
    transfers.start_transfer(request::starting(&uuid)).await?;
    let report = request::reporting(&uuid, totals(1));
    transfers.update_progress(report).await?;
    let completion = tidegate_proto::v1::CompleteTransferRequest {
        progress: Some(totals(2)),
        ..request::completion(&uuid)
    };
    transfers.complete_transfer(completion).await?;
    Ok(())
}

async fn lives_under(isolation: &str) {
    let database = Database::fresh().await;
    let name = database.name().expect("it has a name");
    let set = format!("ALTER DATABASE {name} SET default_transaction_isolation = '{isolation}'");
    let admin = database.connect().await;
    admin.execute_unprepared(&set).await.expect("it is set");
    // Two replicas, so that their writers meet.
    let mut first = World::on(database, WorldOptions::default()).await;
    let mut second = first.replica().await;
    let (here, there) = (first.services().await, second.services().await);
    let callers = (0..16).map(|caller| {
        let raw = if caller % 2 == 0 { &here } else { &there };
        async move {
            for _ in 0..5 {
                live(raw).await?;
            }
            Ok::<(), tonic::Status>(())
        }
    });
    let lived = try_join_all(callers).await;
    lived.unwrap_or_else(|status| panic!("{isolation}: {status:?}"));
    second.stop().await;
    first.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
async fn another_default_isolation_refuses_nobody() {
    for isolation in ["repeatable read", "serializable"] {
        lives_under(isolation).await;
    }
}

/// What a server says that is started on `database` and ends at once.
pub(super) async fn refusal(database: &Database) -> String {
    refusal_with(database, &[]).await
}

pub(super) async fn refusal_with(database: &Database, arguments: &[&str]) -> String {
    let mut server = command(binary("tidegate-server"));
    server.args(["--listen", "127.0.0.1:0", "--database-url", database.url()]);
    server.args(arguments);
    let ended = run(&mut server).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let lines: Vec<_> = ended.stderr.lines().collect();
    let line = lines.last().expect("it says why");
    (*line).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
async fn a_database_of_another_encoding_is_refused_at_the_start() {
    let database = Database::latin1().await;
    let line = refusal(&database).await;
    assert!(line.contains("server_encoding"), "{line}");
    assert!(line.contains("UTF8") && line.contains("LATIN1"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
async fn settings_that_the_design_leans_on_are_read_back_at_the_start() {
    let database = Database::fresh().await;
    set(&database, "synchronous_commit = off").await;
    let line = refusal(&database).await;
    assert!(line.contains("synchronous_commit=off"), "{line}");
}

/// Changes what the sessions of a database begin with.
pub(super) async fn set(database: &Database, setting: &str) {
    let name = database.name().expect("it has a name");
    let admin = database.connect().await;
    let set = format!("ALTER DATABASE {name} SET {setting}");
    admin.execute_unprepared(&set).await.expect("it is set");
}

/// Functions that PostgreSQL has compiled for statements that name the event counter.
async fn compiled(admin: &DatabaseConnection) -> i64 {
    let sql = "SELECT coalesce(sum(jit_functions), 0)::bigint FROM pg_stat_statements \
               WHERE query LIKE '%event_counter%'";
    let row = admin.query_one_raw(Statement::from_string(DbBackend::Postgres, sql));
    let row = row.await.expect("an answer").expect("a row");
    row.try_get_by_index(0).expect("a count")
}

/// A plan that looks expensive, as any does where an index cannot be used, took 0.1 s to compile while the event counter
/// was locked.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
async fn statements_are_not_compiled() {
    let costs = ["", "_inline", "_optimize"].map(|kind| format!("jit{kind}_above_cost = 0"));
    let mut settings = vec!["shared_preload_libraries = 'pg_stat_statements'".to_owned()];
    settings.extend(costs);
    let cluster = Cluster::start_with(How {
        settings,
        ..How::default()
    })
    .await;
    let database = Database::on(&cluster.url).await;
    let admin = database.connect().await;
    let counting = admin.execute_unprepared("CREATE EXTENSION pg_stat_statements");
    counting.await.expect("it is part of PostgreSQL");
    for arguments in [&[][..], &["--database-pooling", "transaction"]] {
        let server = ServerProcess::start(&database, 0, arguments).await;
        // Migrations are nobody's wait.
        let forgotten = admin.execute_unprepared("SELECT pg_stat_statements_reset()");
        forgotten.await.expect("it is there");
        let raw = Raw::on(server.channel().await);
        live(&raw).await.expect("nobody is refused");
        let (status, _) = server.terminate().await;
        assert!(status.success(), "{status}");
        assert_eq!(compiled(&admin).await, 0, "{arguments:?}");
    }
    // A PostgreSQL that was built without it compiles nobody's statements.
    let able = Statement::from_string(DbBackend::Postgres, "SELECT pg_jit_available()");
    let able = admin
        .query_one_raw(able)
        .await
        .expect("an answer")
        .expect("a row");
    let ours = "SELECT count(*) FROM event_counter WHERE last_sequence > 0";
    admin.execute_unprepared(ours).await.expect("it is there");
    let able: bool = able.try_get_by_index(0).expect("a truth");
    assert_eq!(compiled(&admin).await > 0, able, "others' statements are");
}
