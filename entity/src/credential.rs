//! Somebody who may call.

use sea_orm::entity::prelude::*;
use std::net::IpAddr;
use tidegate_domain::{
    caller::Role,
    id::{ConnectionId, CredentialId},
};

use crate::stored::{Stored, StoredId};

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "credential")]
pub struct Model {
    /// Identity.
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: StoredId<CredentialId>,
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub role: Stored<Role>,
    /// The connection that an agent belongs to.
    pub connection_uuid: Option<StoredId<ConnectionId>>,
    /// Whether it may name other people as initiators and deciders.
    pub acts_for_others: bool,
    /// The session code that it was redeemed with.
    pub session_code: Option<String>,
    /// When it was created.
    pub inserted_at: i64,
    /// When it was revoked.
    pub revoked_at: Option<i64>,
    /// When it was last used, to about a minute.
    pub last_used_at: Option<i64>,
    /// The address that it was last used from.
    pub last_used_address: Option<Stored<IpAddr>>,
    /// 1 when created, one more with every change but its use.
    pub revision: i64,
}

/// No relations: what a credential did outlives it.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
