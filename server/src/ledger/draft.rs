//! One batch in memory: the rows that were loaded, what the decisions made of them, and what must be written.
//!
//! Commands see what earlier ones of the same batch did. Nothing here waits; the two ends of it, loading and writing, do.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    ops::RangeInclusive,
    sync::Arc,
};

use uuid::Uuid;

use super::Outcome;
use crate::{
    domain::{
        command::{Command, Order, Verb},
        connection::{Connection, NewConnection},
        decide::{Change, aftermath, creation, decide},
        event::{Event, Occurrence, RequestMark},
        refusal::Refusal,
        time::Timestamp,
        transfer::{NewTransfer, Transfer},
    },
    error::Error,
    feed::FeedChange,
    store::{Batch, Effect, NewConnectionRow, Remembered, StoreError},
};

/// A transfer in the draft.
struct Row {
    /// As it was loaded; `None` when this batch creates it.
    before: Option<Arc<Transfer>>,
    /// As it is now; `None` when this batch deletes it.
    after: Option<Arc<Transfer>>,
    /// Whether anything but progress has changed.
    transitioned: bool,
}

pub(super) struct Draft {
    now: Timestamp,
    rows: BTreeMap<Uuid, Row>,
    connections: HashMap<Uuid, Connection>,
    requests: HashMap<(String, String), Remembered>,
    new_connections: Vec<NewConnectionRow>,
    events: Vec<Event>,
    answers: Vec<Result<Outcome, Error>>,
}

impl Draft {
    pub(super) fn new(
        now: Timestamp,
        transfers: Vec<Transfer>,
        connections: Vec<Connection>,
        remembered: Vec<Remembered>,
    ) -> Self {
        let row = |transfer: Transfer| {
            let loaded = Arc::new(transfer);
            let before = Some(Arc::clone(&loaded));
            (
                loaded.uuid,
                Row {
                    before,
                    after: Some(loaded),
                    transitioned: false,
                },
            )
        };
        let request = |earlier: Remembered| {
            (
                (earlier.actor.clone(), earlier.request.request_id.clone()),
                earlier,
            )
        };
        Self {
            now,
            rows: transfers.into_iter().map(row).collect(),
            connections: connections
                .into_iter()
                .map(|each| (each.uuid, each))
                .collect(),
            requests: remembered.into_iter().map(request).collect(),
            new_connections: Vec::new(),
            events: Vec::new(),
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
            None => match &order.command {
                Command::Create(new) => self.create(order, new, identity()),
                Command::Do { uuid, verb } => self.apply(order, *uuid, verb),
                Command::Connect(new) => Ok(self.connect(order, new, identity())),
            },
        };
        self.answers.push(answer.map_err(Error::Refused));
    }

    /// The answer to a request that was carried out before; `None` when it is new.
    fn repetition(&self, order: &Order) -> Option<Result<Outcome, Refusal>> {
        let request = order.request.as_ref()?;
        let key = (order.actor.clone(), request.request_id.clone());
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
            Effect::Connection(uuid) => match self.connections.get(&uuid) {
                Some(connection) => Ok(Outcome::Connection(connection.clone())),
                None => Err(Refusal::ConnectionNotFound { uuid }),
            },
        })
    }

    fn create(&mut self, order: &Order, new: &NewTransfer, uuid: Uuid) -> Result<Outcome, Refusal> {
        if let Some(uuid) = new
            .connection_uuid
            .filter(|uuid| !self.connections.contains_key(uuid))
        {
            return Err(Refusal::ConnectionNotFound { uuid });
        }
        if let Some(uuid) = new.retry_of_uuid {
            self.current(uuid)?;
        }
        let transfer = Arc::new(Transfer::create(uuid, new.clone(), self.now));
        self.log(&transfer, creation(new.initiated_by_uuid), Some(order));
        let after = Some(Arc::clone(&transfer));
        self.rows.insert(
            uuid,
            Row {
                before: None,
                after,
                transitioned: true,
            },
        );
        Ok(Outcome::Transfer(transfer))
    }

    fn apply(&mut self, order: &Order, uuid: Uuid, verb: &Verb) -> Result<Outcome, Refusal> {
        let transfer = Arc::clone(self.current(uuid)?);
        match decide(&transfer, verb, self.now) {
            Ok(change) => Ok(self.keep(&transfer, change, Some(order))),
            Err(refusal) => {
                let change = aftermath(&transfer, &refusal, self.now);
                self.keep(&transfer, change, None);
                Err(refusal)
            }
        }
    }

    /// Takes a change into the draft; `order` is what caused it, `None` when the rules themselves did.
    fn keep(&mut self, before: &Arc<Transfer>, change: Change, order: Option<&Order>) -> Outcome {
        let (after, transitioned) = match change {
            Change::Nothing => return Outcome::Transfer(Arc::clone(before)),
            Change::Progress(after) => (Some(Arc::new(after)), false),
            Change::Transition(after, occurrence) => {
                let after = Arc::new(after);
                self.log(&after, occurrence, order);
                (Some(after), true)
            }
            Change::Removal(occurrence) => {
                self.log(before, occurrence, order);
                (None, true)
            }
        };
        if let Some(row) = self.rows.get_mut(&before.uuid) {
            row.after.clone_from(&after);
            row.transitioned |= transitioned;
        }
        after.map_or(Outcome::Deleted, Outcome::Transfer)
    }

    fn connect(&mut self, order: &Order, new: &NewConnection, uuid: Uuid) -> Outcome {
        let connection = Connection::create(uuid, new.clone(), self.now);
        self.remember(Some(order), Effect::Connection(uuid));
        self.new_connections.push(NewConnectionRow {
            connection: connection.clone(),
            actor: order.actor.clone(),
            request: order.request.clone(),
        });
        self.connections.insert(uuid, connection.clone());
        Outcome::Connection(connection)
    }

    fn current(&self, uuid: Uuid) -> Result<&Arc<Transfer>, Refusal> {
        self.rows
            .get(&uuid)
            .and_then(|row| row.after.as_ref())
            .ok_or(Refusal::TransferNotFound { uuid })
    }

    fn log(&mut self, transfer: &Transfer, occurrence: Occurrence, order: Option<&Order>) {
        let deleted_by_it = occurrence.from_status == Some(occurrence.to_status);
        self.remember(
            order,
            Effect::Transfer {
                uuid: transfer.uuid,
                deleted_by_it,
            },
        );
        self.events.push(Event {
            sequence: 0,
            transfer_uuid: transfer.uuid,
            connection_uuid: transfer.declared.connection_uuid,
            occurrence,
            actor: order.map_or_else(|| SERVER.to_owned(), |order| order.actor.clone()),
            request: order.and_then(|order| order.request.clone()),
            revision: transfer.revision,
            occurred_at: self.now,
        });
    }

    fn remember(&mut self, order: Option<&Order>, effect: Effect) {
        let Some((order, request)) = order.and_then(|order| Some((order, order.request.clone()?)))
        else {
            return;
        };
        let RequestMark { request_id, .. } = &request;
        let key = (order.actor.clone(), request_id.clone());
        if let Entry::Vacant(place) = self.requests.entry(key) {
            place.insert(Remembered {
                actor: order.actor.clone(),
                request,
                effect,
            });
        }
    }

    /// Whether there is nothing to write.
    pub(super) fn is_clean(&self) -> bool {
        self.events.is_empty() && self.new_connections.is_empty() && self.changed().next().is_none()
    }

    /// Writes the draft. The event counter comes last, since its lock orders the commits.
    pub(super) async fn write(&mut self, transaction: &Batch) -> Result<(), StoreError> {
        let (mut created, mut changed, mut progressed, mut deleted) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (uuid, row) in self.changed() {
            match (&row.before, &row.after) {
                (None, Some(after)) => created.push(Arc::clone(after)),
                (Some(_), Some(after)) if row.transitioned => changed.push(Arc::clone(after)),
                (Some(_), Some(after)) => progressed.push(Arc::clone(after)),
                (Some(_), None) => deleted.push(*uuid),
                (None, None) => {}
            }
        }
        if !self.new_connections.is_empty() {
            transaction
                .insert_connections(&self.new_connections)
                .await?;
        }
        if !created.is_empty() {
            transaction.insert_transfers(&created).await?;
        }
        if !changed.is_empty() {
            transaction.update_transfers(&changed).await?;
        }
        if !progressed.is_empty() {
            transaction.update_progress(&progressed).await?;
        }
        if !deleted.is_empty() {
            transaction.delete_transfers(&deleted).await?;
        }
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
        transaction.append_events(&mut self.events).await
    }

    fn changed(&self) -> impl Iterator<Item = (&Uuid, &Row)> {
        self.rows
            .iter()
            .filter(|(_, row)| match (&row.before, &row.after) {
                (Some(before), Some(after)) => !Arc::ptr_eq(before, after),
                (None, None) => false,
                _ => true,
            })
    }

    /// What happened, in the order of the log.
    pub(super) fn events(&self) -> &[Event] {
        &self.events
    }

    /// The positions of those events in the log, once they are written; `None` when there are none.
    pub(super) fn appended(&self) -> Option<RangeInclusive<i64>> {
        let (first, last) = (self.events.first()?, self.events.last()?);
        Some(first.sequence..=last.sequence)
    }

    /// What watchers need to hear.
    pub(super) fn changes(&self) -> Vec<FeedChange> {
        let change = |(uuid, row): (&Uuid, &Row)| FeedChange {
            uuid: *uuid,
            before: row.before.clone(),
            after: row.after.clone(),
        };
        self.changed().map(change).collect()
    }

    /// What watchers need to hear, and the answers in the order of the commands.
    pub(super) fn into_parts(self) -> (Vec<FeedChange>, Vec<Result<Outcome, Error>>) {
        (self.changes(), self.answers)
    }
}

/// The actor of what the server does by itself.
pub(super) const SERVER: &str = "sweeper";

#[cfg(test)]
mod tests;
