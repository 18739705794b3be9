//! The part of a batch that concerns connections.

use std::borrow::Borrow;

use sea_orm::{
    ColumnTrait, ConnectionTrait as _, DbBackend, EntityTrait, QueryFilter, sea_query::LockBehavior,
};
use tidegate_entity::connection;
use uuid::Uuid;

use super::{WriteTransaction, expect_rows};
use crate::{
    ConnectionPeek, connections,
    error::StoreError,
    rows,
    sql::{chunk, update},
    stats, transfers,
};
use tidegate_domain::connection::{Connection, DuplicateCandidate, Usage};

/// The limit that every session has.
const LOCK_TIMEOUT: &str = "2s";

impl WriteTransaction {
    /// The connections that `transfers` belong to, each once, without a lock.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn glimpse_connections(
        &self,
        transfers: &[Uuid],
    ) -> Result<Vec<ConnectionPeek>, StoreError> {
        connections::peek(&self.transaction, transfers).await
    }

    /// Loads connections and keeps other writers away from changing them: with `exclusive` from counting on them, too.
    /// `uuids` must be sorted; those that do not exist, or that somebody else has locked, are left out.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn lock_connections(
        &self,
        uuids: &[Uuid],
        exclusive: bool,
    ) -> Result<Vec<Connection>, StoreError> {
        let behavior = Some(LockBehavior::SkipLocked);
        connections::lock(&self.transaction, uuids, exclusive, behavior).await
    }

    /// As [`lock_connections`](Self::lock_connections), but waits a moment for those that are locked.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when one stays locked; see [`StoreError`].
    pub async fn await_connections(
        &self,
        uuids: &[Uuid],
        exclusive: bool,
    ) -> Result<Vec<Connection>, StoreError> {
        let db = &self.transaction;
        if db.get_database_backend() != DbBackend::Postgres {
            return connections::lock(db, uuids, exclusive, None).await;
        }
        db.execute_unprepared("SET LOCAL lock_timeout = '1s'")
            .await?;
        let locked = connections::lock(db, uuids, exclusive, None).await?;
        db.execute_unprepared(&format!("SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
            .await?;
        Ok(locked)
    }

    /// The connections that were not revoked, which no other batch that asks for them adds to before this one ends.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn lock_candidates(&self) -> Result<Vec<DuplicateCandidate>, StoreError> {
        connections::candidates(&self.transaction).await
    }

    /// What the transfers of a connection have used up, counted from their rows.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn usage_on_record(&self, connection_uuid: Uuid) -> Result<Usage, StoreError> {
        stats::usage(&self.transaction, connection_uuid).await
    }

    /// Transfers of a connection that could still change, at most `limit` of them.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn open_transfers(
        &self,
        connection_uuid: Uuid,
        limit: u32,
    ) -> Result<Vec<Uuid>, StoreError> {
        transfers::open_of(&self.transaction, connection_uuid, limit).await
    }

    /// The connections among `uuids` that exist, without a lock.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn existing_connections(
        &self,
        uuids: &[Uuid],
    ) -> Result<Vec<Connection>, StoreError> {
        connections::existing(&self.transaction, uuids).await
    }

    /// Inserts connections.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn insert_connections<T>(&self, connections: &[T]) -> Result<(), StoreError>
    where
        T: Borrow<Connection> + Sync,
    {
        for piece in chunk::rows(connections) {
            let models = piece
                .iter()
                .map(|each| rows::from_connection(each.borrow()));
            self.insert(models).await?;
        }
        Ok(())
    }

    /// Stores all that can change about connections that were locked before.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn update_connections<T>(&self, connections: &[T]) -> Result<(), StoreError>
    where
        T: Borrow<Connection> + Sync,
    {
        self.update_of(&update::CONNECTION, connections).await
    }

    /// Stores what connections that were locked before have used up, and nothing else.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn update_usage<T>(&self, connections: &[T]) -> Result<(), StoreError>
    where
        T: Borrow<Connection> + Sync,
    {
        self.update_of(&update::USAGE, connections).await
    }

    /// Deletes connections that were locked before.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn delete_connections(&self, uuids: &[Uuid]) -> Result<(), StoreError> {
        let mut deleted = 0;
        for uuids in chunk::keys(uuids) {
            let result = connection::Entity::delete_many()
                .filter(connection::Column::Uuid.is_in(uuids))
                .exec(&self.transaction)
                .await?;
            deleted += result.rows_affected;
        }
        expect_rows("deleted", uuids.len(), deleted)
    }

    async fn update_of<T>(
        &self,
        columns: &[connection::Column],
        connections: &[T],
    ) -> Result<(), StoreError>
    where
        T: Borrow<Connection> + Sync,
    {
        let models = |each: &T| rows::from_connection(each.borrow());
        self.set::<connection::Entity, T>(connection::Column::Uuid, columns, connections, models)
            .await
    }
}
