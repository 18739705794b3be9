//! Reads the log of what happened.

use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    Select, sea_query::Expr,
};
use tidegate_entity::{
    event_counter,
    transfer_event::{Column, Entity},
};

use super::{
    error::{Inconsistency, StoreError},
    rows,
};
use crate::domain::{
    event::Event,
    query::{EventFilter, LogBounds},
    time::Timestamp,
};

pub(super) async fn list<C: ConnectionTrait>(
    db: &C,
    filter: &EventFilter,
    limit: u32,
) -> Result<Vec<Event>, StoreError> {
    let found = select(filter, limit).all(db).await?;
    found.into_iter().map(rows::to_event).collect()
}

pub(super) async fn latest_time<C: ConnectionTrait>(
    db: &C,
) -> Result<Option<Timestamp>, StoreError> {
    let newest: Option<i64> = Entity::find()
        .select_only()
        .column(Column::OccurredAt)
        .order_by_desc(Column::Sequence)
        .limit(1)
        .into_tuple()
        .one(db)
        .await?;
    Ok(newest.map(Timestamp::from_micros))
}

/// Both ends of the log, as of one moment.
pub(super) async fn bounds<C: ConnectionTrait>(db: &C) -> Result<LogBounds, StoreError> {
    let counter = event_counter::Entity::find_by_id(1).one(db).await?;
    let counter = counter.ok_or(Inconsistency::NoCounter)?;
    Ok(LogBounds {
        floor: counter.floor_sequence,
        last: counter.last_sequence,
    })
}

/// Deletes the oldest events as far as they are older than `before`, at most `limit` of them, and answers how many. The
/// counter's row comes last, as in every write.
pub(super) async fn trim<C: ConnectionTrait>(
    db: &C,
    before: Timestamp,
    limit: u32,
) -> Result<u64, StoreError> {
    let floor = bounds(db).await?.floor;
    let oldest: Vec<(i64, i64)> = select_oldest(floor, limit).into_tuple().all(db).await?;
    // Only what lies before every younger event: times of several writers may cross, positions may not have holes.
    let old = oldest
        .iter()
        .take_while(|(_, occurred_at)| *occurred_at < before.as_micros());
    let Some((last, _)) = old.last() else {
        return Ok(0);
    };
    let floor_hash: Option<Option<Vec<u8>>> = Entity::find_by_id(*last)
        .select_only()
        .column(Column::Hash)
        .into_tuple()
        .one(db)
        .await?;
    let deleted = Entity::delete_many()
        .filter(Column::Sequence.gt(floor))
        .filter(Column::Sequence.lte(*last))
        .exec(db)
        .await?;
    event_counter::Entity::update_many()
        .col_expr(event_counter::Column::FloorSequence, Expr::value(*last))
        .col_expr(
            event_counter::Column::FloorHash,
            Expr::value(floor_hash.flatten()),
        )
        .filter(event_counter::Column::Id.eq(1))
        .filter(event_counter::Column::FloorSequence.lt(*last))
        .exec(db)
        .await?;
    Ok(deleted.rows_affected)
}

pub(super) fn select_oldest(floor: i64, limit: u32) -> Select<Entity> {
    Entity::find()
        .select_only()
        .columns([Column::Sequence, Column::OccurredAt])
        .filter(Column::Sequence.gt(floor))
        .order_by_asc(Column::Sequence)
        .limit(u64::from(limit))
}

pub(super) fn select(filter: &EventFilter, limit: u32) -> Select<Entity> {
    let conditions = Condition::all()
        .add(Column::Sequence.gt(filter.after_sequence))
        .add_option(
            filter
                .transfer_uuid
                .map(|uuid| Column::TransferUuid.eq(uuid)),
        )
        .add_option(
            filter
                .connection_uuid
                .map(|uuid| Column::ConnectionUuid.eq(uuid)),
        );
    Entity::find()
        .filter(conditions)
        .order_by_asc(Column::Sequence)
        .limit(u64::from(limit))
}
