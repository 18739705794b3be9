//! Who runs transfers.

use std::future::IntoFuture;

use chrono::{DateTime, Utc};
use futures_util::{Stream, future::BoxFuture};
use tidegate_proto::v1;
use uuid::Uuid;

use super::{Call, Page, paged, pages, request};
use crate::{Agent, Agents, Client, Error, Registered, convert, transport::Stubs};

request! {
    /// Says who an agent is, and that it is there; made by [`Agents::register`].
    change RegisterAgent(RegisterAgentRequest) by transfers.register_agent,
    RegisterAgentResponse => Registered { convert::registered }
}

request! {
    /// Asks for one agent; made by [`Agents::get`].
    read GetAgent(GetAgentRequest) by transfers.get_agent,
    GetAgentResponse => Agent { |answer| convert::agent(answer.agent) }
}

request! {
    /// Lists agents; made by [`Agents::list`].
    read ListAgents(ListAgentsRequest) by transfers.list_agents,
    ListAgentsResponse => Page<Agent> {
        |answer| convert::page(answer.agents, answer.next_page_token, convert::present_agent)
    }
}

pages!(ListAgents of Agent {});

impl Agents {
    /// Says that the agent of this name is there, and all that is known of it: what an earlier call said and this one does
    /// not is forgotten. To be called again at every [`beat_interval`](Registered::beat_interval).
    ///
    /// The name is the one that transfers are claimed and started under.
    pub fn register(&self, agent_instance: impl Into<String>) -> RegisterAgent {
        RegisterAgent {
            client: self.client.clone(),
            message: v1::RegisterAgentRequest {
                agent_instance: agent_instance.into(),
                ..v1::RegisterAgentRequest::default()
            },
        }
    }

    /// Asks for one agent, with what it runs.
    pub fn get(&self, uuid: Uuid) -> GetAgent {
        GetAgent {
            client: self.client.clone(),
            message: v1::GetAgentRequest {
                uuid: uuid.to_string(),
            },
        }
    }

    /// Lists agents, those that came last first.
    pub fn list(&self) -> ListAgents {
        ListAgents {
            client: self.client.clone(),
            message: v1::ListAgentsRequest::default(),
        }
    }
}

impl RegisterAgent {
    /// The connection whose transfers it runs. By default an agent's own, and for others none.
    pub fn connection_uuid(mut self, uuid: Uuid) -> Self {
        self.message.connection_uuid = uuid.to_string();
        self
    }

    /// Its version.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.message.version = version.into();
        self
    }

    /// The machine that it runs on.
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.message.host = host.into();
        self
    }

    /// Something that it can copy between, with its version; at most 16 of them.
    pub fn engine(mut self, name: impl Into<String>, version: impl Into<String>) -> Self {
        self.message.engines.insert(name.into(), version.into());
        self
    }

    /// The most transfers that it runs at once, up to 1,000.
    pub fn slots(mut self, transfers: u32) -> Self {
        self.message.slots = convert::count(transfers);
        self
    }

    /// Something else that operators want to know; at most 16 of them.
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.message.labels.insert(name.into(), value.into());
        self
    }
}

impl ListAgents {
    /// Only those of this connection.
    pub fn connection(mut self, uuid: Uuid) -> Self {
        self.message.connection_uuid = uuid.to_string();
        self
    }

    /// Only those that are alive.
    pub fn alive_only(mut self, alive_only: bool) -> Self {
        self.message.alive_only = alive_only;
        self
    }

    /// Only those that were seen at this time or later.
    pub fn seen_since(mut self, time: DateTime<Utc>) -> Self {
        self.message.seen_since = Some(convert::to_timestamp(time));
        self
    }
}
