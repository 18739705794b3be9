//! Bulk operations with a value in every column.

use tidegate_entity::{
    bulk_operation, bulk_outcome,
    stored::{JsonText, Stored, StoredId},
};

use super::super::fixture::at;
use tidegate_domain::{
    bulk::{BulkResult, BulkState, BulkVerb},
    caller::ConnectionScope,
    fixtures::id,
    query::TransferFilter,
    status::TransferStatus,
};

pub(super) fn operation() -> bulk_operation::Model {
    bulk_operation::Model {
        uuid: StoredId(id(11)),
        verb: Stored(BulkVerb::Cancel),
        filter: JsonText(TransferFilter {
            status: vec![TransferStatus::Pending],
            connections: ConnectionScope::Only(id(7)),
            tables: vec!["\"orders\"".to_owned()],
            from: Some(at(1)),
            ..TransferFilter::default()
        }),
        reason: Some("no\tmore".to_owned()),
        grace: Some(1),
        state: Stored(BulkState::Stopped),
        matched: 2,
        succeeded: 3,
        refused: 4,
        after_inserted_at: Some(5),
        after_uuid: Some(id(6)),
        actor: "admin".to_owned(),
        created_by_uuid: Some(StoredId(id(9))),
        address: Some(Stored("2001:db8::7".parse().expect("an address"))),
        inserted_at: 6,
        updated_at: 7,
        ended_at: Some(8),
        revision: 9,
    }
}

pub(super) fn outcome() -> bulk_outcome::Model {
    bulk_outcome::Model {
        operation_uuid: StoredId(id(11)),
        number: 1,
        transfer_uuid: StoredId(id(1)),
        result: Stored(BulkResult::Refused),
        reason: Some("ILLEGAL_TRANSITION".to_owned()),
        retried_by_uuid: Some(StoredId(id(2))),
    }
}
