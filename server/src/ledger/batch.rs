//! One batch in memory: the rows that were loaded, what the decisions made of them, and what must be written.
//!
//! Commands see what earlier ones of the same batch did. Nothing here waits; the two ends of it, loading and writing, do.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    sync::Arc,
};

use uuid::Uuid;

use super::{Outcome, held::Held};
use crate::{error::Error, feed::FeedChange};
use tidegate_domain::{
    chain::Head,
    command::{Command, Submission},
    connection::{Connection, DuplicateCandidate, Usage},
    credential::{Credential, Session},
    event::{Event, EventBody},
    log::Appended,
    refusal::Refusal,
    time::Timestamp,
    transfer::Transfer,
};
use tidegate_store::{Effect, PriorRequest, StoreError, WriteTransaction};

mod connections;
mod credentials;
mod transfers;

use credentials::Redemption;

/// What the decisions of a batch look at.
pub(super) struct BatchInputs {
    /// The time of every decision.
    pub(super) now: Timestamp,
    /// The transfers that the commands name, and those that repetitions are answered with.
    pub(super) transfers: Vec<Transfer>,
    /// The connections that the commands depend on.
    pub(super) connections: Vec<Connection>,
    /// The credentials that the commands name, and those that repetitions are answered with.
    pub(super) credentials: Vec<Credential>,
    /// The sessions of the codes that the commands name, and those that repetitions are answered with.
    pub(super) sessions: Vec<Session>,
    /// What earlier requests with the same ids did.
    pub(super) remembered: Vec<PriorRequest>,
    /// What the transfers of connections have used up by their rows, for connections that may get a limit.
    pub(super) on_record: HashMap<Uuid, Usage>,
    /// What exists and is locked by somebody else.
    pub(super) held: Held,
    /// Transfers that could still change, for connections that are to be deleted; see [`OPEN_ENOUGH`].
    pub(super) open: HashMap<Uuid, Vec<Uuid>>,
    /// The connections that were not revoked, where one more is to lead to a site.
    pub(super) candidates: Vec<DuplicateCandidate>,
}

impl BatchInputs {
    /// Nothing, at `now`.
    pub(super) fn at(now: Timestamp) -> Self {
        Self {
            now,
            transfers: Vec::new(),
            connections: Vec::new(),
            credentials: Vec::new(),
            sessions: Vec::new(),
            remembered: Vec::new(),
            on_record: HashMap::new(),
            held: Held::default(),
            open: HashMap::new(),
            candidates: Vec::new(),
        }
    }
}

/// With so many open transfers at least one is none of the batch's.
#[expect(clippy::cast_possible_truncation, reason = "a small constant")]
pub(super) const OPEN_ENOUGH: u32 = super::BATCH as u32 + 1;

/// A transfer, a connection, a credential or a session in a batch.
struct Row<T> {
    /// As it was loaded; `None` when this batch creates it.
    before: Option<Arc<T>>,
    /// As it is now; `None` when this batch deletes it.
    after: Option<Arc<T>>,
    /// Whether anything but progress, usage or the time of use has changed.
    transitioned: bool,
}

impl<T> Row<T> {
    fn inputs(value: T) -> Self {
        let value = Arc::new(value);
        Self {
            before: Some(Arc::clone(&value)),
            after: Some(value),
            transitioned: false,
        }
    }

    const fn created(value: Arc<T>) -> Self {
        Self {
            before: None,
            after: Some(value),
            transitioned: true,
        }
    }

    fn has_changed(&self) -> bool {
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => !Arc::ptr_eq(before, after),
            (None, None) => false,
            _ => true,
        }
    }
}

/// Rows sorted by the statement that writes them.
struct ChangeSet<T> {
    created: Vec<Arc<T>>,
    /// By a transition.
    changed: Vec<Arc<T>>,
    /// By progress or usage alone.
    touched: Vec<Arc<T>>,
    deleted: Vec<Uuid>,
}

impl<T> ChangeSet<T> {
    fn of(rows: &BTreeMap<Uuid, Row<T>>) -> Self {
        let mut changes = Self {
            created: Vec::new(),
            changed: Vec::new(),
            touched: Vec::new(),
            deleted: Vec::new(),
        };
        for (uuid, row) in rows.iter().filter(|(_, row)| row.has_changed()) {
            match (&row.before, &row.after) {
                (None, Some(after)) => changes.created.push(Arc::clone(after)),
                (Some(_), Some(after)) if row.transitioned => {
                    changes.changed.push(Arc::clone(after))
                }
                (Some(_), Some(after)) => changes.touched.push(Arc::clone(after)),
                (Some(_), None) => changes.deleted.push(*uuid),
                (None, None) => {}
            }
        }
        changes
    }
}

/// What an event is about.
#[derive(Clone, Copy, Default)]
struct EventRefs {
    transfer_uuid: Option<Uuid>,
    connection_uuid: Option<Uuid>,
    subject_uuid: Option<Uuid>,
    revision: i64,
}

pub(super) struct BatchState {
    now: Timestamp,
    rows: BTreeMap<Uuid, Row<Transfer>>,
    connections: BTreeMap<Uuid, Row<Connection>>,
    credentials: BTreeMap<Uuid, Row<Credential>>,
    sessions: BTreeMap<Uuid, Row<Session>>,
    on_record: HashMap<Uuid, Usage>,
    pub(super) held: Held,
    open: HashMap<Uuid, Vec<Uuid>>,
    candidates: Vec<DuplicateCandidate>,
    requests: HashMap<(String, String), PriorRequest>,
    events: Vec<Event>,
    /// What the events continue from, once they are written.
    after: Option<Head>,
    answers: Vec<Result<Outcome, Error>>,
}

impl BatchState {
    pub(super) fn new(inputs: BatchInputs) -> Self {
        let transfers = inputs.transfers.into_iter();
        let connections = inputs.connections.into_iter();
        let credentials = inputs.credentials.into_iter();
        let sessions = inputs.sessions.into_iter();
        let requests = inputs.remembered.into_iter().map(|earlier| {
            let key = (earlier.actor.clone(), earlier.request.request_id.clone());
            (key, earlier)
        });
        Self {
            now: inputs.now,
            rows: transfers.map(|it| (it.uuid, Row::inputs(it))).collect(),
            connections: connections.map(|it| (it.uuid, Row::inputs(it))).collect(),
            credentials: credentials.map(|it| (it.uuid, Row::inputs(it))).collect(),
            sessions: sessions.map(|it| (it.uuid, Row::inputs(it))).collect(),
            on_record: inputs.on_record,
            held: inputs.held,
            open: inputs.open,
            candidates: inputs.candidates,
            requests: requests.collect(),
            events: Vec::new(),
            after: None,
            answers: Vec::new(),
        }
    }

    /// The time of every decision in this batch.
    pub(super) const fn now(&self) -> Timestamp {
        self.now
    }

    /// Decides one command against what the earlier ones left, and notes its answer.
    pub(super) fn carry_out(&mut self, submission: &Submission, identity: impl FnOnce() -> Uuid) {
        let answer = match self.repetition(submission) {
            Some(answer) => answer,
            None => self.decide(submission, identity),
        };
        self.answers.push(answer.map_err(Error::Refused));
    }

    /// Answers a command with `error` instead of deciding it.
    pub(super) fn pass_over(&mut self, error: Error) {
        self.answers.push(Err(error));
    }

    fn decide(
        &mut self,
        submission: &Submission,
        identity: impl FnOnce() -> Uuid,
    ) -> Result<Outcome, Refusal> {
        match &submission.command {
            Command::CreateTransfer(new) => self.create(submission, new, identity()),
            Command::ChangeTransfer { uuid, verb } => self.apply(submission, *uuid, verb),
            Command::CreateConnection {
                new,
                pending,
                allow_duplicate,
            } => {
                if !allow_duplicate {
                    self.is_first_to(None, new.direction, &new.site_url)?;
                }
                Ok(self.connect(submission, new, *pending, identity()))
            }
            Command::ChangeConnection { uuid, verb } => self.manage(submission, *uuid, verb),
            Command::CreateCredential { new, token } => {
                self.issue(submission, new, token, identity())
            }
            Command::ChangeCredential { uuid, verb } => {
                self.change_credential(submission, *uuid, verb)
            }
            Command::RotateAgent {
                connection_uuid,
                token,
                overlap,
            } => self.rotate_agent(submission, *connection_uuid, token, *overlap, identity),
            Command::OpenSession(new) => self.open_session(submission, new, identity()),
            Command::RedeemSession {
                digest,
                code,
                token_id,
                token_digest,
            } => {
                let with = Redemption {
                    digest,
                    code,
                    token_id,
                    token_digest,
                };
                self.redeem(submission, &with, identity())
            }
            Command::NoteUse { uuid, at } => self.note_use(submission, *uuid, *at),
            Command::NoteRefusal { reason } => Ok(self.note_refusal(submission, reason)),
        }
    }

    /// The answer to a request that was carried out before; `None` when it is new.
    fn repetition(&self, submission: &Submission) -> Option<Result<Outcome, Refusal>> {
        let request = submission.request.as_ref()?;
        let key = (submission.caller.actor.clone(), request.request_id.clone());
        let earlier = self.requests.get(&key)?;
        if earlier.request.digest != request.digest {
            return Some(Err(Refusal::RequestIdReused { request_id: key.1 }));
        }
        Some(match earlier.effect {
            Effect::Transfer {
                deleted_by_it: true,
                ..
            } => Ok(Outcome::Deleted),
            Effect::Transfer { uuid, .. } => self
                .current(uuid)
                .map(|transfer| Outcome::Transfer(Arc::clone(transfer))),
            Effect::Connection {
                deleted_by_it: true,
                ..
            } => Ok(Outcome::ConnectionDeleted),
            Effect::Connection { uuid, .. } => self
                .connection(uuid)
                .map(|connection| Outcome::Connection(Arc::clone(connection))),
            Effect::Credential(uuid) => self.credential(uuid).map(credentials::granted),
            Effect::Session(uuid) => self.session_again(uuid),
        })
    }

    /// Writes down what happened; `submission` is what caused it, `None` when the rules themselves did.
    fn log(&mut self, refs: EventRefs, mut body: EventBody, submission: Option<&Submission>) {
        let caller = submission.map(|submission| &submission.caller);
        let credential = caller.and_then(|caller| caller.credential());
        body.actor_uuid = body.actor_uuid.or(credential);
        self.events.push(Event {
            sequence: 0,
            transfer_uuid: refs.transfer_uuid,
            connection_uuid: refs.connection_uuid,
            subject_uuid: refs.subject_uuid,
            body,
            actor: caller.map_or_else(|| SERVER.to_owned(), |caller| caller.actor.clone()),
            request: submission.and_then(|submission| submission.request.clone()),
            revision: refs.revision,
            occurred_at: self.now,
            address: caller
                .filter(|_| credential.is_some())
                .and_then(|caller| caller.address),
            hash: None,
        });
    }

    fn remember(&mut self, submission: Option<&Submission>, effect: Effect) {
        let Some((submission, request)) =
            submission.and_then(|submission| Some((submission, submission.request.clone()?)))
        else {
            return;
        };
        let actor = submission.caller.actor.clone();
        let key = (actor.clone(), request.request_id.clone());
        if let Entry::Vacant(place) = self.requests.entry(key) {
            place.insert(PriorRequest {
                actor,
                request,
                effect,
            });
        }
    }

    /// Whether there is nothing to write.
    pub(super) fn is_clean(&self) -> bool {
        self.events.is_empty()
            && !self.rows.values().any(Row::has_changed)
            && !self.connections.values().any(Row::has_changed)
            && !self.credentials.values().any(Row::has_changed)
            && !self.sessions.values().any(Row::has_changed)
    }

    /// Writes the batch. The event counter comes last, since its lock orders the commits.
    pub(super) async fn write(&mut self, transaction: &WriteTransaction) -> Result<(), StoreError> {
        self.write_connections(transaction).await?;
        self.write_transfers(transaction).await?;
        self.write_credentials(transaction).await?;
        self.append(transaction).await
    }

    /// Writes the events.
    async fn append(&mut self, transaction: &WriteTransaction) -> Result<(), StoreError> {
        if self.events.is_empty() {
            return Ok(());
        }
        self.after = transaction.append_events(&mut self.events).await?;
        Ok(())
    }

    /// What happened, in the order of the log.
    pub(super) fn events(&self) -> &[Event] {
        &self.events
    }

    /// The place of those events in the log, once they are written; `None` when there are none.
    pub(super) fn appended(&self) -> Option<Appended> {
        Appended::new(self.after?, &self.events)
    }

    /// What watchers need to hear.
    pub(super) fn changes(&self) -> Vec<FeedChange> {
        let change = |(uuid, row): (&Uuid, &Row<Transfer>)| FeedChange {
            uuid: *uuid,
            before: row.before.clone(),
            after: row.after.clone(),
        };
        let changed = self.rows.iter().filter(|(_, row)| row.has_changed());
        changed.map(change).collect()
    }

    /// What watchers need to hear, and the answers in the order of the commands.
    #[cfg(test)]
    pub(super) fn into_parts(self) -> (Vec<FeedChange>, Vec<Result<Outcome, Error>>) {
        (self.changes(), self.answers)
    }

    /// The answers in the order of the commands.
    pub(super) fn into_answers(self) -> Vec<Result<Outcome, Error>> {
        self.answers
    }
}

/// The actor of what the server does by itself.
pub(super) const SERVER: &str = "sweeper";

#[cfg(test)]
mod tests;
