//! What agents tell about themselves, and which of them are meant.

use tidegate_proto::v1;

use super::{super::caller::Caller, Mutation, timestamp};
use tidegate_domain::{
    agent::{RegisterAgent, Registration},
    caller::ConnectionScope,
    query::AgentFilter,
    validate::{Check, NAME_MAX},
};

impl Mutation for v1::RegisterAgentRequest {
    type Command = RegisterAgent;
    type Made = ();
    const METHOD: &'static str = "RegisterAgent";
    const REMEMBERED: bool = false;

    fn request_id(&mut self) -> &mut String {
        &mut self.request_id
    }

    fn command(self, check: &mut Check, caller: &Caller, (): ()) -> RegisterAgent {
        check.required("agent_instance", &self.agent_instance);
        RegisterAgent(Registration {
            connection_uuid: check
                .optional_uuid("connection_uuid", &self.connection_uuid)
                .or(caller.who.own_connection()),
            owner_uuid: caller.who.credential(),
            instance: check.name("agent_instance", &self.agent_instance, NAME_MAX),
            version: check.name("version", &self.version, NAME_MAX),
            host: check.name("host", &self.host, NAME_MAX),
            engines: check.tags("engines", self.engines),
            slots: check.slots("slots", self.slots),
            labels: check.tags("labels", self.labels),
        })
    }
}

pub(in crate::rpc) fn agent_filter(
    check: &mut Check,
    scope: ConnectionScope,
    request: &v1::ListAgentsRequest,
) -> AgentFilter {
    let asked = check.optional_uuid("connection_uuid", &request.connection_uuid);
    AgentFilter {
        connections: scope.and(asked.into()),
        alive_only: request.alive_only,
        seen_since: timestamp(check, "seen_since", request.seen_since),
    }
}
