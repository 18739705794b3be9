//! Reads the chain of hashes: the link that a new event continues from, and the whole log for an audit.

use sea_orm::{
    ConnectionTrait,
    sea_query::{Expr, ExprTrait, JoinType, Order, Query},
};
use tidegate_entity::{event, event_counter};

use crate::{
    error::{Inconsistency, StoreError},
    events, rows,
};
use tidegate_domain::chain::{GENESIS, Hash, Head};

/// The newest event, or what retention kept of it.
pub(super) async fn head<C: ConnectionTrait>(db: &C) -> Result<Head, StoreError> {
    Ok(events::look(db, 0).await?.bounds.last)
}

/// What the event after `sequence` continues from: the hash of that event, or what retention kept of it.
pub(super) async fn hash_at<C: ConnectionTrait>(db: &C, sequence: i64) -> Result<Hash, StoreError> {
    use event::Column::{Hash, Sequence};
    use event_counter::Column::{FloorHash, LastSequence};
    let place = (event::Entity, Sequence);
    let statement = Query::select()
        .column((event::Entity, Hash))
        .column((event_counter::Entity, FloorHash))
        .from(event_counter::Entity)
        .join(
            JoinType::LeftJoin,
            event::Entity,
            Expr::col(place).eq(sequence),
        )
        // As `events::counter` finds it.
        .order_by((event_counter::Entity, LastSequence), Order::Desc)
        .limit(1)
        .to_owned();
    let row = db.query_one(&statement).await?;
    let row = row.ok_or(Inconsistency::NoCounter)?;
    let hash: Option<Vec<u8>> = row.try_get_by_index(0)?;
    let of_floor: Option<Vec<u8>> = row.try_get_by_index(1)?;
    hash.or(of_floor).map_or(Ok(GENESIS), rows::to_hash)
}
