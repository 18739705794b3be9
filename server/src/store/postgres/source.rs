//! Makes connections to one PostgreSQL, again whenever new ones are needed: what its URL refers to, such as a file with
//! the password, is read each time.

use std::{
    fs, io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sea_orm::{
    DatabaseConnection, SqlxError, SqlxPostgresConnector,
    sqlx::{
        ConnectOptions as _, Connection as _, Executor as _, Row as _,
        pool::PoolConnectionMetadata,
        postgres::{PgConnectOptions, PgConnection, PgPoolOptions},
    },
};

use super::super::Options;

const CONNECTIONS: u32 = 10;
/// Longest wait for a sign of life on an idle connection.
const PROBE: Duration = Duration::from_secs(1);
/// Age at which a session that may only read is closed: its address may lead to a server that takes changes by now.
const READ_ONLY: Duration = Duration::from_secs(1);

/// What a session is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Purpose {
    /// Calls and what runs beside them.
    Service,
    /// Migrations and audits, which may take long.
    Administration,
}

/// Where connections come from. Not shown: a URL may hold a password.
pub(in super::super) struct Source {
    url: String,
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
    pub(in super::super) fn new(url: &str, options: &Options) -> Self {
        Self {
            url: url.to_owned(),
            password_file: options.password_file.clone(),
            acquire_timeout: options.acquire_timeout,
            silent: Arc::default(),
        }
    }

    /// Connections, the first of which is made at once.
    pub(in super::super) async fn connect(
        &self,
        purpose: Purpose,
    ) -> Result<DatabaseConnection, SqlxError> {
        let pool = self.pool(purpose).connect_with(self.options()?).await?;
        Ok(SqlxPostgresConnector::from_sqlx_postgres_pool(pool))
    }

    /// Connections for the service, each made when it is needed.
    pub(in super::super) fn lazy(&self) -> Result<DatabaseConnection, SqlxError> {
        let pool = self
            .pool(Purpose::Service)
            .connect_lazy_with(self.options()?);
        Ok(SqlxPostgresConnector::from_sqlx_postgres_pool(pool))
    }

    /// Whether an idle connection was silent since this was asked before.
    pub(in super::super) fn was_silent(&self) -> bool {
        self.silent.swap(false, Ordering::Relaxed)
    }

    fn options(&self) -> Result<PgConnectOptions, SqlxError> {
        let options = self
            .url
            .parse::<PgConnectOptions>()?
            .application_name("tidegate")
            // Nothing is sent at the start of a session that a pooler would not know.
            .extra_float_digits(None)
            .disable_statement_logging();
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
        let [acquired, released] = [&self.silent, &self.silent].map(Arc::clone);
        PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(self.acquire_timeout)
            .test_before_acquire(false)
            .after_connect(move |session, _| Box::pin(set_up(session, purpose)))
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

/// Sets the limits of a session by statements: poolers refuse them at its start.
async fn set_up(session: &mut PgConnection, purpose: Purpose) -> Result<(), SqlxError> {
    // The last four are for the server's side: it ends sessions, and with them locks, of replicas that vanished.
    const SERVICE: &str = "SET lock_timeout = '2s'; SET statement_timeout = '5s'; \
         SET idle_in_transaction_session_timeout = '10s'; \
         SET default_transaction_isolation = 'read committed'; \
         SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; \
         SET tcp_keepalives_count = 3; SET tcp_user_timeout = 10000";
    const ADMINISTRATION: &str = "SET lock_timeout = '10s'; SET statement_timeout = 0; \
         SET idle_in_transaction_session_timeout = 0; \
         SET default_transaction_isolation = 'read committed'";
    session
        .execute(match purpose {
            Purpose::Service => SERVICE,
            Purpose::Administration => ADMINISTRATION,
        })
        .await?;
    #[cfg(feature = "planted-bugs")]
    if crate::planted::is(crate::planted::Bug::Unsynced) {
        session.execute("SET synchronous_commit = off").await?;
    }
    Ok(())
}

/// Whether an idle session may be used. A future that was dropped while it began a transaction leaves it open on the
/// server, where it would swallow the next borrower's writes: this ends it, and fails on a connection that is gone (P20).
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
