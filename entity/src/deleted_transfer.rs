//! What is kept of a transfer that was deleted, so that it stays counted.

use sea_orm::entity::prelude::*;
use tidegate_domain::{
    id::{ConnectionId, TransferId},
    status::{Direction, TransferStatus},
};

use crate::stored::{Stored, StoredId};

/// One row, whose columns mean what those of the same names in `transfer` do.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deleted_transfer")]
pub struct Model {
    /// The transfer.
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: StoredId<TransferId>,
    /// Which way the rows flowed.
    pub direction: Stored<Direction>,
    /// The connection that it belonged to.
    pub connection_uuid: Option<StoredId<ConnectionId>>,
    /// The table that was moved.
    pub table_name: String,
    /// How it ended.
    pub status: Stored<TransferStatus>,
    /// Rows read from the source.
    pub records_transferred: i64,
    /// Bytes moved.
    pub bytes_transferred: i64,
    /// When its latest run began.
    pub started_at: Option<i64>,
    /// When it ended.
    pub completed_at: Option<i64>,
    /// When it was created.
    pub inserted_at: i64,
}

/// No relations.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
