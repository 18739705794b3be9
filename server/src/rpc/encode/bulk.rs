//! Bulk operations into messages.

use tidegate_proto::v1;

use super::{optional, timestamp};
use crate::rpc::wire_enum::WireEnum;
use tidegate_domain::{
    bulk::{BulkOperation, BulkOutcome},
    caller::ConnectionScope,
    query::{TimeRange, TransferFilter},
};

pub(in crate::rpc) fn bulk_operation(operation: &BulkOperation) -> v1::BulkOperation {
    let declared = &operation.declared;
    v1::BulkOperation {
        uuid: operation.uuid.to_string(),
        verb: declared.verb.to_wire(),
        filter: Some(filter(&declared.filter)),
        reason: declared.reason.clone(),
        grace: declared.grace.and_then(|time| time.try_into().ok()),
        state: operation.state.to_wire(),
        matched: operation.matched,
        succeeded: operation.succeeded,
        refused: operation.refused,
        created_by_uuid: optional(operation.created_by_uuid),
        inserted_at: Some(timestamp(operation.inserted_at)),
        updated_at: Some(timestamp(operation.updated_at)),
        ended_at: operation.ended_at.map(timestamp),
        revision: operation.revision,
    }
}

pub(in crate::rpc) fn bulk_outcome(outcome: &BulkOutcome) -> v1::BulkOutcome {
    v1::BulkOutcome {
        number: outcome.number,
        transfer_uuid: outcome.transfer_uuid.to_string(),
        result: outcome.result.to_wire(),
        reason: outcome.reason.clone().unwrap_or_default(),
        retried_by_uuid: optional(outcome.retried_by_uuid),
    }
}

fn filter(filter: &TransferFilter) -> v1::TransferFilter {
    let connection = match filter.connections {
        ConnectionScope::Only(uuid) => Some(uuid),
        ConnectionScope::All | ConnectionScope::Nothing => None,
    };
    v1::TransferFilter {
        direction: filter.direction.map_or(0, WireEnum::to_wire),
        status: filter.status.iter().map(|it| it.to_wire()).collect(),
        connection_uuid: optional(connection),
        table_names: filter.tables.clone(),
        requires_approval: filter.requires_approval,
        from: filter.from.map(timestamp),
        to: filter.to.map(timestamp),
        correlation_uuid: optional(filter.correlation_uuid),
        plan_uuid: optional(filter.plan_uuid),
        reconciliation: filter.reconciliation.map_or(0, WireEnum::to_wire),
        table_prefix: filter.table_prefix.clone().unwrap_or_default(),
        initiated_by_uuid: optional(filter.initiated_by_uuid),
        decided_by_uuid: optional(filter.decided_by_uuid),
        lease_owner_uuid: optional(filter.lease_owner_uuid),
        started: range(filter.started),
        ended: range(filter.ended),
        updated: range(filter.updated),
        partial: filter.partial,
    }
}

fn range(range: TimeRange) -> Option<v1::TimeRange> {
    range.is_bounded().then(|| v1::TimeRange {
        from: range.from.map(timestamp),
        to: range.to.map(timestamp),
    })
}
