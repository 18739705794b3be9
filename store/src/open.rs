//! Opens the database: from the URL to a store whose settings are checked and whose schema is up to date.

use std::{collections::BTreeSet, future::poll_fn, pin::pin, time::Instant};

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, EntityTrait, Statement};
use sea_orm_migration::{MigratorTrait, seaql_migrations};
use tidegate_migration::Migrator;

use self::target::Target;
use crate::{Migrate, Options, Store, error::OpenError, failpoint};

pub(crate) mod lock;
pub(crate) mod options;
pub(crate) mod pools;
pub(crate) mod postgres;
pub(crate) mod recovery;
pub(crate) mod rewrite;
pub(crate) mod sqlite;
pub(crate) mod target;

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
pub(super) async fn refuse_newer<C: ConnectionTrait>(
    db: &C,
    database: &str,
) -> Result<(), OpenError> {
    let applied = applied(db).await.map_err(|error| other(database, &error))?;
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
        Migrate::Auto => apply(pool).await.map_err(|error| other(database, &error)),
        Migrate::Check => is_complete(pool, database).await,
        Migrate::Off => Ok(()),
    }
}

/// The version of the schema that this version works with: its newest migration.
pub fn schema() -> String {
    let migrations = Migrator::migrations();
    let newest = migrations.last().map(|newest| newest.name().to_owned());
    newest.unwrap_or_default()
}

pub(super) fn other(database: &str, error: &DbErr) -> OpenError {
    OpenError::Other {
        database: database.to_owned(),
        cause: error.to_string(),
    }
}

/// Applies what is missing and says how far it is: on a large ledger it takes its time.
async fn apply(pool: &DatabaseConnection) -> Result<(), DbErr> {
    let missing = Migrator::get_pending_migrations(pool).await?;
    for (number, migration) in (1..).zip(&missing) {
        let (name, of) = (migration.name(), missing.len());
        tracing::info!(migration = name, number, of, "migrating");
        let began = Instant::now();
        let mut up = pin!(Migrator::up(pool, Some(1)));
        poll_fn(|context| {
            failpoint::pass("mid-migration");
            up.as_mut().poll(context)
        })
        .await?;
        let seconds = began.elapsed().as_secs_f64();
        tracing::info!(migration = name, number, of, seconds, "migrated");
    }
    Ok(())
}

/// Refuses a schema that lacks migrations of this version.
pub(super) async fn is_complete<C: ConnectionTrait>(
    db: &C,
    database: &str,
) -> Result<(), OpenError> {
    let applied = applied(db).await.map_err(|error| other(database, &error))?;
    let count = Migrator::migrations().len().saturating_sub(applied.len());
    if count == 0 {
        return Ok(());
    }
    Err(OpenError::OlderSchema {
        database: database.to_owned(),
        count,
    })
}

async fn applied<C: ConnectionTrait>(db: &C) -> Result<BTreeSet<String>, DbErr> {
    let table = Migrator::migration_table_name().to_string();
    let backend = db.get_database_backend();
    let sql = match backend {
        DbBackend::Postgres => format!("SELECT 1 WHERE to_regclass('{table}') IS NOT NULL"),
        _ => format!("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = '{table}'"),
    };
    let is_there = db.query_one_raw(Statement::from_string(backend, sql));
    if is_there.await?.is_none() {
        return Ok(BTreeSet::new());
    }
    let rows = seaql_migrations::Entity::find().all(db).await?;
    Ok(rows.into_iter().map(|row| row.version).collect())
}
