//! The connection: a standing relation with one other site.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{ConnectionDirection, ConnectionPolicy, ConnectionStatus, text};

/// A standing relation with one other site, to which transfers belong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Connection {
    /// Identity, made by the server.
    pub uuid: Uuid,
    /// What people call it. Not unique.
    pub name: String,
    /// The part that the local site plays.
    pub direction: ConnectionDirection,
    /// Address of the other site.
    pub site_url: String,
    /// Where it stands.
    pub status: ConnectionStatus,
    /// When it was created.
    pub inserted_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// 1 when created, one more with every change of its fields, its status or its policy.
    #[serde(serialize_with = "text::number")]
    pub revision: i64,
    /// Why it was suspended or revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_reason: Option<String>,
    /// What its transfers may do.
    pub policy: ConnectionPolicy,
    /// Transfers that count against `max_transfers`; kept while that limit is set.
    #[serde(serialize_with = "text::number")]
    pub transfers_used: i64,
    /// Records that count against `max_records_total`, in the same way.
    #[serde(serialize_with = "text::number")]
    pub records_used: i64,
    /// The operators' notes. Numbers have gone through a double.
    pub metadata: Map<String, Value>,
}
