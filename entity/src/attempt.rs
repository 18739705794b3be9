//! An attempt at a transfer that ended while the transfer went on. The latest attempt is in the transfer's own row.

use sea_orm::entity::prelude::*;
use tidegate_domain::{
    attempt::AttemptEnd,
    id::{CredentialId, TransferId},
};

use crate::stored::{Stored, StoredId};

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "attempt")]
pub struct Model {
    /// The transfer.
    #[sea_orm(primary_key, auto_increment = false)]
    pub transfer_uuid: StoredId<TransferId>,
    /// The number of its lease.
    #[sea_orm(primary_key, auto_increment = false)]
    pub epoch: i64,
    /// The credential that started it.
    pub owner_uuid: Option<StoredId<CredentialId>>,
    /// What the agent called itself.
    pub agent_instance: Option<String>,
    /// When it was started.
    pub started_at: i64,
    /// When it ended.
    pub ended_at: i64,
    /// How it ended.
    pub outcome: Stored<AttemptEnd>,
    /// What went wrong.
    pub error_message: Option<String>,
    /// Rows read from the source.
    pub records_transferred: i64,
    /// Rows that the target did not have.
    pub records_created: i64,
    /// Rows that changed one in the target.
    pub records_updated: i64,
    /// Rows left out.
    pub records_skipped: i64,
    /// Rows that the target refused.
    pub records_failed: i64,
    /// Bytes moved.
    pub bytes_transferred: i64,
    /// Where its agent would have resumed.
    pub checkpoint: Vec<u8>,
}

/// No relations: see the transfer.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
