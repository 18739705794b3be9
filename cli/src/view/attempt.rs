//! How an attempt at a transfer looks.

use tidegate_client::Attempt;

use super::transfer::given;
use crate::output::Column;
use crate::text;

/// The columns of a list.
pub(crate) const COLUMNS: &[Column<Attempt>] = &[
    Column::number("LEASE", |attempt, _| attempt.lease_epoch.to_string()),
    Column::status("END", |attempt, _| attempt.end.to_string()),
    Column::text("STARTED", |attempt, look| look.age(attempt.started_at)),
    Column::text("ENDED", |attempt, look| {
        let ended = attempt.ended_at.map(|time| look.age(time));
        ended.unwrap_or_default()
    }),
    Column::number("ROWS", |attempt, _| {
        text::count(attempt.progress.records_transferred)
    }),
    Column::text("RUN BY", |attempt: &Attempt, look| {
        let owner = attempt.lease_owner_uuid.map(|uuid| look.id(uuid));
        owner.unwrap_or_default()
    })
    .if_room(1),
    Column::name("INSTANCE", |attempt: &Attempt, _| {
        given(attempt.agent_instance.as_ref())
    }),
    Column::text("REASON", |attempt: &Attempt, _| {
        given(attempt.error_message.as_ref())
    })
    .wide(),
];
