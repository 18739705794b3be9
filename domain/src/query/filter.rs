//! Which transfers a list, a count, a watch or an export means.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    caller::ConnectionScope,
    id::CredentialId,
    reconcile::ReconciliationState,
    status::{Direction, TransferStatus},
    time::Timestamp,
    transfer::Transfer,
};

/// Which transfers are meant. Unset is no condition. That of a bulk operation is stored as it is serialized.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TransferFilter {
    /// Only this direction.
    pub direction: Option<Direction>,
    /// Only these statuses; empty is any.
    pub status: Vec<TransferStatus>,
    /// Only those of these connections.
    pub connections: ConnectionScope,
    /// Only those of these tables; empty is any.
    pub tables: Vec<String>,
    /// Only those of tables whose names begin with this.
    pub table_prefix: Option<String>,
    /// Only those that require approval, or do not.
    pub requires_approval: Option<bool>,
    /// Only those created then or later.
    pub from: Option<Timestamp>,
    /// Only those created then or earlier.
    pub to: Option<Timestamp>,
    /// Only those that were started in here.
    pub started: TimeRange,
    /// Only those that have ended in here.
    pub ended: TimeRange,
    /// Only those that changed last in here.
    pub updated: TimeRange,
    /// Only those on behalf of this person or agent.
    pub initiated_by_uuid: Option<Uuid>,
    /// Only those that this person approved or denied.
    pub decided_by_uuid: Option<Uuid>,
    /// Only those that this credential runs, or ran last.
    pub lease_owner_uuid: Option<CredentialId>,
    /// Only those in which records failed, or none did.
    pub partial: Option<bool>,
    /// Only those of this movement.
    pub correlation_uuid: Option<Uuid>,
    /// Only those of this plan.
    pub plan_uuid: Option<Uuid>,
    /// Only those that stand like this.
    pub reconciliation: Option<ReconciliationState>,
}

/// A stretch of time, its ends included; unset is no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TimeRange {
    /// Where it begins.
    pub from: Option<Timestamp>,
    /// Where it ends.
    pub to: Option<Timestamp>,
}

impl TimeRange {
    /// Whether it has a bound.
    pub const fn is_bounded(&self) -> bool {
        self.from.is_some() || self.to.is_some()
    }

    /// Whether a time lies in it. What has not happened lies in no stretch that has a bound.
    pub fn contains(&self, time: Option<Timestamp>) -> bool {
        let Some(time) = time else {
            return !self.is_bounded();
        };
        self.from.is_none_or(|from| from <= time) && self.to.is_none_or(|to| time <= to)
    }
}

impl TransferFilter {
    /// Whether `transfer` is meant.
    pub fn matches(&self, transfer: &Transfer) -> bool {
        self.matches_declaration(transfer)
            && (self.status.is_empty() || self.status.contains(&transfer.status))
            && self
                .requires_approval
                .is_none_or(|flag| flag == transfer.requires_approval)
            && self
                .partial
                .is_none_or(|flag| flag == transfer.is_partial())
            && self.started.contains(transfer.started_at)
            && self.ended.contains(transfer.completed_at)
            && self.updated.contains(Some(transfer.updated_at))
            && self.decided_by_uuid.is_none_or(|uuid| {
                let decisions = [transfer.approved, transfer.denied];
                decisions
                    .iter()
                    .flatten()
                    .any(|decision| decision.by == uuid)
            })
            && self
                .lease_owner_uuid
                .is_none_or(|uuid| transfer.lease_owner_uuid == Some(uuid))
            && self
                .reconciliation
                .is_none_or(|state| state == transfer.reconciliation.state)
    }

    /// The conditions on what never changes.
    fn matches_declaration(&self, transfer: &Transfer) -> bool {
        let declared = &transfer.declared;
        let created = TimeRange {
            from: self.from,
            to: self.to,
        };
        self.direction
            .is_none_or(|direction| direction == declared.direction)
            && self.connections.contains(declared.connection_uuid)
            && (self.tables.is_empty() || self.tables.contains(&declared.table_name))
            && self
                .table_prefix
                .as_ref()
                .is_none_or(|prefix| declared.table_name.starts_with(prefix))
            && self
                .initiated_by_uuid
                .is_none_or(|uuid| declared.initiated_by_uuid == Some(uuid))
            && self
                .correlation_uuid
                .is_none_or(|uuid| uuid == transfer.correlation_uuid())
            && (self.plan_uuid.is_none() || self.plan_uuid == declared.plan_uuid)
            && created.contains(Some(transfer.inserted_at))
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
        let mut tables = self.tables.clone();
        tables.sort_unstable();
        tables.dedup();
        for table in tables {
            add("table_name", Some(table));
        }
        add("table_prefix", self.table_prefix.clone());
        let flag = |value: Option<bool>| value.map(|value| value.to_string());
        add("requires_approval", flag(self.requires_approval));
        add("partial", flag(self.partial));
        let uuid = |value: Option<Uuid>| value.map(|value| value.to_string());
        add("initiated_by_uuid", uuid(self.initiated_by_uuid));
        add("decided_by_uuid", uuid(self.decided_by_uuid));
        add(
            "lease_owner_uuid",
            uuid(self.lease_owner_uuid.map(|it| it.0)),
        );
        add("correlation_uuid", uuid(self.correlation_uuid));
        add("plan_uuid", uuid(self.plan_uuid));
        let state = self.reconciliation.map(|state| state.to_string());
        add("reconciliation", state);
        let time = |value: Option<Timestamp>| value.map(|value| value.as_micros().to_string());
        for (from, to, range) in self.ranges() {
            add(from, time(range.from));
            add(to, time(range.to));
        }
        text
    }

    /// The stretches of time, each with the names of its ends.
    const fn ranges(&self) -> [(&'static str, &'static str, TimeRange); 4] {
        let created = TimeRange {
            from: self.from,
            to: self.to,
        };
        [
            ("from", "to", created),
            ("started.from", "started.to", self.started),
            ("ended.from", "ended.to", self.ended),
            ("updated.from", "updated.to", self.updated),
        ]
    }
}
