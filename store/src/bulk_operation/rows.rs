//! Between operations and outcomes and their rows.

use tidegate_entity::{
    bulk_operation, bulk_outcome,
    stored::{JsonText, Stored, StoredId},
};

use crate::{
    error::StoreError,
    value::{from_duration, optional, to_duration},
};
use tidegate_domain::{
    bulk::{BulkOperation, BulkOutcome, NewBulkOperation},
    page::Position,
    time::Timestamp,
};

pub(crate) fn from_operation(operation: &BulkOperation) -> bulk_operation::Model {
    let declared = &operation.declared;
    bulk_operation::Model {
        uuid: StoredId(operation.uuid),
        verb: Stored(declared.verb),
        filter: JsonText(declared.filter.clone()),
        reason: optional(&declared.reason),
        grace: declared.grace.map(from_duration),
        state: Stored(operation.state),
        matched: operation.matched,
        succeeded: operation.succeeded,
        refused: operation.refused,
        after_inserted_at: operation.after.map(|place| place.micros),
        after_uuid: operation.after.map(|place| place.uuid),
        actor: operation.actor.clone(),
        created_by_uuid: operation.created_by_uuid.map(StoredId),
        address: operation.address.map(Stored),
        inserted_at: operation.inserted_at.as_micros(),
        updated_at: operation.updated_at.as_micros(),
        ended_at: operation.ended_at.map(Timestamp::as_micros),
        revision: operation.revision,
    }
}

pub(crate) fn to_operation(row: bulk_operation::Model) -> Result<BulkOperation, StoreError> {
    let after = row.after_inserted_at.zip(row.after_uuid);
    Ok(BulkOperation {
        uuid: row.uuid.0,
        declared: NewBulkOperation {
            verb: row.verb.0,
            filter: row.filter.0,
            reason: row.reason.unwrap_or_default(),
            grace: row.grace.map(to_duration).transpose()?,
        },
        state: row.state.0,
        matched: row.matched,
        succeeded: row.succeeded,
        refused: row.refused,
        after: after.map(|(micros, uuid)| Position { micros, uuid }),
        actor: row.actor,
        created_by_uuid: row.created_by_uuid.map(|stored| stored.0),
        address: row.address.map(|stored| stored.0),
        inserted_at: Timestamp::from_micros(row.inserted_at),
        updated_at: Timestamp::from_micros(row.updated_at),
        ended_at: row.ended_at.map(Timestamp::from_micros),
        revision: row.revision,
    })
}

pub(crate) fn from_outcome(outcome: &BulkOutcome) -> bulk_outcome::Model {
    bulk_outcome::Model {
        operation_uuid: StoredId(outcome.operation_uuid),
        number: outcome.number,
        transfer_uuid: StoredId(outcome.transfer_uuid),
        result: Stored(outcome.result),
        reason: outcome.reason.clone(),
        retried_by_uuid: outcome.retried_by_uuid.map(StoredId),
    }
}

pub(crate) fn to_outcome(row: bulk_outcome::Model) -> BulkOutcome {
    BulkOutcome {
        operation_uuid: row.operation_uuid.0,
        number: row.number,
        transfer_uuid: row.transfer_uuid.0,
        result: row.result.0,
        reason: row.reason,
        retried_by_uuid: row.retried_by_uuid.map(|stored| stored.0),
    }
}
