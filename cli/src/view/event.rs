//! How an event looks.

use tidegate_client::Event;

use crate::output::Column;
use crate::text;

/// The columns of a list.
pub(crate) const COLUMNS: &[Column<Event>] = &[
    Column::number("SEQUENCE", |event, _| event.sequence.to_string()),
    Column::text("WHEN", |event, now| text::age(event.occurred_at, now)),
    Column::text("TRANSFER", |event, _| transfer(event)),
    Column::text("ACTION", |event, _| event.action.to_string()),
    Column::text("STATUS", |event, _| change(event)),
    Column::text("BY", |event, _| by(event)),
    Column::text("REASON", |event, _| {
        event.reason.clone().unwrap_or_default()
    }),
];

/// One event on a line of its own.
pub(crate) fn line(event: &Event) -> String {
    let mut line = format!(
        "{}  {}  {}  {}  {}  by {}",
        event.sequence,
        event.occurred_at.format("%Y-%m-%dT%H:%M:%S%.3fZ"),
        transfer(event),
        event.action,
        change(event),
        by(event)
    );
    if let Some(reason) = &event.reason {
        line.push_str("  ");
        line.push_str(reason);
    }
    line
}

fn transfer(event: &Event) -> String {
    event
        .transfer_uuid
        .map_or_else(|| "-".to_owned(), |uuid| uuid.to_string())
}

fn by(event: &Event) -> String {
    event
        .actor_uuid
        .map_or_else(|| event.actor.clone(), |uuid| uuid.to_string())
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
