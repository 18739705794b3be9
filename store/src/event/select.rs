//! The queries of the log.

use sea_orm::{
    ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{Alias, Expr, ExprTrait as _, JoinType, Order, Query, SelectStatement},
};
use tidegate_entity::{
    event::{Column, Entity},
    event_counter,
};

use crate::sql::condition;
use tidegate_domain::query::EventFilter;

/// The counter's one row, as a change finds it: by its number, the highest first. While a long snapshot elsewhere keeps the
/// versions that the row had before, whoever looked by a key that all of them have would go through each.
pub(crate) fn counter() -> Select<event_counter::Entity> {
    event_counter::Entity::find()
        .order_by_desc(event_counter::Column::LastSequence)
        .limit(1)
}

/// The counter's row with the newest event, and with the one at `sequence`.
pub(crate) fn view(sequence: i64) -> SelectStatement {
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

pub(crate) fn oldest(floor: i64, limit: u32) -> Select<Entity> {
    Entity::find()
        .select_only()
        .columns([Column::Sequence, Column::OccurredAt])
        .filter(Column::Sequence.gt(floor))
        .order_by_asc(Column::Sequence)
        .limit(u64::from(limit))
}

pub(crate) fn list(filter: &EventFilter, limit: u32) -> Select<Entity> {
    let conditions = Condition::all()
        .add(Column::Sequence.gt(filter.after_sequence))
        .add_option(
            filter
                .transfer_uuid
                .map(|uuid| Column::TransferUuid.eq(uuid.0)),
        )
        .add_option(condition::within(
            Column::ConnectionUuid,
            filter.connections,
        ));
    Entity::find()
        .filter(conditions)
        .order_by_asc(Column::Sequence)
        .limit(u64::from(limit))
}
