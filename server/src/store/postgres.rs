//! Opens PostgreSQL, which replicas share. Time limits are set here, so that a replica that hangs or loses its
//! connection cannot hold locks that the others wait for.

use std::sync::Arc;

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr, TransactionOptions,
    TransactionTrait,
    sqlx::{Executor, postgres::PgConnectOptions},
};

use super::{
    Inner, Options, Pools, Store,
    error::OpenError,
    open::{migrate, other, refuse_newer},
};

const CONNECTIONS: u32 = 10;

/// Two replicas that start at the same time must not migrate at the same time. Any number will do.
const MIGRATION_LOCK: i64 = 0x0074_6964_6567_6174;

pub(super) async fn open(url: &str, name: &str, options: &Options) -> Result<Store, OpenError> {
    let pool = connect(url, options)
        .await
        .map_err(|error| other(name, &error))?;
    let lock = pool
        .begin_with_options(TransactionOptions::default())
        .await
        .map_err(|error| other(name, &error))?;
    let wait = format!(
        "SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = '60s'; \
         SET LOCAL idle_in_transaction_session_timeout = 0; \
         SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"
    );
    lock.execute_unprepared(&wait)
        .await
        .map_err(|error| other(name, &error))?;
    refuse_newer(&pool, name).await?;
    migrate(&pool, name, options.migrate).await?;
    lock.commit().await.map_err(|error| other(name, &error))?;
    let pools = Pools {
        reader: pool.clone(),
        writer: pool,
    };
    Ok(Store {
        inner: Arc::new(Inner::new(pools, None)),
    })
}

pub(super) async fn reader(url: &str, name: &str) -> Result<DatabaseConnection, OpenError> {
    let pool = connect(url, &Options::default()).await;
    pool.map_err(|error| other(name, &error))
}

async fn connect(url: &str, options: &Options) -> Result<DatabaseConnection, DbErr> {
    let mut connect = ConnectOptions::new(url);
    connect
        .max_connections(CONNECTIONS)
        .acquire_timeout(options.acquire_timeout)
        .test_before_acquire(false)
        .sqlx_logging(false)
        .record_stmt_in_spans(false)
        .map_sqlx_postgres_opts(limits)
        // A future that was dropped while it began a transaction leaves it open on the server, where it would swallow
        // the next borrower's writes. This ends it, and fails on a connection that is gone (P20).
        .map_sqlx_postgres_before_acquire(|connection, _| {
            Box::pin(async move { connection.execute("BEGIN; ROLLBACK").await.map(|_| true) })
        });
    Database::connect(connect).await
}

fn limits(options: PgConnectOptions) -> PgConnectOptions {
    #[cfg(feature = "planted-bugs")]
    let options = if crate::planted::is(crate::planted::Bug::Unsynced) {
        options.options([("synchronous_commit", "off")])
    } else {
        options
    };
    options.application_name("tidegate").options([
        ("lock_timeout", "2s"),
        ("statement_timeout", "5s"),
        ("idle_in_transaction_session_timeout", "10s"),
    ])
}
