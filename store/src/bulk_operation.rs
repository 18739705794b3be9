//! Bulk operations and what came of their transfers.

use std::sync::Arc;

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{LockBehavior, LockType},
};
use tidegate_entity::{bulk_operation, bulk_outcome, stored::StoredId};

use crate::{
    Readers, Store, WriteTransaction, error::StoreError, sql::chunk, value::ids, write::expect_rows,
};
use tidegate_domain::{
    bulk::{BulkOperation, BulkOutcome, BulkResult, RUNNING_MAX},
    id::BulkOperationId,
    query::Window,
    time::Timestamp,
};

pub(crate) mod rows;
pub(crate) mod select;

/// The lock of PostgreSQL under which operations are started, so that two replicas do not both start the last one that may
/// run. The number says nothing; it is not used elsewhere.
const STARTS: i64 = 0x7469_6465_0062_756c;

impl Store {
    /// One operation, if it exists.
    pub(crate) async fn bulk_operation(
        &self,
        uuid: BulkOperationId,
    ) -> Result<Option<BulkOperation>, StoreError> {
        let found = bulk_operation::Entity::find_by_id(StoredId(uuid));
        let found = found.one(&self.reads()).await?;
        found.map(rows::to_operation).transpose()
    }

    /// Those that run, the oldest first.
    pub async fn running_bulk_operations(&self) -> Result<Vec<BulkOperation>, StoreError> {
        let found = select::running().all(&self.reads()).await?;
        found.into_iter().map(rows::to_operation).collect()
    }
}

impl Readers {
    /// One operation, if it exists. Who may ask is settled by the method that is called: no agent may.
    pub async fn bulk_operation(
        &self,
        uuid: BulkOperationId,
    ) -> Result<Option<BulkOperation>, StoreError> {
        self.0.bulk_operation(uuid).await
    }

    /// Operations, newest first, then by uuid downwards. No agent may ask.
    pub async fn bulk_operations(&self, window: Window) -> Result<Vec<BulkOperation>, StoreError> {
        let found = select::list(window).all(&self.0.reads()).await?;
        found.into_iter().map(rows::to_operation).collect()
    }

    /// What came of the transfers of an operation, in the order of their turns, `after` a number. No agent may ask.
    pub async fn bulk_outcomes(
        &self,
        uuid: BulkOperationId,
        result: Option<BulkResult>,
        after: i64,
        limit: u32,
    ) -> Result<Vec<BulkOutcome>, StoreError> {
        let select = select::outcomes(uuid, result, after, limit);
        let found = select.all(&self.0.reads()).await?;
        Ok(found.into_iter().map(rows::to_outcome).collect())
    }
}

impl WriteTransaction {
    /// How many operations run, which no other batch that asks adds to before this one ends.
    pub async fn lock_bulk_starts(&self) -> Result<i64, StoreError> {
        let db = &self.transaction;
        if db.get_database_backend() == DbBackend::Postgres {
            let lock = format!("SELECT pg_advisory_xact_lock({STARTS})");
            db.execute_unprepared(&lock).await?;
        }
        // More than that is as good as so many.
        let running = select::running().all(db).await?.len();
        Ok(i64::try_from(running).unwrap_or(RUNNING_MAX))
    }

    /// Loads operations for a change, and keeps other writers away from them. `uuids` must be sorted; those that do not
    /// exist, and those that somebody else has locked, are left out.
    pub async fn lock_bulk_operations(
        &self,
        uuids: &[BulkOperationId],
    ) -> Result<Vec<BulkOperation>, StoreError> {
        self.bulk_operations(uuids, true).await
    }

    /// The operations among `uuids` that exist, without a lock.
    pub async fn existing_bulk_operations(
        &self,
        uuids: &[BulkOperationId],
    ) -> Result<Vec<BulkOperation>, StoreError> {
        self.bulk_operations(uuids, false).await
    }

    async fn bulk_operations(
        &self,
        uuids: &[BulkOperationId],
        locks: bool,
    ) -> Result<Vec<BulkOperation>, StoreError> {
        let db = &self.transaction;
        let mut found = Vec::with_capacity(uuids.len());
        let key = bulk_operation::Column::Uuid;
        for among in chunk::one_of_ids(db.get_database_backend(), key, uuids) {
            let mut select = bulk_operation::Entity::find()
                .filter(among)
                .order_by_asc(key);
            if locks {
                select = select.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
            }
            found.extend(select.all(db).await?);
        }
        found.into_iter().map(rows::to_operation).collect()
    }

    /// Inserts operations.
    pub async fn insert_bulk_operations(
        &self,
        operations: &[Arc<BulkOperation>],
    ) -> Result<(), StoreError> {
        self.insert(operations, |each| rows::from_operation(each))
            .await
    }

    /// Stores what changes about operations that were locked before.
    pub async fn update_bulk_operations(
        &self,
        operations: &[Arc<BulkOperation>],
    ) -> Result<(), StoreError> {
        for operation in operations {
            let row = rows::from_operation(operation);
            let change = bulk_operation::ActiveModel {
                state: Set(row.state),
                succeeded: Set(row.succeeded),
                refused: Set(row.refused),
                after_inserted_at: Set(row.after_inserted_at),
                after_uuid: Set(row.after_uuid),
                updated_at: Set(row.updated_at),
                ended_at: Set(row.ended_at),
                revision: Set(row.revision),
                ..bulk_operation::ActiveModel::default()
            };
            let result = bulk_operation::Entity::update_many()
                .set(change)
                .filter(bulk_operation::Column::Uuid.eq(row.uuid))
                .exec(&self.transaction)
                .await?;
            expect_rows("updated", 1, result.rows_affected)?;
        }
        Ok(())
    }

    /// Inserts what came of transfers.
    pub async fn insert_bulk_outcomes(&self, outcomes: &[BulkOutcome]) -> Result<(), StoreError> {
        self.insert(outcomes, rows::from_outcome).await
    }

    /// Deletes at most `limit` outcomes of the operation that ended first, if that was before `before`, or else the
    /// operation, once it has none any more. Answers how many rows it deleted.
    pub async fn trim_bulk_operations(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let db = &self.transaction;
        let ended: Vec<BulkOperationId> = ids(select::ended(before), db).await?;
        let Some(uuid) = ended.first() else {
            return Ok(0);
        };
        let last: Option<i64> = select::outcomes(*uuid, None, 0, limit)
            .select_only()
            .column(bulk_outcome::Column::Number)
            .into_tuple()
            .all(db)
            .await?
            .last()
            .copied();
        let of_it = bulk_outcome::Column::OperationUuid.eq(StoredId(*uuid));
        let Some(last) = last else {
            let rest = bulk_operation::Entity::delete_by_id(StoredId(*uuid));
            return Ok(rest.exec(db).await?.rows_affected);
        };
        let outcomes = bulk_outcome::Entity::delete_many()
            .filter(of_it)
            .filter(bulk_outcome::Column::Number.lte(last));
        Ok(outcomes.exec(db).await?.rows_affected)
    }
}
