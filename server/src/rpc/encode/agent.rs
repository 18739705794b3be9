//! Agents into messages.

use tidegate_proto::v1;

use super::{optional, timestamp};
use crate::rpc::wire_enum::WireEnum as _;
use tidegate_domain::{
    agent::{AgentRuns, KnownAgent},
    time::Timestamp,
};

/// An agent with what it runs, as it is at `now`.
pub(in crate::rpc) fn agent(agent: &KnownAgent, runs: &AgentRuns, now: Timestamp) -> v1::Agent {
    let told = &agent.told;
    v1::Agent {
        uuid: agent.uuid.to_string(),
        connection_uuid: optional(told.connection_uuid),
        credential_uuid: optional(told.owner_uuid),
        agent_instance: told.instance.clone(),
        version: told.version.clone(),
        host: told.host.clone(),
        engines: told.engines.clone(),
        slots: told
            .slots
            .map_or(0, |it| i32::try_from(it).unwrap_or(i32::MAX)),
        labels: told.labels.clone(),
        state: agent.state(runs, now).to_wire(),
        registered_at: Some(timestamp(agent.registered_at)),
        last_beat_at: Some(timestamp(agent.last_beat_at)),
        last_seen_at: Some(timestamp(agent.last_seen_at(runs))),
        runs: runs.count,
        free_slots: agent.free_slots(runs),
        run_uuids: runs.uuids.iter().map(ToString::to_string).collect(),
    }
}
