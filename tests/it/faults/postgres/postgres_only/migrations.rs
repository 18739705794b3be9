//! Administrative work, which takes as long as it takes, and what it must not slow down.

use sea_orm::{
    ConnectionTrait as _, DatabaseConnection, DbBackend, IsolationLevel, Statement,
    TransactionTrait as _,
};
use sea_orm_migration::MigratorTrait as _;
use tidegate_migration::Migrator;
use tidegate_tests::{
    Database, World,
    process::{binary, command, run},
};

/// The last version before approvals were marked.
const BEFORE: u32 = 7;
/// Transfers that were approved by whoever initiated them, and how long each takes to be marked: longer together than a
/// statement of the service may take.
const ROWS: u32 = 110;
const SLOW: &str = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS \
     $$ BEGIN PERFORM pg_sleep(0.05); RETURN NEW; END $$; \
     CREATE TRIGGER slow BEFORE UPDATE ON transfer FOR EACH ROW EXECUTE FUNCTION slow()";

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_may_take_longer_than_a_statement_of_the_service() {
    let database = Database::empty().await;
    let admin = database.connect().await;
    let old = Migrator::up(&admin, Some(BEFORE)).await;
    old.expect("an old schema");
    let somebody = "0190b7a2-5c1e-7d3f-8a4b-1c2d3e4f5a6b";
    let rows = format!(
        "INSERT INTO transfer (uuid, direction, table_name, status, requires_approval, inserted_at, updated_at, \
           started_at, initiated_by_uuid, approved_at, approved_by_uuid, checkpoint, revision) \
         SELECT gen_random_uuid(), 'SEND', 'characters', 'APPROVED', TRUE, 1, 1, \
           NULL, '{somebody}', 1, '{somebody}', '', 3 FROM generate_series(1, {ROWS})"
    );
    for sql in [rows.as_str(), SLOW] {
        admin.execute_unprepared(sql).await.expect(sql);
    }
    let mut migrate = command(binary("tidegate-server"));
    migrate.args(["migrate", "--database-url", database.url()]);
    let ended = run(&mut migrate).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let said = ended.stderr.contains("add_policy") && ended.stderr.contains("migrated");
    assert!(said, "it says how far it is: {ended:?}");
    assert!(
        ended.stderr.contains(&format!("\"marked\":{ROWS}")),
        "{ended:?}"
    );
    let sql = "SELECT count(*) FROM transfer WHERE self_approval";
    let row = admin.query_one_raw(Statement::from_string(DbBackend::Postgres, sql));
    let row = row.await.expect("an answer").expect("a row");
    let marked: i64 = row.try_get_by_index(0).expect("a count");
    assert_eq!(marked, i64::from(ROWS));
}

/// Pages that are read to find the counter's row for a change.
async fn pages(admin: &DatabaseConnection) -> u32 {
    // As the server's changes are planned.
    let keyed = admin.execute_unprepared("SET enable_seqscan = off");
    keyed.await.expect("it is set");
    let sql = "EXPLAIN (ANALYZE, BUFFERS) SELECT last_sequence FROM event_counter \
               ORDER BY last_sequence DESC LIMIT 1 FOR UPDATE";
    let lines = admin.query_all_raw(Statement::from_string(DbBackend::Postgres, sql));
    let lines = lines.await.expect("a plan");
    let lines = lines
        .iter()
        .map(|line| line.try_get_by_index::<String>(0).expect("a line"));
    let lines: Vec<_> = lines.collect();
    let buffers = lines
        .iter()
        .find_map(|line| line.trim().strip_prefix("Buffers: shared "));
    let buffers = buffers.unwrap_or_else(|| panic!("no buffers: {lines:?}"));
    let counts = buffers.split(' ').filter_map(|part| {
        let count = part.strip_prefix("hit=").or(part.strip_prefix("read="))?;
        Some(count.parse::<u32>().expect("a number"))
    });
    counts.sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_snapshot_elsewhere_does_not_slow_the_counter() {
    const CHANGES: &str = "DO $$ BEGIN FOR n IN 0..4999 LOOP \
         UPDATE event_counter SET last_sequence = n + 1 WHERE last_sequence = n; END LOOP; END $$";
    let mut world = World::start().await;
    let admin = world.database().connect().await;
    let dump = world.database().connect().await;
    let snapshot = dump.begin_with_config(Some(IsolationLevel::RepeatableRead), None);
    let snapshot = snapshot.await.expect("a snapshot");
    let look = snapshot.execute_unprepared("SELECT count(*) FROM transfer");
    look.await.expect("it is taken");
    let before = pages(&admin).await;
    admin.execute_unprepared(CHANGES).await.expect("changes");
    let after = pages(&admin).await;
    assert!(after <= before + 10, "{before} pages became {after}");
    let mut raw = world.services().await;
    let uuid = raw.declared().await.uuid;
    assert_eq!(raw.events_of(&uuid).await[0].sequence, 5_001);
    snapshot.rollback().await.expect("it ends");
    world.stop().await;
}
