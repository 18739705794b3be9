//! Reads, each statement with a limit of time: nobody waits for ever for a database that fell silent.

use std::time::Duration;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult, Statement,
    prelude::async_trait::async_trait,
};
use tokio::time::{Instant, timeout_at};

use crate::{
    error::silence,
    open::pools::Inner,
    sql::{classify::is_lost, literal_limit, session::Session},
};

/// A way to the database for statements that stand alone.
pub(crate) struct Reader<'a> {
    inner: &'a Inner,
    limit: Duration,
    /// Whether it may read all of a table.
    scans: bool,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(inner: &'a Inner, limit: Duration, scans: bool) -> Self {
        Self {
            inner,
            limit,
            scans,
        }
    }

    /// The transaction that a statement needs around it, if it needs one.
    async fn around(&self, pool: &DatabaseConnection) -> Result<Option<Session>, DbErr> {
        let Some(source) = &self.inner.source else {
            return Ok(None);
        };
        match self.scans {
            true => Session::begin_scan(pool, source).await.map(Some),
            false if source.is_pooled() => Session::begin(pool, Some(source)).await.map(Some),
            false => Ok(None),
        }
    }

    async fn run<T, F>(
        &self,
        statement: impl Fn(DatabaseConnection) -> F + Send + Sync,
    ) -> Result<T, DbErr>
    where
        T: Send,
        F: Future<Output = Result<T, DbErr>> + Send,
    {
        let end = Instant::now() + self.limit;
        let mut pool = self.inner.pools().reader;
        let mut is_again = false;
        loop {
            let error = match timeout_at(end, statement(pool.clone())).await {
                Ok(Ok(found)) => return Ok(found),
                Ok(Err(error)) => error,
                Err(_) => {
                    self.inner.note_silence(&pool, self.limit);
                    return Err(silence());
                }
            };
            if let Some(next) = self.inner.successor(&pool, &error, |pools| pools.reader) {
                pool = next;
                continue;
            }
            self.inner.note(&pool, &error);
            // A read does no harm twice, and the next session is looked at before it is lent.
            if self.inner.source.is_none() || is_again || !is_lost(&error) {
                return Err(error);
            }
            is_again = true;
        }
    }
}

#[async_trait]
impl ConnectionTrait for Reader<'_> {
    fn get_database_backend(&self) -> DbBackend {
        self.inner.backend
    }

    /// On a pooled session nothing of it stays: see [`execute_unprepared`](Self::execute_unprepared) for what is to stay.
    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.run(|pool| {
            let statement = statement.clone();
            async move {
                if let Some(transaction) = self.around(&pool).await? {
                    return transaction.execute_raw(statement).await;
                }
                pool.execute_raw(statement).await
            }
        })
        .await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.run(|pool| async move { pool.execute_unprepared(sql).await })
            .await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let statement = literal_limit(statement);
        self.run(|pool| {
            let statement = statement.clone();
            async move {
                if let Some(transaction) = self.around(&pool).await? {
                    return transaction.query_one_raw(statement).await;
                }
                pool.query_one_raw(statement).await
            }
        })
        .await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let statement = literal_limit(statement);
        self.run(|pool| {
            let statement = statement.clone();
            async move {
                if let Some(transaction) = self.around(&pool).await? {
                    return transaction.query_all_raw(statement).await;
                }
                pool.query_all_raw(statement).await
            }
        })
        .await
    }
}
