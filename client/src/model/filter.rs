//! Which transfers a list, a count or a watch means.

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::{Direction, ReconciliationState, Transfer, TransferStatus};

/// Means the transfers that meet every condition that is set; the default means all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TransferFilter {
    /// Only this direction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// Only these statuses, at most 16; empty is any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<TransferStatus>,
    /// Only those of this connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_uuid: Option<Uuid>,
    /// Only those of these tables, by exact name, at most 100; empty is any.
    #[serde(rename = "tableNames", skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<String>,
    /// Only those of tables whose names begin with this, case included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table_prefix: Option<String>,
    /// Only those that require approval, or do not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requires_approval: Option<bool>,
    /// Only those created at this time or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<DateTime<Utc>>,
    /// Only those created at this time or earlier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<DateTime<Utc>>,
    /// Only those of this movement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_uuid: Option<Uuid>,
    /// Only those of this plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_uuid: Option<Uuid>,
    /// Only those whose sides stand like this. Refused in a watch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reconciliation: Option<ReconciliationState>,
    /// Only those that were started in here.
    #[serde(skip_serializing_if = "TimeRange::is_unset")]
    pub started: TimeRange,
    /// Only those that have ended in here.
    #[serde(skip_serializing_if = "TimeRange::is_unset")]
    pub ended: TimeRange,
    /// Only those that changed last in here.
    #[serde(skip_serializing_if = "TimeRange::is_unset")]
    pub updated: TimeRange,
    /// Only those that this person or agent asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initiated_by_uuid: Option<Uuid>,
    /// Only those that this person approved or denied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_by_uuid: Option<Uuid>,
    /// Only those that this credential runs, or ran last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_owner_uuid: Option<Uuid>,
    /// Only those in which records failed, or none did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partial: Option<bool>,
}

/// A stretch of time, its ends included; unset is no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TimeRange {
    /// Where it begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<DateTime<Utc>>,
    /// Where it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<DateTime<Utc>>,
}

impl TimeRange {
    fn is_unset(&self) -> bool {
        *self == Self::default()
    }

    fn contains(&self, time: Option<DateTime<Utc>>) -> bool {
        let Some(time) = time else {
            return *self == Self::default();
        };
        self.from.is_none_or(|from| from <= time) && self.to.is_none_or(|to| time <= to)
    }
}

impl TransferFilter {
    /// Whether a transfer that once met the filter still does: only these conditions can change their answer.
    pub(crate) fn still_means(&self, transfer: &Transfer) -> bool {
        (self.status.is_empty() || self.status.contains(&transfer.status))
            && self
                .requires_approval
                .is_none_or(|required| required == transfer.requires_approval)
            && self.partial.is_none_or(|flag| flag == transfer.partial)
            && self.started.contains(transfer.started_at)
            && self.ended.contains(transfer.completed_at)
            && self.updated.contains(Some(transfer.updated_at))
            && self
                .lease_owner_uuid
                .is_none_or(|uuid| transfer.lease_owner_uuid == Some(uuid))
    }
}
