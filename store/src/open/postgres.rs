//! Opens PostgreSQL, which replicas share. Time limits are set here, so that a replica that hangs or loses its
//! connection cannot hold locks that the others wait for.

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbErr, Statement, TransactionOptions, TransactionTrait,
};

use crate::{
    Migrate, Options, Store,
    error::OpenError,
    open::{
        is_complete, migrate, other,
        pools::{Inner, close},
        refuse_newer,
    },
    sql::{classify::connecting, session::Session},
};

mod checks;
mod probe;
mod source;

pub use probe::{Capabilities, Capability};
pub(crate) use source::Source;

/// Two replicas that start at the same time must not migrate at the same time. Any number will do.
const MIGRATION_LOCK: i64 = 0x0074_6964_6567_6174;

/// A setting, the value that is wanted, and others that will do.
type Setting = (&'static str, &'static str, &'static [&'static str]);

/// What every session must report once it is set up.
const SETTINGS: [Setting; 6] = [
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
    // Whoever waited for a row sees it as it is then, and does not have to begin again.
    ("transaction_isolation", "read committed", &[]),
];

/// What those of the service must report, too.
const LIMITS: [Setting; 6] = [
    ("lock_timeout", "2s", &[]),
    ("statement_timeout", "5s", &[]),
    ("idle_in_transaction_session_timeout", "4s", &[]),
    // A plan that looks expensive is not compiled while its locks are held: that takes longer than all else.
    ("jit", "off", &[]),
    // Nearly everything is found by keys, and the planner is not to think otherwise: see `sql::session`.
    ("enable_seqscan", "off", &[]),
    // Starting other processes takes longer than what they would do here.
    ("max_parallel_workers_per_gather", "0", &[]),
];

pub(crate) async fn open(url: &str, name: &str, options: &Options) -> Result<Store, OpenError> {
    let source = Source::new(url, options);
    let failed = |error| other(name, &connecting(error));
    let own = probe::sessions(&source).await.map_err(failed)?;
    if own.is_some_and(|own| own.are_shared) {
        return Err(OpenError::SharedSessions {
            database: name.to_owned(),
            advice: match source.is_pooled() {
                true => "--database-direct-url must name PostgreSQL itself",
                false => "say --database-pooling transaction, or name PostgreSQL itself",
            },
        });
    }
    let administration = source.administration().await.map_err(failed)?;
    if let Some(administration) = &administration {
        let prepared = prepare(administration, name, options.migrate).await;
        close(administration).await;
        prepared?;
    }
    let pool = source.service().await.map_err(failed)?;
    let version = if source.is_pooled() {
        let session = Session::begin(&pool, Some(&source)).await;
        let session = session.map_err(|error| other(name, &error))?;
        let version = examine(&session, name).await?;
        check(&session, name, &LIMITS).await?;
        if administration.is_none() {
            compare(&session, name, options.migrate).await?;
        }
        version
    } else {
        let version = examine(&pool, name).await?;
        check(&pool, name, &LIMITS).await?;
        version
    };
    let capabilities = probe::capabilities(&source, &pool, own, version).await;
    Ok(Store::new(Inner::postgres(pool, source, capabilities)))
}

/// Looks whether the schema is this version's where it cannot be changed.
async fn compare<C: ConnectionTrait>(db: &C, name: &str, how: Migrate) -> Result<(), OpenError> {
    refuse_newer(db, name).await?;
    match (how, is_complete(db, name).await) {
        (Migrate::Off, _) => Ok(()),
        (Migrate::Auto, Err(OpenError::OlderSchema { .. })) => {
            let cause = "migrations need a session of their own; --database-direct-url names it";
            let error = DbErr::Migration(cause.to_owned());
            Err(other(name, &error))
        }
        (_, complete) => complete,
    }
}

pub(crate) async fn reader(
    url: &str,
    name: &str,
    options: &Options,
) -> Result<DatabaseConnection, OpenError> {
    let source = Source::new(url, options);
    let failed = |error| other(name, &connecting(error));
    let pool = source.administration().await.map_err(failed)?;
    pool.ok_or_else(|| {
        let cause =
            "an audit or an export needs a session of its own; --database-direct-url names it";
        other(name, &DbErr::Custom(cause.to_owned()))
    })
}

/// Brings the schema up to date, one replica at a time.
async fn prepare(pool: &DatabaseConnection, name: &str, how: Migrate) -> Result<(), OpenError> {
    examine(pool, name).await?;
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

/// Refuses a PostgreSQL that takes no changes, or whose settings break promises; answers its version.
async fn examine<C: ConnectionTrait>(db: &C, name: &str) -> Result<String, OpenError> {
    const KIND: &str =
        "SELECT current_setting('server_version'), current_setting('transaction_read_only')";
    let [version, reads_only] = texts(db, name, KIND).await?;
    if reads_only == "on" {
        let [is_standby] = texts(db, name, "SELECT pg_is_in_recovery()::text").await?;
        return Err(OpenError::ReadOnly {
            database: name.to_owned(),
            cause: match is_standby.as_str() {
                "true" => "it is a standby; name the primary",
                _ => "default_transaction_read_only is on for the server, the database or the role",
            },
        });
    }
    check(db, name, &SETTINGS).await?;
    Ok(version)
}

/// Reads back what the design leans on, whoever has set it: the server, the database or the role.
async fn check<C: ConnectionTrait, const N: usize>(
    db: &C,
    name: &str,
    settings: &[Setting; N],
) -> Result<(), OpenError> {
    let columns = settings.map(|(setting, ..)| format!("current_setting('{setting}')"));
    let sql = format!("SELECT {}", columns.join(", "));
    let values: [String; N] = texts(db, name, &sql).await?;
    for ((setting, wanted, allowed), found) in settings.iter().copied().zip(values) {
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

/// The columns of the one row that `sql` asks for.
async fn texts<C: ConnectionTrait, const N: usize>(
    db: &C,
    name: &str,
    sql: &str,
) -> Result<[String; N], OpenError> {
    let failed = |error: DbErr| other(name, &error);
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let row = db.query_one_raw(statement).await.map_err(failed)?;
    let row = row.ok_or_else(|| failed(DbErr::RecordNotFound(sql.to_owned())))?;
    let mut texts = std::array::from_fn(|_| String::new());
    for (column, text) in texts.iter_mut().enumerate() {
        *text = row.try_get_by_index(column).map_err(failed)?;
    }
    Ok(texts)
}
