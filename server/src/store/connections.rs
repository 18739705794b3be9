//! Reads connections.

use std::collections::{BTreeSet, HashMap};

use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    Select,
};
use tidegate_entity::connection::{Column, Entity};
use uuid::Uuid;

use super::{chunk, condition, error::StoreError, rows};
use crate::domain::{
    connection::{Connection, ConnectionDirection},
    query::{SortOrder, Window},
    transfer::Transfer,
};

pub(super) async fn one<C: ConnectionTrait>(
    db: &C,
    uuid: Uuid,
) -> Result<Option<Connection>, StoreError> {
    Entity::find_by_id(uuid)
        .one(db)
        .await?
        .map(rows::to_connection)
        .transpose()
}

pub(super) async fn list<C: ConnectionTrait>(
    db: &C,
    direction: Option<ConnectionDirection>,
    window: Window,
) -> Result<Vec<Connection>, StoreError> {
    let found = select(direction, window).all(db).await?;
    found.into_iter().map(rows::to_connection).collect()
}

pub(super) async fn existing<C: ConnectionTrait>(
    db: &C,
    uuids: &[Uuid],
) -> Result<Vec<Connection>, StoreError> {
    let mut connections = Vec::with_capacity(uuids.len());
    for uuids in chunk::keys(uuids) {
        for row in Entity::find()
            .filter(Column::Uuid.is_in(uuids))
            .all(db)
            .await?
        {
            connections.push(rows::to_connection(row)?);
        }
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

pub(super) fn select(direction: Option<ConnectionDirection>, window: Window) -> Select<Entity> {
    let beyond = window.after.map(|position| {
        let (key, uuid) = ((Entity, Column::InsertedAt), (Entity, Column::Uuid));
        condition::beyond(key, uuid, SortOrder::Descending, position)
    });
    let conditions = Condition::all()
        .add_option(direction.map(|direction| Column::Direction.eq(direction.name())))
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
