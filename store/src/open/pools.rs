//! The connections in use, and how they are replaced when they cannot be trusted any more.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use sea_orm::{
    ConnAcquireErr, DatabaseConnection, DbBackend, DbErr,
    sqlx::{Database, Pool},
};

use crate::{
    open::{
        postgres::{Capabilities, Source},
        recovery::Recovery,
    },
    sql::classify::{puts_others_in_doubt, taints},
    transfer::cache::TransferCache,
};
use tidegate_domain::chain::Head;

/// Longest wait for connections to close.
const CLOSE: Duration = Duration::from_secs(2);

/// Time without an answer after which connections are not trusted any more. What was given less says nothing about them.
const SILENCE: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) backend: DbBackend,
    pools: RwLock<Pools>,
    /// What makes new connections to PostgreSQL.
    pub(crate) source: Option<Source>,
    /// What PostgreSQL could do when it was opened.
    pub(crate) capabilities: Option<Capabilities>,
    /// What an SQLite file needs after an error.
    pub(crate) recovery: Option<Recovery>,
    /// Transfers as they were last read or written.
    pub(crate) transfers: TransferCache,
    /// The newest event that this replica has written, or is about to.
    newest: Mutex<Option<Head>>,
}

/// The connections in use; one pool for both purposes on PostgreSQL.
#[derive(Clone, Debug)]
pub(crate) struct Pools {
    pub(crate) reader: DatabaseConnection,
    pub(crate) writer: DatabaseConnection,
}

/// Connections to the database, of all pools.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// Those that nobody uses.
    pub idle: usize,
    /// Those that somebody uses.
    pub used: usize,
    /// As many as there may be.
    pub limit: usize,
}

impl Connections {
    fn add<D: Database>(mut self, pool: &Pool<D>) -> Self {
        let (all, idle) = (pool.size() as usize, pool.num_idle());
        self.idle += idle;
        self.used += all.saturating_sub(idle);
        self.limit += pool.options().get_max_connections() as usize;
        self
    }
}

impl Inner {
    /// The newest event that this replica has written, or has tried to.
    pub(crate) fn newest(&self) -> Option<Head> {
        *self.newest_slot()
    }

    /// Remembers an event that is about to be committed.
    pub(crate) fn is_writing(&self, head: Head) {
        let mut newest = self.newest_slot();
        if newest.is_none_or(|newest| newest.sequence <= head.sequence) {
            *newest = Some(head);
        }
    }

    pub(crate) fn forget_newest(&self) {
        *self.newest_slot() = None;
    }

    fn newest_slot(&self) -> MutexGuard<'_, Option<Head>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn new(pools: Pools, recovery: Option<Recovery>) -> Self {
        Self {
            backend: pools.writer.get_database_backend(),
            pools: RwLock::new(pools),
            source: None,
            capabilities: None,
            recovery,
            transfers: TransferCache::default(),
            newest: Mutex::default(),
        }
    }

    /// One pool of connections to PostgreSQL, to be replaced by another one from `source`.
    pub(crate) fn postgres(
        pool: DatabaseConnection,
        source: Source,
        capabilities: Capabilities,
    ) -> Self {
        let pools = Pools {
            reader: pool.clone(),
            writer: pool,
        };
        Self {
            source: Some(source),
            capabilities: Some(capabilities),
            ..Self::new(pools, None)
        }
    }

    pub(crate) fn pools(&self) -> Pools {
        let pools = self.present();
        match &self.source {
            Some(source) if source.was_silent() => {
                self.renew(&pools.writer);
                self.present()
            }
            _ => pools,
        }
    }

    fn present(&self) -> Pools {
        self.pools
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Those that are in use just now.
    pub(crate) fn connections(&self) -> Connections {
        let pools = self.present();
        match self.backend {
            DbBackend::Postgres => {
                Connections::default().add(pools.writer.get_postgres_connection_pool())
            }
            _ => Connections::default()
                .add(pools.writer.get_sqlite_connection_pool())
                .add(pools.reader.get_sqlite_connection_pool()),
        }
    }

    /// Takes in an error that came with a connection out of `pool`. Some say that the others are no good either.
    pub(crate) fn note(&self, pool: &DatabaseConnection, error: &DbErr) {
        if let Some(source) = &self.source
            && puts_others_in_doubt(error)
        {
            source.doubt();
        }
        if taints(error) {
            tracing::debug!(%error, "connections to the database are made anew");
            self.renew(pool);
        }
    }

    /// Takes in that the database did not answer for so long on a connection out of `pool`.
    pub(crate) fn note_silence(&self, pool: &DatabaseConnection, waited: Duration) {
        if self.source.is_some() && waited >= SILENCE {
            tracing::warn!("the database did not answer in time; connections are made anew");
            self.renew(pool);
        }
    }

    /// Puts new connections in the place of `pool`, unless that was done already. Those that are silent are not waited
    /// for: ten of them must not cost ten times the patience.
    fn renew(&self, pool: &DatabaseConnection) {
        let Some(source) = &self.source else { return };
        let mut pools = self.pools.write().unwrap_or_else(PoisonError::into_inner);
        if !is_same(&pools.writer, pool) || is_closed(pool) {
            return;
        }
        match source.lazy() {
            Ok(new) => {
                *pools = Pools {
                    reader: new.clone(),
                    writer: new,
                };
            }
            Err(error) => {
                tracing::warn!(%error, "no new connections to the database");
                return;
            }
        }
        drop(pools);
        discard(pool);
    }

    /// The pool in the place of `pool`, if `error` says that it was replaced under the caller's feet.
    pub(crate) fn successor(
        &self,
        pool: &DatabaseConnection,
        error: &DbErr,
        of: impl Fn(Pools) -> DatabaseConnection,
    ) -> Option<DatabaseConnection> {
        self.source.as_ref()?;
        let DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed) = error else {
            return None;
        };
        let next = of(self.present());
        (!is_same(&next, pool)).then_some(next)
    }

    /// Waits for running statements, but not for ever, closes every connection and lets go of the file.
    pub(crate) async fn close(&self) {
        // The readers go first: only a connection that may write can move the log into the database as the last one.
        let pools = self.present();
        close(&pools.reader).await;
        close(&pools.writer).await;
        if let Some(recovery) = &self.recovery {
            recovery.lock.release();
        }
    }

    pub(crate) fn replace(&self, change: impl FnOnce(&mut Pools)) {
        change(&mut self.pools.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Something went wrong with a transaction on SQLite: its connection is not to be used again as it is.
    pub(crate) fn distrust(&self, error: Option<&DbErr>) {
        if let Some(recovery) = &self.recovery {
            recovery.distrust(error);
        }
    }

    /// A commit is under way, after which the log ends at `head`; `None` when it stays as it is.
    pub(crate) fn committing(&self, head: Option<Head>) {
        if let Some(recovery) = &self.recovery {
            recovery.committing(head);
        }
    }

    pub(crate) fn committed(&self) {
        if let Some(recovery) = &self.recovery {
            recovery.committed();
        }
    }
}

/// Waits for running statements, but not for ever, and closes every connection.
pub(crate) async fn close(pool: &DatabaseConnection) {
    match tokio::time::timeout(CLOSE, pool.close_by_ref()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(%error, "a connection to the database was not closed cleanly");
        }
        Err(_) => tracing::warn!("connections to the database did not close in time"),
    }
}

/// Whether both are handles of one pool of PostgreSQL: each has options of its own.
fn is_same(one: &DatabaseConnection, other: &DatabaseConnection) -> bool {
    let options = |pool: &DatabaseConnection| pool.get_postgres_connection_pool().connect_options();
    Arc::ptr_eq(&options(one), &options(other))
}

fn is_closed(pool: &DatabaseConnection) -> bool {
    pool.get_postgres_connection_pool().is_closed()
}

/// Drops the idle connections without a goodbye, which might have to wait, and closes the others as they come back.
fn discard(pool: &DatabaseConnection) {
    let pool = pool.get_postgres_connection_pool().clone();
    while let Some(idle) = pool.try_acquire() {
        drop(idle.detach());
    }
    tokio::spawn(async move { tokio::time::timeout(CLOSE, pool.close()).await });
}
