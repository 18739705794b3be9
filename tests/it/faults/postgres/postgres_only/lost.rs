//! Sessions that end, sessions that may only read, and whatever keeps one from connecting.

use std::time::{Duration, Instant};

use sea_orm::ConnectionTrait as _;
use tidegate_proto::v1::GetTransferRequest;
use tidegate_tests::{
    Database, ServerProcess, World, WorldOptions, assert_refused,
    cluster::Cluster,
    raw::{Raw, plain},
    soon,
};
use tonic::Code;
use url::Url;

/// How soon callers learn that the database cannot be had.
const NOTICED: Duration = Duration::from_secs(4);
/// How soon all is well after it can be had again.
const RECOVERED: Duration = Duration::from_secs(10);

/// Who has to say a password: see `scripts/postgres`.
const ROLE: &str = "with_password";

/// What an administrator of `cluster` does.
async fn administer(cluster: &Cluster, statements: &[&str]) {
    let mut options = sea_orm::ConnectOptions::new(&cluster.url);
    options.max_connections(1);
    let admin = sea_orm::Database::connect(options).await;
    let admin = admin.expect("it listens");
    for statement in statements {
        let done = admin.execute_unprepared(statement).await;
        done.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    admin.close().await.expect("it closes");
}

/// Asks for a change until one is refused, which is to say why.
async fn is_refused(raw: &mut Raw, what: &str) {
    soon("a refusal", async {
        loop {
            let began = Instant::now();
            match raw.transfers.create_transfer(plain()).await {
                Ok(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(status) => {
                    let refused =
                        assert_refused(&status, Code::Unavailable, "DATABASE_UNAVAILABLE");
                    assert!(refused.has_retry_info, "{what}: {status:?}");
                    assert!(began.elapsed() < NOTICED, "{what}: {:?}", began.elapsed());
                    return;
                }
            }
        }
    })
    .await;
}

/// Asks for changes until ten in a row are made: as many as there may be connections.
async fn recovers(raw: &mut Raw, what: &str) {
    let began = Instant::now();
    let mut made = 0;
    while made < 10 {
        match raw.transfers.create_transfer(plain()).await {
            Ok(_) => made += 1,
            Err(status) => {
                made = 0;
                assert_refused(&status, Code::Unavailable, "DATABASE_UNAVAILABLE");
                assert!(began.elapsed() < RECOVERED, "{what}: {status:?}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    assert!(began.elapsed() < RECOVERED, "{what}: {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
async fn no_writer_stays_with_a_primary_that_was_made_read_only() {
    let cluster = Cluster::start().await;
    let database = Database::on(&cluster.url).await;
    let mut world = World::on(database, WorldOptions::default()).await;
    let mut raw = world.services().await;
    let uuid = raw.declared().await.uuid;
    // All sessions, those that are open too, may only read.
    let frozen = "ALTER SYSTEM SET default_transaction_read_only = on";
    administer(&cluster, &[frozen, "SELECT pg_reload_conf()"]).await;
    is_refused(&mut raw, "read-only").await;
    let read = GetTransferRequest {
        uuid,
        ..GetTransferRequest::default()
    };
    let read = soon("an answer", raw.transfers.get_transfer(read)).await;
    read.expect("what stands can still be read");
    // Like a relay that was moved: only sessions that begin now may write, the open ones are kept.
    let admin = "SET default_transaction_read_only = off";
    let moved = "ALTER ROLE postgres SET default_transaction_read_only = off";
    administer(&cluster, &[admin, moved]).await;
    recovers(&mut raw, "moved").await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
async fn whatever_keeps_it_from_connecting_is_unavailable_and_passes() {
    const END: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                       WHERE application_name LIKE 'tidegate%'";
    let cluster = Cluster::start().await;
    let database = Database::on(&cluster.url).await;
    let name = database.name().expect("it has a name");
    administer(&cluster, &["CREATE ROLE tidegate LOGIN SUPERUSER"]).await;
    let mut url = Url::parse(database.url()).expect("a URL");
    url.set_username("tidegate").expect("a name");
    let mut world = World::on(database.at(url.as_str()), WorldOptions::default()).await;
    let mut raw = world.services().await;
    raw.declared().await;
    for (what, fault, end) in [
        (
            "a role that may not log in",
            "ALTER ROLE tidegate NOLOGIN".to_owned(),
            "ALTER ROLE tidegate LOGIN".to_owned(),
        ),
        (
            "a role that is gone",
            "ALTER ROLE tidegate RENAME TO somebody".to_owned(),
            "ALTER ROLE somebody RENAME TO tidegate".to_owned(),
        ),
        (
            "a database that takes no connections",
            format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"),
            format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true"),
        ),
        (
            "too many connections",
            "ALTER ROLE tidegate NOSUPERUSER CONNECTION LIMIT 0".to_owned(),
            "ALTER ROLE tidegate SUPERUSER CONNECTION LIMIT -1".to_owned(),
        ),
    ] {
        administer(&cluster, &[&fault, END]).await;
        is_refused(&mut raw, what).await;
        administer(&cluster, &[&end]).await;
        recovers(&mut raw, what).await;
    }
    // A database can be renamed only while nobody is connected.
    let refuse = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false");
    let rename = format!("ALTER DATABASE {name} RENAME TO elsewhere");
    administer(&cluster, &[&refuse, END]).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    administer(&cluster, &[&rename]).await;
    is_refused(&mut raw, "a database that is gone").await;
    let back = format!("ALTER DATABASE elsewhere RENAME TO {name}");
    let open = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true");
    administer(&cluster, &[&back, &open]).await;
    recovers(&mut raw, "a database that is gone").await;
    world.stop().await;
}

/// Changes the password, ends all sessions, and then tells the server by replacing its file.
async fn outlives_a_new_password(arguments: &[&str], variables: &[(&str, &str)], file: &Secret) {
    let cluster = Cluster::start().await;
    let database = Database::on(&cluster.url).await;
    let made = format!("CREATE ROLE {ROLE} LOGIN SUPERUSER PASSWORD 'first sesame'");
    administer(&cluster, &[&made]).await;
    let mut url = Url::parse(database.url()).expect("a URL");
    url.set_username(ROLE).expect("a name");
    file.write("first sesame");
    let server = ServerProcess::start_as(
        "tidegate-server",
        &database.at(url.as_str()),
        0,
        arguments,
        variables,
    )
    .await;
    let mut raw = Raw::on(server.channel().await);
    raw.declared().await;
    let changed = format!("ALTER ROLE {ROLE} PASSWORD 'second sesame'");
    let end =
        format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{ROLE}'");
    administer(&cluster, &[&changed, &end]).await;
    is_refused(&mut raw, "the old password").await;
    file.write("second sesame");
    recovers(&mut raw, "the new password").await;
    let log = server.log();
    assert!(
        !log.contains("first sesame") && !log.contains("second sesame"),
        "{log}"
    );
    let (status, _) = server.terminate().await;
    assert!(status.success());
}

/// A file with a password in it, for its owner alone.
struct Secret {
    path: std::path::PathBuf,
    before: &'static str,
    _folder: tempfile::TempDir,
}

impl Secret {
    fn new(before: &'static str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self {
            path: folder.path().join("password"),
            before,
            _folder: folder,
        }
    }

    fn write(&self, password: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let new = self.path.with_extension("new");
        std::fs::write(&new, format!("{}{password}\n", self.before)).expect("it is written");
        std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o600)).expect("its owner");
        std::fs::rename(&new, &self.path).expect("it is replaced at once");
    }

    fn name(&self) -> &str {
        self.path.to_str().expect("plain text")
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
async fn a_password_is_read_again_from_its_file() {
    let file = Secret::new("");
    outlives_a_new_password(&["--database-password-file", file.name()], &[], &file).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
async fn a_password_is_read_again_from_the_passfile() {
    let file = Secret::new("*:*:*:*:");
    outlives_a_new_password(&[], &[("PGPASSFILE", file.name())], &file).await;
}
