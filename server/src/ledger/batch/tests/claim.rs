//! Claims: in their order, as many as are wanted, and remembered as one.

use super::*;
use tidegate_domain::{
    claim::{Claim, ClaimFilter},
    id::ConnectionId,
    transfer::Agent,
};

fn queue() -> Vec<Transfer> {
    let transfer = |number| Transfer {
        uuid: id(number),
        ..sample()
    };
    (1..=4).map(transfer).collect()
}

fn claim(max: u32, request: Option<(&str, u8)>) -> Submission<Claim> {
    let claim = Claim {
        filter: ClaimFilter::default(),
        max,
        heartbeat_timeout: None,
        agent_instance: "one".to_owned(),
        candidates: [4, 1, 9, 2, 3].map(id).to_vec(),
    };
    submission(claim, request)
}

fn claimed(answer: &Result<Outcome, Error>) -> Vec<TransferId> {
    match answer {
        Ok(Outcome::Claimed(transfers)) => transfers.iter().map(|it| it.uuid).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn candidates_are_started_in_their_order_and_no_more_than_are_wanted() {
    let mut transfers = queue();
    transfers[0].status = TransferStatus::Completed;
    let mut batch = state(transfers);
    batch.carry_out(&claim(2, None), Uuid::nil);
    batch.carry_out(&claim(2, None), Uuid::nil);
    assert_eq!(claimed(&batch.answers[0]), [4, 2].map(id));
    assert_eq!(
        claimed(&batch.answers[1]),
        [3].map(id),
        "the earlier one has the rest"
    );
    let started: Vec<_> = batch.events().iter().map(|it| it.transfer_uuid).collect();
    assert_eq!(started, [4, 2, 3].map(|it| Some(id(it))));
}

#[test]
fn what_somebody_else_has_locked_is_passed_over() {
    let held = Held {
        transfers: [id(4)].into(),
        ..Held::default()
    };
    let mut batch = Batch::new(BatchInputs {
        transfers: shared(queue()),
        held,
        ..BatchInputs::at(NOW)
    });
    let claim = claim(1, None);
    assert!(!claim.command.is_held(&batch));
    batch.carry_out(&claim, Uuid::nil);
    assert_eq!(claimed(&batch.answers[0]), [1].map(id));
    let here = ConnectionId(Uuid::from_u128(3));
    let of_connection = Claim {
        filter: ClaimFilter {
            connection_uuid: Some(here),
            ..ClaimFilter::default()
        },
        ..claim.command
    };
    batch.state.held.connections = [here].into();
    assert!(of_connection.is_held(&batch));
}

#[test]
fn a_repetition_in_the_same_batch_answers_with_the_same() {
    let mut batch = state(queue());
    for (max, digest) in [(2, 1), (2, 1), (2, 2)] {
        batch.carry_out(&claim(max, Some(("same", digest))), Uuid::nil);
    }
    assert_eq!(claimed(&batch.answers[0]), [4, 1].map(id));
    assert_eq!(claimed(&batch.answers[1]), [4, 1].map(id));
    let reused = batch.answers[2].as_ref().expect_err("another request");
    assert_eq!(reused.reason(), "REQUEST_ID_REUSED");
    let events = batch.events();
    assert_eq!(events.len(), 2);
    let ids: Vec<_> = events.iter().map(|it| it.request.is_some()).collect();
    assert_eq!(ids, [true, false]);
    let Some(EventDetail::Claim { claimed_with }) = &events[0].body.detail else {
        panic!("{:?}", events[0]);
    };
    assert_eq!(*claimed_with, [id(1)]);
}

#[test]
fn what_a_batch_starts_and_ends_counts_at_once() {
    let mut north = site();
    north.declared.policy.max_running = Some(2);
    let here = north.uuid;
    let mut transfers = queue();
    for transfer in &mut transfers {
        transfer.declared.connection_uuid = Some(here);
    }
    transfers[3].status = TransferStatus::InProgress;
    transfers[3].lease_epoch = 1;
    let stored = Agent {
        owner_uuid: None,
        instance: String::new(),
    };
    let mut batch = Batch::new(BatchInputs {
        transfers: shared(transfers),
        connections: vec![north],
        running: [(here, vec![(stored, 1)])].into(),
        ..BatchInputs::at(NOW)
    });
    let claim = Claim {
        filter: ClaimFilter {
            connection_uuid: Some(here),
            ..ClaimFilter::default()
        },
        ..claim(9, None).command
    };
    let claim = submission(claim, None);
    batch.carry_out(&claim, Uuid::nil);
    assert_eq!(claimed(&batch.answers[0]), [1].map(id), "one more");
    batch.carry_out(&verb(id(2), START), Uuid::nil);
    let refused = batch.answers[1].as_ref().expect_err("two run");
    assert_eq!(refused.reason(), "RUN_LIMIT_REACHED");
    let complete = Verb::Complete {
        lease_epoch: None,
        report: Report::default(),
    };
    batch.carry_out(&verb(id(4), complete), Uuid::nil);
    batch.carry_out(&claim, Uuid::nil);
    assert_eq!(claimed(&batch.answers[3]), [2].map(id), "one has ended");
}
