//! Attempts at transfers that were queued again.

use std::borrow::Borrow;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, Select};
use tidegate_entity::{
    attempt::{Column, Entity, Model},
    stored::StoredId,
};

use crate::{
    ScopedReader, Store, WriteTransaction, error::StoreError, sql::chunk, value::optional,
};
use tidegate_domain::{
    attempt::{Attempt, AttemptEnd},
    id::TransferId,
    progress::Totals,
    time::Timestamp,
};

/// The attempts at one transfer that have ended while it went on, the first one first.
pub(crate) fn select(transfer_uuid: TransferId) -> Select<Entity> {
    Entity::find()
        .filter(Column::TransferUuid.eq(StoredId(transfer_uuid)))
        .order_by_asc(Column::Epoch)
}

impl Store {
    /// See [`ScopedReader::attempts`].
    pub(crate) async fn attempts(&self, uuid: TransferId) -> Result<Vec<Attempt>, StoreError> {
        let found = select(uuid).all(&self.reads()).await?;
        Ok(found.into_iter().map(from_row).collect())
    }
}

impl ScopedReader {
    /// Every attempt at a transfer, the first one first; `None` when there is no such transfer.
    pub async fn attempts(&self, uuid: TransferId) -> Result<Option<Vec<Attempt>>, StoreError> {
        let Some(transfer) = self.transfer(uuid).await? else {
            return Ok(None);
        };
        let mut attempts = self.store.attempts(uuid).await?;
        // Between the two reads the transfer may have been queued again, and even started.
        attempts.retain(|attempt| attempt.epoch <= transfer.lease_epoch);
        let is_told = |latest: &Attempt| attempts.last().is_some_and(|it| it.epoch == latest.epoch);
        let latest = Attempt::latest(&transfer).filter(|latest| !is_told(latest));
        attempts.extend(latest);
        Ok(Some(attempts))
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
        error_message: attempt.error_message.clone(),
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
        end: AttemptEnd::Requeued,
        error_message: row.error_message,
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
