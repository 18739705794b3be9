//! `tidegate agent`: who runs transfers.

use tidegate_client::Client;

use super::{With, resolve};
use crate::args::AgentCommand;
use crate::failure::Failure;
use crate::output::Output;
use crate::view::agent::{COLUMNS, details};

/// Runs one of the commands.
pub(super) async fn run(
    client: &Client,
    command: AgentCommand,
    out: &mut Output,
) -> Result<(), Failure> {
    let agent = match command {
        AgentCommand::List {
            connection,
            alive_only,
            seen_since,
            limit,
        } => {
            let connection = resolve::any_connection(client, connection).await?;
            let request = client
                .agents()
                .list()
                .page_size(limit.page_size())
                .alive_only(alive_only)
                .with(connection, |request, uuid| request.connection(uuid))
                .with(seen_since, |request, time| request.seen_since(time));
            return out
                .list(request.items(), limit.count(), COLUMNS, "no agents")
                .await;
        }
        AgentCommand::Get { agent } => {
            let uuid = resolve::agent(client, agent.agent).await?;
            client.agents().get(uuid).await?
        }
        AgentCommand::Register {
            agent_instance,
            connection,
            version,
            host,
            engine,
            slots,
            label,
        } => {
            let connection = resolve::any_connection(client, connection).await?;
            let mut register = client
                .agents()
                .register(agent_instance)
                .with(connection, |register, uuid| register.connection_uuid(uuid))
                .with(version, |register, version| register.version(version))
                .with(host, |register, host| register.host(host))
                .with(slots, |register, slots| register.slots(slots));
            for (name, version) in engine {
                register = register.engine(name, version);
            }
            for (name, value) in label {
                register = register.label(name, value);
            }
            register.await?.agent
        }
    };
    out.details(&agent, |look| details(&agent, look))
}
