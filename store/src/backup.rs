//! A copy of a ledger in an SQLite file as of one moment, beside whoever writes it.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{self, Path, PathBuf},
};

use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend, Statement};

use crate::{
    error::BackupError,
    open::{
        self,
        lock::private,
        pools::close,
        sqlite,
        target::{self, Target},
    },
};

/// Copies the ledger at `url` into the file `copy`, which must not be there yet and belongs to its owner alone.
///
/// Whoever goes on writing meanwhile is neither kept waiting nor in the copy. It is on disk when this returns.
///
/// # Errors
/// One line that says what is wrong; then there is no copy.
pub async fn backup(url: &str, copy: &Path) -> Result<(), BackupError> {
    let source = match target::parse(url)? {
        Target::Sqlite { path, .. } => path,
        Target::Postgres { name, .. } => return Err(BackupError::Shared { database: name }),
    };
    let (pool, database) = sqlite::reader(&source).await?;
    open::refuse_newer(&pool, &database).await?;
    open::is_complete(&pool, &database).await?;
    let copied = write(&pool, &database, copy).await;
    close(&pool).await;
    copied
}

async fn write(pool: &DatabaseConnection, database: &str, copy: &Path) -> Result<(), BackupError> {
    let refused = |source| BackupError::File {
        copy: copy.to_owned(),
        source,
    };
    let part = beside(copy);
    // Each is ours from here on, whoever else wants the name. The copy gets its name when it is whole.
    let name = Ours::create(copy).map_err(refused)?;
    let part = Ours::create(&part).map_err(refused)?;
    // A name that begins with a slash is no URI.
    let place = path::absolute(&part.path).map_err(refused)?;
    let Some(place) = place.to_str() else {
        return Err(refused(io::ErrorKind::InvalidFilename.into()));
    };
    let statement =
        Statement::from_sql_and_values(DbBackend::Sqlite, "VACUUM INTO ?", [place.into()]);
    pool.execute_raw(statement)
        .await
        .map_err(|error| BackupError::Failed {
            database: database.to_owned(),
            cause: error.to_string(),
        })?;
    part.become_of(name).map_err(refused)
}

/// A file that we have created, and that goes unless it is kept.
struct Ours {
    path: PathBuf,
    is_kept: bool,
}

impl Ours {
    fn create(path: &Path) -> io::Result<Self> {
        private(OpenOptions::new().write(true).create_new(true)).open(path)?;
        Ok(Self {
            path: path.to_owned(),
            is_kept: false,
        })
    }

    /// Takes the name of an empty one, and is on disk by it.
    fn become_of(mut self, mut name: Self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()?;
        fs::rename(&self.path, &name.path)?;
        self.is_kept = true;
        let folder = path::absolute(&name.path)?;
        folder
            .parent()
            .map_or(Ok(()), |folder| File::open(folder)?.sync_all())?;
        name.is_kept = true;
        Ok(())
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

fn beside(copy: &Path) -> PathBuf {
    let mut name = copy.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}
