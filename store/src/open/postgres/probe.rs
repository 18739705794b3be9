//! Finds out what PostgreSQL, and whatever stands before it, can do for us: by doing it, since poolers answer as if they
//! could.

use std::{fmt, time::Duration};

use sea_orm::{
    DatabaseConnection, SqlxError,
    sqlx::{
        self, Executor as _, Row as _,
        postgres::{PgConnectOptions, PgConnection, PgPoolOptions},
    },
};
use tokio::time::timeout;

use super::{Source, source::START};
use crate::notify;

/// Longest wait for all that two sessions are asked.
const PATIENCE: Duration = Duration::from_secs(15);
/// Longest wait for a notification to come back.
const ECHO: Duration = Duration::from_secs(2);
/// Taken for no longer than the probe; any number but that of the migrations will do.
const LOCK: &str = "SELECT pg_try_advisory_xact_lock(32762680938652005)::text";

/// Whether PostgreSQL can do something for a server, as it was found when it was opened. Shown as `yes`, or `no` with what
/// follows from that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability(Option<&'static str>);

impl Capability {
    const fn new(is_there: bool, otherwise: &'static str) -> Self {
        Self(if is_there { None } else { Some(otherwise) })
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => formatter.write_str("yes"),
            Some(otherwise) => write!(formatter, "no: {otherwise}"),
        }
    }
}

/// What PostgreSQL, and a pooler before it, can do for a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// PostgreSQL's version, in its own words.
    pub version: String,
    /// A notification that is sent on one connection is heard on another.
    pub listen: Capability,
    /// A lock of one session keeps another one away.
    pub advisory_lock: Capability,
    /// A session keeps the statements that were prepared in it.
    pub prepared_statements: Capability,
}

impl fmt::Display for Capabilities {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "database: PostgreSQL {}", self.version)?;
        writeln!(formatter, "listen: {}", self.listen)?;
        writeln!(formatter, "advisory_lock: {}", self.advisory_lock)?;
        write!(
            formatter,
            "prepared_statements: {}",
            self.prepared_statements
        )
    }
}

/// What was found on two sessions that were open at once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sessions {
    /// One process of the server served both.
    pub(super) are_shared: bool,
    have_locks: bool,
    keep_statements: bool,
}

/// Asks two sessions; `None` where there are only those that others use, too.
pub(super) async fn sessions(source: &Source) -> Result<Option<Sessions>, SqlxError> {
    let Some(options) = source.own() else {
        return Ok(None);
    };
    let found = timeout(PATIENCE, ask(options?)).await;
    found.unwrap_or(Err(SqlxError::PoolTimedOut)).map(Some)
}

async fn ask(options: PgConnectOptions) -> Result<Sessions, SqlxError> {
    let pool = PgPoolOptions::new()
        .max_connections(2)
        .acquire_timeout(START)
        .test_before_acquire(false)
        .connect_with(options)
        .await?;
    let (mut one, mut other) = (pool.acquire().await?, pool.acquire().await?);
    let mut found = Sessions {
        are_shared: are_shared(&mut one, &mut other).await?,
        ..Sessions::default()
    };
    // In a shared session something would be left for others.
    if !found.are_shared {
        found.have_locks = have_locks(&mut one, &mut other).await?;
        found.keep_statements = keeps_statements(&mut one).await;
        one.close().await?;
        other.close().await?;
    }
    Ok(found)
}

/// Whether two sessions that are open at once are served by one process.
async fn are_shared(one: &mut PgConnection, other: &mut PgConnection) -> Result<bool, SqlxError> {
    for _ in 0..3 {
        let before = process(one).await?;
        other.execute("BEGIN").await?;
        let beside = process(other).await?;
        let after = process(one).await?;
        other.execute("ROLLBACK").await?;
        if before == beside || before != after {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Which process of the server answers.
async fn process(session: &mut PgConnection) -> Result<String, SqlxError> {
    let row = session.fetch_one("SELECT pg_backend_pid()::text").await?;
    row.try_get(0)
}

/// Whether a lock that one transaction holds is refused to another session. It may be refused to the first, too, while
/// another server probes: that shows the same.
async fn have_locks(one: &mut PgConnection, other: &mut PgConnection) -> Result<bool, SqlxError> {
    other.execute("BEGIN").await?;
    let first = lock(other).await;
    let second = lock(one).await;
    other.execute("ROLLBACK").await?;
    Ok(matches!(
        (first, second),
        (Ok(false), _) | (Ok(true), Ok(false))
    ))
}

/// Whether the lock was had; an error where there are no such locks.
async fn lock(session: &mut PgConnection) -> Result<bool, SqlxError> {
    let row = session.fetch_one(LOCK).await?;
    Ok(row.try_get::<&str, _>(0)? == "true")
}

async fn keeps_statements(session: &mut PgConnection) -> bool {
    for _ in 0..2 {
        let named = sqlx::query("SELECT 1").persistent(true);
        if session.execute(named).await.is_err() {
            return false;
        }
    }
    true
}

/// Whether a notification that is sent where the service writes is heard where it listens.
async fn is_heard(source: &Source, pool: &DatabaseConnection) -> bool {
    let heard = async {
        let mut listener = notify::listen(Some(source)).await.ok()??;
        notify::send(pool).await.ok()?;
        listener.next().await.ok()
    };
    timeout(ECHO, heard)
        .await
        .is_ok_and(|heard| heard.is_some())
}

/// What PostgreSQL of this version can do, going by what was found on sessions of our own. `pool` is the service's.
pub(super) async fn capabilities(
    source: &Source,
    pool: &DatabaseConnection,
    own: Option<Sessions>,
    version: String,
) -> Capabilities {
    let found = own.unwrap_or_default();
    let is_heard = own.is_some() && is_heard(source, pool).await;
    let keep_statements = found.keep_statements && !source.is_pooled();
    let [listen, advisory_lock] = match own {
        Some(_) => [UNHEARD, UNLOCKED],
        None => [UNDIRECTED, UNMIGRATED],
    };
    let prepared_statements = if source.is_pooled() { LENT } else { FORGOTTEN };
    Capabilities {
        version,
        listen: Capability::new(is_heard, listen),
        advisory_lock: Capability::new(found.have_locks, advisory_lock),
        prepared_statements: Capability::new(keep_statements, prepared_statements),
    }
}

const UNDIRECTED: &str = "changes of other replicas are seen by polling, within a second; \
     --database-direct-url names the address to listen on";
const UNHEARD: &str = "what is sent to --database-url is not heard on --database-direct-url, or where that is not set \
     on another connection; changes of other replicas are seen by polling, within a second";
const UNMIGRATED: &str =
    "this server cannot migrate; --database-direct-url names the address to migrate on";
const UNLOCKED: &str = "servers that start together would migrate together; run tidegate-server migrate alone, \
     and servers with --migrate check";
const LENT: &str =
    "sessions are lent for a transaction; statements are parsed and limits set in each";
const FORGOTTEN: &str = "statements will fail; --database-pooling transaction needs none";
