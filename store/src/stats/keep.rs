//! How the sums are kept, in the transaction that ends or deletes transfers.

use std::borrow::Borrow;

use sea_orm::{
    ConnectionTrait as _, DbBackend, EntityTrait as _, QuerySelect as _,
    sea_query::{Expr, InsertStatement, OnConflict, Query, SelectStatement},
};
use tidegate_domain::{id::TransferId, transfer::Transfer};
use tidegate_entity::{
    deleted_transfer,
    stored::{Stored, StoredId},
    transfer, transfer_stats,
};

use super::facts::{self, LATEST, SUMS};
use crate::{
    Store, WriteTransaction, error::StoreError, event::select, sql::chunk, transfer::rows::to_row,
};

impl Store {
    /// Makes all sums anew from the transfers, all of them or none; answers how many there are.
    ///
    /// # Errors
    /// See [`StoreError`]; where it is not known whether the commit took place, it can be done again.
    pub async fn rebuild_sums(&self) -> Result<u64, StoreError> {
        let batch = self.begin().await?;
        let made = batch.rebuild_sums().await?;
        batch.commit().await?;
        Ok(made)
    }
}

impl WriteTransaction {
    /// Counts transfers that have just ended, once each. Comes after the events: the lock of their counter keeps batches
    /// that add to the same sums from waiting for each other in a circle.
    pub(crate) async fn count_ended(&self, uuids: &[TransferId]) -> Result<(), StoreError> {
        let backend = self.transaction.get_database_backend();
        for sums in of_ended(backend, uuids) {
            self.add_to_sums(sums).await?;
        }
        Ok(())
    }

    /// Keeps what is counted of transfers that are deleted.
    pub async fn keep_deleted<T>(&self, transfers: &[T]) -> Result<(), StoreError>
    where
        T: Borrow<Transfer> + Sync,
    {
        self.insert(transfers, |each| rest(each.borrow())).await
    }

    /// Makes all sums anew from the transfers; answers how many. Keeps every change waiting meanwhile.
    async fn rebuild_sums(&self) -> Result<u64, StoreError> {
        let db = &self.transaction;
        if db.get_database_backend() == DbBackend::Postgres {
            // It may take as long as it takes, and reads all rows.
            let patient = "SET LOCAL statement_timeout = 0; SET LOCAL enable_seqscan = on";
            db.execute_unprepared(patient).await?;
        }
        // Nobody ends or deletes a transfer without it.
        select::counter().lock_exclusive().one(db).await?;
        transfer_stats::Entity::delete_many().exec(db).await?;
        self.add_to_sums(facts::of_all(db.get_database_backend()))
            .await
    }

    /// Answers how many it has changed.
    async fn add_to_sums(&self, sums: SelectStatement) -> Result<u64, StoreError> {
        let insert = addition(sums);
        Ok(self.transaction.execute(&insert).await?.rows_affected())
    }
}

/// As [`WriteTransaction::count_ended`] does it, as one statement for PostgreSQL; `None` for no transfers.
pub(crate) fn counting_ended(uuids: &[TransferId]) -> Option<InsertStatement> {
    let sums = of_ended(DbBackend::Postgres, uuids).next();
    sums.map(addition)
}

fn of_ended(backend: DbBackend, uuids: &[TransferId]) -> impl Iterator<Item = SelectStatement> {
    let kept = chunk::one_of_ids(backend, transfer::Column::Uuid, uuids);
    let deleted = chunk::one_of_ids(backend, deleted_transfer::Column::Uuid, uuids);
    let both = kept.into_iter().zip(deleted);
    both.map(move |(kept, deleted)| facts::of(backend, kept, deleted))
}

fn addition(sums: SelectStatement) -> InsertStatement {
    let mut found = OnConflict::columns(facts::key());
    for sum in SUMS {
        let added = format!("transfer_stats.{sum} + excluded.{sum}");
        found.value(sum, Expr::cust(added));
    }
    let latest = format!(
        "CASE WHEN transfer_stats.{LATEST} > excluded.{LATEST} \
             THEN transfer_stats.{LATEST} ELSE excluded.{LATEST} END"
    );
    found.value(LATEST, Expr::cust(latest));
    Query::insert()
        .into_table("transfer_stats")
        .columns(facts::columns())
        .select_from(sums)
        .expect("as many columns as there are")
        .on_conflict(found)
        .to_owned()
}

fn rest(transfer: &Transfer) -> deleted_transfer::Model {
    let row = to_row(transfer);
    deleted_transfer::Model {
        uuid: StoredId(transfer.uuid),
        direction: row.direction,
        connection_uuid: row.connection_uuid,
        table_name: row.table_name,
        status: Stored(transfer.status),
        records_transferred: row.records_transferred,
        bytes_transferred: row.bytes_transferred,
        started_at: row.started_at,
        completed_at: row.completed_at,
        inserted_at: row.inserted_at,
    }
}
