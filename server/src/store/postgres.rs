//! Opens PostgreSQL, which replicas share. Time limits are set here, so that a replica that hangs or loses its
//! connection cannot hold locks that the others wait for.

use std::sync::Arc;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbErr, Statement, TransactionOptions, TransactionTrait,
};

use super::{
    Migrate, Options, Store,
    classify::connecting,
    error::OpenError,
    open::{migrate, other, refuse_newer},
    pools::{Inner, close},
};

mod source;

pub(super) use source::{Purpose, Source};

/// Two replicas that start at the same time must not migrate at the same time. Any number will do.
const MIGRATION_LOCK: i64 = 0x0074_6964_6567_6174;

/// What every session must report once it is set up, and what else it may be.
const SETTINGS: [(&str, &str, &[&str]); 10] = [
    ("server_encoding", "UTF8", &[]),
    ("client_encoding", "UTF8", &[]),
    // An acknowledged commit survives a power cut.
    ("fsync", "on", &[]),
    ("full_page_writes", "on", &[]),
    (
        "synchronous_commit",
        "on",
        &["local", "remote_write", "remote_apply"],
    ),
    ("transaction_read_only", "off", &[]),
    // Whoever waited for a row sees it as it is then, and does not have to begin again.
    ("transaction_isolation", "read committed", &[]),
    ("lock_timeout", "2s", &[]),
    ("statement_timeout", "5s", &[]),
    ("idle_in_transaction_session_timeout", "10s", &[]),
];

pub(super) async fn open(url: &str, name: &str, options: &Options) -> Result<Store, OpenError> {
    let source = Source::new(url, options);
    let failed = |error| other(name, &connecting(error));
    let administration = source.connect(Purpose::Administration).await;
    let administration = administration.map_err(failed)?;
    let prepared = prepare(&administration, name, options.migrate).await;
    close(&administration).await;
    prepared?;
    let pool = source.connect(Purpose::Service).await.map_err(failed)?;
    check(&pool, name).await?;
    Ok(Store {
        inner: Arc::new(Inner::postgres(pool, source)),
    })
}

pub(super) async fn reader(
    url: &str,
    name: &str,
    options: &Options,
) -> Result<DatabaseConnection, OpenError> {
    let source = Source::new(url, options);
    let pool = source.connect(Purpose::Administration).await;
    pool.map_err(|error| other(name, &connecting(error)))
}

/// Brings the schema up to date, one replica at a time.
async fn prepare(pool: &DatabaseConnection, name: &str, how: Migrate) -> Result<(), OpenError> {
    let failed = |error: DbErr| other(name, &error);
    let lock = pool
        .begin_with_options(TransactionOptions::default())
        .await
        .map_err(failed)?;
    let wait =
        format!("SET LOCAL lock_timeout = 0; SELECT pg_advisory_xact_lock({MIGRATION_LOCK})");
    lock.execute_unprepared(&wait).await.map_err(failed)?;
    refuse_newer(pool, name).await?;
    migrate(pool, name, how).await?;
    lock.commit().await.map_err(failed)
}

/// Reads back what the design leans on, whoever has set it: the server, the database or the role.
async fn check(pool: &DatabaseConnection, name: &str) -> Result<(), OpenError> {
    let columns = SETTINGS.map(|(setting, ..)| format!("current_setting('{setting}')"));
    let sql = format!("SELECT {}", columns.join(", "));
    let statement = Statement::from_string(pool.get_database_backend(), sql);
    let failed = |error: DbErr| other(name, &error);
    let row = pool.query_one_raw(statement).await.map_err(failed)?;
    let row = row.ok_or_else(|| failed(DbErr::RecordNotFound("no settings".to_owned())))?;
    for (column, (setting, wanted, allowed)) in SETTINGS.into_iter().enumerate() {
        let found: String = row.try_get_by_index(column).map_err(failed)?;
        #[cfg(feature = "planted-bugs")]
        if setting == "synchronous_commit" && crate::planted::is(crate::planted::Bug::Unsynced) {
            continue;
        }
        if found != wanted && !allowed.contains(&found.as_str()) {
            return Err(OpenError::Setting {
                database: name.to_owned(),
                setting,
                wanted,
                found,
            });
        }
    }
    Ok(())
}
