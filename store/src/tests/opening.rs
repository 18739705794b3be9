//! Opening, refusing to open, and closing.

use std::path::Path;

use sea_orm::ConnectionTrait;

use super::{
    super::{OpenError, Options, Store, open::sqlite},
    fixture::{Fixture, plain, url},
};
use tidegate_domain::fixtures::id;

async fn refusal(url: &str) -> OpenError {
    let opened = Store::open(url, &Options::default()).await;
    let error = opened.expect_err("it must be refused");
    let line = error.to_string();
    assert!(!line.contains('\n'), "{line}");
    error
}

#[tokio::test]
async fn the_settings_are_taken_by_every_connection() {
    let fixture = Fixture::new().await;
    for pool in [&fixture.store.writer(), &fixture.store.reader()] {
        for (setting, wanted) in sqlite::SETTINGS {
            let found = sqlite::read(pool, &format!("PRAGMA {setting}"), "x").await;
            assert_eq!(found.expect("read").as_deref(), Some(wanted), "{setting}");
        }
    }
    let write = "UPDATE event_counter SET last_sequence = 1";
    assert!(
        fixture
            .store
            .reader()
            .execute_unprepared(write)
            .await
            .is_err()
    );
    fixture
        .store
        .writer()
        .execute_unprepared(write)
        .await
        .expect("the writer may");
}

#[tokio::test]
async fn a_second_server_is_refused_until_the_first_is_gone() {
    let fixture = Fixture::new().await;
    fixture.insert(&[plain(1)]).await;
    let url = url(&fixture.path());
    let error = refusal(&url).await;
    assert!(matches!(error, OpenError::Locked { .. }), "{error}");
    assert!(error.to_string().contains("tidegate.db"), "{error}");
    fixture.store.close().await;
    let second = Store::open(&url, &Options::default())
        .await
        .expect("the first let go");
    assert!(second.transfer(id(1)).await.expect("read").is_some());
    let closed = fixture.store.transfer(id(1)).await;
    assert!(
        matches!(closed, Err(crate::StoreError::Unavailable(_))),
        "{closed:?}"
    );
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_does_not_get_around_the_lock() {
    let fixture = Fixture::new().await;
    let link = fixture.folder.path().join("other.db");
    std::os::unix::fs::symlink(fixture.path(), &link).expect("a link");
    let error = refusal(&url(&link)).await;
    assert!(matches!(error, OpenError::Locked { .. }), "{error}");
}

#[tokio::test]
async fn closing_moves_the_log_into_the_database() {
    let fixture = Fixture::new().await;
    fixture.insert(&[plain(1)]).await;
    fixture.store.close().await;
    let log = fixture.folder.path().join("tidegate.db-wal");
    assert!(!log.exists());
    fixture.store.close().await;
}

#[cfg(unix)]
#[tokio::test]
async fn new_files_belong_to_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let fixture = Fixture::new().await;
    fixture.insert(&[plain(1)]).await;
    for file in std::fs::read_dir(fixture.folder.path()).expect("the folder") {
        let file = file.expect("a file");
        let mode = file.metadata().expect("its mode").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", file.file_name());
    }
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_alone() {
    let fixture = Fixture::new().await;
    let newer = "INSERT INTO seaql_migrations VALUES ('m29990101_000001_paint_it_blue', 0)";
    fixture
        .store
        .writer()
        .execute_unprepared(newer)
        .await
        .expect("a newer version was here");
    fixture.store.close().await;
    let before = std::fs::read(fixture.path()).expect("the file");
    let error = refusal(&url(&fixture.path())).await;
    assert!(matches!(error, OpenError::NewerSchema { .. }), "{error}");
    assert!(
        error.to_string().contains("m29990101_000001_paint_it_blue"),
        "{error}"
    );
    assert_eq!(std::fs::read(fixture.path()).expect("the file"), before);
}

#[tokio::test]
async fn what_is_not_a_database_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notes.txt");
    let text = "Dear diary, ".repeat(200);
    std::fs::write(&path, &text).expect("written");
    let error = refusal(&url(&path)).await;
    assert!(matches!(error, OpenError::NotADatabase { .. }), "{error}");
    assert!(error.to_string().contains("notes.txt"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).expect("still there"), text);
}

#[tokio::test]
async fn a_missing_folder_or_file_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = refusal(&url(&folder.path().join("nowhere/tidegate.db"))).await;
    assert!(
        matches!(error, OpenError::DirectoryMissing { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("nowhere"), "{error}");
    let path = folder.path().join("tidegate.db");
    let error = refusal(&format!("sqlite://{}?mode=rw", path.display())).await;
    assert!(matches!(error, OpenError::Missing { .. }), "{error}");
    assert_eq!(
        std::fs::read_dir(folder.path())
            .expect("the folder")
            .count(),
        0
    );
}

#[tokio::test]
async fn what_cannot_be_written_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = refusal(&url(folder.path())).await;
    assert!(matches!(error, OpenError::NotWritable { .. }), "{error}");

    let path = folder.path().join("tidegate.db");
    Store::open(&url(&path), &Options::default())
        .await
        .expect("a store")
        .close()
        .await;
    read_only(&path);
    // Whoever runs as root may write it nevertheless.
    if std::fs::OpenOptions::new().write(true).open(&path).is_err() {
        let error = refusal(&url(&path)).await;
        assert!(matches!(error, OpenError::NotWritable { .. }), "{error}");
        assert!(error.to_string().contains("tidegate.db"), "{error}");
    }
}

fn read_only(path: &Path) {
    let mut permissions = std::fs::metadata(path).expect("the file").permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(path, permissions).expect("set");
}

#[tokio::test]
async fn nothing_in_memory() {
    for url in ["sqlite::memory:", "sqlite://x?mode=memory"] {
        let error = refusal(url).await;
        assert!(error.to_string().contains("memory"), "{error}");
    }
}

#[tokio::test]
async fn any_file_name_will_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let odd = format!(
        "sqlite://{}/file:a%3Fb%23c%25 d.db?mode=rwc",
        folder.path().display()
    );
    let store = Store::open(&odd, &Options::default())
        .await
        .expect("a store");
    store.probe(true).await.expect("it answers");
    assert!(folder.path().join("file:a?b#c% d.db").exists());
    store.close().await;
}
