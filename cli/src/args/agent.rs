//! What may be said about agents.

use chrono::{DateTime, Utc};
use clap::Subcommand;

use super::{AgentArg, LimitArgs, Which, value, which};

/// What can be done with agents.
#[derive(Debug, Subcommand)]
pub(crate) enum AgentCommand {
    /// Lists agents, those that came last first.
    List {
        /// Only those of this connection, by name or id.
        #[arg(long, value_name = "CONNECTION", value_parser = which::id_or_name)]
        connection: Option<Which>,
        /// Only those that are alive.
        #[arg(long)]
        alive_only: bool,
        /// Only those that were seen at this time or later, e.g. 2h ago as 2h, yesterday, or 2026-01-31T08:00:00Z.
        #[arg(long, value_name = "TIME", value_parser = value::past)]
        seen_since: Option<DateTime<Utc>>,
        #[command(flatten)]
        limit: LimitArgs,
    },
    /// Shows one agent, with what it runs.
    Get {
        #[command(flatten)]
        agent: AgentArg,
    },
    /// Says that an agent is there, for agents that are scripts: to be called again within 90s.
    ///
    /// What an earlier call said and this one does not is forgotten.
    Register {
        /// What the agent calls itself, as in `transfer claim`.
        #[arg(long, value_name = "NAME")]
        agent_instance: String,
        /// The connection whose transfers it runs, by name or id [default: an agent's own, and for others none].
        #[arg(long, value_name = "CONNECTION", value_parser = which::id_or_name)]
        connection: Option<Which>,
        /// Its version.
        #[arg(long, value_name = "VERSION")]
        version: Option<String>,
        /// The machine that it runs on.
        #[arg(long, value_name = "NAME")]
        host: Option<String>,
        /// Something that it can copy between, with its version; may be given again.
        #[arg(long, value_name = "NAME=VERSION", value_parser = value::tag)]
        engine: Vec<(String, String)>,
        /// The most transfers that it runs at once.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
        slots: Option<u32>,
        /// Something else that operators want to know; may be given again.
        #[arg(long, value_name = "NAME=VALUE", value_parser = value::tag)]
        label: Vec<(String, String)>,
    },
}
