//! Connections: rows, reads and changes, with and without a lock.

use std::{
    borrow::Borrow,
    collections::{BTreeSet, HashMap},
};

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{LockBehavior, LockType},
};
use uuid::Uuid;

use crate::{ScopedReader, Store, WriteTransaction, error::StoreError, sql::chunk};
use tidegate_domain::{
    caller::ConnectionScope,
    connection::{Connection, ConnectionDirection, ConnectionStatus, DuplicateCandidate},
    id::{ConnectionId, TransferId},
    query::{ConnectionFilter, Window},
    time::Timestamp,
    transfer::Transfer,
};
use tidegate_entity::{
    connection::{Column, Entity},
    stored::{Stored, StoredId},
    transfer,
};

pub(crate) mod rows;
pub(crate) mod select;

/// The key of the advisory lock of batches that may add a way to a site.
const NEIGHBOURS: i64 = 0x7469_6465_7369_7465;

/// The limit that every session has.
const LOCK_TIMEOUT: &str = "2s";

/// What a change of a connection changes: everything but what is as it was created.
pub(crate) const CHANGING: [Column; 13] = {
    use Column::*;
    [
        Name,
        SiteUrl,
        Status,
        UpdatedAt,
        Revision,
        Policy,
        HasBudget,
        ExpiresAt,
        Settling,
        Metadata,
        StatusReason,
        TransfersUsed,
        RecordsUsed,
    ]
};

/// What a start or a report changes about a connection, and what transfers that have followed it do.
pub(crate) const USAGE: [Column; 3] =
    [Column::TransfersUsed, Column::RecordsUsed, Column::Settling];

/// The connection of some transfer, as it stands without a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionPeek {
    /// The connection, which may be gone.
    pub uuid: ConnectionId,
    /// Whether anything is counted on it.
    pub has_budget: bool,
}

impl Store {
    /// One connection, if it exists.
    pub async fn connection(&self, uuid: ConnectionId) -> Result<Option<Connection>, StoreError> {
        let found = Entity::find_by_id(StoredId(uuid))
            .one(&self.reads())
            .await?;
        Ok(found.map(rows::from_row))
    }

    /// Connections, newest first, then by uuid downwards.
    pub async fn connections(
        &self,
        filter: &ConnectionFilter,
        window: Window,
    ) -> Result<Vec<Connection>, StoreError> {
        let found = select::list(filter, window).all(&self.reads()).await?;
        Ok(found.into_iter().map(rows::from_row).collect())
    }

    /// Connections that need looking after: those in use whose end has passed at `now`, and those whose status the
    /// transfers have yet to follow, in the order of their identities after `after`.
    pub async fn due_connections(
        &self,
        now: Timestamp,
        after: Option<ConnectionId>,
        limit: u32,
    ) -> Result<Vec<Connection>, StoreError> {
        let select = select::due(now, after, limit);
        let found = select.all(&self.reads()).await?;
        Ok(found.into_iter().map(rows::from_row).collect())
    }

    /// The connections that `transfers` belong to, as far as they exist.
    pub async fn connections_of(
        &self,
        transfers: &[impl Borrow<Transfer>],
    ) -> Result<HashMap<ConnectionId, Connection>, StoreError> {
        let distinct: BTreeSet<_> = transfers
            .iter()
            .filter_map(|transfer| transfer.borrow().declared.connection_uuid)
            .collect();
        let distinct: Vec<_> = distinct.into_iter().collect();
        let found = existing(&self.reads(), &distinct).await?;
        Ok(found
            .into_iter()
            .map(|connection| (connection.uuid, connection))
            .collect())
    }
}

impl ScopedReader {
    /// One connection.
    pub async fn connection(&self, uuid: ConnectionId) -> Result<Option<Connection>, StoreError> {
        if self.caller.sees(Some(uuid)) {
            self.store.connection(uuid).await
        } else {
            Ok(None)
        }
    }

    /// Connections, newest first, then by uuid downwards.
    pub async fn connections(
        &self,
        filter: &ConnectionFilter,
        window: Window,
    ) -> Result<Vec<Connection>, StoreError> {
        let own = match self.caller.scope() {
            ConnectionScope::All => return self.store.connections(filter, window).await,
            ConnectionScope::Only(own) => own,
            ConnectionScope::Nothing => return Ok(Vec::new()),
        };
        // All that it sees is on the first page.
        let own = self.store.connection(own).await?.into_iter();
        let first = window.after.is_none();
        Ok(own.filter(|own| first && filter.matches(own)).collect())
    }

    /// The connections that `transfers` belong to, as far as they exist.
    pub async fn connections_of(
        &self,
        transfers: &[impl Borrow<Transfer>],
    ) -> Result<HashMap<ConnectionId, Connection>, StoreError> {
        let mut found = self.store.connections_of(transfers).await?;
        found.retain(|uuid, _| self.caller.sees(Some(*uuid)));
        Ok(found)
    }
}

impl WriteTransaction {
    /// The connections that `transfers` belong to, gone or not, each once, without a lock.
    pub async fn peek_connections(
        &self,
        transfers: &[TransferId],
    ) -> Result<Vec<ConnectionPeek>, StoreError> {
        let mut found = HashMap::new();
        let (db, key) = (&self.transaction, transfer::Column::Uuid);
        for among in chunk::one_of_ids(db.get_database_backend(), key, transfers) {
            for row in db.query_all(&select::peeks(among)).await? {
                let peek = ConnectionPeek {
                    uuid: row.try_get_by_index::<StoredId<_>>(0)?.0,
                    // A connection that is gone counts nothing.
                    has_budget: row.try_get_by_index::<Option<bool>>(1)?.unwrap_or_default(),
                };
                found.insert(peek.uuid, peek);
            }
        }
        Ok(found.into_values().collect())
    }

    /// Loads connections and keeps other writers away from changing them: with `exclusive` from counting on them, too.
    /// `uuids` must be sorted; those that do not exist, or that somebody else has locked, are left out.
    pub async fn lock_connections(
        &self,
        uuids: &[ConnectionId],
        exclusive: bool,
    ) -> Result<Vec<Connection>, StoreError> {
        let behavior = Some(LockBehavior::SkipLocked);
        lock(&self.transaction, uuids, exclusive, behavior).await
    }

    /// As [`lock_connections`](Self::lock_connections), but waits a moment for those that are locked.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when one stays locked.
    pub async fn await_connections(
        &self,
        uuids: &[ConnectionId],
        exclusive: bool,
    ) -> Result<Vec<Connection>, StoreError> {
        let db = &self.transaction;
        if db.get_database_backend() != DbBackend::Postgres {
            return lock(db, uuids, exclusive, None).await;
        }
        db.execute_unprepared("SET LOCAL lock_timeout = '1s'")
            .await?;
        let locked = lock(db, uuids, exclusive, None).await?;
        db.execute_unprepared(&format!("SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
            .await?;
        Ok(locked)
    }

    /// The connections that were not revoked, which no other batch that asks for them adds to before this one ends.
    ///
    /// No index holds the site; there are few connections to look through, and few are added.
    pub async fn lock_candidates(&self) -> Result<Vec<DuplicateCandidate>, StoreError> {
        let db = &self.transaction;
        if db.get_database_backend() == DbBackend::Postgres {
            let lock = format!("SELECT pg_advisory_xact_lock({NEIGHBOURS})");
            db.execute_unprepared(&lock).await?;
        }
        let found: Vec<(Uuid, Stored<ConnectionDirection>, String)> = Entity::find()
            .select_only()
            .columns([Column::Uuid, Column::Direction, Column::SiteUrl])
            .filter(Column::Status.ne(ConnectionStatus::Revoked.name()))
            .order_by_asc(Column::Uuid)
            .into_tuple()
            .all(db)
            .await?;
        let candidates = found
            .into_iter()
            .map(|(uuid, Stored(direction), site_url)| DuplicateCandidate {
                uuid: uuid.into(),
                direction,
                site_url,
            });
        Ok(candidates.collect())
    }

    /// The connections among `uuids` that exist, without a lock.
    pub async fn existing_connections(
        &self,
        uuids: &[ConnectionId],
    ) -> Result<Vec<Connection>, StoreError> {
        existing(&self.transaction, uuids).await
    }

    /// What the connections among `uuids` that exist are called, without a lock.
    pub async fn connection_names(
        &self,
        uuids: &[ConnectionId],
    ) -> Result<HashMap<ConnectionId, String>, StoreError> {
        let (db, mut names) = (&self.transaction, HashMap::new());
        for among in chunk::one_of_ids(db.get_database_backend(), Column::Uuid, uuids) {
            let found: Vec<(Uuid, String)> = Entity::find()
                .select_only()
                .columns([Column::Uuid, Column::Name])
                .filter(among)
                .into_tuple()
                .all(db)
                .await?;
            names.extend(found.into_iter().map(|(uuid, name)| (uuid.into(), name)));
        }
        Ok(names)
    }

    /// Inserts connections.
    pub async fn insert_connections<T>(&self, connections: &[T]) -> Result<(), StoreError>
    where
        T: Borrow<Connection> + Sync,
    {
        self.insert(connections, |each| rows::to_row(each.borrow()))
            .await
    }

    /// Stores all that can change about connections that were locked before.
    pub async fn update_connections<T>(&self, connections: &[T]) -> Result<(), StoreError>
    where
        T: Borrow<Connection> + Sync,
    {
        self.update_columns_of(&CHANGING, connections).await
    }

    /// Stores what connections that were locked before have used up, and whether their transfers have followed them, and
    /// nothing else.
    pub async fn update_usage<T>(&self, connections: &[T]) -> Result<(), StoreError>
    where
        T: Borrow<Connection> + Sync,
    {
        self.update_columns_of(&USAGE, connections).await
    }

    /// Deletes connections that were locked before.
    pub async fn delete_connections(&self, uuids: &[ConnectionId]) -> Result<(), StoreError> {
        self.delete::<Entity>(Column::Uuid, uuids).await
    }

    async fn update_columns_of<T>(
        &self,
        columns: &[Column],
        connections: &[T],
    ) -> Result<(), StoreError>
    where
        T: Borrow<Connection> + Sync,
    {
        let to_row = |each: &T| rows::to_row(each.borrow());
        self.update::<Entity, T>(Column::Uuid, columns, connections, to_row)
            .await
    }
}

async fn lock<C: ConnectionTrait>(
    db: &C,
    uuids: &[ConnectionId],
    exclusive: bool,
    behavior: Option<LockBehavior>,
) -> Result<Vec<Connection>, StoreError> {
    let kind = if exclusive {
        LockType::Update
    } else {
        LockType::Share
    };
    let mut connections = Vec::with_capacity(uuids.len());
    for among in chunk::one_of_ids(db.get_database_backend(), Column::Uuid, uuids) {
        let select = Entity::find().filter(among).order_by_asc(Column::Uuid);
        let select = match behavior {
            Some(behavior) => select.lock_with_behavior(kind, behavior),
            None => select.lock(kind),
        };
        let found = select.all(db).await?;
        connections.extend(found.into_iter().map(rows::from_row));
    }
    Ok(connections)
}

async fn existing<C: ConnectionTrait>(
    db: &C,
    uuids: &[ConnectionId],
) -> Result<Vec<Connection>, StoreError> {
    let mut connections = Vec::with_capacity(uuids.len());
    for among in chunk::one_of_ids(db.get_database_backend(), Column::Uuid, uuids) {
        let select = Entity::find().filter(among);
        let found = select.all(db).await?;
        connections.extend(found.into_iter().map(rows::from_row));
    }
    Ok(connections)
}
