//! What happened, one row for each transition or other event, never changed.

use sea_orm::entity::prelude::*;
use std::net::IpAddr;
use tidegate_domain::{
    event::{About, EventDetail, EventType},
    id::{ConnectionId, TransferId},
    status::TransferStatus,
};

use crate::by_place::by_place;
use crate::stored::{JsonText, Stored, StoredId};

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "event")]
pub struct Model {
    /// Position in the log, without gaps, in commit order.
    #[sea_orm(primary_key, auto_increment = false)]
    pub sequence: i64,
    /// The transfer that it happened to.
    pub transfer_uuid: Option<StoredId<TransferId>>,
    /// That transfer's connection.
    pub connection_uuid: Option<StoredId<ConnectionId>>,
    /// What is told of those; none when nothing is.
    pub about: Option<JsonText<About>>,
    /// What happened.
    pub event_type: Stored<EventType>,
    /// Status before; none for a creation.
    pub from_status: Option<Stored<TransferStatus>>,
    /// Status after; none when it is not about a status.
    pub to_status: Option<Stored<TransferStatus>>,
    /// Who did it, where somebody was named.
    pub actor_uuid: Option<Uuid>,
    /// In what role it was done.
    pub actor: String,
    /// What there is to tell beyond that.
    pub detail: Option<JsonText<EventDetail>>,
    /// The id of the request that caused it.
    pub request_id: Option<String>,
    /// Digest of that request; set together with `request_id`.
    pub request_digest: Option<Vec<u8>>,
    /// The transfer's revision after it; 0 when it concerns no transfer.
    pub revision: i64,
    /// When it happened.
    pub occurred_at: i64,
    /// 32 bytes that chain it to everything before it.
    pub hash: Vec<u8>,
    /// The credential or session that it happened to.
    pub subject_uuid: Option<Uuid>,
    /// Where the call that caused it came from, for events that note it; at most 64 characters.
    pub address: Option<Stored<IpAddr>>,
}

/// No relations: the history outlives what it names.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

by_place! {
    sequence, transfer_uuid, connection_uuid, about, event_type, from_status, to_status, actor_uuid,
    actor, detail, request_id, request_digest, revision, occurred_at, hash, subject_uuid, address,
}
