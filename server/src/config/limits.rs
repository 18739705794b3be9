//! What is bounded by settings that may change while the server runs.

use std::time::Duration;

use clap::Args;

use super::value::{age, answer_timeout, drain_delay, rate, some};

/// How much is let in at once, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Args)]
pub struct Limits {
    /// Connections that are served at once; more wait.
    #[arg(long, env = "TIDEGATE_MAX_CONNECTIONS", default_value_t = 4_096, value_parser = some)]
    pub max_connections: usize,
    /// Connections from one address; more are closed at once.
    #[arg(
        long,
        env = "TIDEGATE_MAX_CONNECTIONS_PER_ADDRESS",
        default_value_t = 64,
        value_parser = some
    )]
    pub max_connections_per_address: usize,
    /// Age at which a connection is asked to end so that load spreads over replicas; drawn for each within a tenth.
    #[arg(long, env = "TIDEGATE_MAX_CONNECTION_AGE", default_value = "30m", value_parser = age)]
    pub max_connection_age: Duration,
    /// How long an answer may wait for the caller to take more of it, and a vanished peer stay unnoticed.
    #[arg(long, env = "TIDEGATE_ANSWER_TIMEOUT", default_value = "30s", value_parser = answer_timeout)]
    pub answer_timeout: Duration,
    /// Watches and progress streams that are open at once; more are refused.
    #[arg(long, env = "TIDEGATE_MAX_STREAMS", default_value_t = 10_000, value_parser = some)]
    pub max_streams: usize,
    /// Calls that one credential may make in a minute, on each replica; 0 is any number. Only with authentication.
    #[arg(long, env = "TIDEGATE_REQUESTS_PER_MINUTE", default_value_t = 6_000, value_parser = rate)]
    pub requests_per_minute: u32,
    /// Time between telling health checks that the server goes and ending its streams.
    #[arg(long, env = "TIDEGATE_DRAIN_DELAY", default_value = "1s", value_parser = drain_delay)]
    pub drain_delay: Duration,
}
