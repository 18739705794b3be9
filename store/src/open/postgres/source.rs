//! Makes connections to one PostgreSQL, again whenever new ones are needed: what its URL refers to, such as a file with
//! the password, is read each time.

use std::{
    fs, io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use sea_orm::{
    ConnAcquireErr, DatabaseConnection, DbErr, SqlxError, SqlxPostgresConnector,
    sqlx::{
        AssertSqlSafe, Executor as _, Postgres, SqlSafeStr as _, Transaction,
        postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions},
    },
};

use tokio::time::timeout;

use super::checks::Checks;
use crate::{
    Options, Pooling,
    sql::classify::{failed, is_lost},
};

const CONNECTIONS: u32 = 10;
/// Longest wait for the first connections of a server that starts.
pub(super) const START: Duration = Duration::from_secs(5);

/// Longest wait for the beginning of a transaction. A session that answers later is looked at before it is lent.
const BEGIN: Duration = Duration::from_secs(5);

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
    checks: Arc<Checks>,
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
            checks: Arc::default(),
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
        self.checks.was_silent()
    }

    /// A session was no good: others are looked at before they are used.
    pub(crate) fn doubt(&self) {
        self.checks.doubt();
    }

    /// Begins a transaction on the next session, or on another one if that is gone.
    pub(crate) async fn begin(
        &self,
        pool: &DatabaseConnection,
        begin: &str,
    ) -> Result<Transaction<'static, Postgres>, DbErr> {
        match self.begin_once(pool, begin.to_owned()).await? {
            Err(error) if is_lost(&error) => self.begin_once(pool, begin.to_owned()).await?,
            begun => begun,
        }
    }

    /// The driver forgets a transaction whose beginning is dropped, and whoever is lent the session next would write into
    /// it: so it begins in any case, and is rolled back when nobody waits for it any more.
    ///
    /// The outer error is about getting a session.
    async fn begin_once(
        &self,
        pool: &DatabaseConnection,
        begin: String,
    ) -> Result<Result<Transaction<'static, Postgres>, DbErr>, DbErr> {
        let pool = pool.get_postgres_connection_pool();
        let session = pool.acquire().await.map_err(|error| match error {
            SqlxError::PoolTimedOut => DbErr::ConnectionAcquire(ConnAcquireErr::Timeout),
            SqlxError::PoolClosed => DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed),
            other => failed(other),
        })?;
        let checks = Arc::clone(&self.checks);
        let begun = tokio::spawn(async move {
            let begin = AssertSqlSafe(begin).into_sql_str();
            let begun = timeout(BEGIN, Transaction::begin(session, Some(begin))).await;
            let late = |_| Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout));
            let begun = begun.map_or_else(late, |begun| begun.map_err(failed));
            begun.inspect_err(|_| checks.doubt())
        });
        let begun = begun.await;
        begun.map_err(|error| failed(io::Error::from(error).into()))
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
        let [acquired, released] = [&self.checks, &self.checks].map(Arc::clone);
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
                let checks = Arc::clone(&acquired);
                Box::pin(async move { checks.may_be_lent(session, &known).await })
            })
            .after_release(move |session, _| {
                let checks = Arc::clone(&released);
                Box::pin(async move { checks.flush(session).await })
            })
    }
}

/// Sets the limits of a session of our own by statements: poolers refuse them at its start.
async fn set_up(session: &mut PgConnection, purpose: Purpose) -> Result<(), SqlxError> {
    // The last four are for the server's side: it ends sessions, and with them locks, of replicas that vanished.
    const SERVICE: &str = "SET lock_timeout = '2s'; SET statement_timeout = '5s'; \
         SET idle_in_transaction_session_timeout = '4s'; \
         SET default_transaction_isolation = 'read committed'; SET jit = off; \
         SET enable_seqscan = off; SET max_parallel_workers_per_gather = 0; \
         SET plan_cache_mode = force_generic_plan; SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; \
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
