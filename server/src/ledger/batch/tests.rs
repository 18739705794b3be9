use super::*;
use tidegate_domain::{
    caller::{Caller, Role},
    command::{Command, ConnectionCommand, Opened, TransferCommand, Verb},
    connection::{
        ConnectionDirection, ConnectionField, ConnectionStatus, ConnectionVerb, NewConnection,
    },
    event::{EventDetail, EventType},
    fixtures::{caller as known, connection as site, id, stop_order, transfer as sample},
    id::TransferId,
    policy::{Policy, PolicyField},
    progress::Report,
    status::TransferStatus,
    stop::StopKind,
};

mod bulk;
mod claim;
mod connection;
mod held;
mod movement;

const NOW: Timestamp = Timestamp::from_micros(9_000_000);

/// An answer of any kind.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    Transfer(Option<Arc<Transfer>>),
    Connection(Option<Arc<Connection>>),
    Credential(Arc<Credential>),
    Session(Opened),
    Claimed(Vec<Arc<Transfer>>),
    Bulk(Arc<BulkOperation>),
    Noted,
}

impl From<Vec<Arc<Transfer>>> for Outcome {
    fn from(answer: Vec<Arc<Transfer>>) -> Self {
        Self::Claimed(answer)
    }
}

impl From<Option<Arc<Transfer>>> for Outcome {
    fn from(answer: Option<Arc<Transfer>>) -> Self {
        Self::Transfer(answer)
    }
}

impl From<Option<Arc<Connection>>> for Outcome {
    fn from(answer: Option<Arc<Connection>>) -> Self {
        Self::Connection(answer)
    }
}

impl From<Arc<BulkOperation>> for Outcome {
    fn from(answer: Arc<BulkOperation>) -> Self {
        Self::Bulk(answer)
    }
}

impl From<Arc<Credential>> for Outcome {
    fn from(answer: Arc<Credential>) -> Self {
        Self::Credential(answer)
    }
}

impl From<Opened> for Outcome {
    fn from(answer: Opened) -> Self {
        Self::Session(answer)
    }
}

impl From<()> for Outcome {
    fn from((): ()) -> Self {
        Self::Noted
    }
}

/// A batch, and the answers in the order of the commands.
pub(super) struct Batch {
    state: BatchState,
    answers: Vec<Result<Outcome, Error>>,
}

impl Batch {
    pub(super) fn new(inputs: BatchInputs) -> Self {
        let state = BatchState::new(inputs);
        let answers = Vec::new();
        Self { state, answers }
    }

    pub(super) fn carry_out<C: Execute>(
        &mut self,
        submission: &Submission<C>,
        mut identities: impl FnMut() -> Uuid,
    ) where
        C::Answer: Into<Outcome>,
    {
        let answer = self.state.carry_out(submission, &mut identities);
        self.answers.push(answer.map(Into::into));
    }

    /// What watchers need to hear, and the answers.
    pub(super) fn into_parts(self) -> (Vec<FeedChange>, Vec<Result<Outcome, Error>>) {
        (self.state.changes(), self.answers)
    }
}

impl std::ops::Deref for Batch {
    type Target = BatchState;

    fn deref(&self) -> &BatchState {
        &self.state
    }
}

fn state(transfers: Vec<Transfer>) -> Batch {
    with(transfers, Vec::new())
}

fn shared(transfers: impl IntoIterator<Item = Transfer>) -> Vec<Arc<Transfer>> {
    transfers.into_iter().map(Arc::new).collect()
}

fn with(transfers: Vec<Transfer>, connections: Vec<Connection>) -> Batch {
    Batch::new(BatchInputs {
        transfers: shared(transfers),
        connections,
        ..BatchInputs::at(NOW)
    })
}

fn submission<C: Command>(command: C, request: Option<(&str, u8)>) -> Submission<C> {
    let request = request.map(|(id, digest)| IdempotencyKey {
        request_id: id.to_owned(),
        digest: vec![digest],
    });
    Submission {
        command,
        caller: Caller::anonymous(None),
        request,
    }
}

fn verb(uuid: TransferId, verb: Verb) -> Submission<TransferCommand> {
    submission(TransferCommand::Change { uuid, verb }, None)
}

fn create(request: Option<(&str, u8)>) -> Submission<TransferCommand> {
    submission(
        TransferCommand::Create(Box::new(sample().declared)),
        request,
    )
}

const START: Verb = Verb::Start {
    heartbeat_timeout: None,
    owner_uuid: None,
    agent_instance: String::new(),
};

fn complete() -> Verb {
    Verb::Complete {
        lease_epoch: None,
        report: Report::default(),
    }
}

fn event_types(state: &BatchState) -> Vec<EventType> {
    state
        .events()
        .iter()
        .map(|event| event.body.event_type)
        .collect()
}

fn status(answer: &Result<Outcome, Error>) -> TransferStatus {
    match answer {
        Ok(Outcome::Transfer(Some(transfer))) => transfer.status,
        other => panic!("{other:?} is not a transfer"),
    }
}

fn reason(answer: &Result<Outcome, Error>) -> &'static str {
    answer.as_ref().expect_err("a refusal").reason()
}

#[test]
fn a_whole_life_fits_into_one_batch() {
    let uuid: Uuid = id(3);
    let mut state = state(Vec::new());
    state.carry_out(&create(None), || uuid);
    for step in [START, complete(), Verb::Delete] {
        state.carry_out(&verb(uuid.into(), step), Uuid::nil);
    }
    assert_eq!(
        event_types(&state),
        [
            EventType::Created,
            EventType::Started,
            EventType::Completed,
            EventType::Deleted
        ]
    );
    let revisions: Vec<_> = state.events().iter().map(|event| event.revision).collect();
    assert_eq!(revisions, [1, 2, 3, 3]);
    // Created and deleted: there are events, but no row to write and nothing for watchers.
    assert!(!state.is_clean() && state.changes().is_empty());
    let (changes, answers) = state.into_parts();
    assert!(changes.is_empty());
    assert_eq!(
        answers.last().and_then(|last| last.as_ref().ok()),
        Some(&Outcome::Transfer(None))
    );
}

#[test]
fn later_commands_see_what_earlier_ones_did() {
    let mut state = state(vec![sample()]);
    for _ in 0..2 {
        state.carry_out(&verb(sample().uuid, START), Uuid::nil);
    }
    let (changes, answers) = state.into_parts();
    assert_eq!(status(&answers[0]), TransferStatus::InProgress);
    assert_eq!(reason(&answers[1]), "ILLEGAL_TRANSITION");
    assert_eq!(changes.len(), 1);
}

#[test]
fn a_refusal_leaves_the_draft_clean() {
    let mut state = state(vec![sample()]);
    state.carry_out(&verb(sample().uuid, complete()), Uuid::nil);
    state.carry_out(&verb(id(404), START), Uuid::nil);
    assert!(state.is_clean());
    let (_, answers) = state.into_parts();
    assert_eq!(reason(&answers[0]), "ILLEGAL_TRANSITION");
    assert_eq!(reason(&answers[1]), "TRANSFER_NOT_FOUND");
}

#[test]
fn a_request_repeated_within_its_batch_happens_once() {
    let mut state = state(Vec::new());
    let mut ids = (1..).map(id);
    for request in [("a", 1), ("a", 1), ("a", 2), ("b", 1)] {
        state.carry_out(&create(Some(request)), || ids.next().expect("endless"));
    }
    assert_eq!(state.events().len(), 2);
    let (changes, answers) = state.into_parts();
    assert_eq!(changes.len(), 2);
    assert_eq!(answers[0].as_ref().ok(), answers[1].as_ref().ok());
    assert_eq!(reason(&answers[2]), "REQUEST_ID_REUSED");
}

#[test]
fn another_caller_may_use_the_same_request_id() {
    let mut state = state(Vec::new());
    let mut other = create(Some(("a", 2)));
    other.caller.actor = "somebody else".to_owned();
    state.carry_out(&create(Some(("a", 1))), || id(1));
    state.carry_out(&other, || id(2));
    let (changes, _) = state.into_parts();
    assert_eq!(changes.len(), 2);
}

#[test]
fn a_late_approval_expires_the_transfer_in_the_name_of_the_server() {
    let mut late = sample();
    late.status = TransferStatus::PendingApproval;
    late.approval_expires_at = Some(NOW);
    let approve = Verb::Approve {
        admin_user_uuid: id(1),
        comment: String::new(),
        revision: None,
    };
    let mut state = state(vec![late.clone()]);
    let command = TransferCommand::Change {
        uuid: late.uuid,
        verb: approve,
    };
    state.carry_out(&submission(command, Some(("a", 1))), Uuid::nil);
    assert_eq!(event_types(&state), [EventType::Expired]);
    let event = &state.events()[0];
    assert_eq!((event.actor.as_str(), &event.request), (SERVER, &None));
    let (changes, answers) = state.into_parts();
    assert_eq!(reason(&answers[0]), "APPROVAL_EXPIRED");
    assert_eq!(
        changes[0].after.as_ref().map(|after| after.status),
        Some(TransferStatus::Expired)
    );
}

#[test]
fn references_must_exist() {
    let mut lost = sample().declared;
    lost.connection_uuid = Some(id(404));
    let mut again = sample().declared;
    again.retry_of_uuid = Some(id(404));
    let mut state = state(Vec::new());
    for declared in [lost, again] {
        state.carry_out(
            &submission(TransferCommand::Create(Box::new(declared)), None),
            Uuid::nil,
        );
    }
    assert!(state.is_clean());
    let (_, answers) = state.into_parts();
    assert_eq!(reason(&answers[0]), "CONNECTION_NOT_FOUND");
    assert_eq!(reason(&answers[1]), "TRANSFER_NOT_FOUND");
}

#[test]
fn rows_are_written_by_what_became_of_them() {
    let standing = |number, status| {
        let mut transfer = sample();
        (transfer.uuid, transfer.status) = (id(number), status);
        transfer.lease_epoch = 1;
        transfer
    };
    let mut state = state(vec![
        standing(1, TransferStatus::Pending),
        standing(2, TransferStatus::InProgress),
        standing(3, TransferStatus::InProgress),
        standing(4, TransferStatus::Completed),
        standing(5, TransferStatus::Pending),
    ]);
    let progress = || Verb::UpdateProgress {
        lease_epoch: None,
        report: Report::default(),
        checkpoint: Some(vec![1]),
    };
    for (number, step) in [
        (1, START),
        (2, progress()),
        (3, complete()),
        (4, Verb::Delete),
    ] {
        state.carry_out(&verb(id(number), step), Uuid::nil);
    }
    state.carry_out(&create(None), || Uuid::from_u128(6));
    let changes = ChangeSet::of(&state.rows);
    let uuids = |rows: &[Arc<Transfer>]| -> Vec<u128> {
        rows.iter().map(|row| row.uuid.0.as_u128()).collect()
    };
    assert_eq!(uuids(&changes.created), [6]);
    assert_eq!(uuids(&changes.changed), [1, 3]);
    assert_eq!(uuids(&changes.touched), [2]);
    assert_eq!(changes.deleted, [id(4)]);
}
