//! A copy of a ledger in an SQLite file as of one moment, beside whoever writes it.

use std::{
    io,
    path::{self, Path},
};

use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend, Statement};

use crate::{
    NewFile,
    error::BackupError,
    open::{
        self,
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
    let file = NewFile::create(copy).map_err(refused)?;
    // A name that begins with a slash is no URI.
    let place = path::absolute(file.part()).map_err(refused)?;
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
    file.keep().map_err(refused)
}
