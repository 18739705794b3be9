//! The session of a transaction: one of our own, or one that a pooler gives for no longer than the transaction lasts.
//!
//! Of a pooled session nothing is known before and nothing may be left behind: limits are set for the transaction, and
//! statements are prepared without a name, so that neither meets those of others.

use std::sync::Arc;

use sea_orm::{
    ConnAcquireErr, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    ExecResult, QueryResult, RuntimeErr, SqlxError, Statement, TransactionOptions,
    TransactionTrait as _,
    prelude::async_trait::async_trait,
    sea_query::Values,
    sqlx::{self, AssertSqlSafe, Executor as _, Postgres, query::Query},
};
use sea_query_sqlx::SqlxValues;
use tokio::sync::Mutex;

/// How a transaction on a pooled session begins.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = '2s'; \
     SET LOCAL statement_timeout = '5s'; SET LOCAL idle_in_transaction_session_timeout = '4s'; \
     SET LOCAL jit = off";

/// An open one. Dropped without [`commit`](Self::commit), it is rolled back.
#[derive(Debug)]
pub(crate) enum Session {
    Own(DatabaseTransaction),
    Pooled(Mutex<sqlx::Transaction<'static, Postgres>>),
}

impl Session {
    pub(crate) async fn begin(
        pool: &DatabaseConnection,
        options: TransactionOptions,
    ) -> Result<Self, DbErr> {
        Ok(Self::Own(pool.begin_with_options(options).await?))
    }

    pub(crate) async fn begin_pooled(pool: &DatabaseConnection) -> Result<Self, DbErr> {
        let pool = pool.get_postgres_connection_pool();
        let begun = pool.begin_with(BEGIN).await.map_err(|error| match error {
            SqlxError::PoolTimedOut => DbErr::ConnectionAcquire(ConnAcquireErr::Timeout),
            SqlxError::PoolClosed => DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed),
            other => failed(other),
        });
        Ok(Self::Pooled(Mutex::new(begun?)))
    }

    pub(crate) async fn commit(self) -> Result<(), DbErr> {
        match self {
            Self::Own(transaction) => transaction.commit().await,
            Self::Pooled(transaction) => transaction.into_inner().commit().await.map_err(failed),
        }
    }

    pub(crate) async fn rollback(self) -> Result<(), DbErr> {
        match self {
            Self::Own(transaction) => transaction.rollback().await,
            Self::Pooled(transaction) => transaction.into_inner().rollback().await.map_err(failed),
        }
    }
}

#[async_trait]
impl ConnectionTrait for Session {
    fn get_database_backend(&self) -> DbBackend {
        match self {
            Self::Own(transaction) => transaction.get_database_backend(),
            Self::Pooled(_) => DbBackend::Postgres,
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        match self {
            Self::Own(transaction) => transaction.execute_raw(statement).await,
            Self::Pooled(transaction) => {
                let mut transaction = transaction.lock().await;
                let done = query(&statement).execute(&mut **transaction);
                done.await.map(Into::into).map_err(failed)
            }
        }
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        match self {
            Self::Own(transaction) => transaction.execute_unprepared(sql).await,
            Self::Pooled(transaction) => {
                let mut transaction = transaction.lock().await;
                let done = transaction.execute(AssertSqlSafe(sql.to_owned()));
                done.await.map(Into::into).map_err(failed)
            }
        }
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        match self {
            Self::Own(transaction) => transaction.query_one_raw(statement).await,
            Self::Pooled(transaction) => {
                let mut transaction = transaction.lock().await;
                let found = query(&statement).fetch_optional(&mut **transaction);
                let found = found.await.map_err(failed)?;
                Ok(found.map(Into::into))
            }
        }
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        match self {
            Self::Own(transaction) => transaction.query_all_raw(statement).await,
            Self::Pooled(transaction) => {
                let mut transaction = transaction.lock().await;
                let found = query(&statement).fetch_all(&mut **transaction);
                let found = found.await.map_err(failed)?;
                Ok(found.into_iter().map(Into::into).collect())
            }
        }
    }
}

/// A statement without a name on the server.
fn query(statement: &Statement) -> Query<'_, Postgres, SqlxValues> {
    let values = statement.values.clone().unwrap_or(Values(Vec::new()));
    sqlx::query_with(AssertSqlSafe(statement.sql.as_str()), SqlxValues(values)).persistent(false)
}

fn failed(error: SqlxError) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(Arc::new(error)))
}
