//! One batch in memory: the rows that were loaded, what the decisions made of them, and what must be written.
//!
//! Commands see what earlier ones of the same batch did. Nothing here waits; the two ends of it, loading and writing, do.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    sync::Arc,
};

use uuid::Uuid;

use super::{
    execute::{Execute, Identities},
    held::Held,
};
use crate::{error::Error, feed::FeedChange};
use tidegate_domain::{
    agent::KnownAgent,
    attempt::Attempt,
    authorize::RunDefaults,
    bulk::{BulkOperation, BulkOutcome},
    caller::{Caller, SERVER},
    chain::Head,
    command::{Submission, Target},
    connection::{Connection, DuplicateCandidate, Usage},
    credential::{Credential, Session},
    event::{About, Event, EventBody, IdempotencyKey},
    id::{AgentId, BulkOperationId, ConnectionId, CredentialId, SessionId, TransferId},
    log::Appended,
    movement::Side,
    refusal::Refusal,
    time::Timestamp,
    transfer::{Agent, Transfer},
};
use tidegate_store::{Effect, PriorRequest, StoreError, WriteTransaction};

mod agent;
mod bulk;
mod claim;
mod connection;
mod credential;
mod movement;
mod note;
mod session;
mod transfer;

/// What the decisions of a batch look at.
pub(super) struct BatchInputs {
    /// The time of every decision.
    pub(super) now: Timestamp,
    /// The transfers that the commands name, and those that repetitions are answered with.
    pub(super) transfers: Vec<Arc<Transfer>>,
    /// The connections that the commands depend on.
    pub(super) connections: Vec<Connection>,
    /// The credentials that the commands name, and those that repetitions are answered with.
    pub(super) credentials: Vec<Credential>,
    /// The sessions of the codes that the commands name, and those that repetitions are answered with.
    pub(super) sessions: Vec<Session>,
    /// The bulk operations that the commands name, and those that repetitions are answered with.
    pub(super) bulk_operations: Vec<BulkOperation>,
    /// How many run, where one more is to be started.
    pub(super) bulk_running: i64,
    /// The agents that the commands name.
    pub(super) agents: Vec<KnownAgent>,
    /// How many agents the connections have that may get a new one.
    pub(super) agent_counts: HashMap<Option<ConnectionId>, i64>,
    /// What earlier requests with the same ids did.
    pub(super) prior_requests: Vec<PriorRequest>,
    /// What the transfers of connections have used up by their rows, for connections that may get a limit.
    pub(super) on_record: HashMap<ConnectionId, Usage>,
    /// How many transfers run by their rows, by agents, for connections that limit it where something is to be started.
    pub(super) running: HashMap<ConnectionId, Vec<(Agent, i64)>>,
    /// What exists and is locked by somebody else.
    pub(super) held: Held,
    /// Transfers that could still change, for connections that are to be deleted; see [`OPEN_ENOUGH`].
    pub(super) open: HashMap<ConnectionId, Vec<TransferId>>,
    /// What connections are called whose transfers, credentials or sessions the commands name, and that are not loaded.
    pub(super) connection_names: HashMap<ConnectionId, String>,
    /// The connections that were not revoked, where one more is to lead to a site.
    pub(super) candidates: Vec<DuplicateCandidate>,
    /// The newest transfers of the movements that others are to join.
    pub(super) sides: HashMap<Side, TransferId>,
    /// What holds for runs where neither callers nor policies say so.
    pub(super) defaults: RunDefaults,
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
            bulk_operations: Vec::new(),
            bulk_running: 0,
            agents: Vec::new(),
            agent_counts: HashMap::new(),
            prior_requests: Vec::new(),
            on_record: HashMap::new(),
            running: HashMap::new(),
            held: Held::default(),
            open: HashMap::new(),
            connection_names: HashMap::new(),
            candidates: Vec::new(),
            sides: HashMap::new(),
            defaults: RunDefaults::default(),
        }
    }
}

/// With so many open transfers at least one is none of the batch's.
#[expect(clippy::cast_possible_truncation, reason = "a small constant")]
pub(super) const OPEN_ENOUGH: u32 = super::BATCH as u32 + 1;

/// A transfer, a connection, a credential, a session, a bulk operation or an agent in a batch.
struct Row<T> {
    /// As it was loaded; `None` when this batch creates it.
    before: Option<Arc<T>>,
    /// As it is now; `None` when this batch deletes it.
    after: Option<Arc<T>>,
    /// Whether anything but progress, usage or the time of use has changed.
    transitioned: bool,
}

impl<T> Row<T> {
    fn inputs(value: impl Into<Arc<T>>) -> Self {
        let value = value.into();
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
struct ChangeSet<Id, T> {
    created: Vec<Arc<T>>,
    /// By a transition.
    changed: Vec<Arc<T>>,
    /// By progress or usage alone.
    touched: Vec<Arc<T>>,
    deleted: Vec<Id>,
}

impl<Id: Copy, T> ChangeSet<Id, T> {
    fn of(rows: &BTreeMap<Id, Row<T>>) -> Self {
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
#[derive(Default)]
struct EventRefs {
    transfer_uuid: Option<TransferId>,
    connection_uuid: Option<ConnectionId>,
    subject_uuid: Option<Uuid>,
    /// What is told of those, but for the connection's name where that is to be looked up.
    about: About,
    revision: i64,
}

/// Who caused a change, and by which request.
#[derive(Clone, Copy)]
struct Cause<'a> {
    caller: &'a Caller,
    request: Option<&'a IdempotencyKey>,
    /// The bulk operation that it is done for.
    operation: Option<BulkOperationId>,
}

impl<'a> Cause<'a> {
    const fn of<C>(submission: &'a Submission<C>) -> Self {
        Self {
            caller: &submission.caller,
            request: submission.request.as_ref(),
            operation: None,
        }
    }
}

/// A batch while it is decided.
pub(crate) struct BatchState {
    now: Timestamp,
    defaults: RunDefaults,
    rows: BTreeMap<TransferId, Row<Transfer>>,
    /// Attempts that end while their transfers go on.
    attempts: Vec<Attempt>,
    /// Transfers that end.
    ended: Vec<TransferId>,
    /// Transfers that are deleted, as they were.
    deleted: Vec<Arc<Transfer>>,
    connections: BTreeMap<ConnectionId, Row<Connection>>,
    credentials: BTreeMap<CredentialId, Row<Credential>>,
    sessions: BTreeMap<SessionId, Row<Session>>,
    bulk_operations: BTreeMap<BulkOperationId, Row<BulkOperation>>,
    bulk_outcomes: Vec<BulkOutcome>,
    bulk_running: i64,
    agents: BTreeMap<AgentId, Row<KnownAgent>>,
    agent_counts: HashMap<Option<ConnectionId>, i64>,
    on_record: HashMap<ConnectionId, Usage>,
    running: HashMap<ConnectionId, Vec<(Agent, i64)>>,
    pub(super) held: Held,
    open: HashMap<ConnectionId, Vec<TransferId>>,
    connection_names: HashMap<ConnectionId, String>,
    candidates: Vec<DuplicateCandidate>,
    sides: HashMap<Side, TransferId>,
    requests: HashMap<(String, String), PriorRequest>,
    events: Vec<Event>,
    /// What the events continue from, once they are written.
    after: Option<Head>,
}

impl BatchState {
    pub(super) fn new(inputs: BatchInputs) -> Self {
        let transfers = inputs.transfers.into_iter();
        let connections = inputs.connections.into_iter();
        let credentials = inputs.credentials.into_iter();
        let sessions = inputs.sessions.into_iter();
        let bulk = inputs.bulk_operations.into_iter();
        let agents = inputs.agents.into_iter();
        let requests = inputs.prior_requests.into_iter().map(|earlier| {
            let key = (earlier.actor.clone(), earlier.request.request_id.clone());
            (key, earlier)
        });
        Self {
            now: inputs.now,
            defaults: inputs.defaults,
            attempts: Vec::new(),
            ended: Vec::new(),
            deleted: Vec::new(),
            rows: transfers.map(|it| (it.uuid, Row::inputs(it))).collect(),
            connections: connections.map(|it| (it.uuid, Row::inputs(it))).collect(),
            credentials: credentials.map(|it| (it.uuid, Row::inputs(it))).collect(),
            sessions: sessions.map(|it| (it.uuid, Row::inputs(it))).collect(),
            bulk_operations: bulk.map(|it| (it.uuid, Row::inputs(it))).collect(),
            bulk_outcomes: Vec::new(),
            bulk_running: inputs.bulk_running,
            agents: agents.map(|it| (it.uuid, Row::inputs(it))).collect(),
            agent_counts: inputs.agent_counts,
            on_record: inputs.on_record,
            running: inputs.running,
            held: inputs.held,
            open: inputs.open,
            connection_names: inputs.connection_names,
            candidates: inputs.candidates,
            sides: inputs.sides,
            requests: requests.collect(),
            events: Vec::new(),
            after: None,
        }
    }

    /// The time of every decision in this batch.
    pub(super) const fn now(&self) -> Timestamp {
        self.now
    }

    /// Whether a row that the commands need is locked by somebody else.
    pub(super) fn has_held(&self) -> bool {
        !self.held.is_empty()
    }

    /// Decides one command against what the earlier ones left.
    pub(super) fn carry_out<C: Execute>(
        &mut self,
        submission: &Submission<C>,
        identities: Identities<'_>,
    ) -> Result<C::Answer, Error> {
        let answer = match self.repetition(submission) {
            Some(answer) => answer,
            None => C::decide(submission, self, identities),
        };
        answer.map_err(|refusal| {
            let target = self.target(submission, &refusal);
            Error::Refused(refusal, Box::new(target))
        })
    }

    /// What a command was asked of, as far as its caller may know.
    fn target<C: Execute>(&self, submission: &Submission<C>, refusal: &Refusal) -> Target {
        let (caller, mut target) = (&submission.caller, submission.command.target(self));
        match refusal {
            Refusal::TransferNotFound { uuid } => target.named = Some(uuid.0),
            Refusal::ConnectionNotFound { uuid } => target.named = Some(uuid.0),
            _ => {}
        }
        if !caller.sees(target.connection_uuid) {
            target.transfer_uuid = None;
        }
        let transfer = target
            .transfer_uuid
            .and_then(|uuid| self.current(uuid).ok());
        target.about = transfer.map_or_else(About::default, |it| About::transfer(it));
        target.connection_uuid = caller.own_connection().or(target.connection_uuid);
        target
    }

    /// The answer to a request that was carried out before; `None` when it is new.
    fn repetition<C: Execute>(
        &self,
        submission: &Submission<C>,
    ) -> Option<Result<C::Answer, Refusal>> {
        let request = submission.request.as_ref()?;
        let key = (submission.caller.actor.clone(), request.request_id.clone());
        let earlier = self.requests.get(&key)?;
        let answer = if earlier.request.digest == request.digest {
            C::repeated(self, &earlier.effect)
        } else {
            None
        };
        Some(answer.unwrap_or(Err(Refusal::RequestIdReused { request_id: key.1 })))
    }

    /// Writes down what happened; `cause` is what caused it, `None` when the rules themselves did.
    fn log(&mut self, refs: EventRefs, mut body: EventBody, cause: Option<Cause<'_>>) {
        let caller = cause.map(|cause| cause.caller);
        let credential = caller.and_then(Caller::credential);
        body.actor_uuid = body.actor_uuid.or(credential.map(Uuid::from));
        let mut about = refs.about;
        about.connection_name = about
            .connection_name
            .or_else(|| self.connection_name(refs.connection_uuid?));
        self.events.push(Event {
            sequence: 0,
            transfer_uuid: refs.transfer_uuid,
            connection_uuid: refs.connection_uuid,
            subject_uuid: refs.subject_uuid,
            about,
            body,
            actor: caller.map_or_else(|| SERVER.to_owned(), |caller| caller.actor.clone()),
            request: cause.and_then(|cause| cause.request.cloned()),
            revision: refs.revision,
            occurred_at: self.now,
            address: caller
                .filter(|_| credential.is_some())
                .and_then(|caller| caller.address),
            hash: None,
        });
    }

    fn remember(&mut self, cause: Option<Cause<'_>>, effect: Effect) {
        let Some((caller, request)) = cause.and_then(|cause| Some((cause.caller, cause.request?)))
        else {
            return;
        };
        let key = (caller.actor.clone(), request.request_id.clone());
        if let Entry::Vacant(place) = self.requests.entry(key) {
            place.insert(PriorRequest {
                actor: caller.actor.clone(),
                request: request.clone(),
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
            && !self.bulk_operations.values().any(Row::has_changed)
            && !self.agents.values().any(Row::has_changed)
    }

    /// Writes the batch. The event counter comes last, since its lock orders the commits; only sums are added to under it.
    pub(super) async fn write(&mut self, transaction: &WriteTransaction) -> Result<(), StoreError> {
        self.write_connections(transaction).await?;
        self.write_transfers(transaction).await?;
        self.write_credentials(transaction).await?;
        self.write_bulk(transaction).await?;
        self.write_agents(transaction).await?;
        self.append(transaction).await
    }

    /// Writes the events, and counts what they end.
    async fn append(&mut self, transaction: &WriteTransaction) -> Result<(), StoreError> {
        if !self.events.is_empty() {
            let appended = transaction.append_events(&mut self.events, &self.ended);
            self.after = appended.await?;
        }
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
        let change = |(uuid, row): (&TransferId, &Row<Transfer>)| FeedChange {
            uuid: *uuid,
            before: row.before.clone(),
            after: row.after.clone(),
        };
        let changed = self.rows.iter().filter(|(_, row)| row.has_changed());
        changed.map(change).collect()
    }
}

#[cfg(test)]
mod tests;
