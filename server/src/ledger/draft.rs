//! One batch in memory: the rows that were loaded, what the decisions made of them, and what must be written.
//!
//! Commands see what earlier ones of the same batch did. Nothing here waits; the two ends of it, loading and writing, do.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    sync::Arc,
};

use uuid::Uuid;

use super::{Outcome, held::Held};
use crate::{
    domain::{
        chain::Head,
        command::{Command, Order},
        connection::{Connection, Neighbour, Usage},
        credential::{Credential, Session},
        event::{Event, Occurrence},
        log::Appended,
        refusal::Refusal,
        time::Timestamp,
        transfer::Transfer,
    },
    error::Error,
    feed::FeedChange,
    store::{Batch, Effect, Remembered, StoreError},
};

mod connections;
mod credentials;
mod transfers;

use credentials::Redemption;

/// What the decisions of a batch look at.
pub(super) struct Loaded {
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
    pub(super) remembered: Vec<Remembered>,
    /// What the transfers of connections have used up by their rows, for connections that may get a limit.
    pub(super) on_record: HashMap<Uuid, Usage>,
    /// What exists and is locked by somebody else.
    pub(super) held: Held,
    /// Transfers that could still change, for connections that are to be deleted; see [`OPEN_ENOUGH`].
    pub(super) open: HashMap<Uuid, Vec<Uuid>>,
    /// The connections that were not revoked, where one more is to lead to a site.
    pub(super) neighbours: Vec<Neighbour>,
}

impl Loaded {
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
            neighbours: Vec::new(),
        }
    }
}

/// With so many open transfers at least one is none of the batch's.
#[expect(clippy::cast_possible_truncation, reason = "a small constant")]
pub(super) const OPEN_ENOUGH: u32 = super::BATCH as u32 + 1;

/// A transfer, a connection, a credential or a session in the draft.
struct Row<T> {
    /// As it was loaded; `None` when this batch creates it.
    before: Option<Arc<T>>,
    /// As it is now; `None` when this batch deletes it.
    after: Option<Arc<T>>,
    /// Whether anything but progress, usage or the time of use has changed.
    transitioned: bool,
}

impl<T> Row<T> {
    fn loaded(value: T) -> Self {
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
struct Sorted<T> {
    created: Vec<Arc<T>>,
    /// By a transition.
    changed: Vec<Arc<T>>,
    /// By progress or usage alone.
    touched: Vec<Arc<T>>,
    deleted: Vec<Uuid>,
}

impl<T> Sorted<T> {
    fn of(rows: &BTreeMap<Uuid, Row<T>>) -> Self {
        let mut sorted = Self {
            created: Vec::new(),
            changed: Vec::new(),
            touched: Vec::new(),
            deleted: Vec::new(),
        };
        for (uuid, row) in rows.iter().filter(|(_, row)| row.has_changed()) {
            match (&row.before, &row.after) {
                (None, Some(after)) => sorted.created.push(Arc::clone(after)),
                (Some(_), Some(after)) if row.transitioned => {
                    sorted.changed.push(Arc::clone(after))
                }
                (Some(_), Some(after)) => sorted.touched.push(Arc::clone(after)),
                (Some(_), None) => sorted.deleted.push(*uuid),
                (None, None) => {}
            }
        }
        sorted
    }
}

/// What an event is about.
#[derive(Clone, Copy, Default)]
struct About {
    transfer_uuid: Option<Uuid>,
    connection_uuid: Option<Uuid>,
    subject_uuid: Option<Uuid>,
    revision: i64,
}

pub(super) struct Draft {
    now: Timestamp,
    rows: BTreeMap<Uuid, Row<Transfer>>,
    connections: BTreeMap<Uuid, Row<Connection>>,
    credentials: BTreeMap<Uuid, Row<Credential>>,
    sessions: BTreeMap<Uuid, Row<Session>>,
    on_record: HashMap<Uuid, Usage>,
    pub(super) held: Held,
    open: HashMap<Uuid, Vec<Uuid>>,
    neighbours: Vec<Neighbour>,
    requests: HashMap<(String, String), Remembered>,
    events: Vec<Event>,
    /// What the events continue from, once they are written.
    after: Option<Head>,
    answers: Vec<Result<Outcome, Error>>,
}

impl Draft {
    pub(super) fn new(loaded: Loaded) -> Self {
        let transfers = loaded.transfers.into_iter();
        let connections = loaded.connections.into_iter();
        let credentials = loaded.credentials.into_iter();
        let sessions = loaded.sessions.into_iter();
        let requests = loaded.remembered.into_iter().map(|earlier| {
            let key = (earlier.actor.clone(), earlier.request.request_id.clone());
            (key, earlier)
        });
        Self {
            now: loaded.now,
            rows: transfers.map(|it| (it.uuid, Row::loaded(it))).collect(),
            connections: connections.map(|it| (it.uuid, Row::loaded(it))).collect(),
            credentials: credentials.map(|it| (it.uuid, Row::loaded(it))).collect(),
            sessions: sessions.map(|it| (it.uuid, Row::loaded(it))).collect(),
            on_record: loaded.on_record,
            held: loaded.held,
            open: loaded.open,
            neighbours: loaded.neighbours,
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

    /// Decides one order against what the earlier ones left, and notes its answer.
    pub(super) fn carry_out(&mut self, order: &Order, identity: impl FnOnce() -> Uuid) {
        #[cfg(feature = "planted-bugs")]
        let order = &*super::planted::forgetful(order);
        let answer = match self.repetition(order) {
            Some(answer) => answer,
            None => self.decide(order, identity),
        };
        self.answers.push(answer.map_err(Error::Refused));
    }

    /// Answers an order with `error` instead of deciding it.
    pub(super) fn pass_over(&mut self, error: Error) {
        self.answers.push(Err(error));
    }

    fn decide(
        &mut self,
        order: &Order,
        identity: impl FnOnce() -> Uuid,
    ) -> Result<Outcome, Refusal> {
        match &order.command {
            Command::Create(new) => self.create(order, new, identity()),
            Command::Do { uuid, verb } => self.apply(order, *uuid, verb),
            Command::Connect {
                new,
                pending,
                allow_duplicate,
            } => {
                if !allow_duplicate {
                    self.is_first_to(None, new.direction, &new.site_url)?;
                }
                Ok(self.connect(order, new, *pending, identity()))
            }
            Command::Manage { uuid, verb } => self.manage(order, *uuid, verb),
            Command::Issue { new, token } => self.issue(order, new, token, identity()),
            Command::Credential { uuid, verb } => self.change_credential(order, *uuid, verb),
            Command::RotateAgent {
                connection_uuid,
                token,
                overlap,
            } => self.rotate_agent(order, *connection_uuid, token, *overlap, identity),
            Command::OpenSession(new) => self.open_session(order, new, identity()),
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
                self.redeem(order, &with, identity())
            }
            Command::NoteUse { uuid, at } => self.note_use(order, *uuid, *at),
            Command::NoteRefusal { reason } => Ok(self.note_refusal(order, reason)),
        }
    }

    /// The answer to a request that was carried out before; `None` when it is new.
    fn repetition(&self, order: &Order) -> Option<Result<Outcome, Refusal>> {
        let request = order.request.as_ref()?;
        let key = (order.caller.actor.clone(), request.request_id.clone());
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

    /// Writes down what happened; `order` is what caused it, `None` when the rules themselves did.
    fn log(&mut self, about: About, mut occurrence: Occurrence, order: Option<&Order>) {
        let caller = order.map(|order| &order.caller);
        let credential = caller.and_then(|caller| caller.credential());
        occurrence.actor_uuid = occurrence.actor_uuid.or(credential);
        self.events.push(Event {
            sequence: 0,
            transfer_uuid: about.transfer_uuid,
            connection_uuid: about.connection_uuid,
            subject_uuid: about.subject_uuid,
            occurrence,
            actor: caller.map_or_else(|| SERVER.to_owned(), |caller| caller.actor.clone()),
            request: order.and_then(|order| order.request.clone()),
            revision: about.revision,
            occurred_at: self.now,
            address: caller
                .filter(|_| credential.is_some())
                .and_then(|caller| caller.address),
            hash: None,
        });
    }

    fn remember(&mut self, order: Option<&Order>, effect: Effect) {
        let Some((order, request)) = order.and_then(|order| Some((order, order.request.clone()?)))
        else {
            return;
        };
        let actor = order.caller.actor.clone();
        let key = (actor.clone(), request.request_id.clone());
        if let Entry::Vacant(place) = self.requests.entry(key) {
            place.insert(Remembered {
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

    /// Writes the draft. The event counter comes last, since its lock orders the commits.
    pub(super) async fn write(&mut self, transaction: &Batch) -> Result<(), StoreError> {
        self.write_connections(transaction).await?;
        self.write_transfers(transaction).await?;
        self.write_credentials(transaction).await?;
        #[cfg(feature = "planted-bugs")]
        if crate::planted::is(crate::planted::Bug::EventOutside) {
            return Ok(());
        }
        self.append(transaction).await
    }

    /// Writes the events.
    pub(super) async fn append(&mut self, transaction: &Batch) -> Result<(), StoreError> {
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
