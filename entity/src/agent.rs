//! A program that runs transfers, as it has told.

use std::collections::BTreeMap;

use sea_orm::entity::prelude::*;
use tidegate_domain::id::{AgentId, ConnectionId, CredentialId};

use crate::stored::{JsonText, StoredId};

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "agent")]
pub struct Model {
    /// Identity: a digest of connection, credential and name.
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: StoredId<AgentId>,
    /// The connection whose transfers it runs.
    pub connection_uuid: Option<StoredId<ConnectionId>>,
    /// The credential that it calls with.
    pub owner_uuid: Option<StoredId<CredentialId>>,
    /// What it calls itself.
    pub instance: String,
    /// Its version.
    pub version: Option<String>,
    /// The machine that it runs on.
    pub host: Option<String>,
    /// What it can copy between, with versions.
    pub engines: Option<JsonText<BTreeMap<String, String>>>,
    /// The most transfers that it runs at once.
    pub slots: Option<i64>,
    /// What else operators want to know.
    pub labels: Option<JsonText<BTreeMap<String, String>>>,
    /// When it was first heard of.
    pub registered_at: i64,
    /// When it last said that it is there.
    pub last_beat_at: i64,
}

/// No relations: it may outlive its connection and its credential.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
