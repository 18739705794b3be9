//! A file that gets its name once it is whole.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{self, Path, PathBuf},
};

use crate::open::lock::private;

/// A file that was not there before, belongs to its owner alone, and goes unless it is kept.
#[derive(Debug)]
pub struct NewFile {
    /// Nothing but the name, which nobody else can take meanwhile.
    name: Ours,
    part: Ours,
    file: File,
}

impl NewFile {
    /// Creates it as `NAME.part`, beside an empty file of its name.
    ///
    /// # Errors
    /// When one of them is there already, or cannot be created.
    pub fn create(path: &Path) -> io::Result<Self> {
        let (name, _) = Ours::create(path)?;
        let (part, file) = Ours::create(&beside(path))?;
        Ok(Self { name, part, file })
    }

    /// The path that it has meanwhile.
    pub(crate) fn part(&self) -> &Path {
        &self.part.path
    }

    /// Gives it its name. It is on disk by that when this returns.
    ///
    /// # Errors
    /// When the disk does not take it; then it is gone.
    pub fn keep(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.part.path, &self.name.path)?;
        self.part.is_kept = true;
        let folder = path::absolute(&self.name.path)?;
        folder
            .parent()
            .map_or(Ok(()), |folder| File::open(folder)?.sync_all())?;
        self.name.is_kept = true;
        Ok(())
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[derive(Debug)]
struct Ours {
    path: PathBuf,
    is_kept: bool,
}

impl Ours {
    fn create(path: &Path) -> io::Result<(Self, File)> {
        let file = private(OpenOptions::new().write(true).create_new(true)).open(path)?;
        let ours = Self {
            path: path.to_owned(),
            is_kept: false,
        };
        Ok((ours, file))
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        if !self.is_kept {
            // Nobody could do anything about a failure.
            _ = fs::remove_file(&self.path);
        }
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}
