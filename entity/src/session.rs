//! A code that an agent redeems, once, for a token.

use sea_orm::entity::prelude::*;
use tidegate_domain::id::{ConnectionId, SessionId};

use crate::stored::StoredId;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "session")]
pub struct Model {
    /// Identity.
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: StoredId<SessionId>,
    /// The connection that it is for.
    pub connection_uuid: StoredId<ConnectionId>,
    /// Digest of its code, 32 bytes.
    #[sea_orm(unique)]
    pub digest: Vec<u8>,
    /// When it was opened.
    pub inserted_at: i64,
    /// Until when its code can be redeemed.
    pub expires_at: i64,
    /// How long the token that it is redeemed for is good, in microseconds.
    pub token_expires_in: i64,
    /// When it was redeemed.
    pub redeemed_at: Option<i64>,
}

/// No relations: sessions name connections that may be gone.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
