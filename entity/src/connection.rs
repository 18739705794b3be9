//! Another site that tables are exchanged with.

use sea_orm::entity::prelude::*;
use serde_json::{Map, Value as Json};
use tidegate_domain::{
    connection::{ConnectionDirection, ConnectionStatus},
    id::ConnectionId,
    policy::Policy,
};

use crate::stored::{JsonText, Stored, StoredId};

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "connection")]
pub struct Model {
    /// Identity.
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: StoredId<ConnectionId>,
    /// What people call it.
    pub name: String,
    /// The part that the local site plays.
    pub direction: Stored<ConnectionDirection>,
    /// Address of the other site.
    pub site_url: String,
    /// Where it stands.
    pub status: Stored<ConnectionStatus>,
    /// When it was created.
    pub inserted_at: i64,
    /// When it last changed.
    pub updated_at: i64,
    /// 1 when created, one more with every change.
    pub revision: i64,
    /// What its transfers may do.
    pub policy: JsonText<Policy>,
    /// Whether its policy limits transfers or records; for queries.
    pub has_budget: bool,
    /// When its policy ends it; for queries.
    pub expires_at: Option<i64>,
    /// Whether its transfers have yet to follow a change of its status.
    pub settling: bool,
    /// The operators' notes.
    pub metadata: JsonText<Map<String, Json>>,
    /// Why it was suspended or revoked.
    pub status_reason: Option<String>,
    /// Transfers that count against the limit.
    pub transfers_used: i64,
    /// Records that count against the limit.
    pub records_used: i64,
}

/// No relations: transfers name connections that may be gone.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
