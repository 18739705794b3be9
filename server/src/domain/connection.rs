//! The other sites that tables are exchanged with.

use uuid::Uuid;

use super::{status::named, time::Timestamp};

named! {
    /// The part that the local site plays.
    ConnectionDirection {
        /// It gives tables.
        Sender = "SENDER",
        /// It takes tables.
        Receiver = "RECEIVER",
    }
}

named! {
    /// Where a connection stands.
    ConnectionStatus {
        /// Proposed.
        Pending = "PENDING",
        /// In use.
        Active = "ACTIVE",
        /// Paused.
        Suspended = "SUSPENDED",
        /// Ended.
        Revoked = "REVOKED",
        /// Past its end.
        Expired = "EXPIRED",
    }
}

/// What a caller asks for; every field is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewConnection {
    /// What people call it.
    pub name: String,
    /// The part that the local site plays.
    pub direction: ConnectionDirection,
    /// Address of the other site.
    pub site_url: String,
}

/// A connection as the ledger holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Identity.
    pub uuid: Uuid,
    /// What was asked for.
    pub declared: NewConnection,
    /// Where it stands.
    pub status: ConnectionStatus,
    /// When it was created.
    pub inserted_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// 1 when created, one more with every change.
    pub revision: i64,
}

impl Connection {
    /// A connection that was just created: in use at once.
    pub fn create(uuid: Uuid, declared: NewConnection, now: Timestamp) -> Self {
        Self {
            uuid,
            declared,
            status: ConnectionStatus::Active,
            inserted_at: now,
            updated_at: now,
            revision: 1,
        }
    }
}
