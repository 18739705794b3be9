//! Reads the log of what happened.

use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    Select,
    sea_query::{Alias, Expr, ExprTrait as _, JoinType, Order, Query, SelectStatement},
};
use tidegate_entity::{
    event::{Column, Entity},
    event_counter,
};

use crate::{
    Store,
    error::{Inconsistency, StoreError},
    rows,
};
use tidegate_domain::{
    chain::{GENESIS, Head},
    event::Event,
    log::{LogBounds, LogView},
    query::EventFilter,
    time::Timestamp,
};

impl Store {
    /// Both ends of the log, as of one moment. Every event up to the newest can be read from then on.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn log_bounds(&self) -> Result<LogBounds, StoreError> {
        Ok(self.look(0).await?.bounds)
    }

    /// As [`log_bounds`](Self::log_bounds), with the event at `sequence`.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn look(&self, sequence: i64) -> Result<LogView, StoreError> {
        look(&self.reads(), sequence).await
    }
}

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

/// The counter's one row, as a change finds it: by its number, the highest first. While a long snapshot elsewhere keeps the
/// versions that the row had before, whoever looked by a key that all of them have would go through each.
pub(super) fn counter() -> Select<event_counter::Entity> {
    event_counter::Entity::find()
        .order_by_desc(event_counter::Column::LastSequence)
        .limit(1)
}

/// Both ends of the log and the event at `sequence`, as of one moment.
pub(super) async fn look<C: ConnectionTrait>(db: &C, sequence: i64) -> Result<LogView, StoreError> {
    let row = db.query_one(&select_view(sequence)).await?;
    let row = row.ok_or(Inconsistency::NoCounter)?;
    let head = |sequence: i64, hash: Option<Vec<u8>>| -> Result<Head, StoreError> {
        let hash = hash.map_or(Ok(GENESIS), rows::to_hash)?;
        Ok(Head { sequence, hash })
    };
    let floor_hash: Option<Vec<u8>> = row.try_get_by_index(1)?;
    let floor = head(row.try_get_by_index(0)?, floor_hash.clone())?;
    // As for the event that will be appended next: the last one may have been removed.
    let newest: Option<Vec<u8>> = row.try_get_by_index(3)?;
    let found: Option<i64> = row.try_get_by_index(4)?;
    let hash: Option<Vec<u8>> = row.try_get_by_index(5)?;
    Ok(LogView {
        bounds: LogBounds {
            floor,
            last: head(row.try_get_by_index(2)?, newest.or(floor_hash))?,
        },
        event: found.map(|sequence| head(sequence, hash)).transpose()?,
    })
}

/// The counter's row with the newest event, and with the one at `sequence`.
pub(super) fn select_view(sequence: i64) -> SelectStatement {
    use event_counter::Column::{FloorHash, FloorSequence, LastSequence};
    let counter = |column| (event_counter::Entity, column);
    let (newest, found) = (Alias::new("newest"), Alias::new("found"));
    Query::select()
        .columns([FloorSequence, FloorHash, LastSequence].map(counter))
        .column((newest.clone(), Column::Hash))
        .columns([Column::Sequence, Column::Hash].map(|column| (found.clone(), column)))
        .from(event_counter::Entity)
        .join_as(
            JoinType::LeftJoin,
            Entity,
            newest.clone(),
            Expr::col((newest.clone(), Column::Sequence)).equals(counter(LastSequence)),
        )
        .join_as(
            JoinType::LeftJoin,
            Entity,
            found.clone(),
            Expr::col((found.clone(), Column::Sequence)).eq(sequence),
        )
        // As `counter` finds it.
        .order_by(counter(LastSequence), Order::Desc)
        .limit(1)
        .to_owned()
}

/// Deletes the oldest events as far as they are older than `before`, at most `limit` of them, and answers how many. The
/// counter's row comes last, as in every write.
pub(super) async fn trim<C: ConnectionTrait>(
    db: &C,
    before: Timestamp,
    limit: u32,
) -> Result<u64, StoreError> {
    let floor = look(db, 0).await?.bounds.floor.sequence;
    let oldest: Vec<(i64, i64)> = select_oldest(floor, limit).into_tuple().all(db).await?;
    // Only what lies before every younger event: times of several writers may cross, positions may not have holes.
    let old = oldest
        .iter()
        .take_while(|(_, occurred_at)| *occurred_at < before.as_micros());
    let Some((last, _)) = old.last() else {
        return Ok(0);
    };
    let floor_hash: Option<Vec<u8>> = Entity::find_by_id(*last)
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
        .col_expr(event_counter::Column::FloorHash, Expr::value(floor_hash))
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
