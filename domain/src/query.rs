//! What can be asked of the ledger without changing it.

use super::{
    agent::alive_since,
    caller::Role,
    connection::{Connection, ConnectionDirection, ConnectionStatus},
    page::Position,
    time::Timestamp,
};
use crate::{
    caller::ConnectionScope,
    event::Event,
    id::{ConnectionId, TransferId},
};

mod filter;
mod stats;

pub use self::{
    filter::{TimeRange, TransferFilter},
    stats::{ConnectionStats, StatsFilter, TableStats, ratio},
};

/// Which connections are meant. Unset is no condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionFilter {
    /// Only this direction.
    pub direction: Option<ConnectionDirection>,
    /// Only these statuses; empty is any.
    pub status: Vec<ConnectionStatus>,
}

impl ConnectionFilter {
    /// Whether `connection` is meant.
    pub fn matches(&self, connection: &Connection) -> bool {
        self.direction
            .is_none_or(|direction| direction == connection.declared.direction)
            && (self.status.is_empty() || self.status.contains(&connection.status))
    }

    /// Text that is equal for equal filters, to bind a page token to.
    pub fn fingerprint(&self) -> String {
        let mut names: Vec<_> = self.status.iter().map(|status| status.name()).collect();
        names.sort_unstable();
        names.dedup();
        let direction = self.direction.map_or("", ConnectionDirection::name);
        format!("{direction};{}", names.join(","))
    }
}

/// Order of a list by time, then uuid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortOrder {
    /// Oldest first.
    Ascending,
    /// Newest first.
    #[default]
    Descending,
}

/// A stretch of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Only what comes after this place; `None` is from the beginning.
    pub after: Option<Position>,
    /// So many are passed over first.
    pub skip: u32,
    /// At most so many.
    pub limit: u32,
}

/// Which approvals are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApprovalFilter {
    /// Only those of these connections.
    pub connections: ConnectionScope,
    /// Only those of this table.
    pub table_name: Option<String>,
}

impl ApprovalFilter {
    /// Text that is equal for equal filters, to bind a page token to.
    pub fn fingerprint(&self) -> String {
        TransferFilter {
            connections: self.connections,
            tables: self.table_name.iter().cloned().collect(),
            ..TransferFilter::default()
        }
        .fingerprint()
    }
}

/// Which credentials are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CredentialFilter {
    /// Only this role.
    pub role: Option<Role>,
    /// Only those of this connection.
    pub connection_uuid: Option<ConnectionId>,
}

impl CredentialFilter {
    /// Text that is equal for equal filters, to bind a page token to.
    pub fn fingerprint(&self) -> String {
        let role = self.role.map_or("", Role::name);
        let connection = self.connection_uuid.map(|uuid| uuid.to_string());
        format!("{role};{}", connection.unwrap_or_default())
    }
}

/// Which agents are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AgentFilter {
    /// Only those of these connections.
    pub connections: ConnectionScope,
    /// Only those that are alive.
    pub alive_only: bool,
    /// Only those that were seen since then.
    pub seen_since: Option<Timestamp>,
}

impl AgentFilter {
    /// Since when those who are meant must have been seen, at `now`.
    pub fn seen_since(&self, now: Timestamp) -> Option<Timestamp> {
        self.seen_since
            .max(self.alive_only.then(|| alive_since(now)))
    }

    /// Text that is equal for equal filters, to bind a page token to.
    pub fn fingerprint(&self) -> String {
        let connections = self.connections.fingerprint().unwrap_or_default();
        let since = self.seen_since.map(|time| time.as_micros().to_string());
        let alive = self.alive_only;
        format!("{connections};{alive};{}", since.unwrap_or_default())
    }
}

/// Which events are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only those of this transfer.
    pub transfer_uuid: Option<TransferId>,
    /// Only those of these connections.
    pub connections: ConnectionScope,
    /// Only those after this position.
    pub after_sequence: i64,
}

impl EventFilter {
    /// Whether `event` is meant.
    pub fn matches(&self, event: &Event) -> bool {
        event.sequence > self.after_sequence
            && self.connections.contains(event.connection_uuid)
            && self
                .transfer_uuid
                .is_none_or(|uuid| event.transfer_uuid == Some(uuid))
    }
}

#[cfg(test)]
mod tests;
