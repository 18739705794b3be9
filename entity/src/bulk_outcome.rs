//! What came of one transfer of a bulk operation.

use sea_orm::entity::prelude::*;
use tidegate_domain::{
    bulk::BulkResult,
    id::{BulkOperationId, TransferId},
};

use crate::stored::{Stored, StoredId};

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "bulk_outcome")]
pub struct Model {
    /// The operation.
    #[sea_orm(primary_key, auto_increment = false)]
    pub operation_uuid: StoredId<BulkOperationId>,
    /// Its place among those of the operation.
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: i64,
    /// The transfer.
    pub transfer_uuid: StoredId<TransferId>,
    /// What came of it.
    pub result: Stored<BulkResult>,
    /// The name of the refusal.
    pub reason: Option<String>,
    /// What tries it again.
    pub retried_by_uuid: Option<StoredId<TransferId>>,
}

/// No relations: transfers may be gone, which may be the very outcome.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
