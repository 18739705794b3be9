//! The log of what happened: rows, reads, and how it grows and is trimmed.

use std::fmt::Write as _;

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait, PostgresQueryBuilder, Query, UpdateStatement, Values},
};
use tidegate_entity::{
    by_place::Placed,
    event::{Column, Entity, Model},
    event_counter,
};

use crate::{
    ScopedReader, Store, WriteTransaction,
    error::{Inconsistency, StoreError},
    sql::{
        bulk::{self, Before},
        transaction::Transaction,
    },
    stats::keep::counting_ended,
    write::expect_rows,
};
use tidegate_domain::{
    chain::{GENESIS, Head, link},
    event::Event,
    id::TransferId,
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
    /// Gives each event its position in the log and appends it, and counts the transfers that have `ended` by these events,
    /// once each. Must be the last step before [`commit`](Self::commit): the counter's lock is what makes the positions
    /// gapless and puts them into the order of the commits. Answers what they continue from, which is whatever the log ends
    /// with, known to this replica or not.
    pub async fn append_events(
        &self,
        events: &mut [Event],
        ended: &[TransferId],
    ) -> Result<Option<Head>, StoreError> {
        let Ok(count @ 1..) = i64::try_from(events.len()) else {
            return Ok(None);
        };
        let end = lock_log(&self.transaction).await?;
        let after = end.head;
        let mut last = after;
        for event in events.iter_mut() {
            event.sequence = last.sequence + 1;
            last = Head {
                sequence: event.sequence,
                hash: link(&last.hash, event),
            };
            event.hash = Some(last.hash);
        }
        match self.transaction.get_database_backend() {
            DbBackend::Postgres => self.append_at_once(end, events, ended).await?,
            _ => {
                let moved = advance(after.sequence, count);
                let moved = self.transaction.execute(&moved).await?.rows_affected();
                expect_rows("advanced", 1, moved)?;
                self.insert(events, rows::to_row).await?;
                self.count_ended(ended).await?;
            }
        }
        _ = self.head.set(last);
        Ok(Some(after))
    }

    /// In one statement: others wait for the lock as long as this replica and the database talk to each other.
    async fn append_at_once(
        &self,
        end: LogEnd,
        events: &[Event],
        ended: &[TransferId],
    ) -> Result<(), StoreError> {
        let (mut sql, mut values) = match counting_ended(ended) {
            Some(counting) => {
                let (counting, values) = counting.build(PostgresQueryBuilder);
                (format!("counted AS ({counting}), "), values)
            }
            None => (String::new(), Values(Vec::new())),
        };
        let first = values.0.len() + 1;
        let (last, hash) = (first + 1, first + 2);
        // What is remembered may never have been committed, and what was seen before the lock was had may not be so any more.
        _ = write!(
            sql,
            "{} AS (UPDATE \"event_counter\" SET \"last_sequence\" = ${last} \
             WHERE \"last_sequence\" = ${first} AND (${hash} IS NULL OR ${hash} = \
             (SELECT \"hash\" FROM \"event\" WHERE \"sequence\" = ${first})) RETURNING 1)",
            Before::ADDS,
        );
        let of_event = end.is_of_event.then(|| end.head.hash.to_vec());
        values.0.extend([
            end.head.sequence.into(),
            (end.head.sequence + events.len() as i64).into(),
            of_event.into(),
        ]);
        let rows: Vec<Model> = events.iter().map(rows::to_row).collect();
        let bulk = bulk::insert_after::<Entity>(Before { sql, values }, &rows);
        let added = self.transaction.write(bulk).await?;
        if end.is_of_event && added == 0 {
            self.transaction.owner().forget_newest();
            return Err(StoreError::conflict("the log is not the one that it was"));
        }
        expect_rows("added", events.len(), added)
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

/// What the next event continues from.
#[derive(Clone, Copy)]
struct LogEnd {
    /// The newest event, or what retention kept of it.
    head: Head,
    /// Whether that event is there.
    is_of_event: bool,
}

/// Locks the counter, and so the end of the log.
///
/// Whoever waited for the lock is given the counter's row as it is then, but sees the log as it was before: where the event
/// is not the one that this replica has written last, it is looked for by another statement.
async fn lock_log(db: &Transaction) -> Result<LogEnd, StoreError> {
    use event_counter::Column::{FloorHash, LastSequence};
    type Bytes = Option<Vec<u8>>;
    let last = Expr::col((event_counter::Entity, LastSequence));
    let hash = Query::select()
        .column((Entity, Column::Hash))
        .from(Entity)
        .and_where(Expr::col((Entity, Column::Sequence)).eq(last))
        .to_owned();
    let lock = select::counter()
        .select_only()
        .columns([LastSequence, FloorHash])
        .expr_as(Expr::SubQuery(None, Box::new(hash.into())), "hash")
        .lock_exclusive()
        .into_tuple();
    let found: Option<(i64, Bytes, Bytes)> = lock.one(db).await?;
    let (sequence, of_floor, hash) = found.ok_or(Inconsistency::NoCounter)?;
    // On SQLite nothing is hidden: there an event that is not seen is not there.
    let remembered = match db.get_database_backend() {
        DbBackend::Postgres => db.owner().newest(),
        _ => None,
    };
    let newest = remembered.filter(|newest| newest.sequence == sequence);
    let hash: Bytes = match (hash, newest) {
        (Some(hash), _) => Some(hash),
        (None, Some(newest)) => Some(newest.hash.into()),
        (None, None) => {
            let event = Entity::find_by_id(sequence).select_only();
            event.column(Column::Hash).into_tuple().one(db).await?
        }
    };
    let is_of_event = hash.is_some();
    let hash = hash.or(of_floor).map_or(Ok(GENESIS), rows::to_hash)?;
    Ok(LogEnd {
        head: Head { sequence, hash },
        is_of_event,
    })
}

/// Takes `count` positions after `before`.
fn advance(before: i64, count: i64) -> UpdateStatement {
    use event_counter::Column::LastSequence;
    Query::update()
        .table(event_counter::Entity)
        .value(LastSequence, before + count)
        .and_where(Expr::col(LastSequence).eq(before))
        .to_owned()
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
