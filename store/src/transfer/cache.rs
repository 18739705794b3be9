//! Transfers as they were last read or written, so that of most no more has to be read than their versions.
//!
//! Nothing is taken to be so still: the version comes from the database each time, in the same statement that locks the row
//! where one does. So any number of replicas may have a cache each, and none has to be told of anything.

use std::{mem::size_of, sync::Arc};

use quick_cache::{Weighter, sync::Cache};
use sea_orm::{
    ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{LockBehavior, LockType},
};
use serde_json::Value;
use uuid::Uuid;

use super::{load, select};
use crate::{error::StoreError, sql::chunk};
use tidegate_domain::{id::TransferId, transfer::Transfer};
use tidegate_entity::transfer::{Column, Entity};

/// Memory that they may take, in bytes, about.
const CAPACITY: usize = 16 * 1024 * 1024;

/// The newest known state of each, of those that were needed last.
#[derive(Debug)]
pub(crate) struct TransferCache(Cache<TransferId, Arc<Transfer>, Weight>);

/// What no two states of a transfer share. The time is there for a ledger that was put back to an earlier state, where
/// revisions are given once more.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Version {
    revision: i64,
    updated_at: i64,
}

impl Version {
    const fn of(transfer: &Transfer) -> Self {
        Self {
            revision: transfer.revision,
            updated_at: transfer.updated_at.as_micros(),
        }
    }
}

impl Default for TransferCache {
    fn default() -> Self {
        let few = CAPACITY / size_of::<Transfer>();
        Self(Cache::with_weighter(few, CAPACITY as u64, Weight))
    }
}

impl TransferCache {
    /// Keeps a state that is committed.
    pub(crate) fn keep(&self, transfer: &Arc<Transfer>) {
        // Somebody else may have read or written a newer one meanwhile. Where they do so right now, the next who asks finds
        // that the version is another one.
        let is_newer = |kept: &Arc<Transfer>| kept.revision > transfer.revision;
        if !self.0.peek(&transfer.uuid).as_ref().is_some_and(is_newer) {
            self.0.insert(transfer.uuid, Arc::clone(transfer));
        }
    }

    /// Forgets all of them.
    pub(crate) fn clear(&self) {
        self.0.clear();
    }

    fn get(&self, uuid: TransferId, version: Version) -> Option<Arc<Transfer>> {
        let kept = self.0.get(&uuid)?;
        (Version::of(&kept) == version).then_some(kept)
    }

    /// Whether it is worth while to ask for versions first.
    fn has_most_of(&self, uuids: &[TransferId]) -> bool {
        let kept = uuids.iter().filter(|uuid| self.0.contains_key(*uuid));
        2 * kept.count() > uuids.len()
    }
}

/// Whether others are kept away from what is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Lock {
    None,
    /// In the order of the uuids. What somebody else has locked is left out.
    Exclusive,
}

impl Lock {
    fn apply(self, select: Select<Entity>) -> Select<Entity> {
        match self {
            Self::None => select,
            Self::Exclusive => select
                .order_by_asc(Column::Uuid)
                .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked),
        }
    }
}

/// The transfers among `uuids` that exist, in no particular order.
pub(super) async fn read<C: ConnectionTrait>(
    db: &C,
    cache: &TransferCache,
    uuids: &[TransferId],
    lock: Lock,
) -> Result<Vec<Arc<Transfer>>, StoreError> {
    if !cache.has_most_of(uuids) {
        return read_whole(db, cache, uuids, lock).await;
    }
    let (mut found, mut changed) = (Vec::with_capacity(uuids.len()), Vec::new());
    for among in chunk::one_of_ids(db.get_database_backend(), Column::Uuid, uuids) {
        let select = lock.apply(select::versions().filter(among));
        let versions: Vec<(Uuid, i64, i64)> = select.into_tuple().all(db).await?;
        for (uuid, revision, updated_at) in versions {
            let version = Version {
                revision,
                updated_at,
            };
            match cache.get(uuid.into(), version) {
                Some(kept) => found.push(kept),
                None => changed.push(uuid.into()),
            }
        }
    }
    // Where there is a lock, it has them.
    found.extend(read_whole(db, cache, &changed, Lock::None).await?);
    Ok(found)
}

async fn read_whole<C: ConnectionTrait>(
    db: &C,
    cache: &TransferCache,
    uuids: &[TransferId],
    lock: Lock,
) -> Result<Vec<Arc<Transfer>>, StoreError> {
    let mut found = Vec::with_capacity(uuids.len());
    for among in chunk::one_of_ids(db.get_database_backend(), Column::Uuid, uuids) {
        let select = lock.apply(Entity::find().filter(among));
        let rows = load(db, select).await?.into_iter().map(Arc::new);
        found.extend(rows.inspect(|row| cache.keep(row)));
    }
    Ok(found)
}

#[derive(Clone, Debug)]
struct Weight;

impl Weighter<TransferId, Arc<Transfer>> for Weight {
    /// Bytes, about. What can be large counts as much as it has.
    fn weight(&self, _: &TransferId, transfer: &Arc<Transfer>) -> u64 {
        let notes = &transfer.declared.metadata;
        let notes: usize = notes.iter().map(|(key, it)| key.len() + size(it)).sum();
        let problems = transfer.problems.iter();
        let samples: usize = problems.map(|it| it.samples.len()).sum();
        let text = transfer.error_message.len() + transfer.checkpoint.len();
        (size_of::<Transfer>() + notes + text + samples * SAMPLE) as u64
    }
}

/// Bytes of a record that made trouble.
const SAMPLE: usize = 256;

fn size(value: &Value) -> usize {
    let inner = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(size).sum(),
        Value::Object(values) => values.iter().map(|(key, it)| key.len() + size(it)).sum(),
    };
    size_of::<Value>() + inner
}

#[cfg(test)]
mod tests {
    use tidegate_domain::fixtures::{id, transfer};

    use super::*;

    #[test]
    fn they_take_no_more_memory_than_they_may() {
        let cache = TransferCache::default();
        let large = |number: u128| {
            let mut large = transfer();
            large.uuid = id(number);
            let note = Value::Array(vec!["x".repeat(4_000).into(); 4]);
            large.declared.metadata.insert("note".to_owned(), note);
            Arc::new(large)
        };
        for number in 0..3_000 {
            cache.keep(&large(number));
        }
        assert!(cache.0.weight() <= CAPACITY as u64 && cache.0.len() > 500);
        assert!(cache.0.len() <= CAPACITY / 16_000);
    }
}
