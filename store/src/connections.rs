//! Reads connections, with and without a lock.

use std::collections::{BTreeSet, HashMap};

use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Select,
    sea_query::{Expr, ExprTrait, JoinType, LockBehavior, LockType, Query, SelectStatement},
};
use tidegate_entity::{
    connection::{Column, Entity},
    stored::Stored,
    transfer,
};
use uuid::Uuid;

use crate::{
    ConnectionPeek,
    error::StoreError,
    rows,
    sql::{chunk, condition},
};
use tidegate_domain::{
    connection::{Connection, ConnectionDirection, ConnectionStatus, DuplicateCandidate},
    query::{ConnectionFilter, SortOrder, Window},
    time::Timestamp,
    transfer::Transfer,
};

/// The key of the advisory lock of batches that may add a way to a site.
const NEIGHBOURS: i64 = 0x7469_6465_7369_7465;

pub(super) async fn one<C: ConnectionTrait>(
    db: &C,
    uuid: Uuid,
) -> Result<Option<Connection>, StoreError> {
    let found = Entity::find_by_id(uuid).one(db).await?;
    Ok(found.map(rows::to_connection))
}

pub(super) async fn list<C: ConnectionTrait>(
    db: &C,
    filter: &ConnectionFilter,
    window: Window,
) -> Result<Vec<Connection>, StoreError> {
    let found = select(filter, window).all(db).await?;
    Ok(found.into_iter().map(rows::to_connection).collect())
}

pub(super) async fn overdue<C: ConnectionTrait>(
    db: &C,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<Uuid>, StoreError> {
    Ok(select_overdue(now, limit).into_tuple().all(db).await?)
}

pub(super) async fn lock<C: ConnectionTrait>(
    db: &C,
    uuids: &[Uuid],
    exclusive: bool,
    behavior: Option<LockBehavior>,
) -> Result<Vec<Connection>, StoreError> {
    let kind = if exclusive {
        LockType::Update
    } else {
        LockType::Share
    };
    let mut connections = Vec::with_capacity(uuids.len());
    for uuids in chunk::keys(uuids) {
        let select = Entity::find()
            .filter(Column::Uuid.is_in(uuids))
            .order_by_asc(Column::Uuid);
        let select = match behavior {
            Some(behavior) => select.lock_with_behavior(kind, behavior),
            None => select.lock(kind),
        };
        let found = select.all(db).await?;
        connections.extend(found.into_iter().map(rows::to_connection));
    }
    Ok(connections)
}

/// No index holds the site; there are few connections to look through, and few are added.
pub(super) async fn candidates<C: ConnectionTrait>(
    db: &C,
) -> Result<Vec<DuplicateCandidate>, StoreError> {
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
            uuid,
            direction,
            site_url,
        });
    Ok(candidates.collect())
}

/// The connections that `transfers` belong to, gone or not, each once.
pub(super) async fn peek<C: ConnectionTrait>(
    db: &C,
    transfers: &[Uuid],
) -> Result<Vec<ConnectionPeek>, StoreError> {
    let mut found = HashMap::new();
    for uuids in chunk::keys(transfers) {
        for row in db.query_all(&select_peeks(uuids)).await? {
            let peek = ConnectionPeek {
                uuid: row.try_get_by_index(0)?,
                // A connection that is gone counts nothing.
                has_budget: row.try_get_by_index::<Option<bool>>(1)?.unwrap_or_default(),
            };
            found.insert(peek.uuid, peek);
        }
    }
    Ok(found.into_values().collect())
}

pub(super) async fn existing<C: ConnectionTrait>(
    db: &C,
    uuids: &[Uuid],
) -> Result<Vec<Connection>, StoreError> {
    let mut connections = Vec::with_capacity(uuids.len());
    for uuids in chunk::keys(uuids) {
        let select = Entity::find().filter(Column::Uuid.is_in(uuids));
        let found = select.all(db).await?;
        connections.extend(found.into_iter().map(rows::to_connection));
    }
    Ok(connections)
}

pub(super) async fn of<C: ConnectionTrait>(
    db: &C,
    transfers: &[Transfer],
) -> Result<HashMap<Uuid, Connection>, StoreError> {
    let distinct: BTreeSet<_> = transfers
        .iter()
        .filter_map(|transfer| transfer.declared.connection_uuid)
        .collect();
    let distinct: Vec<_> = distinct.into_iter().collect();
    let found = existing(db, &distinct).await?;
    Ok(found
        .into_iter()
        .map(|connection| (connection.uuid, connection))
        .collect())
}

pub(super) fn select_peeks(transfers: Vec<Uuid>) -> SelectStatement {
    let its_connection = (transfer::Entity, transfer::Column::ConnectionUuid);
    Query::select()
        .distinct()
        .column(its_connection)
        .column((Entity, Column::HasBudget))
        .from(transfer::Entity)
        .join(
            JoinType::LeftJoin,
            Entity,
            Expr::col((Entity, Column::Uuid)).equals(its_connection),
        )
        .and_where(Expr::col((transfer::Entity, transfer::Column::Uuid)).is_in(transfers))
        .and_where(Expr::col(its_connection).is_not_null())
        .to_owned()
}

/// No index holds the end; there are few connections to look through.
pub(super) fn select_overdue(now: Timestamp, limit: u32) -> Select<Entity> {
    let in_use = [ConnectionStatus::Active, ConnectionStatus::Suspended];
    Entity::find()
        .select_only()
        .column(Column::Uuid)
        .filter(Column::Status.is_in(in_use.map(ConnectionStatus::name)))
        .filter(Column::ExpiresAt.lte(now.as_micros()))
        .order_by_asc(Column::ExpiresAt)
        .order_by_asc(Column::Uuid)
        .limit(u64::from(limit))
}

pub(super) fn select(filter: &ConnectionFilter, window: Window) -> Select<Entity> {
    let beyond = window.after.map(|position| {
        let (key, uuid) = ((Entity, Column::InsertedAt), (Entity, Column::Uuid));
        condition::beyond(key, uuid, SortOrder::Descending, position)
    });
    let conditions = Condition::all()
        .add_option(
            filter
                .direction
                .map(|direction| Column::Direction.eq(direction.name())),
        )
        .add_option((!filter.status.is_empty()).then(|| {
            let names = filter.status.iter().map(|status| status.name());
            Column::Status.is_in(names)
        }))
        .add_option(beyond);
    let select = Entity::find()
        .filter(conditions)
        .order_by_desc(Column::InsertedAt)
        .order_by_desc(Column::Uuid)
        .limit(u64::from(window.limit));
    if window.skip == 0 {
        select
    } else {
        select.offset(u64::from(window.skip))
    }
}
