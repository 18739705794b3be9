//! Attempts at transfers that were queued again.

use std::borrow::Borrow;

use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select,
};
use tidegate_entity::{
    attempt::{Column, Entity, Model},
    stored::{Stored, StoredId},
};

use crate::{
    ScopedReader, Store, WriteTransaction, error::StoreError, sql::chunk, value::optional,
};
use tidegate_domain::{attempt::Attempt, id::TransferId, progress::Totals, time::Timestamp};

/// Attempts of one answer.
pub(crate) const ATTEMPTS: u32 = 100;

/// The attempts at one transfer that have ended while it went on, the newest of those before `before`, one more than fit into
/// an answer, the latest one first.
pub(crate) fn select(transfer_uuid: TransferId, before: i64) -> Select<Entity> {
    Entity::find()
        .filter(Column::TransferUuid.eq(StoredId(transfer_uuid)))
        .filter(Column::Epoch.lt(before))
        .order_by_desc(Column::Epoch)
        .limit(u64::from(ATTEMPTS) + 1)
}

impl Store {
    /// See [`ScopedReader::attempts`]; the latest one first.
    pub(crate) async fn attempts(
        &self,
        uuid: TransferId,
        before: i64,
    ) -> Result<Vec<Attempt>, StoreError> {
        let found = select(uuid, before).all(&self.reads()).await?;
        Ok(found.into_iter().map(from_row).collect())
    }
}

impl ScopedReader {
    /// The newest attempts at a transfer, or the newest of those `before` a lease, in their order, and whether there are
    /// earlier ones; `None` when there is no such transfer.
    pub async fn attempts(
        &self,
        uuid: TransferId,
        before: Option<i64>,
    ) -> Result<Option<(Vec<Attempt>, bool)>, StoreError> {
        let Some(transfer) = self.transfer(uuid).await? else {
            return Ok(None);
        };
        let before = before.unwrap_or(i64::MAX);
        let mut attempts = self.store.attempts(uuid, before).await?;
        // Between the two reads the transfer may have been queued again, and even started.
        attempts.retain(|attempt| attempt.epoch <= transfer.lease_epoch);
        let is_told =
            |latest: &Attempt| attempts.first().is_some_and(|it| it.epoch == latest.epoch);
        let latest =
            Attempt::latest(&transfer).filter(|latest| latest.epoch < before && !is_told(latest));
        attempts.splice(0..0, latest);
        let more = attempts.len() > ATTEMPTS as usize;
        attempts.truncate(ATTEMPTS as usize);
        attempts.reverse();
        Ok(Some((attempts, more)))
    }
}

impl WriteTransaction {
    /// Inserts attempts that have ended while their transfers go on.
    pub async fn insert_attempts<T>(&self, attempts: &[T]) -> Result<(), StoreError>
    where
        T: Borrow<Attempt> + Sync,
    {
        self.insert(attempts, |each| to_row(each.borrow())).await
    }

    /// Deletes the attempts at these transfers.
    pub(crate) async fn delete_attempts(&self, uuids: &[TransferId]) -> Result<(), StoreError> {
        let backend = self.transaction.get_database_backend();
        for among in chunk::one_of_ids(backend, Column::TransferUuid, uuids) {
            let delete = Entity::delete_many().filter(among);
            delete.exec(&self.transaction).await?;
        }
        Ok(())
    }
}

fn to_row(attempt: &Attempt) -> Model {
    let totals = attempt.totals;
    Model {
        transfer_uuid: StoredId(attempt.transfer_uuid),
        epoch: attempt.epoch,
        owner_uuid: attempt.owner_uuid.map(StoredId),
        agent_instance: optional(&attempt.agent_instance),
        started_at: attempt.started_at.as_micros(),
        ended_at: attempt.ended_at.unwrap_or(attempt.started_at).as_micros(),
        outcome: Stored(attempt.end),
        error_message: optional(&attempt.error_message),
        records_transferred: totals.records_transferred,
        records_created: totals.records_created,
        records_updated: totals.records_updated,
        records_skipped: totals.records_skipped,
        records_failed: totals.records_failed,
        bytes_transferred: totals.bytes_transferred,
        checkpoint: attempt.checkpoint.clone(),
    }
}

fn from_row(row: Model) -> Attempt {
    Attempt {
        transfer_uuid: row.transfer_uuid.0,
        epoch: row.epoch,
        owner_uuid: row.owner_uuid.map(|stored| stored.0),
        agent_instance: row.agent_instance.unwrap_or_default(),
        started_at: Timestamp::from_micros(row.started_at),
        ended_at: Some(Timestamp::from_micros(row.ended_at)),
        end: row.outcome.0,
        error_message: row.error_message.unwrap_or_default(),
        totals: Totals {
            records_transferred: row.records_transferred,
            records_created: row.records_created,
            records_updated: row.records_updated,
            records_skipped: row.records_skipped,
            records_failed: row.records_failed,
            bytes_transferred: row.bytes_transferred,
        },
        checkpoint: row.checkpoint,
    }
}
