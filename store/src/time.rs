//! The database's clock, where it has one that replicas can agree on.

use sea_orm::{ConnectionTrait, DbBackend, Statement};

use crate::error::{Inconsistency, StoreError};
use tidegate_domain::time::Timestamp;

/// Not `now()`, which stands still for a transaction that waited for its locks.
const NOW: &str = "SELECT floor(extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

pub(super) async fn now<C: ConnectionTrait>(db: &C) -> Result<Option<Timestamp>, StoreError> {
    if db.get_database_backend() != DbBackend::Postgres {
        return Ok(None);
    }
    let row = db
        .query_one_raw(Statement::from_string(DbBackend::Postgres, NOW))
        .await?
        .ok_or(Inconsistency::NoTime)?;
    Ok(Some(Timestamp::from_micros(row.try_get_by_index(0)?)))
}
