//! Writes SQLite's log of writes once more.
//!
//! An fsync that failed leaves pages that are shown and not on the disk, and the next fsync says nothing about them. Once
//! they are written again, one that succeeds vouches for them.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use sea_orm::{
    ConnectionTrait as _, DatabaseConnection, DbBackend, DbErr, RuntimeErr, SqliteTransactionMode,
    SqlxError, Statement, TransactionOptions, TransactionTrait as _,
};

/// Bytes that are written at once.
const PIECE: usize = 1 << 20;

/// Writes and syncs the log beside the database at `path`, under the lock that keeps everybody from writing to it.
pub(crate) async fn log(writer: &DatabaseConnection, path: &Path) -> Result<(), DbErr> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    let lock = writer.begin_with_options(options).await?;
    let log = log_of(path);
    let written = tokio::task::spawn_blocking(move || write_again(&log)).await;
    let written = written.unwrap_or_else(|error| Err(io::Error::other(error)));
    written.map_err(|error| DbErr::Conn(RuntimeErr::SqlxError(SqlxError::Io(error).into())))?;
    lock.rollback().await
}

/// Moves the log into the database, synced, and begins it anew. Somebody who reads beside the server may keep it from
/// being begun anew; that is no error, since it is durable where it is.
pub(crate) async fn move_into_database(writer: &DatabaseConnection) -> Result<(), DbErr> {
    let checkpoint = Statement::from_string(DbBackend::Sqlite, "PRAGMA wal_checkpoint(TRUNCATE)");
    writer.query_one_raw(checkpoint).await.map(drop)
}

fn log_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}

fn write_again(path: &Path) -> io::Result<()> {
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut piece = vec![0; PIECE];
    let mut at = 0;
    loop {
        let size = match file.read_at(&mut piece, at) {
            Ok(0) => break,
            Ok(size) => size,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        file.write_all_at(&piece[..size], at)?;
        at += size as u64;
    }
    file.sync_all()?;
    path.parent()
        .map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn what_is_written_again_is_the_same() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        write_again(&path).expect("there is nothing to write");
        let content: Vec<u8> = (0..=250).cycle().take(PIECE * 2 + 7).collect();
        std::fs::write(&path, &content).expect("written");
        let long_ago = SystemTime::UNIX_EPOCH;
        let file = OpenOptions::new()
            .write(true)
            .open(&path)
            .expect("it is there");
        file.set_modified(long_ago).expect("the time is set");
        write_again(&path).expect("written again");
        assert_eq!(std::fs::read(&path).expect("read"), content);
        let modified = file.metadata().and_then(|it| it.modified());
        assert!(modified.expect("a time") > long_ago, "nothing was written");
    }
}
