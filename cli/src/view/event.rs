//! How an event looks.

use std::collections::HashMap;

use serde::Serialize;
use tidegate_client::{Event, EventType};
use uuid::Uuid;

use crate::output::{Column, Look};

/// An event, and what who did it is called.
#[derive(Serialize)]
#[serde(transparent)]
pub(crate) struct Logged {
    event: Event,
    #[serde(skip)]
    by: Option<String>,
}

impl Logged {
    pub(crate) fn new(event: Event, names: &HashMap<Uuid, String>) -> Self {
        let by = event.actor_uuid.and_then(|uuid| names.get(&uuid));
        Self {
            by: by.cloned(),
            event,
        }
    }

    fn by(&self, look: &Look) -> String {
        let event = &self.event;
        let id = || event.actor_uuid.map(|uuid| look.id(uuid));
        let by = self.by.clone().or_else(id);
        by.unwrap_or_else(|| event.actor.clone())
    }
}

/// The columns of a list.
pub(crate) const COLUMNS: &[Column<Logged>] = &[
    Column::number("SEQ", |it, _| it.event.sequence.to_string()),
    Column::text("WHEN", |it, look| look.age(it.event.occurred_at)),
    Column::text("OF", |it, look| subject(&it.event, look)),
    Column::name("TABLE", |it: &Logged, _| {
        it.event.table_name.clone().unwrap_or_default()
    })
    .least(8),
    Column::status("TYPE", |it, _| it.event.event_type.to_string()),
    Column::status("STATUS", |it: &Logged, look| change(&it.event, look)).if_room(2),
    Column::name("BY", Logged::by).least(8),
    Column::name("DETAIL", |it: &Logged, _| it.event.summary())
        .least(6)
        .if_room(1),
    Column::text("DIRECTION", |it: &Logged, _| {
        let direction = it.event.direction;
        direction.map(|it| it.to_string()).unwrap_or_default()
    })
    .wide(),
    Column::text("CONNECTION", |it: &Logged, _| {
        it.event.connection_name.clone().unwrap_or_default()
    })
    .wide(),
    Column::text("OWNER", |it: &Logged, look| {
        let lease = it.event.lease.as_ref();
        let owner = lease.and_then(|lease| lease.owner_uuid);
        owner.map(|uuid| look.id(uuid)).unwrap_or_default()
    })
    .wide(),
    Column::text("REQUEST", |it: &Logged, _| {
        it.event.request_id.clone().unwrap_or_default()
    })
    .wide(),
    Column::text("HASH", |it: &Logged, _| {
        it.event.hash.clone().unwrap_or_default()
    })
    .wide(),
];

/// One event on a line of its own.
pub(crate) fn line(logged: &Logged, look: &Look) -> String {
    let event = &logged.event;
    let mut line = format!(
        "{}  {}  {}  {}  {}  by {}",
        event.sequence,
        look.clock(event.occurred_at),
        named(event, look),
        event.event_type,
        change(event, look),
        logged.by(look)
    );
    let summary = event.summary();
    if !summary.is_empty() {
        line.push_str("  ");
        line.push_str(&summary);
    }
    line
}

/// What it happened to and, for a transfer, its table.
fn named(event: &Event, look: &Look) -> String {
    let subject = subject(event, look);
    match &event.table_name {
        Some(table) => format!("{subject} {table}"),
        None => subject,
    }
}

/// What it happened to: a transfer as its bare id, anything else with its kind, unless there is little room and the type
/// says it.
fn subject(event: &Event, look: &Look) -> String {
    if let Some(transfer) = event.transfer_uuid {
        return look.id(transfer);
    }
    let Some(uuid) = event.subject_uuid.or(event.connection_uuid) else {
        return "-".to_owned();
    };
    let id = look.id(uuid);
    let name = event.event_type.to_string();
    let kind = match event.event_type {
        EventType::Refused if event.subject_uuid.is_some() => "credential",
        EventType::Refused => "connection",
        _ if look.is_short() => return id,
        _ if event.subject_uuid.is_none() => "connection",
        _ => name.split('_').next().unwrap_or_default(),
    };
    format!("{kind} {id}")
}

/// The status that it led to, and elsewhere than on a terminal the one before, too.
fn change(event: &Event, look: &Look) -> String {
    let name = |status: Option<tidegate_client::TransferStatus>| {
        status.map(|s| s.to_string()).unwrap_or_default()
    };
    match (name(event.from_status), name(event.to_status)) {
        (from, to) if from.is_empty() || from == to || look.is_short() => to,
        (from, to) => format!("{from} -> {to}"),
    }
}
