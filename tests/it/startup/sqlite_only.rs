//! What can be wrong with a file, and what a server makes of one. About SQLite alone.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use rusqlite::Connection;
use tempfile::TempDir;
use tidegate_tests::{
    Database, ServerProcess,
    process::{binary, command},
};
use tokio::process::Command;

use super::{create, folder, refuses, server, url};

/// Who has no rights on anything, by convention.
const NOBODY: u32 = 65_534;

async fn serve(file: &Path) -> ServerProcess {
    ServerProcess::start(&Database::file(file), 0, &[]).await
}

#[tokio::test]
async fn a_fresh_start_creates_files_that_are_its_own_and_durable() {
    let folder = folder();
    let database = folder.path().join("tidegate.db");
    let server = serve(&database).await;
    for name in [
        "tidegate.db",
        "tidegate.db-wal",
        "tidegate.db-shm",
        "tidegate.db.lock",
    ] {
        let file = fs::metadata(folder.path().join(name)).expect(name);
        assert_eq!(file.permissions().mode() & 0o777, 0o600, "{name}");
    }
    create(&server).await;
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
    let file = Connection::open(&database).expect("it opens");
    let setting =
        |name: &str| file.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, String>(0));
    assert_eq!(setting("journal_mode").as_deref(), Ok("wal"));
    assert_eq!(setting("integrity_check").as_deref(), Ok("ok"));
}

#[tokio::test]
async fn a_second_server_on_the_same_file_is_refused() {
    let folder = folder();
    let database = folder.path().join("tidegate.db");
    let first = serve(&database).await;
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
    let after_a_crash = serve(&database).await;
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
    serve(&database).await.terminate().await;
    let programs = super::folder();
    let permit = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
    };
    permit(&database, 0o444);
    permit(folder.path(), 0o777);
    refuses(
        &mut unprivileged(&programs, &url(&database)),
        folder.path(),
        &["tidegate.db cannot be written"],
    )
    .await;
    let new = folder.path().join("new.db");
    permit(folder.path(), 0o555);
    refuses(
        &mut unprivileged(&programs, &url(&new)),
        folder.path(),
        &["new.db cannot be written"],
    )
    .await;
    permit(folder.path(), 0o755);
}

/// A server without rights. Root may write everything, so then it runs as nobody: from a copy in `programs` where nobody
/// may not enter the folders of the build.
fn unprivileged(programs: &TempDir, database_url: &str) -> Command {
    let is_root =
        fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0);
    if !is_root {
        return server(database_url);
    }
    let original = binary("tidegate-server");
    let may_enter =
        |path: &Path| fs::metadata(path).is_ok_and(|it| it.permissions().mode() & 1 == 1);
    let program = if original.ancestors().all(may_enter) {
        original
    } else {
        let copy = programs.path().join("tidegate-server");
        fs::copy(original, &copy).expect("it can be copied");
        for path in [programs.path(), &copy] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it is ours");
        }
        copy
    };
    let mut server = command(&program);
    server
        .args(["--listen", "127.0.0.1:0", "--database-url", database_url])
        .uid(NOBODY)
        .gid(NOBODY);
    server
}
