//! The session of a transaction: SQLite's only writer, or one of PostgreSQL's, of our own or one that a pooler gives for no
//! longer than the transaction lasts.
//!
//! Of a pooled session nothing is known before and nothing may be left behind: limits are set for the transaction, and
//! statements are prepared without a name, so that neither meets those of others.

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult,
    QueryResult, SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait as _,
    prelude::async_trait::async_trait,
    sea_query::Values,
    sqlx::{self, AssertSqlSafe, Executor as _, Postgres, query::Query},
};
use sea_query_sqlx::SqlxValues;
use tokio::sync::Mutex;

use super::{
    bulk::{self, Bulk},
    classify::failed,
};
use crate::open::postgres::Source;

/// How a transaction begins on a session of our own, which was told all of this when it was opened.
const BEGIN: &str = "BEGIN";
/// How it begins on a pooled one.
const BEGIN_POOLED: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = '2s'; \
     SET LOCAL statement_timeout = '5s'; SET LOCAL idle_in_transaction_session_timeout = '4s'; \
     SET LOCAL jit = off; SET LOCAL max_parallel_workers_per_gather = 0";
/// Nearly everything is found by keys, and the planner is not to think otherwise of a table that it believes to be small: it may
/// have grown since it was counted, and the counter's has many old versions of one row.
const BY_KEYS: &str = "; SET LOCAL enable_seqscan = off";
/// Counts may read all of a table, by a plan that is made for what is counted.
const SCANS: &str = "; SET LOCAL enable_seqscan = on; SET LOCAL plan_cache_mode = auto";

/// An open one. Dropped without [`commit`](Self::commit), it is rolled back.
#[derive(Debug)]
pub(crate) enum Session {
    Sqlite(DatabaseTransaction),
    Postgres {
        transaction: Mutex<sqlx::Transaction<'static, Postgres>>,
        /// Whether its statements stay prepared for the next one.
        is_own: bool,
    },
}

impl Session {
    /// One that may write; `source` is where sessions of PostgreSQL come from.
    pub(crate) async fn begin(
        pool: &DatabaseConnection,
        source: Option<&Source>,
    ) -> Result<Self, DbErr> {
        let Some(source) = source else {
            // A deferred transaction that reads first is refused the write lock when another writer came in between.
            let options = TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                ..TransactionOptions::default()
            };
            return Ok(Self::Sqlite(pool.begin_with_options(options).await?));
        };
        let begin = match source.is_pooled() {
            true => format!("{BEGIN_POOLED}{BY_KEYS}"),
            false => BEGIN.to_owned(),
        };
        Self::begin_with(pool, source, begin).await
    }

    /// One of PostgreSQL's for a read that may scan tables.
    pub(crate) async fn begin_scan(
        pool: &DatabaseConnection,
        source: &Source,
    ) -> Result<Self, DbErr> {
        let begin = match source.is_pooled() {
            true => BEGIN_POOLED,
            false => BEGIN,
        };
        Self::begin_with(pool, source, format!("{begin}{SCANS}")).await
    }

    async fn begin_with(
        pool: &DatabaseConnection,
        source: &Source,
        begin: String,
    ) -> Result<Self, DbErr> {
        Ok(Self::Postgres {
            transaction: Mutex::new(source.begin(pool, &begin).await?),
            is_own: !source.is_pooled(),
        })
    }

    pub(crate) async fn commit(self) -> Result<(), DbErr> {
        match self {
            Self::Sqlite(transaction) => transaction.commit().await,
            Self::Postgres { transaction, .. } => {
                transaction.into_inner().commit().await.map_err(failed)
            }
        }
    }

    pub(crate) async fn rollback(self) -> Result<(), DbErr> {
        match self {
            Self::Sqlite(transaction) => transaction.rollback().await,
            Self::Postgres { transaction, .. } => {
                transaction.into_inner().rollback().await.map_err(failed)
            }
        }
    }

    /// Writes rows; answers how many.
    pub(crate) async fn write(&self, bulk: Bulk) -> Result<u64, DbErr> {
        match (self, bulk) {
            (_, Bulk::Values(statement)) => Ok(self.execute_raw(statement).await?.rows_affected()),
            (
                Self::Postgres {
                    transaction,
                    is_own,
                },
                Bulk::Arrays {
                    sql,
                    before,
                    columns,
                },
            ) => {
                let arguments = bulk::arguments(before, columns)?;
                let query = sqlx::query_with(AssertSqlSafe(sql), arguments).persistent(*is_own);
                let mut transaction = transaction.lock().await;
                let done = query.execute(&mut **transaction).await;
                done.map(|done| done.rows_affected()).map_err(failed)
            }
            (Self::Sqlite(_), Bulk::Arrays { .. }) => {
                Err(DbErr::Type("SQLite has no arrays".to_owned()))
            }
        }
    }
}

#[async_trait]
impl ConnectionTrait for Session {
    fn get_database_backend(&self) -> DbBackend {
        match self {
            Self::Sqlite(_) => DbBackend::Sqlite,
            Self::Postgres { .. } => DbBackend::Postgres,
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        match self {
            Self::Sqlite(transaction) => transaction.execute_raw(statement).await,
            Self::Postgres {
                transaction,
                is_own,
            } => {
                let mut transaction = transaction.lock().await;
                let done = query(statement, *is_own).execute(&mut **transaction);
                done.await.map(Into::into).map_err(failed)
            }
        }
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        match self {
            Self::Sqlite(transaction) => transaction.execute_unprepared(sql).await,
            Self::Postgres { transaction, .. } => {
                let mut transaction = transaction.lock().await;
                let done = transaction.execute(AssertSqlSafe(sql.to_owned()));
                done.await.map(Into::into).map_err(failed)
            }
        }
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        match self {
            Self::Sqlite(transaction) => transaction.query_one_raw(statement).await,
            Self::Postgres {
                transaction,
                is_own,
            } => {
                let mut transaction = transaction.lock().await;
                let found = query(statement, *is_own).fetch_optional(&mut **transaction);
                let found = found.await.map_err(failed)?;
                Ok(found.map(Into::into))
            }
        }
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        match self {
            Self::Sqlite(transaction) => transaction.query_all_raw(statement).await,
            Self::Postgres {
                transaction,
                is_own,
            } => {
                let mut transaction = transaction.lock().await;
                let found = query(statement, *is_own).fetch_all(&mut **transaction);
                let found = found.await.map_err(failed)?;
                Ok(found.into_iter().map(Into::into).collect())
            }
        }
    }
}

/// A statement: without a name on the server unless it is to stay prepared.
fn query(statement: Statement, stays: bool) -> Query<'static, Postgres, SqlxValues> {
    let values = statement.values.unwrap_or(Values(Vec::new()));
    sqlx::query_with(AssertSqlSafe(statement.sql), SqlxValues(values)).persistent(stays)
}
