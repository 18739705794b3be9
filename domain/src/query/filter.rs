//! Which transfers a list, a count, a watch or an export means.

use std::fmt::Write as _;

use crate::{
    caller::ConnectionScope,
    status::{Direction, TransferStatus},
    time::Timestamp,
    transfer::Transfer,
};

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
