//! Keeps a second server away from an SQLite file: an exclusive lock on a file beside it.
//!
//! Not on the database itself: closing any handle of that file would drop the locks that SQLite holds on it.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    path::Path,
    sync::{Mutex, PoisonError},
};

/// Held until it is released or dropped, or the process ends in whatever way.
#[derive(Debug)]
pub(crate) struct FileLock {
    file: Mutex<Option<File>>,
}

impl FileLock {
    /// Takes the lock, or `None` when another holds it.
    pub(crate) fn acquire(path: &Path) -> io::Result<Option<Self>> {
        let file = private(OpenOptions::new().read(true).write(true).create(true)).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self {
                file: Mutex::new(Some(file)),
            })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Lets go. The file stays: removing it could take the lock from under another server.
    pub(crate) fn release(&self) {
        self.file
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }
}

/// Files that are created belong to their owner alone.
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}
