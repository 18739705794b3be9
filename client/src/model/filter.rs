//! Which transfers a list, a count or a watch means.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Direction, Transfer, TransferStatus};

/// Means the transfers that meet every condition that is set; the default means all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransferFilter {
    /// Only this direction.
    pub direction: Option<Direction>,
    /// Only these statuses, at most 16; empty is any.
    pub status: Vec<TransferStatus>,
    /// Only those of this connection.
    pub connection_uuid: Option<Uuid>,
    /// Only those of this table, by exact name.
    pub table_name: Option<String>,
    /// Only those that require approval, or do not.
    pub requires_approval: Option<bool>,
    /// Only those created at this time or later.
    pub from: Option<DateTime<Utc>>,
    /// Only those created at this time or earlier.
    pub to: Option<DateTime<Utc>>,
}

impl TransferFilter {
    /// Whether a transfer that once met the filter still does: only these two conditions can change their answer.
    pub(crate) fn still_means(&self, transfer: &Transfer) -> bool {
        (self.status.is_empty() || self.status.contains(&transfer.status))
            && self
                .requires_approval
                .is_none_or(|required| required == transfer.requires_approval)
    }
}
