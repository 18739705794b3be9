//! How an agent looks.

use std::collections::BTreeMap;

use tidegate_client::Agent;

use crate::output::{Column, Look};
use crate::text;

/// The columns of a list.
pub(crate) const COLUMNS: &[Column<Agent>] = &[
    Column::text("ID", |agent, look| look.id(agent.uuid)),
    Column::name("INSTANCE", |agent, _| agent.agent_instance.clone()),
    Column::status("STATE", |agent, _| agent.state.to_string()),
    Column::number("RUNS", |agent, _| match agent.slots {
        Some(slots) => format!("{}/{slots}", agent.runs),
        None => text::count(agent.runs),
    }),
    Column::text("SEEN", |agent, look| look.age(agent.last_seen_at)),
    Column::name("VERSION", |agent: &Agent, _| {
        agent.version.clone().unwrap_or_default()
    })
    .least(6),
    Column::name("HOST", |agent: &Agent, _| {
        agent.host.clone().unwrap_or_default()
    })
    .least(6)
    .if_room(1),
    Column::text("CAME", |agent: &Agent, look| look.age(agent.registered_at)).if_room(2),
    Column::text("CONNECTION", |agent: &Agent, _| {
        agent
            .connection_uuid
            .map(|uuid| uuid.to_string())
            .unwrap_or_default()
    })
    .wide(),
    Column::text("CREDENTIAL", |agent: &Agent, _| {
        agent
            .credential_uuid
            .map(|uuid| uuid.to_string())
            .unwrap_or_default()
    })
    .wide(),
    Column::text("ENGINES", |agent: &Agent, _| {
        tags(&agent.engines).unwrap_or_default()
    })
    .wide(),
];

/// The values of one agent, as far as it has them.
pub(crate) fn details(agent: &Agent, look: &Look) -> Vec<(&'static str, String)> {
    let moment = |time| Some(look.moment(time));
    let runs: Vec<_> = agent.run_uuids.iter().map(ToString::to_string).collect();
    let values = [
        ("uuid", Some(agent.uuid.to_string())),
        ("instance", Some(agent.agent_instance.clone())),
        ("state", Some(agent.state.to_string())),
        (
            "connection",
            agent.connection_uuid.map(|uuid| uuid.to_string()),
        ),
        (
            "credential",
            agent.credential_uuid.map(|uuid| uuid.to_string()),
        ),
        ("version", agent.version.clone()),
        ("host", agent.host.clone()),
        ("engines", tags(&agent.engines)),
        ("labels", tags(&agent.labels)),
        ("registered", moment(agent.registered_at)),
        ("last beat", moment(agent.last_beat_at)),
        ("last seen", moment(agent.last_seen_at)),
        ("slots", agent.slots.map(|it| text::count(i64::from(it)))),
        ("runs", Some(text::count(agent.runs))),
        ("free slots", agent.free_slots.map(text::count)),
        ("transfers", Some(runs.join(", "))),
    ];
    values
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.filter(|it| !it.is_empty())?)))
        .collect()
}

/// Names with their values, on one line.
fn tags(tags: &BTreeMap<String, String>) -> Option<String> {
    let each = tags.iter().map(|(name, value)| match value.as_str() {
        "" => name.clone(),
        value => format!("{name}={value}"),
    });
    let all: Vec<_> = each.collect();
    (!all.is_empty()).then(|| all.join(", "))
}
