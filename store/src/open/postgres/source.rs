//! Makes connections to one PostgreSQL, again whenever new ones are needed: what its URL refers to, such as a file with
//! the password, is read each time.

use std::{
    fs, io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use sea_orm::{
    DatabaseConnection, SqlxError, SqlxPostgresConnector,
    sqlx::{
        Connection as _, Executor as _, Row as _,
        pool::PoolConnectionMetadata,
        postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions},
    },
};

use crate::{Options, Pooling};

const CONNECTIONS: u32 = 10;
/// Longest wait for a sign of life on an idle connection.
const PROBE: Duration = Duration::from_secs(1);
/// Longest wait for the first connections of a server that starts.
pub(super) const START: Duration = Duration::from_secs(5);
/// Age at which a session that may only read is closed: its address may lead to a server that takes changes by now.
const READ_ONLY: Duration = Duration::from_secs(1);

/// What a session is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// Calls and what runs beside them.
    Service,
    /// Migrations and audits, which may take long.
    Administration,
}

/// Where connections come from. Not shown: a URL may hold a password.
pub(crate) struct Source {
    url: String,
    /// PostgreSQL's own address, if `url` is that of a pooler.
    direct_url: Option<String>,
    pooling: Pooling,
    password_file: Option<PathBuf>,
    acquire_timeout: Duration,
    silent: Arc<AtomicBool>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Source").finish_non_exhaustive()
    }
}

impl Source {
    pub(crate) fn new(url: &str, options: &Options) -> Self {
        Self {
            url: url.to_owned(),
            direct_url: options.direct_url.clone(),
            pooling: options.pooling,
            password_file: options.password_file.clone(),
            acquire_timeout: options.acquire_timeout,
            silent: Arc::default(),
        }
    }

    /// Connections for the service, the first of which is made at once.
    pub(crate) async fn service(&self) -> Result<DatabaseConnection, SqlxError> {
        let pool = self.pool(Purpose::Service);
        let pool = first(pool, self.options(&self.url)?).await?;
        Ok(SqlxPostgresConnector::from_sqlx_postgres_pool(pool))
    }

    /// Connections for migrations and audits; `None` where there are only sessions that others share.
    pub(crate) async fn administration(&self) -> Result<Option<DatabaseConnection>, SqlxError> {
        let Some(options) = self.direct() else {
            return Ok(None);
        };
        let pool = first(self.pool(Purpose::Administration), options?).await?;
        Ok(Some(SqlxPostgresConnector::from_sqlx_postgres_pool(pool)))
    }

    /// How to get a session of one's own, if that can be had.
    pub(crate) fn direct(&self) -> Option<Result<PgConnectOptions, SqlxError>> {
        let url = self.direct_url.as_ref();
        url.map(|url| self.options(url)).or_else(|| self.own())
    }

    /// How to get a session that is not lent: to the address of the service, unless they are lent there.
    pub(super) fn own(&self) -> Option<Result<PgConnectOptions, SqlxError>> {
        let url = match self.pooling {
            Pooling::Session => &self.url,
            Pooling::Transaction => self.direct_url.as_ref()?,
        };
        Some(self.options(url))
    }

    /// Whether a session is ours for no longer than a transaction.
    pub(crate) fn is_pooled(&self) -> bool {
        self.pooling == Pooling::Transaction
    }

    /// Connections for the service, each made when it is needed.
    pub(crate) fn lazy(&self) -> Result<DatabaseConnection, SqlxError> {
        let pool = self
            .pool(Purpose::Service)
            .connect_lazy_with(self.options(&self.url)?);
        Ok(SqlxPostgresConnector::from_sqlx_postgres_pool(pool))
    }

    /// Whether an idle connection was silent since this was asked before.
    pub(crate) fn was_silent(&self) -> bool {
        self.silent.swap(false, Ordering::Relaxed)
    }

    fn options(&self, url: &str) -> Result<PgConnectOptions, SqlxError> {
        let options = url
            .parse::<PgConnectOptions>()?
            .application_name("tidegate")
            // Nothing is sent at the start of a session that a pooler would not know.
            .extra_float_digits(None);
        let Some(path) = &self.password_file else {
            return Ok(options);
        };
        let password = fs::read_to_string(path).map_err(|error| {
            let path = path.display();
            io::Error::new(
                error.kind(),
                format!("the password in {path} cannot be read: {error}"),
            )
        })?;
        Ok(options.password(password.trim_end_matches(['\r', '\n'])))
    }

    fn pool(&self, purpose: Purpose) -> PgPoolOptions {
        let is_pooled = self.is_pooled();
        let [acquired, released] = [&self.silent, &self.silent].map(Arc::clone);
        PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(self.acquire_timeout)
            .test_before_acquire(false)
            .after_connect(move |session, _| {
                Box::pin(async move {
                    if purpose == Purpose::Service && is_pooled {
                        return Ok(());
                    }
                    set_up(session, purpose).await
                })
            })
            .before_acquire(move |session, known| {
                let silent = Arc::clone(&acquired);
                Box::pin(async move { is_good(session, &known, &silent).await })
            })
            // What was given up is still to be answered. The driver would wait for that without a limit.
            .after_release(move |session, _| {
                let silent = Arc::clone(&released);
                Box::pin(async move { answered(session.flush(), &silent).await.map(|()| true) })
            })
    }
}

/// Sets the limits of a session of our own by statements: poolers refuse them at its start.
async fn set_up(session: &mut PgConnection, purpose: Purpose) -> Result<(), SqlxError> {
    // The last four are for the server's side: it ends sessions, and with them locks, of replicas that vanished.
    const SERVICE: &str = "SET lock_timeout = '2s'; SET statement_timeout = '5s'; \
         SET idle_in_transaction_session_timeout = '4s'; \
         SET default_transaction_isolation = 'read committed'; SET jit = off; \
         SET enable_seqscan = off; SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; \
         SET tcp_keepalives_count = 3; SET tcp_user_timeout = 10000";
    const ADMINISTRATION: &str = "SET client_min_messages = warning; SET lock_timeout = '10s'; SET statement_timeout = 0; \
         SET idle_in_transaction_session_timeout = 0; \
         SET default_transaction_isolation = 'read committed'";
    session
        .execute(match purpose {
            Purpose::Service => SERVICE,
            Purpose::Administration => ADMINISTRATION,
        })
        .await?;
    Ok(())
}

/// A pool with its first connection, which may take longer than later ones.
async fn first(pool: PgPoolOptions, options: PgConnectOptions) -> Result<PgPool, SqlxError> {
    let pool = pool.connect_lazy_with(options);
    let began = Instant::now();
    loop {
        match pool.acquire().await {
            Err(SqlxError::PoolTimedOut) if began.elapsed() < START => {}
            other => return other.map(|_| pool),
        }
    }
}

/// Whether an idle session may be used. A future that was dropped while it began a transaction leaves it open on the
/// server, where it would swallow the next borrower's writes: this ends it, and fails on a connection that is gone.
async fn is_good(
    session: &mut PgConnection,
    known: &PoolConnectionMetadata,
    silent: &AtomicBool,
) -> Result<bool, SqlxError> {
    let answer = session.fetch_one("BEGIN; ROLLBACK; SHOW transaction_read_only");
    let row = answered(answer, silent).await?;
    let may_write = row.try_get::<&str, _>(0)? == "off";
    Ok(may_write || known.age < READ_ONLY)
}

async fn answered<T>(
    answer: impl Future<Output = Result<T, SqlxError>>,
    silent: &AtomicBool,
) -> Result<T, SqlxError> {
    tokio::time::timeout(PROBE, answer)
        .await
        .unwrap_or_else(|_| {
            silent.store(true, Ordering::Relaxed);
            Err(io::Error::from(io::ErrorKind::TimedOut).into())
        })
}
