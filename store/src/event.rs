//! The log of what happened: rows, reads, and how it grows and is trimmed.

use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait, Query},
};
use tidegate_entity::{
    by_place::Placed,
    event::{Column, Entity, Model},
    event_counter,
};

use crate::{
    ScopedReader, Store, WriteTransaction,
    error::{Inconsistency, StoreError},
    write::expect_rows,
};
use tidegate_domain::{
    chain::{GENESIS, Head, link},
    event::Event,
    log::{LogBounds, LogView},
    query::EventFilter,
    time::Timestamp,
};

pub(crate) mod rows;
pub(crate) mod select;

impl Store {
    /// Events in the order of the log.
    pub async fn events(&self, filter: &EventFilter, limit: u32) -> Result<Vec<Event>, StoreError> {
        let found = select::list(filter, limit).into_model::<Placed<Model>>();
        let found = found.all(&self.reads()).await?;
        found.into_iter().map(|row| rows::from_row(row.0)).collect()
    }

    /// When the newest event happened; `None` before the first.
    pub async fn latest_time(&self) -> Result<Option<Timestamp>, StoreError> {
        let newest: Option<i64> = Entity::find()
            .select_only()
            .column(Column::OccurredAt)
            .order_by_desc(Column::Sequence)
            .limit(1)
            .into_tuple()
            .one(&self.reads())
            .await?;
        Ok(newest.map(Timestamp::from_micros))
    }

    /// Both ends of the log, as of one moment. Every event up to the newest can be read from then on.
    pub async fn log_bounds(&self) -> Result<LogBounds, StoreError> {
        Ok(self.look(0).await?.bounds)
    }

    /// As [`log_bounds`](Self::log_bounds), with the event at `sequence`.
    pub async fn look(&self, sequence: i64) -> Result<LogView, StoreError> {
        look(&self.reads(), sequence).await
    }
}

impl ScopedReader {
    /// Events in the order of the log.
    pub async fn events(&self, filter: &EventFilter, limit: u32) -> Result<Vec<Event>, StoreError> {
        let filter = EventFilter {
            connections: self.narrowed(filter.connections),
            ..*filter
        };
        self.store.events(&filter, limit).await
    }

    /// Both ends of the log, which are nobody's secret.
    pub async fn log_bounds(&self) -> Result<LogBounds, StoreError> {
        self.store.log_bounds().await
    }

    /// As [`log_bounds`](Self::log_bounds), with the hash of the event at `sequence`.
    pub async fn look(&self, sequence: i64) -> Result<LogView, StoreError> {
        self.store.look(sequence).await
    }
}

impl WriteTransaction {
    /// Gives each event its position in the log and appends it. Must be the last step before [`commit`](Self::commit) but
    /// for [`count_ended`](Self::count_ended): the counter's lock is what makes the positions gapless and puts them into the order of the commits. Answers what
    /// they continue from, which is whatever the log ends with, known to this replica or not.
    pub async fn append_events(&self, events: &mut [Event]) -> Result<Option<Head>, StoreError> {
        let Ok(count @ 1..) = i64::try_from(events.len()) else {
            return Ok(None);
        };
        let after = take_numbers(&self.transaction, count).await?;
        let mut previous = after.hash;
        for (sequence, event) in (after.sequence + 1..).zip(events.iter_mut()) {
            event.sequence = sequence;
            previous = link(&previous, event);
            event.hash = Some(previous);
        }
        self.insert(events, rows::to_row).await?;
        _ = self.head.set(Head {
            sequence: after.sequence + count,
            hash: previous,
        });
        Ok(Some(after))
    }

    /// Deletes the oldest events as far as they happened before `before`, at most `limit` of them, and moves the floor
    /// of the log along. Answers how many it deleted. Takes the counter's lock, so it stands in a batch of its own.
    ///
    /// The counter's row comes last, as in every write.
    pub async fn trim_log(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let db = &self.transaction;
        let floor = look(db, 0).await?.bounds.floor.sequence;
        let oldest: Vec<(i64, i64)> = select::oldest(floor, limit).into_tuple().all(db).await?;
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
}

/// Advances the counter by `count` and answers with what the new events continue from: the newest event, or what retention
/// kept of it.
async fn take_numbers<C: ConnectionTrait>(db: &C, count: i64) -> Result<Head, StoreError> {
    use event_counter::Column::{FloorHash, LastSequence};
    // Whoever waited for the lock is given the row as it is then, but sees the log as it was before: so the event is looked
    // for by the next statement.
    let before = select::counter().lock_exclusive().one(db).await?;
    let before = before.ok_or(Inconsistency::NoCounter)?.last_sequence;
    let newest = Query::select()
        .column(Column::Hash)
        .from(Entity)
        .and_where(Expr::col((Entity, Column::Sequence)).eq(before))
        .to_owned();
    let advance = Query::update()
        .table(event_counter::Entity)
        .value(LastSequence, before + count)
        .and_where(Expr::col(LastSequence).eq(before))
        .returning(Query::returning().exprs([
            Expr::SubQuery(None, Box::new(newest.into())),
            Expr::col(FloorHash),
        ]))
        .to_owned();
    let row = db.query_one(&advance).await?;
    expect_rows("advanced", 1, row.is_some().into())?;
    let row = row.ok_or(Inconsistency::NoCounter)?;
    let hash: Option<Vec<u8>> = row.try_get_by_index(0)?;
    let of_floor: Option<Vec<u8>> = row.try_get_by_index(1)?;
    Ok(Head {
        sequence: before,
        hash: hash.or(of_floor).map_or(Ok(GENESIS), rows::to_hash)?,
    })
}

/// Both ends of the log and the event at `sequence`, as of one moment.
async fn look<C: ConnectionTrait>(db: &C, sequence: i64) -> Result<LogView, StoreError> {
    let row = db.query_one(&select::view(sequence)).await?;
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

/// The newest event, or what retention kept of it.
pub(crate) async fn head<C: ConnectionTrait>(db: &C) -> Result<Head, StoreError> {
    Ok(look(db, 0).await?.bounds.last)
}
