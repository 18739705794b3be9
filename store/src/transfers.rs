//! Reads transfers.

use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, Order, QueryFilter, QueryOrder,
    QuerySelect, Select,
};
use tidegate_entity::transfer::{self, Column, Entity};
use uuid::Uuid;

use crate::{
    Store,
    error::StoreError,
    rows,
    sql::{chunk, condition},
};
use tidegate_domain::{
    page::Position,
    query::{ApprovalFilter, SortOrder, TransferFilter, Window},
    status::TransferStatus,
    time::Timestamp,
    transfer::Transfer,
};

impl Store {
    /// The revisions of those among `uuids` that exist, in no particular order.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn revisions(&self, uuids: &[Uuid]) -> Result<Vec<(Uuid, i64)>, StoreError> {
        revisions(&self.reads(), uuids).await
    }

    /// Transfers in progress that changed at `since` or later, with their places and revisions, in the order of their
    /// creation after `after`.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn moved_since(
        &self,
        since: Timestamp,
        after: Option<Position>,
        limit: u32,
    ) -> Result<Vec<(Position, i64)>, StoreError> {
        moved_since(&self.reads(), since, after, limit).await
    }
}

pub(super) async fn one<C: ConnectionTrait>(
    db: &C,
    uuid: Uuid,
) -> Result<Option<Transfer>, StoreError> {
    Entity::find_by_id(uuid)
        .one(db)
        .await?
        .map(rows::to_transfer)
        .transpose()
}

pub(super) async fn existing<C: ConnectionTrait>(
    db: &C,
    uuids: &[Uuid],
) -> Result<Vec<Transfer>, StoreError> {
    let mut transfers = Vec::with_capacity(uuids.len());
    for uuids in chunk::keys(uuids) {
        transfers.extend(load(db, Entity::find().filter(Column::Uuid.is_in(uuids))).await?);
    }
    Ok(transfers)
}

async fn revisions<C: ConnectionTrait>(
    db: &C,
    uuids: &[Uuid],
) -> Result<Vec<(Uuid, i64)>, StoreError> {
    let mut revisions = Vec::with_capacity(uuids.len());
    for uuids in chunk::keys(uuids) {
        let select = select_revisions().filter(Column::Uuid.is_in(uuids));
        let found: Vec<(Uuid, i64)> = select.into_tuple().all(db).await?;
        revisions.extend(found);
    }
    Ok(revisions)
}

async fn moved_since<C: ConnectionTrait>(
    db: &C,
    since: Timestamp,
    after: Option<Position>,
    limit: u32,
) -> Result<Vec<(Position, i64)>, StoreError> {
    let select = select_moved(since, after, limit);
    let found: Vec<(Uuid, i64, i64)> = select.into_tuple().all(db).await?;
    let moved = found.into_iter().map(|(uuid, revision, micros)| {
        let place = Position { micros, uuid };
        (place, revision)
    });
    Ok(moved.collect())
}

pub(super) async fn list<C: ConnectionTrait>(
    db: &C,
    filter: &TransferFilter,
    order: SortOrder,
    window: Window,
) -> Result<Vec<Transfer>, StoreError> {
    load(db, select(filter, order, window)).await
}

pub(super) async fn pending_approvals<C: ConnectionTrait>(
    db: &C,
    filter: &ApprovalFilter,
    now: Timestamp,
    window: Window,
) -> Result<Vec<Transfer>, StoreError> {
    load(db, select_pending_approvals(filter, now, window)).await
}

pub(super) async fn overdue_approvals<C: ConnectionTrait>(
    db: &C,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<Uuid>, StoreError> {
    Ok(select_overdue_approvals(now, limit)
        .into_tuple()
        .all(db)
        .await?)
}

pub(super) async fn silent<C: ConnectionTrait>(
    db: &C,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<Uuid>, StoreError> {
    Ok(select_silent(now, limit).into_tuple().all(db).await?)
}

pub(super) async fn open_of<C: ConnectionTrait>(
    db: &C,
    connection_uuid: Uuid,
    limit: u32,
) -> Result<Vec<Uuid>, StoreError> {
    let select = select_open(connection_uuid, limit);
    Ok(select.into_tuple().all(db).await?)
}

/// Transfers of a connection that have not ended, in no particular order.
pub(super) fn select_open(connection_uuid: Uuid, limit: u32) -> Select<Entity> {
    let open = TransferStatus::ALL
        .iter()
        .copied()
        .filter(|status| !status.is_terminal())
        .collect();
    let filter = TransferFilter {
        status: open,
        connection_uuid: Some(connection_uuid),
        ..TransferFilter::default()
    };
    Entity::find()
        .select_only()
        .column(Column::Uuid)
        .filter(condition::transfers(&filter))
        .limit(u64::from(limit))
}

pub(super) fn select(filter: &TransferFilter, order: SortOrder, window: Window) -> Select<Entity> {
    let conditions = condition::transfers(filter).add_option(window.after.map(|position| {
        condition::beyond(
            column(Column::InsertedAt),
            column(Column::Uuid),
            order,
            position,
        )
    }));
    let direction = match order {
        SortOrder::Ascending => Order::Asc,
        SortOrder::Descending => Order::Desc,
    };
    let sorted = Entity::find()
        .filter(conditions)
        .order_by(Column::InsertedAt, direction.clone())
        .order_by(Column::Uuid, direction);
    cut(sorted, window)
}

pub(super) fn select_pending_approvals(
    filter: &ApprovalFilter,
    now: Timestamp,
    window: Window,
) -> Select<Entity> {
    let beyond = window.after.map(|position| {
        let key = column(Column::ApprovalExpiresAt);
        condition::beyond(key, column(Column::Uuid), SortOrder::Ascending, position)
    });
    let sorted = Entity::find()
        .filter(condition::approvals(filter).add_option(beyond))
        .filter(Column::ApprovalExpiresAt.gt(now.as_micros()))
        .order_by_asc(Column::ApprovalExpiresAt)
        .order_by_asc(Column::Uuid);
    cut(sorted, window)
}

pub(super) fn select_overdue_approvals(now: Timestamp, limit: u32) -> Select<Entity> {
    Entity::find()
        .select_only()
        .column(Column::Uuid)
        .filter(condition::approvals(&ApprovalFilter::default()))
        .filter(Column::ApprovalExpiresAt.lte(now.as_micros()))
        .order_by_asc(Column::ApprovalExpiresAt)
        .order_by_asc(Column::Uuid)
        .limit(u64::from(limit))
}

/// No index holds the heartbeat, since every report changes it; there are few transfers in progress to look through.
pub(super) fn select_silent(now: Timestamp, limit: u32) -> Select<Entity> {
    Entity::find()
        .select_only()
        .column(Column::Uuid)
        .filter(condition::status(TransferStatus::InProgress))
        .filter(Column::HeartbeatExpiresAt.lte(now.as_micros()))
        .order_by_asc(Column::InsertedAt)
        .order_by_asc(Column::Uuid)
        .limit(u64::from(limit))
}

/// No index holds the time of change, since every report changes it; there are few transfers in progress to look through.
/// They are in the order of an index that finds them, so a page costs no more than what lies in it.
pub(super) fn select_moved(
    since: Timestamp,
    after: Option<Position>,
    limit: u32,
) -> Select<Entity> {
    let beyond = after.map(|position| {
        let (key, uuid) = (column(Column::InsertedAt), column(Column::Uuid));
        condition::beyond(key, uuid, SortOrder::Ascending, position)
    });
    select_revisions()
        .column(Column::InsertedAt)
        .filter(condition::status(TransferStatus::InProgress))
        .filter(Condition::all().add_option(beyond))
        .filter(Column::UpdatedAt.gte(since.as_micros()))
        .order_by_asc(Column::InsertedAt)
        .order_by_asc(Column::Uuid)
        .limit(u64::from(limit))
}

fn select_revisions() -> Select<Entity> {
    Entity::find()
        .select_only()
        .columns([Column::Uuid, Column::Revision])
}

const fn column(column: Column) -> (Entity, Column) {
    (Entity, column)
}

fn cut(select: Select<Entity>, window: Window) -> Select<Entity> {
    let select = select.limit(u64::from(window.limit));
    if window.skip == 0 {
        select
    } else {
        select.offset(u64::from(window.skip))
    }
}

async fn load<C: ConnectionTrait>(
    db: &C,
    select: Select<Entity>,
) -> Result<Vec<Transfer>, StoreError> {
    let found: Vec<transfer::Model> = select.all(db).await?;
    found.into_iter().map(rows::to_transfer).collect()
}
