//! Which commands depend on a row that somebody else has locked.

use super::*;
use std::time::Duration;
use tidegate_domain::{
    command::{CredentialCommand, Note, OpenSession, Redemption},
    credential::{CredentialVerb, NewCredential, NewSession, NewToken},
    id::ConnectionId,
};

const HERE: ConnectionId = ConnectionId(Uuid::from_u128(3));
const ELSEWHERE: ConnectionId = ConnectionId(Uuid::from_u128(4));

/// A batch of two transfers, of connections here and elsewhere, in which somebody else holds `held`.
fn holding(held: Held) -> BatchState {
    let transfers = [(1, HERE), (2, ELSEWHERE)].map(|(number, connection)| {
        let mut transfer = sample();
        transfer.uuid = id(number);
        transfer.declared.connection_uuid = Some(connection);
        transfer
    });
    BatchState::new(BatchInputs {
        transfers: shared(transfers),
        held,
        ..BatchInputs::at(NOW)
    })
}

/// Whether each of the commands depends on what is held.
fn held<C: Execute>(held: Held, commands: impl IntoIterator<Item = C>) -> Vec<bool> {
    let state = holding(held);
    assert!(state.has_held());
    commands.into_iter().map(|it| it.is_held(&state)).collect()
}

fn connection() -> Held {
    Held {
        connections: [HERE].into(),
        ..Held::default()
    }
}

fn transfers() -> Vec<TransferCommand> {
    let create = |connection_uuid, retry_of_uuid| {
        let mut new = sample().declared;
        (new.connection_uuid, new.retry_of_uuid) = (connection_uuid, retry_of_uuid);
        TransferCommand::Create(Box::new(new))
    };
    let [one, two] = [1, 2].map(id);
    let ask = Verb::RequestApproval {
        expires_in: Duration::from_secs(1),
    };
    vec![
        create(None, None),
        create(Some(HERE), None),
        create(Some(ELSEWHERE), Some(one)),
        TransferCommand::Change {
            uuid: one,
            verb: START,
        },
        TransferCommand::Change {
            uuid: one,
            verb: ask,
        },
        TransferCommand::Change {
            uuid: two,
            verb: START,
        },
    ]
}

#[test]
fn a_transfer_depends_on_itself_and_where_it_is_governed_on_its_connection() {
    let transfer = Held {
        transfers: [id(1)].into(),
        ..Held::default()
    };
    assert_eq!(
        held(transfer, transfers()),
        [false, false, true, true, true, false]
    );
    // Whoever asks for an approval does not ask the connection.
    assert_eq!(
        held(connection(), transfers()),
        [false, true, false, true, false, false]
    );
}

#[test]
fn a_connection_depends_on_itself() {
    let change = |uuid| ConnectionCommand::Change {
        uuid,
        verb: ConnectionVerb::Approve,
    };
    let create = ConnectionCommand::Create {
        new: Box::new(site().declared),
        pending: false,
        allow_duplicate: false,
    };
    assert_eq!(
        held(connection(), [change(HERE), change(ELSEWHERE), create]),
        [true, false, false]
    );
}

fn credentials() -> Vec<CredentialCommand> {
    let token = || NewToken {
        id: "a".to_owned(),
        digest: vec![1],
        expires_in: Duration::from_secs(60),
    };
    let create = |connection_uuid| CredentialCommand::Create {
        new: Box::new(NewCredential {
            name: "north".to_owned(),
            role: Role::Agent,
            connection_uuid,
            acts_for_others: false,
            session_code: String::new(),
        }),
        token: token(),
    };
    let change = |number| CredentialCommand::Change {
        uuid: id(number),
        verb: CredentialVerb::Revoke {
            reason: String::new(),
        },
    };
    let rotate = |connection_uuid| CredentialCommand::RotateAgent {
        connection_uuid,
        token: token(),
        overlap: Duration::ZERO,
    };
    let redeem = |digest| {
        CredentialCommand::Redeem(Redemption {
            digest,
            code: "2345WXYZ".to_owned(),
            token_id: "b".to_owned(),
            token_digest: vec![2],
        })
    };
    vec![
        create(Some(HERE)),
        create(Some(ELSEWHERE)),
        change(5),
        change(6),
        rotate(HERE),
        rotate(ELSEWHERE),
        redeem(vec![7]),
        redeem(vec![8]),
    ]
}

fn credential() -> Held {
    Held {
        credentials: [id(5)].into(),
        ..Held::default()
    }
}

fn session() -> Held {
    Held {
        sessions: [vec![7]].into(),
        ..Held::default()
    }
}

#[test]
fn a_credential_depends_on_all_that_might_be_its_own() {
    assert_eq!(
        held(connection(), credentials()),
        [true, false, false, false, true, false, true, true]
    );
    assert_eq!(
        held(credential(), credentials()),
        [false, false, true, false, true, true, false, false]
    );
    assert_eq!(
        held(session(), credentials()),
        [false, false, false, false, false, false, true, false]
    );
}

#[test]
fn a_session_depends_on_its_connection_and_its_code() {
    let open = |connection_uuid, digest| {
        OpenSession(NewSession {
            connection_uuid,
            digest,
            expires_in: Duration::from_secs(60),
            token_expires_in: Duration::from_secs(60),
        })
    };
    let commands = || [open(HERE, vec![8]), open(ELSEWHERE, vec![7])];
    assert_eq!(held(connection(), commands()), [true, false]);
    assert_eq!(held(session(), commands()), [false, true]);
    assert_eq!(held(credential(), commands()), [false, false]);
}

#[test]
fn a_note_of_use_depends_on_its_credential() {
    let note = |number| Note::Use {
        uuid: id(number),
        at: NOW,
    };
    assert_eq!(held(credential(), [note(5), note(6)]), [true, false]);
}
