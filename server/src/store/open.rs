//! Opens the database: from the URL to a store whose settings are checked and whose schema is up to date.

use std::collections::BTreeSet;

use sea_orm::{DatabaseConnection, DbErr, EntityTrait};
use sea_orm_migration::{MigratorTrait, SchemaManager, seaql_migrations};
use tidegate_migration::Migrator;

use super::{
    Migrate, Options, Store,
    error::OpenError,
    postgres, sqlite,
    target::{self, Target},
};

pub(super) async fn open(url: &str, options: &Options) -> Result<Store, OpenError> {
    match target::parse(url)? {
        Target::Sqlite { path, create } => sqlite::open(&path, create, options).await,
        Target::Postgres { url, name } => postgres::open(&url, &name, options).await,
    }
}

/// Connections that only read, whoever else has the database open, and its name for messages.
pub(super) async fn reader(
    url: &str,
    options: &Options,
) -> Result<(DatabaseConnection, String), OpenError> {
    match target::parse(url)? {
        Target::Sqlite { path, .. } => sqlite::reader(&path).await,
        Target::Postgres { url, name } => Ok((postgres::reader(&url, &name, options).await?, name)),
    }
}

/// Refuses a schema that this version does not know, and changes nothing in doing so.
pub(super) async fn refuse_newer(
    pool: &DatabaseConnection,
    database: &str,
) -> Result<(), OpenError> {
    let applied = applied(pool)
        .await
        .map_err(|error| other(database, &error))?;
    let migrations = Migrator::migrations();
    let known: BTreeSet<_> = migrations
        .iter()
        .map(|migration| migration.name())
        .collect();
    match applied
        .into_iter()
        .find(|version| !known.contains(version.as_str()))
    {
        None => Ok(()),
        Some(migration) => Err(OpenError::NewerSchema {
            database: database.to_owned(),
            migration,
        }),
    }
}

/// Brings the schema up to date, or refuses one that is not, or leaves it be.
pub(super) async fn migrate(
    pool: &DatabaseConnection,
    database: &str,
    how: Migrate,
) -> Result<(), OpenError> {
    match how {
        Migrate::Auto => {
            #[cfg(feature = "failpoints")]
            {
                let first = Migrator::up(pool, Some(1)).await;
                first.map_err(|error| other(database, &error))?;
                crate::failpoint::pass("mid-migration");
            }
            Migrator::up(pool, None)
                .await
                .map_err(|error| other(database, &error))
        }
        Migrate::Check => {
            let applied = applied(pool)
                .await
                .map_err(|error| other(database, &error))?;
            let count = Migrator::migrations().len() - applied.len();
            if count == 0 {
                return Ok(());
            }
            Err(OpenError::OlderSchema {
                database: database.to_owned(),
                count,
            })
        }
        Migrate::Off => Ok(()),
    }
}

pub(super) fn other(database: &str, error: &DbErr) -> OpenError {
    OpenError::Other {
        database: database.to_owned(),
        cause: error.to_string(),
    }
}

async fn applied(pool: &DatabaseConnection) -> Result<BTreeSet<String>, DbErr> {
    let table = Migrator::migration_table_name().to_string();
    if !SchemaManager::new(pool).has_table(table).await? {
        return Ok(BTreeSet::new());
    }
    let rows = seaql_migrations::Entity::find().all(pool).await?;
    Ok(rows.into_iter().map(|row| row.version).collect())
}
