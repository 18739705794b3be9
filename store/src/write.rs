//! The one way to write: a transaction that loads what a batch of commands needs and stores what they made of it.
//!
//! Rows are locked in the order of their uuids and the event counter last, so that batches of several writers cannot
//! wait for each other in a circle.

use std::{
    borrow::Borrow,
    sync::{Arc, OnceLock},
};

use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, EntityTrait, Insert, IntoActiveModel,
    ModelTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, LockBehavior, LockType},
};
use tidegate_entity::{event_counter, transfer};
use uuid::Uuid;

use crate::{
    PriorRequest, chain,
    error::{Inconsistency, StoreError},
    events,
    open::pools::Inner,
    requests, rows,
    sql::{chunk, transaction::Transaction, update},
    time, transfers,
};
use tidegate_domain::{
    chain::{Head, link},
    event::Event,
    time::Timestamp,
    transfer::Transfer,
};

mod connections;

mod credentials;
mod probe;

/// One write transaction. Dropped without [`commit`](Self::commit) or [`rollback`](Self::rollback), it is rolled back, and
/// on SQLite its connection is replaced.
#[derive(Debug)]
pub struct WriteTransaction {
    transaction: Transaction,
    /// The newest event of the log once this is committed, if it appends any.
    head: OnceLock<Head>,
}

impl WriteTransaction {
    pub(super) async fn begin(
        inner: &Arc<Inner>,
        pool: &DatabaseConnection,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            transaction: Transaction::begin(inner, pool).await?,
            head: OnceLock::new(),
        })
    }

    /// As [`Store::now`](super::Store::now), within the transaction.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn now(&self) -> Result<Option<Timestamp>, StoreError> {
        time::now_in_batch(&self.transaction).await
    }

    /// Loads transfers for a change, in the order of their uuids, and keeps other writers away from them. `uuids` must
    /// be sorted; those that do not exist, or that somebody else has locked, are left out.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn lock_transfers(&self, uuids: &[Uuid]) -> Result<Vec<Transfer>, StoreError> {
        let mut transfers = Vec::with_capacity(uuids.len());
        for uuids in chunk::keys(uuids) {
            let found = transfer::Entity::find()
                .filter(transfer::Column::Uuid.is_in(uuids))
                .order_by_asc(transfer::Column::Uuid)
                .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
                .all(&self.transaction)
                .await?;
            for row in found {
                transfers.push(rows::to_transfer(row)?);
            }
        }
        Ok(transfers)
    }

    /// The transfers among `uuids` that exist, without a lock.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn existing_transfers(&self, uuids: &[Uuid]) -> Result<Vec<Transfer>, StoreError> {
        transfers::existing(&self.transaction, uuids).await
    }

    /// What earlier requests with these ids did, whoever asked.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn remembered(&self, request_ids: &[&str]) -> Result<Vec<PriorRequest>, StoreError> {
        let mut remembered = Vec::new();
        for ids in chunk::keys(request_ids) {
            remembered.extend(requests::remembered(&self.transaction, &ids).await?);
        }
        Ok(remembered)
    }

    /// Inserts transfers.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn insert_transfers<T>(&self, transfers: &[T]) -> Result<(), StoreError>
    where
        T: Borrow<Transfer> + Sync,
    {
        for piece in chunk::rows(transfers) {
            self.insert(piece.iter().map(|each| rows::from_transfer(each.borrow())))
                .await?;
        }
        Ok(())
    }

    /// Stores all that can change about transfers, which is all but what was declared and the time of creation.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn update_transfers<T>(&self, transfers: &[T]) -> Result<(), StoreError>
    where
        T: Borrow<Transfer> + Sync,
    {
        self.update(&update::CHANGING, transfers).await
    }

    /// Stores totals, checkpoint, heartbeat, time and number of the change, and nothing else.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn update_progress<T>(&self, transfers: &[T]) -> Result<(), StoreError>
    where
        T: Borrow<Transfer> + Sync,
    {
        self.update(&update::PROGRESS, transfers).await
    }

    /// Deletes transfers that were locked before.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn delete_transfers(&self, uuids: &[Uuid]) -> Result<(), StoreError> {
        let mut deleted = 0;
        for uuids in chunk::keys(uuids) {
            let result = transfer::Entity::delete_many()
                .filter(transfer::Column::Uuid.is_in(uuids))
                .exec(&self.transaction)
                .await?;
            deleted += result.rows_affected;
        }
        expect_rows("deleted", uuids.len(), deleted)
    }

    /// Gives each event its position in the log and appends it. Must be the last step before [`commit`](Self::commit):
    /// the counter's lock is what makes the positions gapless and puts them into the order of the commits. Answers what
    /// they continue from, which is whatever the log ends with, known to this replica or not.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn append_events(&self, events: &mut [Event]) -> Result<Option<Head>, StoreError> {
        let Ok(count @ 1..) = i64::try_from(events.len()) else {
            return Ok(None);
        };
        let last = take_numbers(&self.transaction, count).await?;
        // A statement of its own: on PostgreSQL the one that waited for the lock sees the log as it was before the wait.
        let mut previous = chain::hash_at(&self.transaction, last - count).await?;
        let after = Head {
            sequence: last - count,
            hash: previous,
        };
        for (sequence, event) in (last - count + 1..).zip(events.iter_mut()) {
            event.sequence = sequence;
            previous = link(&previous, event);
            event.hash = Some(previous);
        }
        for piece in chunk::rows(events) {
            self.insert(piece.iter().map(rows::from_event)).await?;
        }
        let sequence = last;
        let hash = previous;
        _ = self.head.set(Head { sequence, hash });
        Ok(Some(after))
    }

    /// Deletes the oldest events as far as they happened before `before`, at most `limit` of them, and moves the floor
    /// of the log along. Answers how many it deleted. Takes the counter's lock, so it stands in a batch of its own.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn trim_log(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        events::trim(&self.transaction, before, limit).await
    }

    /// Makes it durable. When this fails, it may or may not have become so, unless a step before has failed.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn commit(self) -> Result<(), StoreError> {
        Ok(self.transaction.commit(self.head.into_inner()).await?)
    }

    /// Ends it without a trace.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn rollback(self) -> Result<(), StoreError> {
        Ok(self.transaction.rollback().await?)
    }

    async fn insert<M>(&self, rows: impl Iterator<Item = M>) -> Result<(), StoreError>
    where
        M: ModelTrait + IntoActiveModel<<M::Entity as EntityTrait>::ActiveModel>,
    {
        let insert = Insert::<<M::Entity as EntityTrait>::ActiveModel>::many(rows);
        insert.exec_without_returning(&self.transaction).await?;
        Ok(())
    }

    async fn update<T>(
        &self,
        columns: &[transfer::Column],
        transfers: &[T],
    ) -> Result<(), StoreError>
    where
        T: Borrow<Transfer> + Sync,
    {
        let models = |each: &T| rows::from_transfer(each.borrow());
        self.set::<transfer::Entity, T>(transfer::Column::Uuid, columns, transfers, models)
            .await
    }

    async fn set<E, T>(
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
        for piece in chunk::rows(values) {
            let rows: Vec<_> = piece.iter().map(&to_row).collect();
            let result = self
                .transaction
                .execute(&update::statement::<E>(key, columns, &rows))
                .await?;
            expect_rows("updated", piece.len(), result.rows_affected())?;
        }
        Ok(())
    }
}

/// Advances the counter by `count` and answers with its new value.
async fn take_numbers<C: ConnectionTrait>(db: &C, count: i64) -> Result<i64, StoreError> {
    let last = event_counter::Column::LastSequence;
    // Whoever waited for the lock is given the row as it is then.
    let before = events::counter().lock_exclusive().one(db).await?;
    let before = before.ok_or(Inconsistency::NoCounter)?.last_sequence;
    let advance = event_counter::Entity::update_many()
        .col_expr(last, Expr::value(before + count))
        .filter(last.eq(before));
    let advanced = advance.exec(db).await?.rows_affected;
    expect_rows("advanced", 1, advanced)?;
    Ok(before + count)
}

/// A row that was locked cannot be gone; if it is, something else writes to the database.
fn expect_rows(done: &'static str, wanted: usize, found: u64) -> Result<(), StoreError> {
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
