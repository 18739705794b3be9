//! How an event looks.

use tidegate_client::{Event, EventDetail, EventType};

use crate::output::{Column, Look};

/// The columns of a list.
pub(crate) const COLUMNS: &[Column<Event>] = &[
    Column::number("SEQUENCE", |event, _| event.sequence.to_string()),
    Column::text("WHEN", |event, look| look.age(event.occurred_at)),
    Column::text("OF", subject),
    Column::status("TYPE", |event, _| event.event_type.to_string()),
    Column::status("STATUS", |event: &Event, _| change(event)).if_room(2),
    Column::text("BY", by).if_room(1),
    Column::name("DETAIL", |event, _| {
        event
            .detail
            .as_ref()
            .map(EventDetail::summary)
            .unwrap_or_default()
    }),
    Column::text("REQUEST", |event: &Event, _| {
        event.request_id.clone().unwrap_or_default()
    })
    .wide(),
    Column::text("HASH", |event: &Event, _| {
        event.hash.clone().unwrap_or_default()
    })
    .wide(),
];

/// One event on a line of its own.
pub(crate) fn line(event: &Event, look: &Look) -> String {
    let mut line = format!(
        "{}  {}  {}  {}  {}  by {}",
        event.sequence,
        look.clock(event.occurred_at),
        subject(event, look),
        event.event_type,
        change(event),
        by(event, look)
    );
    if let Some(detail) = &event.detail {
        line.push_str("  ");
        line.push_str(&detail.summary());
    }
    line
}

/// What it happened to: a transfer as its bare id, anything else with its kind.
fn subject(event: &Event, look: &Look) -> String {
    match (
        event.transfer_uuid,
        event.subject_uuid,
        event.connection_uuid,
    ) {
        (Some(transfer), _, _) => look.id(transfer),
        (_, Some(subject), _) => {
            let name = match event.event_type {
                // The one kind of subject that a refused change can be of.
                EventType::Refused => "credential".to_owned(),
                event_type => event_type.to_string(),
            };
            let kind = name.split('_').next().unwrap_or_default();
            format!("{kind} {}", look.id(subject))
        }
        (_, _, Some(connection)) => format!("connection {}", look.id(connection)),
        _ => "-".to_owned(),
    }
}

fn by(event: &Event, look: &Look) -> String {
    event
        .actor_uuid
        .map_or_else(|| event.actor.clone(), |uuid| look.id(uuid))
}

fn change(event: &Event) -> String {
    let name = |status: Option<tidegate_client::TransferStatus>| {
        status.map(|s| s.to_string()).unwrap_or_default()
    };
    match (name(event.from_status), name(event.to_status)) {
        (from, to) if from.is_empty() || from == to => to,
        (from, to) => format!("{from} -> {to}"),
    }
}
