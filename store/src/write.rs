//! The one way to write: a transaction that loads what a batch of commands needs and stores what they made of it.
//!
//! Rows are locked in the order of their uuids and the event counter last, so that batches of several writers cannot
//! wait for each other in a circle. Sums are added to under the counter's lock, in any order.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbBackend, EntityTrait, ModelTrait,
    QueryFilter, QuerySelect,
    sea_query::{Expr, ExprTrait},
};
use tidegate_entity::event_counter;
use uuid::Uuid;

use crate::{
    error::{Inconsistency, StoreError},
    event,
    open::pools::Inner,
    sql::{bulk, chunk, transaction::Transaction},
    time,
};
use tidegate_domain::{chain::Head, time::Timestamp, transfer::Transfer};

/// One write transaction. Dropped without [`commit`](Self::commit) or [`rollback`](Self::rollback), it is rolled back, and
/// on SQLite its connection is replaced.
#[derive(Debug)]
pub struct WriteTransaction {
    pub(crate) transaction: Transaction,
    /// The newest event of the log once this is committed, if it appends any.
    pub(crate) head: OnceLock<Head>,
    /// Transfers as they are once this is committed.
    written: Mutex<Vec<Arc<Transfer>>>,
}

impl WriteTransaction {
    pub(crate) async fn begin(
        inner: &Arc<Inner>,
        pool: &DatabaseConnection,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            transaction: Transaction::begin(inner, pool).await?,
            head: OnceLock::new(),
            written: Mutex::default(),
        })
    }

    /// As [`Store::now`](super::Store::now), within the transaction.
    pub async fn now(&self) -> Result<Option<Timestamp>, StoreError> {
        time::now(&self.transaction).await
    }

    /// Makes it durable. When this fails, it may or may not have become so, unless a step before has failed.
    pub async fn commit(self) -> Result<(), StoreError> {
        let (inner, written) = (self.transaction.owner(), self.written.into_inner());
        let head = self.head.into_inner();
        if let Some(head) = head {
            // Before: whoever waits for the lock has it as soon as this one's answer is on its way.
            inner.is_writing(head);
        }
        self.transaction.commit(head).await?;
        for transfer in written.unwrap_or_else(PoisonError::into_inner) {
            inner.transfers.keep(&transfer);
        }
        Ok(())
    }

    /// Notes transfers that this has inserted or changed.
    pub(crate) fn has_written(&self, transfers: &[Arc<Transfer>]) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.extend_from_slice(transfers);
    }

    /// Ends it without a trace.
    pub async fn rollback(self) -> Result<(), StoreError> {
        Ok(self.transaction.rollback().await?)
    }

    /// Takes the lock that every change takes last. `durably`: changes something there and back, and commits it.
    pub(crate) async fn probe(self, durably: bool) -> Result<(), StoreError> {
        let counter = event::select::counter().lock_exclusive();
        let counter = counter.one(&self.transaction).await?;
        let counter = counter.ok_or(Inconsistency::NoCounter)?;
        if !durably {
            return Ok(self.transaction.rollback().await?);
        }
        for step in [1, -1] {
            event_counter::Entity::update_many()
                .col_expr(
                    event_counter::Column::FloorSequence,
                    Expr::col(event_counter::Column::FloorSequence).add(step),
                )
                .filter(event_counter::Column::LastSequence.eq(counter.last_sequence))
                .exec(&self.transaction)
                .await?;
        }
        self.commit().await
    }

    pub(crate) async fn insert<T, M>(
        &self,
        values: &[T],
        to_row: impl Fn(&T) -> M,
    ) -> Result<(), StoreError>
    where
        M: ModelTrait,
        M::Entity: EntityTrait<Model = M>,
    {
        for piece in self.pieces(values) {
            let rows: Vec<M> = piece.iter().map(&to_row).collect();
            let bulk = bulk::insert::<M::Entity>(self.transaction.get_database_backend(), &rows);
            let added = self.transaction.write(bulk).await?;
            expect_rows("added", piece.len(), added)?;
        }
        Ok(())
    }

    /// Rows of one statement each: of some fixed sizes where its text follows their number.
    fn pieces<'a, T>(&self, rows: &'a [T]) -> Vec<&'a [T]> {
        match self.transaction.get_database_backend() {
            _ if rows.is_empty() => Vec::new(),
            DbBackend::Postgres => vec![rows],
            _ => chunk::rows(rows).collect(),
        }
    }

    /// Sets `columns` of rows that were locked before.
    pub(crate) async fn update<E, T>(
        &self,
        key: E::Column,
        columns: &[E::Column],
        values: &[T],
        to_row: impl Fn(&T) -> E::Model + Send + Sync,
    ) -> Result<(), StoreError>
    where
        E: EntityTrait,
        E::Column: Sync,
        E::Model: Send + Sync,
        T: Sync,
    {
        let backend = self.transaction.get_database_backend();
        for piece in self.pieces(values) {
            let rows: Vec<_> = piece.iter().map(&to_row).collect();
            let bulk = bulk::update::<E>(backend, key, columns, &rows);
            let updated = self.transaction.write(bulk).await?;
            expect_rows("updated", piece.len(), updated)?;
        }
        Ok(())
    }

    /// Deletes rows that were locked before.
    pub(crate) async fn delete<E: EntityTrait>(
        &self,
        key: E::Column,
        uuids: &[impl Copy + Into<Uuid>],
    ) -> Result<(), StoreError> {
        let mut deleted = 0;
        let backend = self.transaction.get_database_backend();
        for among in chunk::one_of_ids(backend, key, uuids) {
            let delete = E::delete_many().filter(among);
            deleted += delete.exec(&self.transaction).await?.rows_affected;
        }
        expect_rows("deleted", uuids.len(), deleted)
    }
}

/// A row that was locked cannot be gone; if it is, something else writes to the database.
pub(crate) fn expect_rows(done: &'static str, wanted: usize, found: u64) -> Result<(), StoreError> {
    if u64::try_from(wanted).is_ok_and(|wanted| wanted == found) {
        Ok(())
    } else {
        Err(Inconsistency::Rows {
            done,
            wanted,
            found,
        }
        .into())
    }
}
