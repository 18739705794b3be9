//! A disk that is soon full.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write as _},
    path::Path,
    process::Command,
};

use tempfile::TempDir;

/// A small tmpfs of a test's own. Unmounted when dropped.
#[derive(Debug)]
pub struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// Whether one can be mounted.
    pub fn is_available() -> bool {
        Self::try_mount(1 << 16).is_ok()
    }

    /// One with room for so many bytes.
    ///
    /// # Panics
    /// When it cannot be mounted: that takes root.
    pub fn mount(bytes: u64) -> Self {
        Self::try_mount(bytes).unwrap_or_else(|said| {
            panic!("a tmpfs takes root (in a container: CAP_SYS_ADMIN): {said}")
        })
    }

    fn try_mount(bytes: u64) -> Result<Self, String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mounted = Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={bytes},mode=0777"),
                "tmpfs",
            ])
            .arg(folder.path())
            .output()
            .map_err(|error| error.to_string())?;
        if !mounted.status.success() {
            return Err(String::from_utf8_lossy(&mounted.stderr).trim().to_owned());
        }
        Ok(Self { folder })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Leaves no room at all.
    ///
    /// # Panics
    /// When it fails for another reason than that it is full.
    pub fn fill(&self) {
        self.fill_up("ballast");
    }

    /// Makes one of its files so long that it cannot grow any more.
    ///
    /// # Panics
    /// When it fails for another reason than that the disk is full.
    pub fn fill_up(&self, name: &str) {
        let file = self.path().join(name);
        let mut file = File::options().create(true).append(true).open(file);
        let file = file.as_mut().expect("an empty file needs no room");
        for size in [65_536, 4_096, 1] {
            loop {
                match file.write(&vec![b'\n'; size]) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => panic!("it cannot be filled: {error}"),
                }
            }
        }
    }

    /// Takes away what [`fill`](Self::fill) has written.
    ///
    /// # Panics
    /// When that is not possible.
    pub fn make_room(&self) {
        match fs::remove_file(self.path().join("ballast")) {
            Err(error) if error.kind() != ErrorKind::NotFound => panic!("no room: {error}"),
            Ok(()) | Err(_) => {}
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a process that a failed test leaves may still hold a file.
        let unmounted = Command::new("umount")
            .arg("--lazy")
            .arg(self.path())
            .status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} stays mounted", self.path().display());
        }
    }
}
