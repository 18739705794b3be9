//! Agents.

use std::time::Duration;

use tidegate_proto::v1;

use super::value::{optional_uuid, span, text, time, uuid};
use crate::{Agent, AgentState, Error, Registered, model::Wire as _};

/// The agent of an answer that always has one.
pub(crate) fn agent(wire: Option<v1::Agent>) -> Result<Agent, Error> {
    present_agent(wire.ok_or_else(|| Error::malformed("agent is missing"))?)
}

pub(crate) fn present_agent(wire: v1::Agent) -> Result<Agent, Error> {
    let runs = wire.run_uuids.iter();
    Ok(Agent {
        uuid: uuid("agent.uuid", &wire.uuid)?,
        connection_uuid: optional_uuid("agent.connection_uuid", &wire.connection_uuid)?,
        credential_uuid: optional_uuid("agent.credential_uuid", &wire.credential_uuid)?,
        agent_instance: wire.agent_instance,
        version: text(wire.version),
        host: text(wire.host),
        engines: wire.engines,
        slots: u32::try_from(wire.slots).ok().filter(|slots| *slots != 0),
        labels: wire.labels,
        state: AgentState::from_wire(wire.state),
        registered_at: time("agent.registered_at", wire.registered_at)?,
        last_beat_at: time("agent.last_beat_at", wire.last_beat_at)?,
        last_seen_at: time("agent.last_seen_at", wire.last_seen_at)?,
        runs: wire.runs,
        free_slots: wire.free_slots,
        run_uuids: runs
            .map(|it| uuid("agent.run_uuids", it))
            .collect::<Result<_, _>>()?,
    })
}

pub(crate) fn registered(wire: v1::RegisterAgentResponse) -> Result<Registered, Error> {
    let interval = span("beat_interval", wire.beat_interval)?;
    let interval = interval.filter(|it| *it > Duration::ZERO);
    Ok(Registered {
        agent: agent(wire.agent)?,
        beat_interval: interval.ok_or_else(|| Error::malformed("beat_interval is missing"))?,
    })
}
