//! The connection: a standing relation with one other site.

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::{ConnectionDirection, ConnectionStatus};

/// A standing relation with one other site, to which transfers belong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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
    /// 1 when created, one more with every change.
    pub revision: i64,
}
