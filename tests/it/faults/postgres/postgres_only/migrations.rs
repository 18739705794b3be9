//! Administrative work, which takes as long as it takes, and what it must not slow down.

use std::time::{Duration, Instant};

use sea_orm::{
    ConnectionTrait as _, DatabaseConnection, DbBackend, IsolationLevel, Statement,
    TransactionTrait as _,
};
use tidegate_tests::{
    Database, World,
    process::{binary, command, run},
};

/// A change of the schema that takes longer than a statement of the service may take.
const SLOW: &str = "CREATE FUNCTION slow() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN \
       IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity = 'public.transfer' \
         AND command_tag = 'CREATE TABLE') THEN PERFORM pg_sleep(5.5); END IF; END $$; \
     CREATE EVENT TRIGGER slow ON ddl_command_end EXECUTE FUNCTION slow()";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
async fn a_migration_may_take_longer_than_a_statement_of_the_service() {
    let database = Database::empty().await;
    let admin = database.connect().await;
    admin.execute_unprepared(SLOW).await.expect("it is slow");
    let began = Instant::now();
    let mut migrate = command(binary("tidegate-server"));
    migrate.args(["migrate", "--database-url", database.url()]);
    let ended = run(&mut migrate).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(began.elapsed() > Duration::from_secs(5), "{ended:?}");
    let said = ended.stderr.contains("migrating") && ended.stderr.contains("migrated");
    assert!(said, "it says how far it is: {ended:?}");
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
#[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
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
