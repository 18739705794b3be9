//! Bulk operations and their outcomes.

use std::sync::Arc;

use super::fixture::{Fixture, at, first};
use crate::Readers;
use tidegate_domain::{
    bulk::{BulkOperation, BulkOutcome, BulkResult, BulkState, BulkVerb, NewBulkOperation},
    caller::Caller,
    fixtures::id,
    page::Position,
    query::TransferFilter,
    time::Timestamp,
};

fn operation(number: u8) -> BulkOperation {
    let declared = NewBulkOperation {
        verb: BulkVerb::Delete,
        filter: TransferFilter {
            tables: vec!["orders".to_owned()],
            ..TransferFilter::default()
        },
        reason: String::new(),
        grace: None,
    };
    let (number, nobody) = (i64::from(number), Caller::anonymous(None));
    let uuid = id(number.unsigned_abs().into());
    BulkOperation::start(uuid, declared, 7, &nobody, at(number))
}

/// What came of three transfers, and the operation then.
fn outcomes(operation: &mut BulkOperation) -> Vec<BulkOutcome> {
    let results = [Ok(None), Err("ILLEGAL_TRANSITION"), Ok(Some(id(9)))];
    let each = results.into_iter().zip(1..);
    each.map(|(result, number)| operation.note(id(number), result))
        .collect()
}

async fn trim(fixture: &Fixture, before: Timestamp, limit: u32) -> u64 {
    let batch = fixture.store.begin().await.expect("a batch");
    let trimmed = batch.trim_bulk_operations(before, limit).await;
    batch.commit().await.expect("committed");
    trimmed.expect("trimmed")
}

#[tokio::test]
async fn an_operation_is_read_back_as_it_went_on_and_deleted_with_its_outcomes() {
    let fixture = Fixture::new().await;
    let (one, other) = (operation(1), operation(2));
    let batch = fixture.store.begin().await.expect("a batch");
    let both = [one.clone(), other.clone()].map(Arc::new);
    batch.insert_bulk_operations(&both).await.expect("inserted");
    batch.commit().await.expect("committed");
    let running = fixture.store.running_bulk_operations().await;
    assert_eq!(running.expect("read"), [one.clone(), other.clone()]);

    let mut ended = one.moved(BulkState::Stopped, at(5));
    let outcomes = outcomes(&mut ended);
    ended.after = Some(Position {
        micros: 3,
        uuid: id(3),
    });
    let batch = fixture.store.begin().await.expect("a batch");
    let locked = batch.lock_bulk_operations(&[ended.uuid, id(3)]).await;
    assert_eq!(locked.expect("read").len(), 1);
    assert_eq!(batch.lock_bulk_starts().await.expect("counted"), 2);
    let updated = [Arc::new(ended.clone())];
    let updated = batch.update_bulk_operations(&updated).await;
    updated.expect("updated");
    batch.insert_bulk_outcomes(&outcomes).await.expect("stored");
    batch.commit().await.expect("committed");
    let readers = Readers::new(fixture.store.clone());
    let listed = readers.bulk_operations(first(5)).await.expect("read");
    assert_eq!(listed, [other.clone(), ended.clone()]);
    let read = async |result, after, limit| {
        let read = readers.bulk_outcomes(ended.uuid, result, after, limit);
        read.await.expect("read")
    };
    assert_eq!(read(None, 0, 5).await, outcomes);
    assert_eq!(read(None, 1, 1).await, outcomes[1..2]);
    let refused = read(Some(BulkResult::Refused), 0, 5).await;
    assert_eq!(refused, outcomes[1..2]);

    assert_eq!(trim(&fixture, at(5), 2).await, 0, "it is too young");
    for left in [2, 1, 1, 0] {
        assert_eq!(trim(&fixture, at(6), 2).await, left);
    }
    let listed = readers.bulk_operations(first(5)).await.expect("read");
    assert_eq!(listed, [other], "one that runs stays");
    assert_eq!(read(None, 0, 5).await, []);
}
