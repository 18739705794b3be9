//! The sides of movements in one batch.

use super::*;
use tidegate_domain::{
    movement::{Movement, Side},
    status::Direction,
};

const AGREED: u128 = 50;

fn side(direction: Direction) -> Side {
    let movement = Movement {
        correlation_uuid: id(AGREED),
        connection_uuid: None,
    };
    (movement, direction)
}

fn create(direction: Direction) -> Submission<TransferCommand> {
    let mut new = sample().declared;
    (new.direction, new.correlation_uuid) = (direction, Some(id(AGREED)));
    submission(TransferCommand::Create(Box::new(new)), None)
}

/// A batch that knows one side, which stands like this.
fn knowing(number: u128, direction: Direction, status: TransferStatus) -> BatchInputs {
    let mut transfer = sample();
    (transfer.uuid, transfer.status) = (id(number), status);
    transfer.declared.direction = direction;
    transfer.declared.correlation_uuid = Some(id(AGREED));
    BatchInputs {
        transfers: shared([transfer]),
        sides: [(side(direction), id(number))].into(),
        ..BatchInputs::at(NOW)
    }
}

fn of(state: &Batch, number: u128) -> &Transfer {
    state.current(id(number)).expect("it is there")
}

#[test]
fn sides_of_one_batch_meet() {
    let mut state = Batch::new(BatchInputs::at(NOW));
    state.carry_out(&create(Direction::Send), || Uuid::from_u128(1));
    state.carry_out(&create(Direction::Receive), || Uuid::from_u128(2));
    state.carry_out(&create(Direction::Send), || Uuid::from_u128(3));
    assert_eq!(of(&state, 1).counterpart_uuid, Some(id(2)));
    assert_eq!(of(&state, 2).counterpart_uuid, Some(id(1)));
    let (_, answers) = state.into_parts();
    assert_eq!(reason(&answers[2]), "CORRELATION_IN_USE");
}

#[test]
fn who_has_ended_makes_room() {
    let completed = knowing(1, Direction::Send, TransferStatus::Completed);
    let mut state = Batch::new(completed);
    state.carry_out(&create(Direction::Send), || Uuid::from_u128(2));
    assert!(of(&state, 1).superseded && !of(&state, 2).superseded);
    state.carry_out(&verb(id(2), Verb::Delete), Uuid::nil);
    state.carry_out(&create(Direction::Receive), || Uuid::from_u128(3));
    let other = of(&state, 3).counterpart_uuid;
    assert_eq!(other, Some(id(2)), "what cannot be deleted is there");
    assert_eq!(of(&state, 1).counterpart_uuid, None);
}

#[test]
fn a_side_that_somebody_else_has_locked_is_waited_for() {
    let held = Held {
        transfers: [id(1)].into(),
        ..Held::default()
    };
    let state = BatchState::new(BatchInputs {
        held,
        ..knowing(1, Direction::Send, TransferStatus::Completed)
    });
    for direction in Direction::ALL {
        assert!(create(*direction).command.is_held(&state), "{direction}");
    }
    let mut alone = sample().declared;
    alone.correlation_uuid = Some(id(51));
    assert!(!TransferCommand::Create(Box::new(alone)).is_held(&state));
}
