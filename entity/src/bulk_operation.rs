//! One verb for every transfer that a filter means.

use std::net::IpAddr;

use sea_orm::entity::prelude::*;
use tidegate_domain::{
    bulk::{BulkState, BulkVerb},
    id::{BulkOperationId, CredentialId},
    query::TransferFilter,
};

use crate::stored::{JsonText, Stored, StoredId};

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "bulk_operation")]
pub struct Model {
    /// Identity.
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: StoredId<BulkOperationId>,
    /// What is done to each transfer.
    pub verb: Stored<BulkVerb>,
    /// Which transfers are meant.
    pub filter: JsonText<TransferFilter>,
    /// Why, where something was said.
    pub reason: Option<String>,
    /// How long whoever runs a transfer has to confirm that it stops, in microseconds.
    pub grace: Option<i64>,
    /// How far it is.
    pub state: Stored<BulkState>,
    /// How many transfers were found when it was started.
    pub matched: i64,
    /// How many the verb was carried out on.
    pub succeeded: i64,
    /// How many it was refused for.
    pub refused: i64,
    /// When the last transfer that has had its turn was created.
    pub after_inserted_at: Option<i64>,
    /// That transfer; set together with `after_inserted_at`.
    pub after_uuid: Option<Uuid>,
    /// In what role it was started.
    pub actor: String,
    /// The credential that started it.
    pub created_by_uuid: Option<StoredId<CredentialId>>,
    /// Where that call came from; at most 64 characters.
    pub address: Option<Stored<IpAddr>>,
    /// When it was started.
    pub inserted_at: i64,
    /// When it last went on.
    pub updated_at: i64,
    /// When it was through, or stopped.
    pub ended_at: Option<i64>,
    /// One higher with every change.
    pub revision: i64,
}

/// No relations: see the outcomes.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
