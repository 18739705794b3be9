//! What can be asked of the ledger without changing it.

use std::fmt::Write as _;

use super::{
    caller::Role,
    connection::{Connection, ConnectionDirection, ConnectionStatus},
    page::Position,
    status::{Direction, TransferStatus},
    time::Timestamp,
    transfer::Transfer,
};
use crate::caller::ConnectionScope;
use crate::id::{ConnectionId, TransferId};

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

/// Which transfers are meant. Unset is no condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransferFilter {
    /// Only this direction.
    pub direction: Option<Direction>,
    /// Only these statuses; empty is any.
    pub status: Vec<TransferStatus>,
    /// Only those of these connections.
    pub connections: ConnectionScope,
    /// Only those of this table.
    pub table_name: Option<String>,
    /// Only those that require approval, or do not.
    pub requires_approval: Option<bool>,
    /// Only those created then or later.
    pub from: Option<Timestamp>,
    /// Only those created then or earlier.
    pub to: Option<Timestamp>,
}

impl TransferFilter {
    /// Whether `transfer` is meant.
    pub fn matches(&self, transfer: &Transfer) -> bool {
        let declared = &transfer.declared;
        self.direction
            .is_none_or(|direction| direction == declared.direction)
            && (self.status.is_empty() || self.status.contains(&transfer.status))
            && self.connections.contains(declared.connection_uuid)
            && self
                .table_name
                .as_ref()
                .is_none_or(|table| *table == declared.table_name)
            && self
                .requires_approval
                .is_none_or(|flag| flag == transfer.requires_approval)
            && self.from.is_none_or(|from| from <= transfer.inserted_at)
            && self.to.is_none_or(|to| transfer.inserted_at <= to)
    }

    /// Text that is equal for equal filters, to bind a page token to.
    pub fn fingerprint(&self) -> String {
        let mut text = String::new();
        let mut add = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                // Writing to a string cannot fail. The length keeps a value from posing as another field.
                let _ = write!(text, "{name}={}:{value};", value.len());
            }
        };
        add("direction", self.direction.map(|value| value.to_string()));
        let mut status: Vec<_> = self.status.iter().map(|status| status.name()).collect();
        status.sort_unstable();
        status.dedup();
        add("status", (!status.is_empty()).then(|| status.join(",")));
        add("connection_uuid", self.connections.fingerprint());
        add("table_name", self.table_name.clone());
        add(
            "requires_approval",
            self.requires_approval.map(|value| value.to_string()),
        );
        add("from", self.from.map(|value| value.as_micros().to_string()));
        add("to", self.to.map(|value| value.as_micros().to_string()));
        text
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
            table_name: self.table_name.clone(),
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

/// The sums of one connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionStats {
    /// Transfers by status; statuses that do not occur are left out.
    pub by_status: Vec<(TransferStatus, i64)>,
    /// Sum of `records_transferred`, at most the largest i64.
    pub total_records: i64,
    /// Sum of `bytes_transferred`, at most the largest i64.
    pub total_bytes: i64,
}

impl ConnectionStats {
    /// Transfers in every status.
    pub fn total(&self) -> i64 {
        self.by_status.iter().map(|(_, count)| count).sum()
    }

    /// Transfers in one status.
    pub fn count(&self, status: TransferStatus) -> i64 {
        self.by_status
            .iter()
            .find_map(|(each, count)| (*each == status).then_some(*count))
            .unwrap_or(0)
    }
}

/// Which completed transfers to sum up by table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableStatsFilter {
    /// Only this direction.
    pub direction: Option<Direction>,
    /// Only those of these connections.
    pub connections: ConnectionScope,
    /// Only those created then or later.
    pub from: Option<Timestamp>,
    /// Only those created then or earlier.
    pub to: Option<Timestamp>,
}

/// The sums of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableStats {
    /// The table.
    pub table_name: String,
    /// Completed transfers of it.
    pub count: i64,
    /// Sum of `records_transferred`, at most the largest i64.
    pub records: i64,
    /// Sum of `bytes_transferred`, at most the largest i64.
    pub bytes: i64,
}
