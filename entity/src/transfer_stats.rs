//! Sums of the transfers that have ended, by when they were created.
//!
//! A sum of 64-bit numbers could overflow. So the upper and the lower 32 bits are summed apart.

use sea_orm::entity::prelude::*;
use tidegate_domain::{
    id::ConnectionId,
    stats::Period,
    status::{Direction, TransferStatus},
};

use crate::stored::{Stored, StoredId};

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "transfer_stats")]
pub struct Model {
    /// The kind of period.
    #[sea_orm(primary_key, auto_increment = false)]
    pub period: Stored<Period>,
    /// When it begins; 0 for all time.
    #[sea_orm(primary_key, auto_increment = false)]
    pub starts_at: i64,
    /// The connection; all zeros for transfers without one.
    #[sea_orm(primary_key, auto_increment = false)]
    pub connection_uuid: StoredId<ConnectionId>,
    /// The table that was moved.
    #[sea_orm(primary_key, auto_increment = false)]
    pub table_name: String,
    /// Which way the rows flowed.
    #[sea_orm(primary_key, auto_increment = false)]
    pub direction: Stored<Direction>,
    /// How the transfers ended.
    #[sea_orm(primary_key, auto_increment = false)]
    pub status: Stored<TransferStatus>,
    /// The class of their durations; -1 unless they were completed.
    #[sea_orm(primary_key, auto_increment = false)]
    pub duration_class: i64,
    /// How many there are.
    pub transfers: i64,
    /// Upper halves of the rows that they moved.
    pub records_high: i64,
    /// Lower halves of the rows that they moved.
    pub records_low: i64,
    /// Upper halves of the bytes that they moved.
    pub bytes_high: i64,
    /// Lower halves of the bytes that they moved.
    pub bytes_low: i64,
    /// Upper halves of their durations in microseconds; 0 unless they were completed.
    pub duration_high: i64,
    /// Lower halves of their durations in microseconds; 0 unless they were completed.
    pub duration_low: i64,
    /// When the last of them was completed.
    pub last_completed_at: Option<i64>,
}

/// No relations.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
