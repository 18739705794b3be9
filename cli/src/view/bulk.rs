//! How bulk operations and their outcomes look.

use tidegate_client::{BulkOperation, BulkOutcome};

use crate::output::{Column, Look};
use crate::text;

/// The columns of a list.
pub(crate) const COLUMNS: &[Column<BulkOperation>] = &[
    Column::text("ID", |operation, look| look.id(operation.uuid)),
    Column::text("VERB", |operation, _| operation.verb.to_string()),
    Column::status("STATE", |operation, _| operation.state.to_string()),
    Column::text("MATCHED", |operation, _| text::count(operation.matched)),
    Column::text("DONE", |operation, _| text::count(operation.succeeded)),
    Column::text("REFUSED", |operation, _| text::count(operation.refused)),
    Column::text("STARTED", |operation, look| look.age(operation.inserted_at)),
];

/// The columns of a list of outcomes.
pub(crate) const OUTCOMES: &[Column<BulkOutcome>] = &[
    Column::text("TRANSFER", |outcome, look| look.id(outcome.transfer_uuid)),
    Column::status("RESULT", |outcome, _| outcome.result.to_string()),
    Column::text("REASON", |outcome, _| {
        outcome.reason.clone().unwrap_or_default()
    }),
    Column::text("RETRIED BY", |outcome, look| {
        let retry = outcome.retried_by_uuid.map(|uuid| look.id(uuid));
        retry.unwrap_or_default()
    }),
];

/// The values of one operation, as far as it has them.
pub(crate) fn details(operation: &BulkOperation, look: &Look) -> Vec<(&'static str, String)> {
    let filter = serde_json::to_string(&operation.filter).unwrap_or_default();
    let values = [
        ("uuid", Some(operation.uuid.to_string())),
        ("verb", Some(operation.verb.to_string())),
        ("state", Some(operation.state.to_string())),
        ("filter", Some(filter)),
        ("reason", operation.reason.clone()),
        ("grace", operation.grace.map(text::span)),
        ("matched", Some(text::count(operation.matched))),
        ("done", Some(text::count(operation.succeeded))),
        ("refused", Some(text::count(operation.refused))),
        (
            "started by",
            operation.created_by_uuid.map(|uuid| uuid.to_string()),
        ),
        ("started", Some(look.moment(operation.inserted_at))),
        ("went on", Some(look.moment(operation.updated_at))),
        ("ended", operation.ended_at.map(|time| look.moment(time))),
        ("revision", Some(text::count(operation.revision))),
    ];
    values
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}
