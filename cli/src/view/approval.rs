//! How a transfer looks to whoever has to decide about it: for which site, and who asks.

use std::collections::HashMap;

use serde::Serialize;
use tidegate_client::{DecisionRule, Transfer};
use uuid::Uuid;

use super::{
    explanation,
    transfer::{self, expected, given},
};
use crate::output::{Column, Look};
use crate::text;

/// A transfer with its connection, and what who asks for it is called.
#[derive(Serialize)]
#[serde(transparent)]
pub(crate) struct Waiting {
    transfer: Transfer,
    #[serde(skip)]
    asked_by: Option<String>,
    #[serde(skip)]
    site: Option<String>,
    #[serde(skip)]
    decision: Option<DecisionRule>,
}

impl Waiting {
    /// Whoever it is for asks, or else whoever declared it.
    pub(crate) fn new(transfer: Transfer, names: &HashMap<Uuid, String>) -> Self {
        let asked_by = who(&transfer).and_then(|uuid| names.get(&uuid));
        let preloaded = transfer.connection.as_ref().map(|it| it.name.clone());
        let named = || names.get(&transfer.connection_uuid?).cloned();
        Self {
            asked_by: asked_by.cloned(),
            site: preloaded.or_else(named),
            decision: None,
            transfer,
        }
    }

    /// The same with who may decide.
    pub(crate) fn decided_by(self, decision: Option<DecisionRule>) -> Self {
        Self { decision, ..self }
    }

    fn asked_by(&self, look: &Look) -> String {
        let id = || who(&self.transfer).map(|uuid| look.id(uuid));
        self.asked_by.clone().or_else(id).unwrap_or_default()
    }

    fn site(&self) -> String {
        self.site.clone().unwrap_or_default()
    }
}

pub(crate) fn who(transfer: &Transfer) -> Option<Uuid> {
    transfer.initiated_by_uuid.or(transfer.acted_by_uuid)
}

/// The columns of a list.
pub(crate) const COLUMNS: &[Column<Waiting>] = &[
    Column::text("ID", |it, look| look.id(it.transfer.uuid)),
    Column::name("SITE", |it, _| it.site()),
    Column::name("ASKED BY", Waiting::asked_by),
    Column::text("DIRECTION", |it: &Waiting, _| {
        it.transfer.direction.to_string()
    })
    .if_room(2),
    Column::name("TABLE", |it, _| it.transfer.table_name.clone()),
    Column::number("ROWS", |it, _| expected(&it.transfer)),
    Column::text("STRATEGY", |it: &Waiting, _| {
        given(it.transfer.conflict_strategy)
    })
    .if_room(3),
    Column::text("SEEN FROM", |it: &Waiting, _| {
        given(it.transfer.observed_ip.as_ref())
    })
    .if_room(4),
    Column::text("CLAIMS", |it: &Waiting, _| {
        given(it.transfer.requester_ip.as_ref())
    })
    .if_room(5),
    Column::text("TIME LEFT", |it, look| {
        let deadline = it.transfer.approval_expires_at;
        given(deadline.map(|deadline| text::left(deadline, look.now)))
    }),
    Column::text("CREATED", |it: &Waiting, look| {
        look.age(it.transfer.inserted_at)
    })
    .if_room(1),
];

/// The values of one, with who may decide and those of its connection.
pub(crate) fn details(
    waiting: &Waiting,
    names: &HashMap<Uuid, String>,
    look: &Look,
) -> Vec<(&'static str, String)> {
    let mut values = vec![
        ("site", waiting.site()),
        ("asked by", waiting.asked_by(look)),
    ];
    let decision = waiting.decision.iter();
    values.extend(decision.flat_map(|rule| explanation::decision(rule, names, look)));
    values.retain(|(_, value)| !value.is_empty());
    values.extend(transfer::details(&waiting.transfer, look));
    values
}
