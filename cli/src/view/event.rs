//! How an event looks.

use tidegate_client::{Event, EventDetail, EventType};

use crate::output::Column;
use crate::text;

/// The columns of a list.
pub(crate) const COLUMNS: &[Column<Event>] = &[
    Column::number("SEQUENCE", |event, _| event.sequence.to_string()),
    Column::text("WHEN", |event, now| text::age(event.occurred_at, now)),
    Column::text("OF", |event, _| subject(event)),
    Column::text("TYPE", |event, _| event.event_type.to_string()),
    Column::text("STATUS", |event, _| change(event)),
    Column::text("BY", |event, _| by(event)),
    Column::text("DETAIL", |event, _| {
        event
            .detail
            .as_ref()
            .map(EventDetail::summary)
            .unwrap_or_default()
    }),
];

/// One event on a line of its own.
pub(crate) fn line(event: &Event) -> String {
    let mut line = format!(
        "{}  {}  {}  {}  {}  by {}",
        event.sequence,
        event.occurred_at.format("%Y-%m-%dT%H:%M:%S%.3fZ"),
        subject(event),
        event.event_type,
        change(event),
        by(event)
    );
    if let Some(detail) = &event.detail {
        line.push_str("  ");
        line.push_str(&detail.summary());
    }
    line
}

/// What it happened to: a transfer as its bare uuid, anything else with its kind.
fn subject(event: &Event) -> String {
    match (
        event.transfer_uuid,
        event.subject_uuid,
        event.connection_uuid,
    ) {
        (Some(transfer), _, _) => transfer.to_string(),
        (_, Some(subject), _) => {
            let name = match event.event_type {
                // The one kind of subject that a refused change can be of.
                EventType::Refused => "credential".to_owned(),
                event_type => event_type.to_string(),
            };
            let kind = name.split('_').next().unwrap_or_default();
            format!("{kind} {subject}")
        }
        (_, _, Some(connection)) => format!("connection {connection}"),
        _ => "-".to_owned(),
    }
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
