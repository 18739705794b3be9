//! What the ledger remembers: the only crate that speaks SQL, and the only one that knows `tidegate-entity`.
//!
//! Takes and gives values of [`domain`](tidegate_domain); decides nothing. Writes happen in a [`WriteTransaction`] alone, reads each
//! in a statement of its own. No function of this crate holds on to a row stream: it would pin a connection of the
//! pool, and a transaction that is dropped under it panics.

use std::{sync::Arc, time::Duration};

use sea_orm::{DatabaseConnection, DbBackend};
use tokio::time::{Instant, timeout_at};

use tidegate_domain::{log::LogBounds, time::Timestamp};

mod agent;
mod attempt;
mod backup;
mod bulk_operation;
mod connection;
mod credential;
mod error;
mod event;
mod export;
pub mod failpoint;
mod import;
mod ndjson;
mod new_file;
mod notify;
mod open;
mod request;
mod scoped;
mod snapshot;
mod sql;
mod stats;
mod tables;
mod time;
mod transfer;
mod value;
mod write;

#[cfg(test)]
mod tests;

pub use backup::backup;
pub use connection::ConnectionPeek;
pub use error::{BackupError, ExportError, ImportError, OpenError, StoreError};
pub use export::{Carried, export};
pub use import::import;
pub use new_file::NewFile;
pub use notify::Listener;
pub use open::{
    options::{Migrate, Options, Pooling},
    pools::Connections,
    postgres::{Capabilities, Capability},
    schema,
};
pub use request::{Effect, PriorRequest};
pub use scoped::{Readers, ScopedReader};
pub use snapshot::Snapshot;
pub use stats::WrongSums;
pub use write::WriteTransaction;

use open::pools::Inner;
use sql::reader::Reader;
use transfer::lookup::Lookups;

/// Writers that share PostgreSQL in one replica: while one waits for its commit, the other decides. More only make the
/// batches smaller.
const POSTGRES_WRITERS: usize = 2;

/// Time that a batch may take, so that callers learn of a lost database within 3 s.
const BATCH_PATIENCE: Duration = Duration::from_millis(2_500);

/// Longest wait for a statement that reads a few rows by an index.
const READ: Duration = Duration::from_millis(2_500);
/// Longest wait for one that counts rows or adds up sums: longer than PostgreSQL lets it run.
const LONG_READ: Duration = Duration::from_secs(6);

/// A database URL for people to read: without the password that it may hold.
///
/// # Errors
/// When no database can be meant by it.
pub fn without_password(url: &str) -> Result<String, OpenError> {
    open::target::without_password(url)
}

/// Handle on the open database, cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
    lookups: Arc<Lookups>,
}

impl Store {
    fn new(inner: Inner) -> Self {
        Self {
            inner: Arc::new(inner),
            lookups: Arc::default(),
        }
    }

    /// Opens the database at `url`: creates it where the URL allows that, keeps other servers away from it, checks its
    /// settings and brings its schema up to date.
    ///
    /// # Errors
    /// One line that says what is wrong with which database. A database of a newer schema is left as it is.
    pub async fn open(url: &str, options: &Options) -> Result<Self, OpenError> {
        open::open(url, options).await
    }

    #[cfg(test)]
    fn reader(&self) -> DatabaseConnection {
        self.inner.pools().reader
    }

    fn writer(&self) -> DatabaseConnection {
        self.inner.pools().writer
    }

    /// Reads of a few rows by an index.
    fn reads(&self) -> Reader<'_> {
        Reader::new(&self.inner, READ, false)
    }

    /// Reads of as many rows as there are.
    fn long_reads(&self) -> Reader<'_> {
        Reader::new(&self.inner, LONG_READ, true)
    }

    /// Reads of sums, which may be many rows, but are found by an index.
    fn sums(&self) -> Reader<'_> {
        Reader::new(&self.inner, LONG_READ, false)
    }

    /// Forgets what was read and written, for when the ledger turns out to be another one.
    pub fn clear_cache(&self) {
        self.inner.transfers.clear();
        self.inner.forget_newest();
    }

    /// Waits for running statements, but not for ever, closes every connection and lets go of the file.
    pub async fn close(&self) {
        self.inner.close().await;
    }

    /// Whether the database can be read and takes changes; both ends of the log as they were. `durably`: finds out by a
    /// change that is committed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] as a rule.
    pub async fn probe(&self, durably: bool) -> Result<LogBounds, StoreError> {
        let probe = async {
            let bounds = self.log_bounds().await?;
            self.begin().await?.probe(durably).await?;
            Ok(bounds)
        };
        self.within_limit(probe).await
    }

    /// The connections to the database as they are just now.
    pub fn connections_in_use(&self) -> Connections {
        self.inner.connections()
    }

    /// How many transactions may write at the same time.
    pub fn writers(&self) -> usize {
        match self.inner.backend {
            DbBackend::Postgres => POSTGRES_WRITERS,
            _ => 1,
        }
    }

    /// Whether other servers may be writing to the same database.
    pub fn is_shared(&self) -> bool {
        self.inner.backend == DbBackend::Postgres
    }

    /// What PostgreSQL could do when it was opened; `None` for SQLite.
    pub fn capabilities(&self) -> Option<&Capabilities> {
        self.inner.capabilities.as_ref()
    }

    /// Tells every replica that something was committed; does nothing where there are no replicas.
    pub async fn send_notification(&self) -> Result<(), StoreError> {
        notify::send(&self.reads()).await
    }

    /// Begins to listen to [`send_notification`](Self::send_notification); `None` where there are no replicas.
    pub async fn listen(&self) -> Result<Option<Listener>, StoreError> {
        notify::listen(self.inner.source.as_ref()).await
    }

    /// The time of the database's clock, which all replicas agree on; `None` where the server's own clock is the only
    /// one.
    pub async fn now(&self) -> Result<Option<Timestamp>, StoreError> {
        time::now(&self.reads()).await
    }

    /// Gives `work` up when PostgreSQL has not answered by `deadline`, as when its machine is gone without a word. What it
    /// was about to commit may or may not stand. SQLite is waited for: its work goes on whether or not somebody waits.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the time is over, otherwise those of `work`.
    pub async fn by<T>(
        &self,
        deadline: Instant,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        if self.inner.backend != DbBackend::Postgres {
            return work.await;
        }
        let (pool, began) = (self.writer(), Instant::now());
        match timeout_at(deadline, work).await {
            Ok(done) => {
                if let Err(StoreError::Unavailable(error)) = &done {
                    self.inner.note(&pool, error);
                }
                done
            }
            Err(_) => {
                self.inner.note_silence(&pool, began.elapsed());
                Err(StoreError::late())
            }
        }
    }

    /// As [`by`](Self::by), for work that may take as long as any call.
    ///
    /// # Errors
    /// As [`by`](Self::by).
    pub async fn within_limit<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.by(Instant::now() + BATCH_PATIENCE, work).await
    }

    /// Begins a write. On SQLite there is one at a time, and it holds the write lock from here on: a transaction that
    /// reads first is refused the lock when another writer came in between.
    pub async fn begin(&self) -> Result<WriteTransaction, StoreError> {
        self.recover().await?;
        let mut pool = self.writer();
        loop {
            let error = match WriteTransaction::begin(&self.inner, &pool).await {
                Err(StoreError::Unavailable(error)) => error,
                begun => return begun,
            };
            match self.inner.successor(&pool, &error, |pools| pools.writer) {
                Some(next) => pool = next,
                None => return Err(StoreError::Unavailable(error)),
            }
        }
    }

    /// Resolves when connections are to be recovered after an error: see [`recover`](Self::recover).
    pub async fn recovery_is_due(&self) {
        match &self.inner.recovery {
            Some(recovery) => recovery.is_due().await,
            None => std::future::pending().await,
        }
    }

    /// Replaces connections that an error has put in doubt, if there are any, by ones that have proved themselves.
    ///
    /// # Errors
    /// [`StoreError::Lost`] when the process must end; otherwise another attempt is due later.
    pub async fn recover(&self) -> Result<(), StoreError> {
        match &self.inner.recovery {
            Some(recovery) => recovery.recover(&self.inner).await,
            None => Ok(()),
        }
    }
}
