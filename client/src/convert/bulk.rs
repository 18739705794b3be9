//! Bulk operations.

use tidegate_proto::v1;

use super::{
    present_transfer,
    value::{optional_time, optional_uuid, span, text, time, uuid},
};
use crate::{
    BulkOperation, BulkOutcome, BulkPreview, BulkResult, BulkState, BulkVerb, Direction, Error,
    ReconciliationState, TimeRange, TransferFilter, TransferStatus, model::Wire as _,
};

/// The operation of an answer that always has one.
pub(crate) fn bulk_operation(wire: Option<v1::BulkOperation>) -> Result<BulkOperation, Error> {
    present_bulk_operation(wire.ok_or_else(|| Error::malformed("bulk operation is missing"))?)
}

pub(crate) fn present_bulk_operation(wire: v1::BulkOperation) -> Result<BulkOperation, Error> {
    Ok(BulkOperation {
        uuid: uuid("bulk_operation.uuid", &wire.uuid)?,
        verb: BulkVerb::from_wire(wire.verb),
        filter: filter(wire.filter.unwrap_or_default())?,
        reason: text(wire.reason),
        grace: span("bulk_operation.grace", wire.grace)?,
        state: BulkState::from_wire(wire.state),
        matched: wire.matched,
        succeeded: wire.succeeded,
        refused: wire.refused,
        created_by_uuid: optional_uuid("bulk_operation.created_by_uuid", &wire.created_by_uuid)?,
        inserted_at: time("bulk_operation.inserted_at", wire.inserted_at)?,
        updated_at: time("bulk_operation.updated_at", wire.updated_at)?,
        ended_at: optional_time("bulk_operation.ended_at", wire.ended_at)?,
        revision: wire.revision,
    })
}

pub(crate) fn bulk_outcome(wire: v1::BulkOutcome) -> Result<BulkOutcome, Error> {
    Ok(BulkOutcome {
        number: wire.number,
        transfer_uuid: uuid("bulk_outcome.transfer_uuid", &wire.transfer_uuid)?,
        result: BulkResult::from_wire(wire.result),
        reason: text(wire.reason),
        retried_by_uuid: optional_uuid("bulk_outcome.retried_by_uuid", &wire.retried_by_uuid)?,
    })
}

pub(crate) fn bulk_preview(wire: v1::StartBulkOperationResponse) -> Result<BulkPreview, Error> {
    let sample = wire.sample.into_iter().map(present_transfer);
    Ok(BulkPreview {
        matched: wire.matched,
        sample: sample.collect::<Result<_, _>>()?,
    })
}

fn filter(wire: v1::TransferFilter) -> Result<TransferFilter, Error> {
    let status = wire.status.into_iter().map(TransferStatus::from_wire);
    Ok(TransferFilter {
        direction: Direction::from_wire_if_set(wire.direction),
        status: status.collect(),
        connection_uuid: optional_uuid("filter.connection_uuid", &wire.connection_uuid)?,
        tables: wire.table_names,
        table_prefix: text(wire.table_prefix),
        requires_approval: wire.requires_approval,
        from: optional_time("filter.from", wire.from)?,
        to: optional_time("filter.to", wire.to)?,
        correlation_uuid: optional_uuid("filter.correlation_uuid", &wire.correlation_uuid)?,
        plan_uuid: optional_uuid("filter.plan_uuid", &wire.plan_uuid)?,
        reconciliation: ReconciliationState::from_wire_if_set(wire.reconciliation),
        started: range(wire.started)?,
        ended: range(wire.ended)?,
        updated: range(wire.updated)?,
        initiated_by_uuid: optional_uuid("filter.initiated_by_uuid", &wire.initiated_by_uuid)?,
        decided_by_uuid: optional_uuid("filter.decided_by_uuid", &wire.decided_by_uuid)?,
        lease_owner_uuid: optional_uuid("filter.lease_owner_uuid", &wire.lease_owner_uuid)?,
        partial: wire.partial,
    })
}

fn range(wire: Option<v1::TimeRange>) -> Result<TimeRange, Error> {
    let wire = wire.unwrap_or_default();
    Ok(TimeRange {
        from: optional_time("filter.from", wire.from)?,
        to: optional_time("filter.to", wire.to)?,
    })
}
