//! The ledger as of one moment, read for an audit or an export beside whoever writes it.
//!
//! Takes no lock of ours: PostgreSQL keeps the moment for a transaction that only reads, and so does SQLite's log of
//! writes, which other processes may read while the server runs. Nothing is written, nor can it be.

use std::time::Duration;

use sea_orm::{
    AccessMode, ColumnTrait as _, ConnectionTrait, DatabaseConnection, DatabaseTransaction,
    DbBackend, DbErr, EntityTrait as _, FromQueryResult as _, IsolationLevel, QueryFilter as _,
    QueryOrder as _, QueryResult, QuerySelect as _, QueryTrait as _, TransactionOptions,
    TransactionTrait as _, Value,
};
use tidegate_entity::{event, event_counter};

use crate::{
    Migrate, Options, ScopedReader, Store,
    error::{Inconsistency, OpenError, StoreError, silence},
    event as log,
    open::{self, pools::close},
};
use tidegate_domain::{
    caller::ConnectionScope,
    chain::{Books, Found},
};

/// An open one.
#[derive(Debug)]
pub struct Snapshot {
    pub(crate) transaction: DatabaseTransaction,
    pool: DatabaseConnection,
}

impl Snapshot {
    /// Opens the database at `url` for reading. It must be there, and have this version's schema.
    ///
    /// # Errors
    /// One line that says what is wrong with which database.
    pub async fn open(url: &str, options: &Options) -> Result<Self, OpenError> {
        let (pool, database) = open::reader(url, options).await?;
        open::refuse_newer(&pool, &database).await?;
        open::migrate(&pool, &database, Migrate::Check).await?;
        let options = match pool.get_database_backend() {
            DbBackend::Postgres => TransactionOptions {
                isolation_level: Some(IsolationLevel::RepeatableRead),
                access_mode: Some(AccessMode::ReadOnly),
                ..TransactionOptions::default()
            },
            _ => TransactionOptions::default(),
        };
        let transaction = pool
            .begin_with_options(options)
            .await
            .map_err(|error| open::other(&database, &error))?;
        Ok(Self { transaction, pool })
    }

    /// What the log says about itself; `None` when what it says has no meaning.
    pub async fn books(&self) -> Result<Option<Books>, StoreError> {
        Ok(answer(books(&self.transaction)).await?)
    }

    /// The rows after the position `after`, at most `limit` of them.
    ///
    /// # Errors
    /// See [`StoreError`]. A row that has no meaning is none.
    pub async fn rows(&self, after: i64, limit: u32) -> Result<Vec<Found>, StoreError> {
        let found = answer(rows(&self.transaction, after, limit)).await?;
        found.iter().map(read).collect()
    }

    /// Lets go of the database.
    pub async fn close(self) -> Result<(), StoreError> {
        answer(self.transaction.rollback()).await?;
        close(&self.pool).await;
        Ok(())
    }
}

impl Store {
    /// As [`Snapshot::books`], as of now.
    pub async fn books(&self) -> Result<Option<Books>, StoreError> {
        Ok(books(&self.reads()).await?)
    }

    /// As [`Snapshot::rows`], as of now.
    pub async fn found(&self, after: i64, limit: u32) -> Result<Vec<Found>, StoreError> {
        let found = rows(&self.reads(), after, limit).await?;
        found.iter().map(read).collect()
    }
}

impl ScopedReader {
    /// What the log says about itself, which is nobody's secret.
    pub async fn books(&self) -> Result<Option<Books>, StoreError> {
        self.store.books().await
    }

    /// The rows after the position `after`, for whoever sees everything; for others none.
    pub async fn found(&self, after: i64, limit: u32) -> Result<Vec<Found>, StoreError> {
        match self.caller.scope() {
            ConnectionScope::All => self.store.found(after, limit).await,
            ConnectionScope::Only(_) | ConnectionScope::Nothing => Ok(Vec::new()),
        }
    }
}

async fn books<C: ConnectionTrait>(db: &C) -> Result<Option<Books>, DbErr> {
    let select = log::select::counter().into_query();
    let row = db.query_one(&select).await?;
    Ok(row.and_then(|row| {
        let counter = event_counter::Model::from_query_result(&row, "").ok()?;
        log::rows::books(counter).ok()
    }))
}

async fn rows<C: ConnectionTrait>(
    db: &C,
    after: i64,
    limit: u32,
) -> Result<Vec<QueryResult>, DbErr> {
    let select = event::Entity::find()
        .filter(event::Column::Sequence.gt(after))
        .order_by_asc(event::Column::Sequence)
        .limit(u64::from(limit))
        .into_query();
    db.query_all(&select).await
}

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn answer<T>(answer: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
    let answered = tokio::time::timeout(PATIENCE, answer).await;
    answered.unwrap_or_else(|_| Err(silence()))
}

/// A row counts only if the server would have written it like that, to the letter: the hash covers what it means.
fn read(row: &QueryResult) -> Result<Found, StoreError> {
    let sequence = row
        .try_get("", "sequence")
        .map_err(|error| Inconsistency::Sequence(error.to_string()))?;
    let model = event::Model::from_query_result(row, "").ok();
    let event = model.and_then(|model| {
        // JSON of one meaning has many forms.
        let detail: Option<String> = row.try_get("", "detail").ok()?;
        let about: Option<String> = row.try_get("", "about").ok()?;
        let same_form = model.detail.clone().map(Value::from) == detail.map(Value::from)
            && model.about.clone().map(Value::from) == about.map(Value::from);
        log::rows::found(&model).event.filter(|_| same_form)
    });
    Ok(Found { sequence, event })
}
