//! Whether the sums that are kept are those of the transfers.

use std::fmt;

use sea_orm::{ConnectionTrait, FromQueryResult};
use tidegate_domain::{
    id::ConnectionId,
    stats::Period,
    status::{Direction, TransferStatus},
    time::Timestamp,
};
use tidegate_entity::stored::{Stored, StoredId};
use uuid::Uuid;

use super::facts;
use crate::{Snapshot, error::StoreError, snapshot::answer};

/// Sums that are not what the transfers come to.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct WrongSums {
    period: Stored<Period>,
    starts_at: i64,
    connection_uuid: StoredId<ConnectionId>,
    table_name: String,
    direction: Stored<Direction>,
    status: Stored<TransferStatus>,
    duration_class: i64,
    /// Transfers that were counted.
    kept: i64,
    /// Transfers that there are.
    found: i64,
}

impl fmt::Display for WrongSums {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.period.0 {
            Period::All => write!(out, "all time")?,
            Period::Day | Period::Hour => {
                let starts_at = Timestamp::from_micros(self.starts_at);
                write!(out, "{} {starts_at}", self.period.0)?;
            }
        }
        if self.connection_uuid.0.0 != Uuid::nil() {
            write!(out, ", connection {}", self.connection_uuid.0)?;
        }
        write!(
            out,
            ", table {:?}, {}, {}, duration class {}: {} counted, {} found",
            self.table_name,
            self.direction.0,
            self.status.0,
            self.duration_class,
            self.kept,
            self.found
        )?;
        if self.kept == self.found {
            write!(out, ", but records, bytes or times differ")?;
        }
        Ok(())
    }
}

impl Snapshot {
    /// Sums that are not what the transfers come to, at most `limit`, in the order of their keys.
    pub async fn wrong_sums(&self, limit: u32) -> Result<Vec<WrongSums>, StoreError> {
        let backend = self.transaction.get_database_backend();
        let select = facts::wrong(backend, limit);
        let rows = answer(self.transaction.query_all(&select)).await?;
        let wrong = rows.iter().map(|row| WrongSums::from_query_result(row, ""));
        Ok(wrong.collect::<Result<_, _>>()?)
    }
}
