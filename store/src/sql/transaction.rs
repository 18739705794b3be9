//! A transaction that remembers whether a step of it failed, and has the connection given up that it cannot vouch for.
//!
//! After an error SQLite may have ended the transaction by itself, which the driver does not notice; on PostgreSQL the
//! COMMIT of a transaction with a failed step is answered by a ROLLBACK, without an error.

use std::sync::{Arc, Mutex, PoisonError};

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult, Statement,
    prelude::async_trait::async_trait,
};

use crate::{
    open::pools::Inner,
    sql::{bulk::Bulk, classify::is_busy, literal_limit, session::Session},
};
use tidegate_domain::chain::Head;

#[derive(Debug)]
pub(crate) struct Transaction {
    owner: Arc<Inner>,
    /// `None` once its end was asked for.
    inner: Option<Session>,
    /// Whether it is known to have ended.
    has_ended: bool,
    failed: Mutex<Option<DbErr>>,
}

impl Transaction {
    pub(crate) async fn begin(
        owner: &Arc<Inner>,
        pool: &DatabaseConnection,
    ) -> Result<Self, DbErr> {
        let begun = Session::begin(pool, owner.source.as_ref()).await;
        if let Err(error) = &begun
            && !is_busy(error)
        {
            owner.distrust(Some(error));
        }
        Ok(Self {
            owner: Arc::clone(owner),
            inner: Some(begun?),
            has_ended: false,
            failed: Mutex::default(),
        })
    }

    /// What it is a transaction of.
    pub(crate) fn owner(&self) -> Arc<Inner> {
        Arc::clone(&self.owner)
    }

    /// Makes it durable; the log then ends at `head`, if that changes.
    pub(crate) async fn commit(mut self, head: Option<Head>) -> Result<(), DbErr> {
        let inner = self.open()?;
        self.owner.committing(head);
        self.note(inner.commit().await)?;
        self.owner.committed();
        self.has_ended = true;
        Ok(())
    }

    pub(crate) async fn rollback(mut self) -> Result<(), DbErr> {
        if let Some(inner) = self.inner.take() {
            self.note(inner.rollback().await)?;
        }
        self.has_ended = true;
        Ok(())
    }
}

impl Transaction {
    /// Writes rows; answers how many.
    pub(crate) async fn write(&self, bulk: Result<Bulk, DbErr>) -> Result<u64, DbErr> {
        let written = async { self.inner()?.write(bulk?).await };
        self.note(written.await)
    }

    fn open(&mut self) -> Result<Session, DbErr> {
        if let Some(error) = self.failure() {
            return Err(error);
        }
        self.inner.take().ok_or_else(ended)
    }

    fn inner(&self) -> Result<&Session, DbErr> {
        self.inner.as_ref().ok_or_else(ended)
    }

    fn failure(&self) -> Option<DbErr> {
        let failed = self.failed.lock();
        failed.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note<T>(&self, result: Result<T, DbErr>) -> Result<T, DbErr> {
        if let Err(error) = &result {
            let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            failed.get_or_insert_with(|| error.clone());
        }
        result
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if !self.has_ended {
            self.owner.distrust(self.failure().as_ref());
        }
    }
}

#[async_trait]
impl ConnectionTrait for Transaction {
    fn get_database_backend(&self) -> DbBackend {
        self.owner.backend
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.note(self.inner()?.execute_raw(statement).await)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.note(self.inner()?.execute_unprepared(sql).await)
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let statement = literal_limit(statement);
        self.note(self.inner()?.query_one_raw(statement).await)
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let statement = literal_limit(statement);
        self.note(self.inner()?.query_all_raw(statement).await)
    }
}

fn ended() -> DbErr {
    DbErr::Custom("the transaction has ended".to_owned())
}
