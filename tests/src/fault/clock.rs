//! A wall clock that is wrong, by way of libfaketime, which `scripts/tools` brings.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::Variables;

/// The wall clock of the processes that are started with its variables. The time that has passed (`CLOCK_MONOTONIC`) is
/// told as it is.
#[derive(Debug)]
pub struct FakeClock {
    library: PathBuf,
    folder: TempDir,
}

impl Default for FakeClock {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeClock {
    /// Whether libfaketime is there.
    pub fn is_available() -> bool {
        library().is_some()
    }

    /// One that is right.
    ///
    /// # Panics
    /// When libfaketime is missing.
    pub fn new() -> Self {
        let clock = Self {
            library: library().expect("libfaketime is missing: run scripts/tools"),
            folder: tempfile::tempdir().expect("a temporary folder"),
        };
        clock.set(0);
        clock
    }

    /// What a process needs to see it.
    pub fn variables(&self) -> Variables {
        vec![
            ("LD_PRELOAD", self.library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.file().display().to_string()),
            // Every look at the clock reads the file anew.
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }

    /// Lets it be so many seconds ahead of the truth, or behind, from now on.
    ///
    /// # Panics
    /// When that cannot be written.
    pub fn set(&self, seconds: i64) {
        let new = self.folder.path().join("new");
        fs::write(&new, format!("{seconds:+}\n")).expect("the offset can be written");
        // Whole: it is read at any time.
        fs::rename(new, self.file()).expect("the offset can be put in its place");
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("offset")
    }
}

fn library() -> Option<PathBuf> {
    let found = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let places = found.map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"));
    let mut libraries =
        places.chain([Path::new("/usr/lib/faketime/libfaketimeMT.so.1").to_owned()]);
    libraries.find(|path| path.exists())
}
