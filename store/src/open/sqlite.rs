//! Opens an SQLite file for one server: one connection that writes, a few that read, and settings that keep what was
//! acknowledged.

use std::{
    fs::OpenOptions,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, Statement,
    sqlx::{
        Connection as _,
        sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
    },
};

use crate::{
    Migrate, Options, Store,
    error::OpenError,
    event,
    open::{
        lock::{FileLock, private},
        migrate, other,
        pools::{Inner, Pools},
        recovery::Recovery,
        refuse_newer, rewrite,
    },
    sql::classify::{driver_error, sqlite_code},
};

/// Older ones can lose a write when a checkpoint meets a restart of the log.
const OLDEST: (&str, [u32; 3]) = ("3.51.3", [3, 51, 3]);

/// What every connection must report once it is open.
pub(crate) const SETTINGS: [(&str, &str); 7] = [
    ("journal_mode", "wal"),
    // FULL: an acknowledged commit survives a power cut.
    ("synchronous", "2"),
    ("foreign_keys", "1"),
    ("busy_timeout", "1000"),
    ("journal_size_limit", "67108864"),
    // A schema that somebody else prepared cannot call functions behind our back.
    ("trusted_schema", "0"),
    // A read error becomes an error of the statement instead of a signal that ends the process.
    ("mmap_size", "0"),
];

/// How long to wait for a lock that another program holds, so that a call is answered in time.
const BUSY: Duration = Duration::from_secs(1);

/// Rows that SQLite's thread reads before it waits for whoever asked: with few, the two threads wake each other all the time.
const ROWS: usize = 1_024;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Writer,
    Reader,
    /// Reads beside a server of another process, or a backup, and leaves every setting as it is.
    Auditor,
}

pub(crate) async fn open(path: &Path, create: bool, options: &Options) -> Result<Store, OpenError> {
    let database = path.display().to_string();
    let path = resolve(path, create, &database)?;
    // Nothing of the database is touched before the lock is ours.
    let lock = FileLock::acquire(&beside(&path))
        .map_err(|error| not_writable(&database, &error))?
        .ok_or_else(|| OpenError::Locked {
            database: database.clone(),
        })?;
    provide(&path, create).map_err(|error| not_writable(&database, &error))?;
    let refused = |error| refused(&database, &error);
    let writer = connect(&path, options, Role::Writer)
        .await
        .map_err(refused)?;
    if let Err(error) = prepare(&writer, &path, &database, options.migrate).await {
        // A database that is refused must be left as it was found, without the files of an open one beside it.
        _ = writer.close_by_ref().await;
        return Err(error);
    }
    let reader = connect(&path, options, Role::Reader)
        .await
        .map_err(refused)?;
    check(&reader, &database).await?;
    let head = match event::head(&writer).await {
        Ok(head) => Some(head),
        // Without a schema, which may be asked for, there is no log either.
        Err(_) if options.migrate == Migrate::Off => None,
        Err(error) => return Err(other(&database, &error.into_database())),
    };
    let recovery = Recovery::new(lock, path, database, options.clone(), head);
    Ok(Store::new(Inner::new(
        Pools { reader, writer },
        Some(recovery),
    )))
}

/// Opens a file that another process may be serving. SQLite lets any number of processes read beside the one that
/// writes; our lock file, which keeps out a second writer, is not touched.
pub(crate) async fn reader(path: &Path) -> Result<(DatabaseConnection, String), OpenError> {
    let database = path.display().to_string();
    let path = resolve(path, false, &database).map_err(|error| match error {
        OpenError::Missing { database } => OpenError::NothingToRead { database },
        other => other,
    })?;
    let options = Options {
        readers: 1,
        ..Options::default()
    };
    let pool = connect(&path, &options, Role::Auditor).await;
    let pool = pool.map_err(|error| refused(&database, &error))?;
    Ok((pool, database))
}

async fn prepare(
    writer: &DatabaseConnection,
    path: &Path,
    database: &str,
    how: Migrate,
) -> Result<(), OpenError> {
    check(writer, database).await?;
    refuse_newer(writer, database).await?;
    // An earlier process may have ended because of a disk that failed: see `recovery`.
    let refused = |error| refused(database, &error);
    rewrite::log(writer, path).await.map_err(refused)?;
    rewrite::move_into_database(writer).await.map_err(refused)?;
    migrate(writer, database, how).await
}

/// The file's one true name, so that links to it share a lock.
fn resolve(path: &Path, create: bool, database: &str) -> Result<PathBuf, OpenError> {
    match path.canonicalize() {
        Ok(path) if path.is_dir() => {
            let error = io::Error::from(io::ErrorKind::IsADirectory);
            return Err(not_writable(database, &error));
        }
        Ok(path) => return Ok(path),
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(not_writable(database, &error));
        }
        Err(_) => {}
    }
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let missing = |_| OpenError::DirectoryMissing {
        database: database.to_owned(),
        directory: parent.display().to_string(),
    };
    let parent = parent.canonicalize().map_err(missing)?;
    match path.file_name() {
        Some(name) if create => Ok(parent.join(name)),
        _ => Err(OpenError::Missing {
            database: database.to_owned(),
        }),
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

/// Creates a missing file, readable for its owner alone, and finds out early whether it can be written: SQLite would
/// open it for reading and complain at the first write.
fn provide(path: &Path, create: bool) -> io::Result<()> {
    private(OpenOptions::new().read(true).write(true).create(create))
        .open(path)
        .map(drop)
}

pub(crate) async fn connect(
    path: &Path,
    options: &Options,
    role: Role,
) -> Result<DatabaseConnection, DbErr> {
    // The name is set below, where it needs no escapes.
    let mut connect = ConnectOptions::new("sqlite://");
    let path = path.to_owned();
    connect
        .max_connections(if role == Role::Writer {
            1
        } else {
            options.readers.max(1)
        })
        .min_connections(1)
        .acquire_timeout(options.acquire_timeout)
        // A connection to a file does not go stale, and its statement cache is worth keeping.
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .record_stmt_in_spans(false)
        // The driver's own defaults, which tell of statements when they are asked to.
        .map_sqlx_sqlite_opts(move |_| settings(SqliteConnectOptions::new().filename(&path), role));
    if role == Role::Writer {
        // The driver would make a savepoint of a transaction within one that it believes open.
        connect.map_sqlx_sqlite_before_acquire(|connection, _| {
            let is_free = !connection.is_in_transaction();
            Box::pin(async move { Ok(is_free) })
        });
    }
    Database::connect(connect).await
}

fn settings(options: SqliteConnectOptions, role: Role) -> SqliteConnectOptions {
    let options = options
        .read_only(role != Role::Writer)
        .busy_timeout(BUSY)
        .row_buffer_size(ROWS)
        .pragma("trusted_schema", "OFF")
        .pragma("mmap_size", "0");
    if role == Role::Auditor {
        return options;
    }
    options
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .pragma("journal_size_limit", "67108864")
}

pub(crate) async fn check(pool: &DatabaseConnection, database: &str) -> Result<(), OpenError> {
    let found = read(pool, "SELECT sqlite_version()", database)
        .await?
        .unwrap_or_default();
    let numbers = found.split('.').map(|part| part.parse().unwrap_or(0));
    if numbers.lt(OLDEST.1) {
        return Err(OpenError::SqliteTooOld {
            found,
            wanted: OLDEST.0,
        });
    }
    for (setting, wanted) in SETTINGS {
        // A library that was built without memory maps has no such setting.
        let found = read(pool, &format!("PRAGMA {setting}"), database).await?;
        let found = found.unwrap_or_else(|| "0".to_owned());
        if found != wanted {
            let database = database.to_owned();
            return Err(OpenError::Setting {
                database,
                setting,
                wanted,
                found,
            });
        }
    }
    Ok(())
}

/// The first value of the first row as text.
pub(crate) async fn read(
    pool: &DatabaseConnection,
    sql: &str,
    database: &str,
) -> Result<Option<String>, OpenError> {
    let row = pool
        .query_one_raw(Statement::from_string(DbBackend::Sqlite, sql))
        .await
        .map_err(|error| refused(database, &error))?;
    let Some(row) = row else { return Ok(None) };
    let text = row.try_get_by_index::<String>(0).or_else(|_| {
        row.try_get_by_index::<i64>(0)
            .map(|number| number.to_string())
    });
    text.map(Some).map_err(|error| other(database, &error))
}

fn refused(database: &str, error: &DbErr) -> OpenError {
    let driver = driver_error(error);
    match driver.and_then(sqlite_code) {
        // READONLY, CANTOPEN.
        Some(8 | 14) => OpenError::NotWritable {
            database: database.to_owned(),
            cause: driver.map(ToString::to_string).unwrap_or_default(),
        },
        // NOTADB.
        Some(26) => OpenError::NotADatabase {
            database: database.to_owned(),
        },
        _ => other(database, error),
    }
}

fn not_writable(database: &str, error: &io::Error) -> OpenError {
    OpenError::NotWritable {
        database: database.to_owned(),
        cause: error.to_string(),
    }
}
