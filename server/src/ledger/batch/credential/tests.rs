use std::net::IpAddr;

use super::*;
use crate::{
    error::Error,
    ledger::batch::{
        BatchInputs,
        tests::{Batch, Outcome},
    },
};
use tidegate_domain::{
    caller::Caller,
    command::{Note, OpenSession, Opened, Redemption},
    connection::{Connection, ConnectionDirection, NewConnection},
    credential::{NewSession, Session},
    fixtures::{caller as known, id},
    policy::Policy,
    time::Timestamp,
};

const NOW: Timestamp = Timestamp::from_micros(9_000_000);
const HOUR: Duration = Duration::from_secs(3_600);

fn connection() -> Connection {
    let new = NewConnection {
        name: "north".to_owned(),
        direction: ConnectionDirection::Sender,
        site_url: "https://north.example".to_owned(),
        policy: Policy::default(),
        metadata: serde_json::Map::new(),
    };
    Connection::create(id(1), new, false, NOW)
}

fn token(id: &str) -> NewToken {
    NewToken {
        id: id.to_owned(),
        digest: vec![1; 32],
        expires_in: HOUR,
    }
}

fn agent(uuid: u128, name: &str) -> Credential {
    let declared = NewCredential {
        name: name.to_owned(),
        role: Role::Agent,
        connection_uuid: Some(id(1)),
        acts_for_others: false,
        session_code: String::new(),
    };
    Credential::create(id(uuid), declared, &token(name), NOW)
}

fn session(digest: u8) -> NewSession {
    NewSession {
        connection_uuid: id(1),
        digest: vec![digest; 32],
        expires_in: HOUR,
        token_expires_in: HOUR,
    }
}

/// A command of any of these kinds.
#[derive(Clone)]
enum Any {
    Credential(CredentialCommand),
    Open(OpenSession),
    Note(Note),
}

/// What the commands leave, as the same caller asks for all of them.
fn decide(inputs: BatchInputs, caller: &Caller, commands: Vec<Any>) -> Batch {
    fn by<C>(caller: &Caller, command: C) -> Submission<C> {
        Submission {
            command,
            caller: caller.clone(),
            request: None,
        }
    }
    let mut state = Batch::new(inputs);
    let mut ids = (100..).map(id);
    let mut identities = || ids.next().expect("endless");
    for command in commands {
        match command {
            Any::Credential(it) => state.carry_out(&by(caller, it), &mut identities),
            Any::Open(it) => state.carry_out(&by(caller, it), &mut identities),
            Any::Note(it) => state.carry_out(&by(caller, it), &mut identities),
        }
    }
    state
}

fn open(digest: u8) -> Any {
    Any::Open(OpenSession(session(digest)))
}

fn inputs() -> BatchInputs {
    BatchInputs {
        connections: vec![connection()],
        ..BatchInputs::at(NOW)
    }
}

fn nobody() -> Caller {
    Caller::anonymous(None)
}

fn redemption(digest: u8, token_id: &str) -> Any {
    Any::Credential(CredentialCommand::Redeem(Redemption {
        digest: vec![digest; 32],
        code: "2345WXYZ".to_owned(),
        token_id: token_id.to_owned(),
        token_digest: vec![3; 32],
    }))
}

fn rotation(token_id: &str) -> Any {
    Any::Credential(CredentialCommand::RotateAgent {
        connection_uuid: id(1),
        token: token(token_id),
        overlap: Duration::ZERO,
    })
}

fn credential(answer: &Result<Outcome, Error>) -> &Credential {
    match answer {
        Ok(Outcome::Credential(credential)) => credential,
        other => panic!("{other:?} is no credential"),
    }
}

#[test]
fn a_session_opened_in_a_batch_is_redeemed_in_it_once() {
    let commands = vec![
        open(7),
        redemption(7, "a"),
        redemption(7, "b"),
        redemption(8, "c"),
    ];
    let state = decide(inputs(), &nobody(), commands);
    assert_eq!(state.events().len(), 2);
    let (_, answers) = state.into_parts();
    assert_eq!(credential(&answers[1]).tokens[0].id, "a");
    for refused in &answers[2..] {
        let reason = refused.as_ref().expect_err("a no").reason();
        assert_eq!(reason, "SESSION_CODE_INVALID");
    }
}

#[test]
fn a_code_that_is_taken_is_not_opened_again() {
    let taken = Session::open(id(5), session(7), NOW);
    let inputs = BatchInputs {
        sessions: vec![taken],
        ..inputs()
    };
    let commands = vec![open(7), open(8), open(8)];
    let state = decide(inputs, &nobody(), commands);
    assert_eq!(state.events().len(), 1);
    let (_, answers) = state.into_parts();
    assert_eq!(
        answers[0].as_ref().ok(),
        Some(&Outcome::Session(Opened::CodeTaken))
    );
    assert!(matches!(
        answers[1],
        Ok(Outcome::Session(Opened::Session(_)))
    ));
    assert_eq!(
        answers[2].as_ref().ok(),
        Some(&Outcome::Session(Opened::CodeTaken))
    );
}

#[test]
fn a_session_waits_for_a_connection_whose_end_has_passed_in_vain() {
    let mut over = connection();
    over.declared.policy.expires_at = Some(NOW);
    let inputs = BatchInputs {
        connections: vec![over],
        sessions: vec![Session::open(id(5), session(7), NOW)],
        ..BatchInputs::at(NOW)
    };
    let commands = vec![redemption(7, "a"), open(8)];
    let state = decide(inputs, &nobody(), commands);
    assert!(state.is_clean());
    let (_, answers) = state.into_parts();
    let reasons: Vec<_> = answers
        .iter()
        .map(|it| it.as_ref().expect_err("a no").reason())
        .collect();
    assert_eq!(reasons, ["SESSION_CODE_INVALID", "CONNECTION_EXPIRED"]);
}

#[test]
fn two_rotations_of_a_connection_without_an_agent_make_one() {
    let state = decide(inputs(), &nobody(), vec![rotation("a"), rotation("b")]);
    let (_, answers) = state.into_parts();
    let (first, second) = (credential(&answers[0]), credential(&answers[1]));
    assert_eq!(first.uuid, second.uuid);
    assert_eq!((first.revision, second.revision), (1, 2));
    assert_eq!(second.tokens.len(), 1);
    assert_eq!(second.tokens[0].id, "b");
}

#[test]
fn the_agent_of_a_session_is_not_the_connections_own() {
    let mut guest = agent(50, "guest");
    guest.declared.session_code = "2345WXYZ".to_owned();
    let inputs = BatchInputs {
        credentials: vec![agent(40, "own"), guest],
        ..inputs()
    };
    let state = decide(inputs, &nobody(), vec![rotation("a")]);
    let (_, answers) = state.into_parts();
    assert_eq!(credential(&answers[0]).declared.name, "own");
}

#[test]
fn a_use_is_noted_without_an_event_and_never_moves_back() {
    let inputs = || BatchInputs {
        credentials: vec![agent(40, "own")],
        ..inputs()
    };
    let note = |micros| {
        Any::Note(Note::Use {
            uuid: id(40),
            at: Timestamp::from_micros(micros),
        })
    };
    let address = "192.0.2.7".parse::<IpAddr>().ok();
    let caller = Caller::anonymous(address);
    let state = decide(inputs(), &caller, vec![note(20), note(10)]);
    assert!(state.events().is_empty() && !state.is_clean());
    let after = state.credential(id(40)).expect("it is there");
    assert_eq!(after.last_used_at, Some(Timestamp::from_micros(20)));
    assert_eq!((after.last_used_address, after.revision), (address, 1));
    assert!(!state.credentials[&id(40)].transitioned);

    let mut used = agent(40, "own");
    used.last_used_at = Some(Timestamp::from_micros(20));
    let inputs = BatchInputs {
        credentials: vec![used],
        ..BatchInputs::at(NOW)
    };
    assert!(decide(inputs, &caller, vec![note(20), note(19)]).is_clean());
}

#[test]
fn a_refusal_is_noted_with_who_was_refused_and_from_where() {
    let mut caller = known(Role::Agent, Some(id(1)));
    caller.address = "192.0.2.7".parse().ok();
    let (reason, method) = ("PERMISSION_DENIED", "ApproveTransfer");
    let state = decide(
        BatchInputs::at(NOW),
        &caller,
        vec![Any::Note(Note::Refusal {
            reason,
            method: method.to_owned(),
            target: Box::new(Target {
                connection_uuid: caller.own_connection(),
                ..Target::default()
            }),
            dropped: 7,
        })],
    );
    let [event] = state.events() else {
        panic!("one event: {:?}", state.events());
    };
    assert_eq!(event.body.event_type, EventType::Refused);
    let detail = EventDetail::Refusal {
        reason: reason.to_owned(),
        method: method.to_owned(),
        uuid: None,
        dropped: 7,
    };
    assert_eq!(event.body.detail, Some(detail));
    assert_eq!(event.body.actor_uuid, caller.credential().map(Uuid::from));
    assert_eq!(event.actor, caller.actor);
    assert_eq!(event.address, caller.address);
    assert_eq!(event.connection_uuid, Some(id(1)));
    assert_eq!((event.transfer_uuid, event.subject_uuid), (None, None));
    assert_eq!(event.revision, 0);
}

#[test]
fn what_is_secret_is_in_no_event() {
    let commands = vec![rotation("public"), open(7), redemption(7, "public")];
    let state = decide(inputs(), &nobody(), commands);
    let events = format!("{:?}", state.events());
    for secret in ["2345WXYZ", &format!("{:?}", [1_u8; 32])] {
        assert!(!events.contains(secret), "{events}");
    }
}
