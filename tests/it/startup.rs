//! A server that cannot keep its promise does not start: it says why in one line, and leaves everything as it was.

mod postgres_only;
mod settings;
mod sqlite_only;

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use sea_orm::ConnectionTrait as _;
use sea_orm_migration::SchemaManager;
use tempfile::TempDir;
use tidegate_proto::v1;
use tidegate_tests::{
    Database, ServerProcess,
    process::{binary, command, run},
};
use tokio::{net::TcpListener, process::Command};

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn url(path: &Path) -> String {
    format!("sqlite://{}?mode=rwc", path.display())
}

fn server(database_url: &str) -> Command {
    let mut server = command(binary("tidegate-server"));
    server.args(["--listen", "127.0.0.1:0", "--database-url", database_url]);
    server
}

/// Every file below `folder` with its content, but for the lock and an empty log with its index: they hold nothing.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("it can be listed") {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() {
            found.insert(path.clone(), Vec::new());
            found.extend(contents(&path));
        } else {
            let content = fs::read(&path).expect("it can be read");
            let holds_nothing = match path.extension().and_then(OsStr::to_str) {
                Some("lock" | "db-shm") => true,
                Some("db-wal") => content.is_empty(),
                _ => false,
            };
            if !holds_nothing {
                found.insert(path, content);
            }
        }
    }
    found
}

/// Asserts that the server ends at once with code 1 and one line that has all `words`, and that `folder` stays as it was.
async fn refuses(server: &mut Command, folder: &Path, words: &[&str]) {
    let before = contents(folder);
    says_no(server, words).await;
    let after = contents(folder);
    let names = |of: &BTreeMap<PathBuf, Vec<u8>>| of.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&before), names(&after), "files came or went");
    assert!(before == after, "a file was changed");
}

/// Asserts that the server ends at once with code 1 and one line that has all `words`.
async fn says_no(server: &mut Command, words: &[&str]) {
    let ended = run(server).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(ended.stdout, "");
    let line = ended.stderr.strip_suffix('\n').expect("a whole line");
    assert!(!line.contains('\n'), "more than one line:\n{line}");
    let said = line.strip_prefix("tidegate-server: ");
    let said = said.unwrap_or_else(|| panic!("it does not say who speaks: {line}"));
    for word in words {
        assert!(said.contains(word), "{word:?} is not in: {line}");
    }
}

#[tokio::test]
async fn a_fresh_start_migrates_and_the_next_one_keeps_what_is_there() {
    let database = Database::empty().await;
    let server = ServerProcess::start(&database, 0, &[]).await;
    let uuid = create(&server).await;
    let (status, _) = server.terminate().await;
    assert!(status.success());
    let behind = database.connect().await;
    for table in [
        "connection",
        "event_counter",
        "seaql_migrations",
        "transfer",
        "event",
    ] {
        let found = SchemaManager::new(&behind).has_table(table).await;
        assert_eq!(found, Ok(true), "{table}");
    }
    behind.close().await.expect("it closes");

    let server = ServerProcess::start(&database, 0, &[]).await;
    let request = v1::GetTransferRequest {
        uuid,
        preload: Vec::new(),
    };
    let kept = server.raw().await.get_transfer(request).await;
    kept.expect("the second start keeps what the first had");
    server.kill().await;
}

async fn create(server: &ServerProcess) -> String {
    let request = v1::CreateTransferRequest {
        direction: v1::Direction::Send.into(),
        table_name: "orders".to_owned(),
        ..Default::default()
    };
    let answer = server
        .raw()
        .await
        .create_transfer(request)
        .await
        .expect("it is created");
    answer
        .into_inner()
        .transfer
        .expect("an answer has a transfer")
        .uuid
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let database = Database::empty().await;
    ServerProcess::start(&database, 0, &[])
        .await
        .terminate()
        .await;
    let behind = database.connect().await;
    let sql = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m29990101_000001_from_the_future', 0)";
    let written = behind.execute_unprepared(sql).await;
    written.expect("it can be written");
    behind.close().await.expect("it closes");
    let elsewhere = folder();
    let place = database.path().and_then(Path::parent);
    let name = database.name().unwrap_or("tidegate.db");
    let words = [name, "newer version", "m29990101_000001_from_the_future"];
    let place = place.unwrap_or(elsewhere.path());
    refuses(&mut server(database.url()), place, &words).await;
}

#[tokio::test]
async fn urls_that_cannot_keep_a_promise_are_refused() {
    let folder = folder();
    let read_only = format!("sqlite://{}/tidegate.db?mode=ro", folder.path().display());
    for (database_url, word) in [
        ("sqlite::memory:", "memory"),
        ("sqlite://tidegate.db?mode=memory", "memory"),
        (&read_only, "cannot be written"),
        (
            "mysql://root:secret@127.0.0.1/tidegate",
            "sqlite:// or postgres://",
        ),
        ("tidegate.db", "sqlite:// or postgres://"),
        ("", "sqlite:// or postgres://"),
    ] {
        let mut server = server(database_url);
        refuses(
            server.current_dir(folder.path()),
            folder.path(),
            &["database URL", word],
        )
        .await;
    }
}

#[tokio::test]
async fn secrets_stay_out_of_the_refusal() {
    for database_url in [
        "mysql://root:hunter2@127.0.0.1/tidegate",
        "postgres://tidegate:hunter2@127.0.0.1:1/tidegate",
    ] {
        let ended = run(&mut server(database_url)).await;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
        assert!(!ended.stderr.contains("hunter2"), "{ended:?}");
    }
}

#[tokio::test]
async fn a_port_in_use_is_refused() {
    let folder = folder();
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = taken
        .local_addr()
        .expect("a bound socket has an address")
        .to_string();
    let mut server = command(binary("tidegate-server"));
    let database_url = url(&folder.path().join("tidegate.db"));
    server.args(["--listen", &address, "--database-url", &database_url]);
    refuses(&mut server, folder.path(), &["cannot listen on", &address]).await;
}

#[tokio::test]
async fn wrong_usage_ends_with_2() {
    let folder = folder();
    for arguments in [
        &["--no-such-flag"][..],
        &["--listen", "somewhere"],
        &["--sweep-interval", "1ms"],
        &["--drain-delay", "1h"],
        &["--log", "tidegate_server=loud"],
        &["no-such-role"],
    ] {
        let mut server = command(binary("tidegate-server"));
        let ended = run(server
            .args(arguments)
            .current_dir(folder.path())
            .stdout(Stdio::piped()))
        .await;
        assert_eq!(ended.code, Some(2), "{arguments:?}: {ended:?}");
        assert!(ended.stderr.starts_with("error: "), "{ended:?}");
    }
    assert_eq!(contents(folder.path()), BTreeMap::new());
}

#[tokio::test]
async fn settings_may_be_variables() {
    let folder = folder();
    let mut server = command(binary("tidegate-server"));
    server
        .env("TIDEGATE_DATABASE_URL", "sqlite::memory:")
        .env("TIDEGATE_LISTEN", "127.0.0.1:0");
    refuses(
        server.current_dir(folder.path()),
        folder.path(),
        &["memory"],
    )
    .await;
}
