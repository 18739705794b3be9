//! Bulk operations: what a step does, leaves alone and tells.

use super::*;
use tidegate_domain::{
    bulk::{BulkOperation, BulkState, BulkVerb, NewBulkOperation, RUNNING_MAX},
    command::{BulkCommand, BulkStep},
    page::Position,
    query::TransferFilter,
};

const LATER: Position = Position {
    micros: 5,
    uuid: Uuid::nil(),
};

fn declared(verb: BulkVerb) -> NewBulkOperation {
    NewBulkOperation {
        verb,
        filter: TransferFilter {
            status: vec![TransferStatus::Pending, TransferStatus::Completed],
            ..TransferFilter::default()
        },
        reason: "off".to_owned(),
        grace: None,
    }
}

fn operation(verb: BulkVerb) -> BulkOperation {
    let nobody = Caller::anonymous(None);
    BulkOperation::start(id(50), declared(verb), 4, &nobody, NOW)
}

fn step(verb: BulkVerb, transfers: &[u128]) -> BulkStep {
    let declared = declared(verb);
    BulkStep {
        uuid: id(50),
        revision: 1,
        commands: transfers
            .iter()
            .map(|it| declared.command(id(*it)))
            .collect(),
        upto: Some(LATER),
        is_last: false,
        leaves_locked: false,
    }
}

fn transfers() -> Vec<Transfer> {
    let statuses = [
        TransferStatus::Pending,
        TransferStatus::Completed,
        TransferStatus::Failed,
    ];
    let each = statuses.into_iter().zip(1..);
    each.map(|(status, number)| Transfer {
        uuid: id(number),
        status,
        ..sample()
    })
    .collect()
}

fn with_operation(verb: BulkVerb, held: Held) -> Batch {
    Batch::new(BatchInputs {
        transfers: shared(transfers()),
        bulk_operations: vec![operation(verb)],
        held,
        ..BatchInputs::at(NOW)
    })
}

fn answered(batch: &Batch, place: usize) -> BulkOperation {
    match &batch.answers[place] {
        Ok(Outcome::Bulk(operation)) => BulkOperation::clone(operation),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_step_notes_what_came_of_each_and_goes_no_further() {
    let mut batch = with_operation(BulkVerb::Cancel, Held::default());
    // The third has failed meanwhile, and the fourth is gone.
    let step = step(BulkVerb::Cancel, &[1, 2, 3, 4]);
    batch.carry_out(
        &submission(BulkCommand::Step(step.clone()), None),
        Uuid::nil,
    );
    let after = answered(&batch, 0);
    assert_eq!((after.succeeded, after.refused), (1, 2));
    assert_eq!((after.revision, after.after), (2, Some(LATER)));
    assert_eq!(after.state, BulkState::Running);
    let told: Vec<_> = batch
        .bulk_outcomes
        .iter()
        .map(|it| (it.transfer_uuid, it.reason.as_deref()))
        .collect();
    let expected = [
        (id(1), None),
        (id(2), Some("ILLEGAL_TRANSITION")),
        (id(4), Some("TRANSFER_NOT_FOUND")),
    ];
    assert_eq!(told, expected);
    let events = batch.events();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].subject_uuid, Some(id(50)));
    assert_eq!(events[0].actor, "anonymous");

    batch.carry_out(&submission(BulkCommand::Step(step), None), Uuid::nil);
    assert_eq!(answered(&batch, 1), after, "it was taken before");
    assert_eq!((batch.events().len(), batch.bulk_outcomes.len()), (1, 3));
}

#[test]
fn the_last_step_ends_it_and_one_that_was_stopped_takes_none() {
    let mut batch = with_operation(BulkVerb::Delete, Held::default());
    let mut last = step(BulkVerb::Delete, &[2]);
    last.is_last = true;
    batch.carry_out(
        &submission(BulkCommand::Step(last.clone()), None),
        Uuid::nil,
    );
    let after = answered(&batch, 0);
    assert_eq!(
        (after.state, after.ended_at),
        (BulkState::Completed, Some(NOW))
    );
    let types: Vec<_> = batch.events().iter().map(|it| it.body.event_type).collect();
    let expected = [EventType::Deleted, EventType::BulkOperationEnded];
    assert_eq!(types, expected);

    let mut batch = with_operation(BulkVerb::Delete, Held::default());
    let stop = BulkCommand::Stop { uuid: id(50) };
    batch.carry_out(&submission(stop.clone(), None), Uuid::nil);
    batch.carry_out(&submission(BulkCommand::Step(last), None), Uuid::nil);
    batch.carry_out(&submission(stop, None), Uuid::nil);
    for place in 0..3 {
        assert_eq!(answered(&batch, place).state, BulkState::Stopped);
    }
    assert_eq!(batch.events().len(), 1);
    assert!(batch.bulk_outcomes.is_empty());
}

#[test]
fn a_step_waits_for_a_locked_row_until_it_is_told_not_to() {
    let held = || Held {
        transfers: [id(1)].into(),
        ..Held::default()
    };
    let mut batch = with_operation(BulkVerb::Cancel, held());
    let mut step = step(BulkVerb::Cancel, &[1, 2]);
    assert!(BulkCommand::Step(step.clone()).is_held(&batch));
    step.leaves_locked = true;
    let command = BulkCommand::Step(step.clone());
    assert!(!command.is_held(&batch));
    batch.carry_out(&submission(command, None), Uuid::nil);
    let told = batch.bulk_outcomes.iter().map(|it| it.reason.as_deref());
    let told: Vec<_> = told.collect();
    assert_eq!(told, [Some("ROW_LOCKED"), Some("ILLEGAL_TRANSITION")]);
    batch.state.held.bulk_operations = [id(50)].into();
    assert!(
        BulkCommand::Step(step).is_held(&batch),
        "the operation itself"
    );
}

#[test]
fn so_many_run_at_once_and_no_more() {
    let mut batch = Batch::new(BatchInputs {
        bulk_running: RUNNING_MAX - 1,
        ..BatchInputs::at(NOW)
    });
    let start = |request| {
        let command = BulkCommand::Start {
            new: Box::new(declared(BulkVerb::Cancel)),
            matched: 3,
        };
        submission(command, Some(request))
    };
    let first = start(("first", 1));
    batch.carry_out(&first, || id(60));
    batch.carry_out(&start(("second", 2)), || id(61));
    batch.carry_out(&first, || id(62));
    let started = answered(&batch, 0);
    assert_eq!((started.uuid, started.matched), (id(60), 3));
    let refused = batch.answers[1].as_ref().expect_err("one too many");
    assert_eq!(refused.reason(), "TOO_MANY_BULK_OPERATIONS");
    assert_eq!(answered(&batch, 2), started);
    assert_eq!(batch.events().len(), 1);
}
