//! Counts and sums.

use std::collections::BTreeMap;

use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryResult,
    QuerySelect, Select, sea_query::Expr,
};
use tidegate_entity::{
    stored::Stored,
    transfer::{Column, Entity},
};

use crate::{ScopedReader, Store, WriteTransaction, error::StoreError, sql::condition};
use facts::HALF;
use tidegate_domain::{
    connection::Usage,
    id::ConnectionId,
    query::{ConnectionStats, StatsFilter, TableStats, TransferFilter},
    stats::Durations,
    status::TransferStatus,
    time::Timestamp,
};

mod check;
pub(crate) mod facts;
pub(crate) mod keep;

pub use check::WrongSums;

/// Sums of one status and class of durations.
#[derive(FromQueryResult)]
struct Group {
    status: Stored<TransferStatus>,
    duration_class: i64,
    transfers: i64,
    records_high: i64,
    records_low: i64,
    bytes_high: i64,
    bytes_low: i64,
    duration_high: i64,
    duration_low: i64,
    last_completed_at: Option<i64>,
}

/// What groups come to.
#[derive(Default)]
struct Sums {
    by_status: BTreeMap<TransferStatus, i64>,
    records: i128,
    bytes: i128,
    /// Completed transfers by class.
    classes: Vec<(i64, i64)>,
    duration: i128,
    last_completed_at: Option<i64>,
}

impl Sums {
    /// `only_completed` leaves what others moved out.
    fn add(&mut self, group: &Group, only_completed: bool) {
        let status = group.status.0;
        *self.by_status.entry(status).or_default() += group.transfers;
        let is_completed = status == TransferStatus::Completed;
        if is_completed || !only_completed {
            self.records += join(group.records_high, group.records_low);
            self.bytes += join(group.bytes_high, group.bytes_low);
        }
        if is_completed {
            self.classes.push((group.duration_class, group.transfers));
            self.duration += join(group.duration_high, group.duration_low);
            self.last_completed_at = self.last_completed_at.max(group.last_completed_at);
        }
    }

    fn durations(&self) -> Option<Durations> {
        Durations::new(self.classes.iter().copied(), self.duration)
    }

    fn last_completed_at(&self) -> Option<Timestamp> {
        self.last_completed_at.map(Timestamp::from_micros)
    }
}

impl Store {
    /// How many transfers are meant by `filter`.
    pub async fn count_transfers(&self, filter: &TransferFilter) -> Result<i64, StoreError> {
        let select = select_count(filter).into_tuple();
        Ok(select.one(&self.long_reads()).await?.unwrap_or(0))
    }

    /// The sums over every status; statuses in the order of the wire's enum.
    pub async fn connection_stats(
        &self,
        filter: &StatsFilter,
    ) -> Result<ConnectionStats, StoreError> {
        let reads = self.sums();
        let select = facts::by_status(reads.get_database_backend(), filter);
        let mut sums = Sums::default();
        for row in reads.query_all(&select).await? {
            sums.add(&Group::from_query_result(&row, "")?, false);
        }
        Ok(ConnectionStats {
            durations: sums.durations(),
            last_completed_at: sums.last_completed_at(),
            by_status: sums.by_status.into_iter().collect(),
            total_records: saturate(sums.records),
            total_bytes: saturate(sums.bytes),
        })
    }

    /// The sums of completed transfers by table, most transfers first, then by name.
    pub async fn table_stats(
        &self,
        filter: &StatsFilter,
        limit: u32,
    ) -> Result<Vec<TableStats>, StoreError> {
        let reads = self.sums();
        let select = facts::by_table(reads.get_database_backend(), filter, limit);
        let mut tables: Vec<(String, Sums)> = Vec::new();
        for row in reads.query_all(&select).await? {
            let name = name(&row)?;
            if tables.last().is_none_or(|(last, _)| *last != name) {
                tables.push((name, Sums::default()));
            }
            if let Some((_, sums)) = tables.last_mut() {
                sums.add(&Group::from_query_result(&row, "")?, true);
            }
        }
        let stats = tables.into_iter().map(|(table_name, sums)| TableStats {
            table_name,
            count: (sums.by_status.get(&TransferStatus::Completed)).map_or(0, |count| *count),
            records: saturate(sums.records),
            bytes: saturate(sums.bytes),
            ended: sums.by_status.values().sum(),
            durations: sums.durations(),
            last_completed_at: sums.last_completed_at(),
        });
        Ok(stats.collect())
    }
}

fn name(row: &QueryResult) -> Result<String, StoreError> {
    Ok(row.try_get("", "table_name")?)
}

impl ScopedReader {
    /// How many transfers are meant by `filter`.
    pub async fn count_transfers(&self, filter: &TransferFilter) -> Result<i64, StoreError> {
        self.store.count_transfers(&self.filter(filter)).await
    }

    /// The sums over every status; statuses in the order of the wire's enum.
    pub async fn connection_stats(
        &self,
        filter: &StatsFilter,
    ) -> Result<ConnectionStats, StoreError> {
        self.store.connection_stats(&self.narrow(filter)).await
    }

    /// The sums of completed transfers by table, most transfers first, then by name.
    pub async fn table_stats(
        &self,
        filter: &StatsFilter,
        limit: u32,
    ) -> Result<Vec<TableStats>, StoreError> {
        self.store.table_stats(&self.narrow(filter), limit).await
    }

    fn narrow(&self, filter: &StatsFilter) -> StatsFilter {
        StatsFilter {
            connections: self.narrowed(filter.connections),
            ..filter.clone()
        }
    }
}

impl WriteTransaction {
    /// What the transfers of a connection have used up, counted from their rows.
    pub async fn usage_on_record(
        &self,
        connection_uuid: ConnectionId,
    ) -> Result<Usage, StoreError> {
        let sums: Option<(i64, Option<i64>, Option<i64>)> = select_usage(connection_uuid)
            .into_tuple()
            .one(&self.transaction)
            .await?;
        let (transfers, high, low) = sums.unwrap_or_default();
        Ok(Usage {
            transfers,
            records: saturate(join(high.unwrap_or(0), low.unwrap_or(0))),
        })
    }
}

pub(crate) fn select_usage(connection_uuid: ConnectionId) -> Select<Entity> {
    Entity::find()
        .select_only()
        .expr_as(
            Expr::cust("COUNT(CASE WHEN lease_epoch > 0 THEN 1 END)"),
            "transfers",
        )
        .expr_as(half("records_transferred", '/'), "records_high")
        .expr_as(half("records_transferred", '%'), "records_low")
        .filter(Column::ConnectionUuid.eq(connection_uuid.0))
}

pub(crate) fn select_count(filter: &TransferFilter) -> Select<Entity> {
    Entity::find()
        .select_only()
        .expr_as(Expr::cust("COUNT(*)"), "count")
        .filter(condition::transfers(filter))
}

/// The sum of one half of a counter; counters are never negative.
fn half(column: &str, operator: char) -> Expr {
    Expr::cust(format!("CAST(SUM({column} {operator} {HALF}) AS BIGINT)"))
}

fn join(high: i64, low: i64) -> i128 {
    i128::from(high) * i128::from(HALF) + i128::from(low)
}

fn saturate(sum: i128) -> i64 {
    i64::try_from(sum).unwrap_or(i64::MAX)
}
