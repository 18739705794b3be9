//! Counts and sums.
//!
//! A sum of 64-bit numbers fails on SQLite when it overflows and becomes a decimal on PostgreSQL. So the upper and the
//! lower 32 bits are summed apart, neither of which can overflow below two thousand million rows, and joined here.

use sea_orm::{
    ColumnTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, Select,
    TryGetable,
    sea_query::{Expr, Order},
};
use tidegate_entity::{
    stored::Stored,
    transfer::{Column, Entity},
};

use crate::{ScopedReader, Store, WriteTransaction, error::StoreError, sql::condition};
use tidegate_domain::{
    connection::Usage,
    id::ConnectionId,
    query::{ConnectionStats, TableStats, TableStatsFilter, TransferFilter},
    status::TransferStatus,
};

/// Sums of one group.
#[derive(FromQueryResult)]
struct Group<N: TryGetable> {
    name: N,
    count: i64,
    records_high: i64,
    records_low: i64,
    bytes_high: i64,
    bytes_low: i64,
}

impl Store {
    /// How many transfers are meant by `filter`.
    pub async fn count_transfers(&self, filter: &TransferFilter) -> Result<i64, StoreError> {
        let select = select_count(filter).into_tuple();
        Ok(select.one(&self.long_reads()).await?.unwrap_or(0))
    }

    /// The sums of one connection; statuses in the order of the wire's enum.
    pub async fn connection_stats(
        &self,
        connection_uuid: ConnectionId,
    ) -> Result<ConnectionStats, StoreError> {
        let groups: Vec<Group<Stored<TransferStatus>>> = select_by_connection(connection_uuid)
            .into_model()
            .all(&self.long_reads())
            .await?;
        let mut by_status = Vec::with_capacity(groups.len());
        let (mut records, mut bytes) = (0, 0);
        for group in &groups {
            by_status.push((group.name.0, group.count));
            records += join(group.records_high, group.records_low);
            bytes += join(group.bytes_high, group.bytes_low);
        }
        by_status.sort_unstable();
        Ok(ConnectionStats {
            by_status,
            total_records: saturate(records),
            total_bytes: saturate(bytes),
        })
    }

    /// The sums of completed transfers by table, most transfers first, then by name.
    pub async fn table_stats(
        &self,
        filter: &TableStatsFilter,
        limit: u32,
    ) -> Result<Vec<TableStats>, StoreError> {
        let groups: Vec<Group<String>> = select_by_table(filter, limit)
            .into_model()
            .all(&self.long_reads())
            .await?;
        let stats = groups.into_iter().map(|group| TableStats {
            records: saturate(join(group.records_high, group.records_low)),
            bytes: saturate(join(group.bytes_high, group.bytes_low)),
            table_name: group.name,
            count: group.count,
        });
        Ok(stats.collect())
    }
}

impl ScopedReader {
    /// How many transfers are meant by `filter`.
    pub async fn count_transfers(&self, filter: &TransferFilter) -> Result<i64, StoreError> {
        self.store.count_transfers(&self.filter(filter)).await
    }

    /// The sums of one connection; statuses in the order of the wire's enum.
    pub async fn connection_stats(
        &self,
        uuid: ConnectionId,
    ) -> Result<ConnectionStats, StoreError> {
        if self.caller.sees(Some(uuid)) {
            self.store.connection_stats(uuid).await
        } else {
            Ok(ConnectionStats::default())
        }
    }

    /// The sums of completed transfers by table, most transfers first, then by name.
    pub async fn table_stats(
        &self,
        filter: &TableStatsFilter,
        limit: u32,
    ) -> Result<Vec<TableStats>, StoreError> {
        let filter = TableStatsFilter {
            connections: self.narrowed(filter.connections),
            ..filter.clone()
        };
        self.store.table_stats(&filter, limit).await
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

pub(crate) fn select_by_connection(connection_uuid: ConnectionId) -> Select<Entity> {
    select_sums(Column::Status).filter(Column::ConnectionUuid.eq(connection_uuid.0))
}

pub(crate) fn select_by_table(filter: &TableStatsFilter, limit: u32) -> Select<Entity> {
    select_sums(Column::TableName)
        .filter(condition::completed(filter))
        .order_by(Expr::cust("COUNT(*)"), Order::Desc)
        .order_by_asc(Column::TableName)
        .limit(u64::from(limit))
}

fn select_sums(name: Column) -> Select<Entity> {
    Entity::find()
        .select_only()
        .column_as(name, "name")
        .expr_as(Expr::cust("COUNT(*)"), "count")
        .expr_as(half("records_transferred", '/'), "records_high")
        .expr_as(half("records_transferred", '%'), "records_low")
        .expr_as(half("bytes_transferred", '/'), "bytes_high")
        .expr_as(half("bytes_transferred", '%'), "bytes_low")
        .group_by(name)
}

/// The sum of one half of a counter; counters are never negative.
fn half(column: &str, operator: char) -> Expr {
    Expr::cust(format!("CAST(SUM({column} {operator} {HALF}) AS BIGINT)"))
}

const HALF: i64 = 1 << 32;

fn join(high: i64, low: i64) -> i128 {
    i128::from(high) * i128::from(HALF) + i128::from(low)
}

fn saturate(sum: i128) -> i64 {
    i64::try_from(sum).unwrap_or(i64::MAX)
}
