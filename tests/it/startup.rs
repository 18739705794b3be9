//! A server that cannot keep its promise does not start: it says why in one line, and leaves everything as it was.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
};

use rusqlite::Connection;
use tempfile::TempDir;
use tidegate_proto::v1;
use tidegate_tests::{
    ServerProcess,
    process::{binary, command, run},
};
use tokio::{net::TcpListener, process::Command};

/// Who has no rights on anything, by convention.
const NOBODY: u32 = 65_534;

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

/// Every file below `folder` with its content, but for lock files: they hold nothing.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("it can be listed") {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() {
            found.insert(path.clone(), Vec::new());
            found.extend(contents(&path));
        } else if path.extension().is_none_or(|extension| extension != "lock") {
            let content = fs::read(&path).expect("it can be read");
            found.insert(path, content);
        }
    }
    found
}

/// Asserts that the server ends at once with code 1 and one line that has all `words`, and that `folder` stays as it was.
async fn refuses(server: &mut Command, folder: &Path, words: &[&str]) {
    let before = contents(folder);
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
    let after = contents(folder);
    let names = |of: &BTreeMap<PathBuf, Vec<u8>>| of.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&before), names(&after), "files came or went");
    assert!(before == after, "a file was changed");
}

#[tokio::test]
async fn a_fresh_start_creates_and_migrates() {
    let folder = folder();
    let database = folder.path().join("tidegate.db");
    let server = ServerProcess::start(&database, 0, &[]).await;
    for name in [
        "tidegate.db",
        "tidegate.db-wal",
        "tidegate.db-shm",
        "tidegate.db.lock",
    ] {
        let file = fs::metadata(folder.path().join(name)).expect(name);
        assert_eq!(file.permissions().mode() & 0o777, 0o600, "{name}");
    }
    let uuid = create(&server).await;
    let (status, _) = server.terminate().await;
    assert!(status.success());
    // Bytes 18 and 19 of the header: written and read with a write-ahead log.
    assert_eq!(fs::read(&database).expect("it is there")[18..20], [2, 2]);
    assert_eq!(
        fs::metadata(&database)
            .expect("it is there")
            .permissions()
            .mode()
            & 0o777,
        0o600
    );
    let tables = tables(&database);
    for table in [
        "connection",
        "event_counter",
        "seaql_migrations",
        "transfer",
        "transfer_event",
    ] {
        assert!(
            tables.iter().any(|each| each == table),
            "{table}: {tables:?}"
        );
    }

    let server = ServerProcess::start(&database, 0, &[]).await;
    let request = v1::GetTransferRequest {
        uuid,
        preload: Vec::new(),
    };
    server
        .raw()
        .await
        .get_transfer(request)
        .await
        .expect("the second start keeps what the first had");
    server.kill().await;
    let file = Connection::open(&database).expect("it opens");
    let setting =
        |name: &str| file.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, String>(0));
    assert_eq!(setting("journal_mode").as_deref(), Ok("wal"));
    assert_eq!(setting("integrity_check").as_deref(), Ok("ok"));
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

fn tables(database: &Path) -> Vec<String> {
    let file = Connection::open(database).expect("it opens");
    let mut names = file
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")
        .expect("it is a database");
    let names = names
        .query_map([], |row| row.get(0))
        .expect("it can be read");
    names.collect::<Result<_, _>>().expect("names are texts")
}

#[tokio::test]
async fn a_second_server_on_the_same_file_is_refused() {
    let folder = folder();
    let database = folder.path().join("tidegate.db");
    let first = ServerProcess::start(&database, 0, &[]).await;
    refuses(
        &mut server(&url(&database)),
        folder.path(),
        &["tidegate.db", "in use by another server"],
    )
    .await;
    // By another name too.
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink(&database, &link).expect("it can be linked");
    refuses(
        &mut server(&url(&link)),
        folder.path(),
        &["link.db", "in use by another server"],
    )
    .await;
    create(&first).await;
    first.kill().await;
    let after_a_crash = ServerProcess::start(&database, 0, &[]).await;
    after_a_crash.kill().await;
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let folder = folder();
    let file = folder.path().join("letter.txt");
    fs::write(&file, "Dear Sir or Madam,\n".repeat(100)).expect("it can be written");
    refuses(
        &mut server(&url(&file)),
        folder.path(),
        &["letter.txt", "not an SQLite database"],
    )
    .await;
}

#[tokio::test]
async fn a_directory_is_refused() {
    let folder = folder();
    let directory = folder.path().join("directory");
    fs::create_dir(&directory).expect("it can be made");
    refuses(
        &mut server(&url(&directory)),
        folder.path(),
        &["/directory cannot be written"],
    )
    .await;
}

#[tokio::test]
async fn a_missing_directory_is_refused() {
    let folder = folder();
    let database = folder.path().join("nowhere/tidegate.db");
    refuses(
        &mut server(&url(&database)),
        folder.path(),
        &["nowhere does not exist"],
    )
    .await;
}

#[tokio::test]
async fn a_missing_file_is_not_made_unasked() {
    let folder = folder();
    let database = format!("sqlite://{}/tidegate.db", folder.path().display());
    refuses(
        &mut server(&database),
        folder.path(),
        &["does not exist", "?mode=rwc"],
    )
    .await;
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_refused() {
    let folder = folder();
    let database = folder.path().join("tidegate.db");
    ServerProcess::start(&database, 0, &[])
        .await
        .terminate()
        .await;
    let permit = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
    };
    permit(&database, 0o444);
    permit(folder.path(), 0o777);
    refuses(
        &mut unprivileged(&folder, &url(&database)),
        folder.path(),
        &["tidegate.db cannot be written"],
    )
    .await;
    let new = folder.path().join("new.db");
    permit(folder.path(), 0o555);
    refuses(
        &mut unprivileged(&folder, &url(&new)),
        folder.path(),
        &["new.db cannot be written"],
    )
    .await;
    permit(folder.path(), 0o755);
}

/// A server without rights. Root may write everything, so then it runs as nobody, from a copy that nobody may run.
fn unprivileged(near: &TempDir, database_url: &str) -> Command {
    let is_root =
        fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0);
    if !is_root {
        return server(database_url);
    }
    let place = near.path().with_extension("programs");
    fs::create_dir_all(&place).expect("it can be made");
    let program = place.join("tidegate-server");
    if !program.exists() {
        fs::copy(binary("tidegate-server"), &program).expect("it can be copied");
    }
    for path in [&place, &program] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    }
    let mut server = command(&program);
    server
        .args(["--listen", "127.0.0.1:0", "--database-url", database_url])
        .uid(NOBODY)
        .gid(NOBODY);
    server
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let folder = folder();
    let database = folder.path().join("tidegate.db");
    ServerProcess::start(&database, 0, &[])
        .await
        .terminate()
        .await;
    let sql = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m29990101_000001_from_the_future', 0)";
    let file = Connection::open(&database).expect("it opens");
    file.execute(sql, []).expect("it can be written");
    drop(file);
    let words = [
        "tidegate.db",
        "newer version",
        "m29990101_000001_from_the_future",
    ];
    refuses(&mut server(&url(&database)), folder.path(), &words).await;
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
async fn a_bad_log_filter_is_refused() {
    let folder = folder();
    let mut server = server(&url(&folder.path().join("tidegate.db")));
    refuses(
        server.args(["--log", "tidegate_server=loud"]),
        folder.path(),
        &["--log", "tidegate_server=loud"],
    )
    .await;
}

#[tokio::test]
async fn wrong_usage_ends_with_2() {
    let folder = folder();
    for arguments in [
        &["--no-such-flag"][..],
        &["--listen", "somewhere"],
        &["--sweep-interval", "1ms"],
        &["--drain-delay", "1h"],
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
