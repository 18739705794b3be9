//! Connections and what is counted on them, within one batch.

use super::*;
use tidegate_domain::id::TransferId;

/// A connection with a policy.
fn limited(policy: Policy) -> Connection {
    let mut connection = site();
    connection.declared.policy = policy;
    connection
}

/// A transfer of that connection.
fn its(number: u128) -> Transfer {
    let mut transfer = sample();
    transfer.uuid = id(number);
    transfer.declared.connection_uuid = Some(site().uuid);
    transfer
}

fn manage(verb: ConnectionVerb) -> Submission<ConnectionCommand> {
    let uuid = site().uuid;
    submission(ConnectionCommand::Change { uuid, verb }, None)
}

fn set(fields: &[ConnectionField], policy: Policy) -> Submission<ConnectionCommand> {
    manage(ConnectionVerb::Update {
        fields: fields.to_vec(),
        to: Box::new(limited(policy).declared.into()),
        revision: None,
        allow_duplicate: false,
    })
}

fn records(uuid: TransferId, records: i64) -> Submission<TransferCommand> {
    let report = Report {
        records_transferred: Some(records),
        ..Report::default()
    };
    let checkpoint = None;
    verb(
        uuid,
        Verb::UpdateProgress {
            lease_epoch: None,
            report,
            checkpoint,
        },
    )
}

fn used(state: &BatchState) -> (i64, i64) {
    let connection = state.connection(site().uuid).expect("it is there");
    (connection.used.transfers, connection.used.records)
}

#[test]
fn fifty_starts_in_one_batch_share_one_budget() {
    let policy = Policy {
        max_transfers: Some(10),
        ..Policy::default()
    };
    let transfers: Vec<_> = (100..150).map(its).collect();
    let mut state = with(transfers, vec![limited(policy)]);
    for number in 100..150 {
        state.carry_out(&verb(id(number), START), Uuid::nil);
    }
    assert_eq!(used(&state), (10, 0));
    assert_eq!(state.events().len(), 10);
    let connection = state.connection(site().uuid).expect("it is there");
    assert_eq!(connection.revision, 1, "counting is no change");
    let changes = ChangeSet::of(&state.connections);
    assert_eq!((changes.touched.len(), changes.changed.len()), (1, 0));
    let (_, answers) = state.into_parts();
    let refused: Vec<_> = answers.iter().filter(|answer| answer.is_err()).collect();
    assert_eq!(refused.len(), 40);
    assert!(
        refused
            .iter()
            .all(|answer| reason(answer) == "TRANSFER_LIMIT_REACHED")
    );
}

#[test]
fn records_of_several_transfers_share_one_budget() {
    let policy = Policy {
        max_records_total: Some(100),
        ..Policy::default()
    };
    let mut state = with(vec![its(1), its(2)], vec![limited(policy)]);
    let [one, two]: [TransferId; 2] = [1, 2].map(id);
    for submission in [
        verb(one, START),
        verb(two, START),
        records(one, 60),
        records(two, 41),
        records(two, 40),
        records(one, 60),
        records(one, 61),
    ] {
        state.carry_out(&submission, Uuid::nil);
    }
    assert_eq!(used(&state), (0, 100));
    let (_, answers) = state.into_parts();
    let refused: Vec<_> = (0..)
        .zip(&answers)
        .filter(|(_, answer)| answer.is_err())
        .map(|(index, _)| index)
        .collect();
    assert_eq!(refused, [3, 6]);
    assert_eq!(reason(&answers[3]), "RECORD_LIMIT_REACHED");
}

#[test]
fn a_limit_that_is_set_counts_what_the_same_batch_did_before() {
    let on_record = Usage {
        transfers: 7,
        records: 70,
    };
    let mut ended = its(3);
    ended.status = TransferStatus::Completed;
    ended.started_at = Some(NOW);
    ended.totals.records_transferred = 20;
    let mut state = Batch::new(BatchInputs {
        transfers: shared([its(1), its(2), ended]),
        connections: vec![site()],
        on_record: HashMap::from([(site().uuid, on_record)]),
        ..BatchInputs::at(NOW)
    });
    let fields = [
        ConnectionField::Policy(PolicyField::MaxTransfers),
        ConnectionField::Policy(PolicyField::MaxRecordsTotal),
    ];
    let policy = Policy {
        max_transfers: Some(8),
        max_records_total: Some(100),
        ..Policy::default()
    };
    let [one, two]: [TransferId; 2] = [1, 2].map(id);
    for submission in [
        verb(one, START),
        verb(two, START),
        records(one, 5),
        verb(id(3), Verb::Delete),
    ] {
        state.carry_out(&submission, Uuid::nil);
    }
    state.carry_out(&set(&fields, policy), Uuid::nil);
    state.carry_out(&records(two, 6), Uuid::nil);
    // Two more were started and one is gone; its records are gone with it.
    assert_eq!(used(&state), (8, 61));
    let event = &state.events()[3];
    assert_eq!(event.body.event_type, EventType::ConnectionUpdated);
    assert_eq!((event.transfer_uuid, event.revision), (None, 2));
    assert_eq!(event.connection_uuid, Some(site().uuid));
    let fields = ["policy.max_transfers", "policy.max_records_total"];
    let fields = fields.map(str::to_owned).to_vec();
    assert_eq!(
        event.body.detail,
        Some(EventDetail::ConnectionUpdate { fields })
    );
}

#[test]
fn later_commands_see_the_connection_as_earlier_ones_left_it() {
    let uuid = site().uuid;
    let mut state = with(vec![its(1)], vec![site()]);
    let suspend = ConnectionVerb::Suspend {
        reason: "noise".to_owned(),
    };
    state.carry_out(&manage(suspend), Uuid::nil);
    state.carry_out(&verb(id(1), START), Uuid::nil);
    state.carry_out(&manage(ConnectionVerb::Reactivate), Uuid::nil);
    state.carry_out(&verb(id(1), START), Uuid::nil);
    let mut new = sample().declared;
    new.connection_uuid = Some(uuid);
    let create = submission(TransferCommand::Create(Box::new(new)), None);
    state.carry_out(&create, || id(9));
    let (_, answers) = state.into_parts();
    assert_eq!(reason(&answers[1]), "CONNECTION_NOT_ACTIVE");
    assert_eq!(status(&answers[3]), TransferStatus::InProgress);
    let Ok(Outcome::Transfer(Some(created))) = &answers[4] else {
        panic!("{:?}", answers[4]);
    };
    assert_eq!(created.policy_revision, 3);
}

#[test]
fn a_connection_with_open_transfers_stays() {
    let mut pending = site();
    pending.status = ConnectionStatus::Pending;
    let open = |uuids: &[u128]| {
        let uuids = uuids.iter().copied().map(id).collect();
        HashMap::from([(site().uuid, uuids)])
    };
    let delete = |state: &mut Batch| {
        state.carry_out(&manage(ConnectionVerb::Delete), Uuid::nil);
    };
    let mut elsewhere = Batch::new(BatchInputs {
        connections: vec![pending.clone()],
        open: open(&[8]),
        ..BatchInputs::at(NOW)
    });
    delete(&mut elsewhere);
    assert!(elsewhere.is_clean());
    assert_eq!(reason(&elsewhere.into_parts().1[0]), "CONNECTION_IN_USE");

    // What the database calls open may have ended in this batch.
    let mut here = Batch::new(BatchInputs {
        transfers: shared([its(8)]),
        connections: vec![pending],
        open: open(&[8]),
        ..BatchInputs::at(NOW)
    });
    delete(&mut here);
    let cancel = Verb::Stop(stop_order(StopKind::Cancel));
    here.carry_out(&verb(id(8), cancel), Uuid::nil);
    delete(&mut here);
    delete(&mut here);
    let deleted = ChangeSet::of(&here.connections).deleted;
    assert_eq!(deleted, [site().uuid]);
    let (_, answers) = here.into_parts();
    assert_eq!(reason(&answers[0]), "CONNECTION_IN_USE");
    assert_eq!(answers[2].as_ref().ok(), Some(&Outcome::Connection(None)));
    assert_eq!(reason(&answers[3]), "CONNECTION_NOT_FOUND");
}

#[test]
fn a_change_of_a_connection_is_not_repeated() {
    let suspend = |request| Submission {
        request: Some(IdempotencyKey {
            request_id: "a".to_owned(),
            digest: vec![request],
        }),
        ..manage(ConnectionVerb::Suspend {
            reason: String::new(),
        })
    };
    let mut state = with(Vec::new(), vec![site()]);
    for request in [1, 1, 2] {
        state.carry_out(&suspend(request), Uuid::nil);
    }
    assert_eq!(event_types(&state), [EventType::ConnectionSuspended]);
    let (_, answers) = state.into_parts();
    assert_eq!(answers[0].as_ref().ok(), answers[1].as_ref().ok());
    assert_eq!(reason(&answers[2]), "REQUEST_ID_REUSED");
}

#[test]
fn events_say_who_and_from_where_once_that_is_known() {
    let address = "192.0.2.7".parse().ok();
    let mut state = with(Vec::new(), vec![site()]);
    let mut anonymous = manage(ConnectionVerb::Suspend {
        reason: String::new(),
    });
    anonymous.caller.address = address;
    let mut admin = manage(ConnectionVerb::Reactivate);
    admin.caller = known(Role::Admin, None);
    admin.caller.address = address;
    state.carry_out(&anonymous, Uuid::nil);
    state.carry_out(&admin, Uuid::nil);
    let [first, second] = state.events() else {
        panic!("two events were expected");
    };
    assert_eq!((first.body.actor_uuid, first.address), (None, None));
    assert_eq!(
        second.body.actor_uuid,
        admin.caller.credential().map(Uuid::from)
    );
    assert_eq!(second.address, address);
    assert_eq!(second.actor, admin.caller.actor);
}

#[test]
fn a_site_has_one_connection_in_a_direction() {
    let receiver = |url: &str| {
        let mut new = site().declared;
        new.direction = ConnectionDirection::Receiver;
        new.site_url = url.to_owned();
        new
    };
    let create = |new: NewConnection, allow_duplicate| {
        let (new, pending) = (Box::new(new), false);
        submission(
            ConnectionCommand::Create {
                new,
                pending,
                allow_duplicate,
            },
            None,
        )
    };
    let mut revoked = site();
    revoked.uuid = id(4);
    revoked.status = ConnectionStatus::Revoked;
    revoked.declared.site_url = "https://revoked.example".to_owned();
    let candidate = |number, it: NewConnection| DuplicateCandidate {
        uuid: id(number),
        direction: it.direction,
        site_url: it.site_url,
    };
    let mut state = Batch::new(BatchInputs {
        connections: vec![site(), revoked.clone()],
        candidates: vec![
            candidate(5, receiver("https://south.example")),
            // As it was before this batch: its row says otherwise.
            candidate(4, revoked.declared.clone()),
        ],
        ..BatchInputs::at(NOW)
    });
    let expected = [
        (site().declared, false, Err(site().uuid)),
        (site().declared, true, Ok(())),
        (receiver("https://north.example/"), false, Ok(())),
        (receiver("https://SOUTH.example"), false, Err(id(5))),
        (revoked.declared, false, Ok(())),
    ];
    for (number, (new, allow_duplicate, _)) in (10..).zip(&expected) {
        let uuid = Uuid::from_u128(number);
        state.carry_out(&create(new.clone(), *allow_duplicate), || uuid);
    }
    let (_, answers) = state.into_parts();
    for (answer, (new, _, wanted)) in answers.iter().zip(&expected) {
        match (answer, wanted) {
            (Err(Error::Refused(refusal, _)), Err(connection_uuid)) => assert_eq!(
                *refusal,
                Refusal::DuplicateConnection {
                    connection_uuid: *connection_uuid
                }
            ),
            (answer, wanted) => assert_eq!(answer.is_ok(), wanted.is_ok(), "{new:?}"),
        }
    }
}

#[test]
fn a_connection_whose_own_transfers_alone_count_is_in_use_by_those_of_this_batch() {
    let mut pending = site();
    pending.status = ConnectionStatus::Pending;
    let mut of_another = its(2);
    of_another.declared.connection_uuid = Some(id(99));
    let mut ended = its(3);
    ended.status = TransferStatus::Completed;
    for (transfers, in_use) in [(vec![of_another, ended], false), (vec![its(1)], true)] {
        let mut state = with(transfers, vec![pending.clone()]);
        state.carry_out(&manage(ConnectionVerb::Delete), Uuid::nil);
        assert_eq!(state.into_parts().1[0].is_err(), in_use);
    }
}
