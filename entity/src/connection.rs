//! Another site that tables are exchanged with.

use sea_orm::entity::prelude::*;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "connection")]
pub struct Model {
    /// Identity.
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: Uuid,
    /// What people call it.
    pub name: String,
    /// The part that the local site plays.
    pub direction: String,
    /// Address of the other site.
    pub site_url: String,
    /// Where it stands.
    pub status: String,
    /// When it was created.
    pub inserted_at: i64,
    /// When it last changed.
    pub updated_at: i64,
    /// 1 when created, one more with every change.
    pub revision: i64,
    /// In what role it was created.
    pub actor: String,
    /// The id of the request that created it.
    pub request_id: Option<String>,
    /// Digest of that request; set together with `request_id`.
    pub request_digest: Option<Vec<u8>>,
}

/// No relations: transfers name connections that may be gone.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
