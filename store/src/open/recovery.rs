//! Gives an SQLite connection up that an error has put in doubt, and trusts a new one only after it has proved itself.
//!
//! After a write or an fsync that failed, what the system shows of a file may not be what is on the disk, and SQLite
//! believes what it is shown. So all connections are closed, SQLite recovers the log of writes on a new one, what it
//! recovered is written and synced once more, and all of it is moved into the database before anything is acknowledged.

use std::{
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sea_orm::{DatabaseConnection, DbErr};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until, timeout},
};

use crate::{
    Options,
    error::{OpenError, StoreError},
    event,
    open::{
        lock::FileLock,
        pools::Inner,
        rewrite,
        sqlite::{self, Role},
    },
    sql::classify::{Trouble, trouble},
};
use tidegate_domain::chain::Head;

/// Pauses between two attempts: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// Time that connections have to end what they are doing.
const CLOSE: Duration = Duration::from_secs(1);
/// Time after which a database that cannot be recovered is given up, unless all that it lacks is room.
const PATIENCE: Duration = Duration::from_secs(30);

/// What cannot be trusted; the later ones include the earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Damage {
    /// The state of the connection that writes.
    Writer,
    /// The log of writes is recovered, but not yet moved into the database.
    Log,
    /// What the system shows of the files.
    Files,
}

/// How to open the file anew, and what is known about it.
#[derive(Debug)]
pub(crate) struct Recovery {
    pub(crate) lock: FileLock,
    path: PathBuf,
    database: String,
    options: Options,
    state: Mutex<State>,
    /// Held by whoever recovers.
    turn: tokio::sync::Mutex<()>,
    damaged: Notify,
}

#[derive(Debug)]
struct State {
    damage: Option<Damage>,
    cause: Option<DbErr>,
    /// Since when it could not be recovered, whatever room there is.
    broken_since: Option<Instant>,
    next: Instant,
    pause: Duration,
    /// The newest event that is known to be committed.
    head: Option<Head>,
    /// The newest event if the last commit, whose outcome nobody knows, has taken place.
    in_doubt: Option<Head>,
}

/// Why an attempt failed.
enum Failure {
    Database(DbErr),
    /// It is not what it was.
    Lost(String),
}

impl From<DbErr> for Failure {
    fn from(error: DbErr) -> Self {
        match trouble(&error) {
            Trouble::Corrupt => Self::Lost(error.to_string()),
            _ => Self::Database(error),
        }
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Other { cause, .. } | OpenError::NotWritable { cause, .. } => {
                Self::Database(DbErr::Custom(cause))
            }
            error => Self::Lost(error.to_string()),
        }
    }
}

impl Recovery {
    pub(crate) fn new(
        lock: FileLock,
        path: PathBuf,
        database: String,
        options: Options,
        head: Option<Head>,
    ) -> Self {
        Self {
            lock,
            path,
            database,
            options,
            state: Mutex::new(State {
                damage: None,
                cause: None,
                broken_since: None,
                next: Instant::now(),
                pause: PAUSES.0,
                head,
                in_doubt: None,
            }),
            turn: tokio::sync::Mutex::default(),
            damaged: Notify::new(),
        }
    }

    /// Gives up the connection that writes, and all of them where `error` puts the files in doubt.
    pub(crate) fn distrust(&self, error: Option<&DbErr>) {
        let damage = match error.map(trouble) {
            Some(Trouble::Io | Trouble::Corrupt) => Damage::Files,
            _ => Damage::Writer,
        };
        let mut state = self.state();
        if state.damage.is_none() {
            state.next = Instant::now();
            state.pause = PAUSES.0;
        }
        state.damage = state.damage.max(Some(damage));
        state.cause = error.cloned();
        drop(state);
        self.damaged.notify_one();
    }

    pub(crate) fn committing(&self, head: Option<Head>) {
        self.state().in_doubt = head;
    }

    pub(crate) fn committed(&self) {
        let mut state = self.state();
        if let Some(head) = state.in_doubt.take() {
            state.head = Some(head);
        }
    }

    /// Resolves when something is to be recovered and its time has come.
    pub(crate) async fn is_due(&self) {
        loop {
            let damaged = self.damaged.notified();
            let due = {
                let state = self.state();
                state.damage.map(|_| state.next)
            };
            match due {
                Some(next) => return sleep_until(next).await,
                None => damaged.await,
            }
        }
    }

    /// Recovers what cannot be trusted, if anything and if its time has come.
    pub(crate) async fn recover(&self, inner: &Inner) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        let (damage, next) = {
            let state = self.state();
            (state.damage, state.next)
        };
        let Some(damage) = damage else { return Ok(()) };
        if Instant::now() < next {
            return Err(self.cause());
        }
        match self.attempt(inner, damage).await {
            Ok(head) => {
                let mut state = self.state();
                tracing::info!(database = self.database, "the database is in use again");
                (state.damage, state.cause, state.broken_since) = (None, None, None);
                (state.head, state.in_doubt) = (head, None);
                Ok(())
            }
            Err(Failure::Lost(what)) => Err(self.lost(&what)),
            Err(Failure::Database(error)) => self.failed(error),
        }
    }

    async fn attempt(&self, inner: &Inner, damage: Damage) -> Result<Option<Head>, Failure> {
        let pools = inner.pools();
        close(&pools.writer).await?;
        let connect = || sqlite::connect(&self.path, &self.options, Role::Writer);
        let mut writer = connect().await?;
        if damage == Damage::Files {
            // Reads go on for as long as the disk does not take what is written.
            let taken = rewrite::log(&writer, &self.path).await;
            close(&writer).await?;
            taken?;
            close(&pools.reader).await?;
            writer = connect().await?;
        }
        match self.prove(inner, &writer, damage).await {
            Ok(head) => {
                inner.replace(|pools| pools.writer = writer);
                Ok(head)
            }
            Err(failure) => {
                _ = close(&writer).await;
                Err(failure)
            }
        }
    }

    async fn prove(
        &self,
        inner: &Inner,
        writer: &DatabaseConnection,
        damage: Damage,
    ) -> Result<Option<Head>, Failure> {
        sqlite::check(writer, &self.database).await?;
        if damage == Damage::Files {
            rewrite::log(writer, &self.path).await?;
        }
        let head = self.expected(writer).await?;
        if damage == Damage::Files {
            let reader = sqlite::connect(&self.path, &self.options, Role::Reader).await?;
            inner.replace(|pools| pools.reader = reader);
            self.state().damage = Some(Damage::Log);
        }
        if damage != Damage::Writer {
            rewrite::move_into_database(writer).await?;
        }
        Ok(head)
    }

    /// The newest event, which must be the one that was committed last, or that of the commit in doubt.
    async fn expected(&self, writer: &DatabaseConnection) -> Result<Option<Head>, Failure> {
        let (known, in_doubt) = {
            let state = self.state();
            (state.head, state.in_doubt)
        };
        let Some(known) = known else { return Ok(None) };
        match event::head(writer).await {
            Ok(found) if found == known || Some(found) == in_doubt => Ok(Some(found)),
            Ok(found) => Err(Failure::Lost(format!(
                "its newest event is {found}, and {known} was acknowledged"
            ))),
            Err(StoreError::Internal(error)) => Err(Failure::Lost(error.to_string())),
            Err(error) => Err(error.into_database().into()),
        }
    }

    fn failed(&self, error: DbErr) -> Result<(), StoreError> {
        let mut state = self.state();
        match trouble(&error) {
            // There may be room again at any time.
            Trouble::Full | Trouble::Busy => state.broken_since = None,
            Trouble::Io => state.damage = Some(Damage::Files),
            Trouble::Corrupt | Trouble::Other => {}
        }
        if !matches!(trouble(&error), Trouble::Full | Trouble::Busy) {
            let since = *state.broken_since.get_or_insert_with(Instant::now);
            if since.elapsed() > PATIENCE {
                return Err(self.lost(&format!("it could not be recovered: {error}")));
            }
        }
        tracing::warn!(database = self.database, %error, "the database cannot be used; trying again");
        state.cause = Some(error);
        state.next = Instant::now() + state.pause;
        state.pause = (state.pause * 2).min(PAUSES.1);
        drop(state);
        Err(self.cause())
    }

    fn lost(&self, what: &str) -> StoreError {
        StoreError::Lost(format!(
            "database {} cannot be trusted: {what}",
            self.database
        ))
    }

    fn cause(&self) -> StoreError {
        let cause = self.state().cause.clone();
        let cause = cause.unwrap_or_else(|| DbErr::Custom("a transaction was given up".to_owned()));
        match trouble(&cause) {
            Trouble::Full => StoreError::Full(cause),
            _ => StoreError::Unavailable(cause),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until all connections are closed. Only then is the file the system's alone.
async fn close(pool: &DatabaseConnection) -> Result<(), DbErr> {
    match timeout(CLOSE, pool.close_by_ref()).await {
        Ok(closed) => closed,
        Err(_) => Err(DbErr::Custom("a connection is still busy".to_owned())),
    }
}
