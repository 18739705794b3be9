//! What the ledger remembers: the only crate that speaks SQL, and the only one that knows `tidegate-entity`.
//!
//! Takes and gives values of [`domain`](tidegate_domain); decides nothing. Writes happen in a [`WriteTransaction`] alone, reads each
//! in a statement of its own. No function of this crate holds on to a row stream: it would pin a connection of the
//! pool, and a transaction that is dropped under it panics.

use std::{collections::HashMap, sync::Arc, time::Duration};

use sea_orm::{DatabaseConnection, DbBackend};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use tidegate_domain::{
    connection::Connection,
    credential::Credential,
    event::{Event, IdempotencyKey},
    query::{
        ApprovalFilter, ConnectionFilter, ConnectionStats, CredentialFilter, EventFilter,
        SortOrder, TableStats, TableStatsFilter, TransferFilter, Window,
    },
    time::Timestamp,
    transfer::Transfer,
};

mod chain;
mod connections;
mod credentials;
mod error;
mod events;
pub mod failpoint;
mod notify;
mod open;
mod requests;
mod rows;
mod scoped;
mod snapshot;
mod sql;
mod stats;
mod time;
mod transfers;
mod write;

#[cfg(test)]
mod tests;

pub use error::{OpenError, StoreError};
pub use notify::Listener;
pub use open::options::{Migrate, Options, Pooling};
pub use scoped::{Readers, ScopedReader};
pub use snapshot::Snapshot;
pub use write::WriteTransaction;

use open::pools::Inner;
use sql::reader::Reader;

/// Writers that share PostgreSQL in one replica: while one waits for its commit, the others decide.
const POSTGRES_WRITERS: usize = 3;

/// Time that a batch may take, so that callers learn of a lost database within 3 s.
const BATCH_PATIENCE: Duration = Duration::from_millis(2_500);

/// Longest wait for a statement that reads a few rows by an index.
const READ: Duration = Duration::from_millis(2_500);
/// Longest wait for one that counts or sums rows: longer than PostgreSQL lets it run.
const LONG_READ: Duration = Duration::from_secs(6);

/// Handle on the open database, cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

/// What a request with an id did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriorRequest {
    /// In what role it was asked.
    pub actor: String,
    /// Its id and digest.
    pub request: IdempotencyKey,
    /// What came of it.
    pub effect: Effect,
}

/// What came of a remembered request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It changed a transfer.
    Transfer {
        /// Which one.
        uuid: Uuid,
        /// Whether it deleted the row.
        deleted_by_it: bool,
    },
    /// It created or changed a connection.
    Connection {
        /// Which one.
        uuid: Uuid,
        /// Whether it deleted the row.
        deleted_by_it: bool,
    },
    /// It created or changed this credential.
    Credential(Uuid),
    /// It opened this session.
    Session(Uuid),
}

/// The connection of some transfer, as it stands without a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionPeek {
    /// The connection, which may be gone.
    pub uuid: Uuid,
    /// Whether anything is counted on it.
    pub has_budget: bool,
}

impl Store {
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
        Reader::new(&self.inner, READ)
    }

    /// Reads of as many rows as there are.
    fn long_reads(&self) -> Reader<'_> {
        Reader::new(&self.inner, LONG_READ)
    }

    /// Waits for running statements, but not for ever, closes every connection and lets go of the file.
    pub async fn close(&self) {
        self.inner.close().await;
    }

    /// Whether the database can be read and takes changes. `durably`: finds out by a change that is committed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] as a rule.
    pub async fn probe(&self, durably: bool) -> Result<(), StoreError> {
        let probe = async {
            self.log_bounds().await?;
            self.begin().await?.probe(durably).await
        };
        self.within_limit(probe).await
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

    /// Tells every replica that something was committed; does nothing where there are no replicas.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn send_notification(&self) -> Result<(), StoreError> {
        notify::send(&self.reads()).await
    }

    /// Begins to listen to [`send_notification`](Self::send_notification); `None` where there are no replicas.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn listen(&self) -> Result<Option<Listener>, StoreError> {
        notify::listen(self.inner.source.as_ref()).await
    }

    /// The time of the database's clock, which all replicas agree on; `None` where the server's own clock is the only
    /// one.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn now(&self) -> Result<Option<Timestamp>, StoreError> {
        time::now(&self.reads()).await
    }

    /// When the newest event happened; `None` before the first.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn latest_time(&self) -> Result<Option<Timestamp>, StoreError> {
        events::latest_time(&self.reads()).await
    }

    /// One transfer, if it exists.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn transfer(&self, uuid: Uuid) -> Result<Option<Transfer>, StoreError> {
        transfers::one(&self.reads(), uuid).await
    }

    /// The transfers among `uuids` that exist, in no particular order.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn existing_transfers(&self, uuids: &[Uuid]) -> Result<Vec<Transfer>, StoreError> {
        transfers::existing(&self.reads(), uuids).await
    }

    /// Transfers by creation time, then uuid.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn transfers(
        &self,
        filter: &TransferFilter,
        order: SortOrder,
        window: Window,
    ) -> Result<Vec<Transfer>, StoreError> {
        transfers::list(&self.reads(), filter, order, window).await
    }

    /// How many transfers are meant by `filter`.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn count_transfers(&self, filter: &TransferFilter) -> Result<i64, StoreError> {
        stats::count(&self.long_reads(), filter).await
    }

    /// Transfers that wait for a decision and are not overdue at `now`, nearest deadline first, then uuid. The
    /// micros of the window's position are those of `approval_expires_at`.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn pending_approvals(
        &self,
        filter: &ApprovalFilter,
        now: Timestamp,
        window: Window,
    ) -> Result<Vec<Transfer>, StoreError> {
        transfers::pending_approvals(&self.reads(), filter, now, window).await
    }

    /// Transfers whose time to be decided on has passed at `now`, longest overdue first.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn overdue_approvals(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Uuid>, StoreError> {
        transfers::overdue_approvals(&self.reads(), now, limit).await
    }

    /// Transfers in progress whose heartbeat has run out at `now`, oldest transfer first.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn silent_transfers(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Uuid>, StoreError> {
        transfers::silent(&self.reads(), now, limit).await
    }

    /// The sums of one connection; statuses in the order of the wire's enum.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn connection_stats(
        &self,
        connection_uuid: Uuid,
    ) -> Result<ConnectionStats, StoreError> {
        stats::by_connection(&self.long_reads(), connection_uuid).await
    }

    /// The sums of completed transfers by table, most transfers first, then by name.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn table_stats(
        &self,
        filter: &TableStatsFilter,
        limit: u32,
    ) -> Result<Vec<TableStats>, StoreError> {
        stats::by_table(&self.long_reads(), filter, limit).await
    }

    /// Events in the order of the log.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn events(&self, filter: &EventFilter, limit: u32) -> Result<Vec<Event>, StoreError> {
        events::list(&self.reads(), filter, limit).await
    }

    /// One connection, if it exists.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn connection(&self, uuid: Uuid) -> Result<Option<Connection>, StoreError> {
        connections::one(&self.reads(), uuid).await
    }

    /// Connections, newest first, then by uuid downwards.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn connections(
        &self,
        filter: &ConnectionFilter,
        window: Window,
    ) -> Result<Vec<Connection>, StoreError> {
        connections::list(&self.reads(), filter, window).await
    }

    /// Connections in use whose end has passed at `now`, longest overdue first.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn overdue_connections(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Uuid>, StoreError> {
        connections::overdue(&self.reads(), now, limit).await
    }

    /// The connections that `transfers` belong to, as far as they exist.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn connections_of(
        &self,
        transfers: &[Transfer],
    ) -> Result<HashMap<Uuid, Connection>, StoreError> {
        connections::of(&self.reads(), transfers).await
    }

    /// The credential that the token with this id belongs to, with its tokens, and the connection of an agent as far as
    /// it exists. Whether the token is good is for [`Credential::good_until`] to say.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn credential_of_token(
        &self,
        token_id: &str,
    ) -> Result<Option<(Credential, Option<Connection>)>, StoreError> {
        credentials::of_token(&self.reads(), token_id).await
    }

    /// As [`credential_of_token`](Self::credential_of_token) for many, by the token's id. Of a credential's tokens only
    /// those that were asked for are there.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn credentials_of_tokens(
        &self,
        token_ids: &[&str],
    ) -> Result<HashMap<String, (Credential, Option<Connection>)>, StoreError> {
        credentials::of_tokens(&self.reads(), token_ids).await
    }

    /// One credential, if it exists.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn credential(&self, uuid: Uuid) -> Result<Option<Credential>, StoreError> {
        credentials::one(&self.reads(), uuid).await
    }

    /// Credentials, newest first, then by uuid downwards.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn credentials(
        &self,
        filter: &CredentialFilter,
        window: Window,
    ) -> Result<Vec<Credential>, StoreError> {
        credentials::list(&self.reads(), filter, window).await
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
    ///
    /// # Errors
    /// See [`StoreError`].
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
