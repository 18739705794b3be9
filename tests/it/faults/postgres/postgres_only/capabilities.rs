//! What a server finds out at its start about PostgreSQL and what stands before it.

use sea_orm::ConnectionTrait as _;
use serde_json::Value;
use tidegate_tests::{
    Database, ServerProcess,
    cluster::Cluster,
    metrics::{address, get},
    pooler::Pooler,
    raw::Raw,
    soon,
};
use url::Url;

use super::settings::{live, refusal, refusal_with, set};

const TRANSACTION: [&str; 2] = ["--database-pooling", "transaction"];
const NAMES: [&str; 3] = ["listen", "advisory_lock", "prepared_statements"];
/// Somebody who is no superuser.
const ROLE: &str = "without_locks";

/// What a server says of each capability, in its log and where it is asked whether it is ready; it works all the same.
async fn found(database: &Database, arguments: &[&str]) -> [String; 3] {
    let arguments = [&["--metrics-listen", "127.0.0.1:0"], arguments].concat();
    let server = ServerProcess::start(database, 0, &arguments).await;
    let line = server.logged("what PostgreSQL can do").await;
    let line: Value = serde_json::from_str(&line).expect("a line of JSON");
    let version = line["version"].as_str().expect("a version");
    assert!(
        version.starts_with(|first: char| first.is_ascii_digit()),
        "{line}"
    );
    let found = NAMES.map(|name| line[name].as_str().expect(name).to_owned());
    let at = address(&server).await;
    let ready = soon("readiness", async {
        loop {
            let ready = get(&at, "/readyz").await;
            if ready.status == 200 {
                return ready.body;
            }
        }
    });
    let lines = NAMES
        .iter()
        .zip(&found)
        .map(|(name, it)| format!("{name}: {it}\n"));
    let lines: String = lines.collect();
    assert_eq!(
        ready.await,
        format!("ok\ndatabase: PostgreSQL {version}\n{lines}")
    );
    let raw = Raw::on(server.channel().await);
    live(&raw).await.expect("nobody is refused");
    let (status, _) = server.terminate().await;
    assert!(status.success(), "{status}");
    found
}

/// Checks which are there, and that each of the others says what follows.
fn assert_there(found: &[String; 3], there: [bool; 3]) {
    let are = found.each_ref().map(|it| it == "yes");
    assert_eq!(are, there, "{found:?}");
    for it in found.iter().filter(|it| *it != "yes") {
        let otherwise = it.strip_prefix("no: ").expect("yes or no");
        assert!(!otherwise.is_empty(), "{found:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
async fn a_session_of_its_own_can_do_everything() {
    let database = Database::fresh().await;
    assert_there(&found(&database, &[]).await, [true, true, true]);
    let pooler = Pooler::before(&database, "session").await;
    let found = found(&pooler.to(&database), &[]).await;
    assert_there(&found, [true, true, true]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
async fn a_session_that_is_lent_says_what_it_lacks_and_what_helps() {
    let database = Database::fresh().await;
    let pooler = Pooler::before(&database, "transaction").await;
    let lent = pooler.to(&database);
    let lacking = found(&lent, &TRANSACTION).await;
    assert_there(&lacking, [false, false, false]);
    for it in &lacking[..2] {
        assert!(it.contains("--database-direct-url"), "{it}");
    }
    let direct = ["--database-direct-url", database.url()];
    let found = found(&lent, &[TRANSACTION, direct].concat()).await;
    assert_there(&found, [true, true, false]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
async fn a_direct_address_that_hears_nothing_is_noticed() {
    let (database, other) = (Database::fresh().await, Database::fresh().await);
    let direct = ["--database-direct-url", other.url()];
    let found = found(&database, &[TRANSACTION, direct].concat()).await;
    assert_there(&found, [false, true, false]);
    // One that lends its sessions could not even be migrated on.
    let pooler = Pooler::before(&database, "transaction").await;
    let lent = pooler.to(&database);
    let direct = ["--database-direct-url", lent.url()];
    let line = refusal_with(&lent, &[TRANSACTION, direct].concat()).await;
    for word in ["--database-direct-url", "shares sessions"] {
        assert!(line.contains(word), "{word}: {line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
async fn locks_that_cannot_be_had_are_noticed() {
    let database = Database::empty().await;
    let name = database.name().expect("it has a name");
    let admin = database.connect().await;
    let sql = format!(
        "DO $$ BEGIN CREATE ROLE {ROLE} LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$; \
         ALTER DATABASE {name} OWNER TO {ROLE}; \
         REVOKE EXECUTE ON FUNCTION pg_try_advisory_xact_lock(bigint) FROM PUBLIC"
    );
    admin.execute_unprepared(&sql).await.expect("it is done");
    let mut url = Url::parse(database.url()).expect("a URL");
    url.set_username(ROLE).expect("a name");
    let found = found(&database.at(url.as_str()), &[]).await;
    assert_there(&found, [true, false, true]);
    assert!(found[1].contains("tidegate-server migrate"), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
async fn a_database_that_may_only_be_read_is_refused_at_the_start() {
    let database = Database::fresh().await;
    let pooler = Pooler::before(&database, "transaction").await;
    set(&database, "default_transaction_read_only = on").await;
    for line in [
        refusal(&database).await,
        refusal_with(&pooler.to(&database), &TRANSACTION).await,
    ] {
        let name = database.name().expect("it has a name");
        for word in [name, "may only be read", "default_transaction_read_only"] {
            assert!(line.contains(word), "{word}: {line}");
        }
    }
    let primary = Cluster::start().await;
    let standby = primary.standby().await;
    let line = refusal(&database.at(&standby.url)).await;
    assert!(line.contains("name the primary"), "{line}");
}
