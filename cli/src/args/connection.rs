//! The words of `tidegate connection`.

use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value};
use tidegate_client::{
    ApprovalMode, ConflictStrategy, ConnectionDirection, ConnectionStatus, TableCase,
};

use super::{ConfirmArgs, ConnectionArg, LimitArgs, RequestArgs, RotationArgs, value};

/// What can be done with connections.
#[derive(Debug, Subcommand)]
pub(crate) enum ConnectionCommand {
    /// Creates a connection; it is active at once unless it is to be pending.
    Create(Box<CreateConnectionArgs>),
    /// Shows one connection with its policy and what was used of its limits.
    Get {
        #[command(flatten)]
        connection: ConnectionArg,
    },
    /// Changes what is given of a connection, and nothing else.
    Update(Box<UpdateConnectionArgs>),
    #[command(flatten)]
    Step(ConnectionStep),
    /// Gives the connection's own agent a new token and shows it, this once; makes the agent where there is none.
    RotateToken {
        #[command(flatten)]
        connection: ConnectionArg,
        #[command(flatten)]
        rotation: RotationArgs,
    },
    /// Deletes a connection that is pending, revoked or expired; its transfers and events stay.
    Delete {
        #[command(flatten)]
        connection: ConnectionArg,
        #[command(flatten)]
        confirm: ConfirmArgs,
        #[command(flatten)]
        request: RequestArgs,
    },
    /// Lists connections, newest first.
    List {
        /// Only this direction.
        #[arg(long, value_parser = value::connection_direction())]
        direction: Option<ConnectionDirection>,
        /// Only these statuses, e.g. active; may be repeated or separated by commas.
        #[arg(long, value_name = "STATUS", value_delimiter = ',', value_parser = value::connection_status())]
        status: Vec<ConnectionStatus>,
        #[command(flatten)]
        limit: LimitArgs,
    },
}

/// The steps of a connection's life.
#[derive(Debug, Subcommand)]
pub(crate) enum ConnectionStep {
    /// Puts a pending connection into use.
    Approve {
        #[command(flatten)]
        connection: ConnectionArg,
        #[command(flatten)]
        request: RequestArgs,
    },
    /// Pauses an active connection: nothing of it is created or started; what is in progress may end.
    Suspend {
        #[command(flatten)]
        connection: ConnectionArg,
        /// Why.
        #[arg(long)]
        reason: Option<String>,
        #[command(flatten)]
        request: RequestArgs,
    },
    /// Puts a suspended or expired connection into use again.
    Reactivate {
        #[command(flatten)]
        connection: ConnectionArg,
        #[command(flatten)]
        request: RequestArgs,
    },
    /// Ends a connection for good, with the credentials of its agents.
    Revoke {
        #[command(flatten)]
        connection: ConnectionArg,
        /// Why.
        #[arg(long)]
        reason: Option<String>,
        #[command(flatten)]
        confirm: ConfirmArgs,
        #[command(flatten)]
        request: RequestArgs,
    },
}

/// What to create.
#[derive(Clone, Debug, Args)]
pub(crate) struct CreateConnectionArgs {
    /// What people call it.
    #[arg(long)]
    pub(crate) name: String,
    /// The part that the local site plays.
    #[arg(long, value_parser = value::connection_direction())]
    pub(crate) direction: ConnectionDirection,
    /// Address of the other site.
    #[arg(long, value_name = "URL")]
    pub(crate) site_url: String,
    /// Nothing runs before `connection approve`.
    #[arg(long)]
    pub(crate) pending: bool,
    /// Creates it although another connection leads to the same site in the same direction.
    #[arg(long)]
    pub(crate) allow_duplicate: bool,
    /// Notes to keep with it, as a JSON object.
    #[arg(long, value_name = "JSON", value_parser = value::object)]
    pub(crate) metadata: Option<Map<String, Value>>,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    #[command(flatten)]
    pub(crate) request: RequestArgs,
}

/// What to change.
#[derive(Clone, Debug, Args)]
pub(crate) struct UpdateConnectionArgs {
    #[command(flatten)]
    pub(crate) connection: ConnectionArg,
    /// What people call it.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Address of the other site.
    #[arg(long, value_name = "URL")]
    pub(crate) site_url: Option<String>,
    /// Notes to keep with it, as a JSON object.
    #[arg(long, value_name = "JSON", value_parser = value::object)]
    pub(crate) metadata: Option<Map<String, Value>>,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    /// Clears these fields; may be repeated or separated by commas.
    #[arg(long, value_name = "FIELD", value_delimiter = ',', value_enum)]
    pub(crate) clear: Vec<Clearable>,
    /// Changes the address although another connection leads there in the same direction.
    #[arg(long)]
    pub(crate) allow_duplicate: bool,
    /// The revision that the change is meant for; with another one it is refused.
    #[arg(long, value_name = "N")]
    pub(crate) revision: Option<i64>,
    #[command(flatten)]
    pub(crate) request: RequestArgs,
}

/// What a connection's transfers may do.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Policy")]
pub(crate) struct PolicyArgs {
    /// Which transfers start only after an approval.
    #[arg(long, value_parser = value::approval_mode())]
    pub(crate) approval_mode: Option<ApprovalMode>,
    /// A table that may be moved, as a name or a pattern such as public.*; may be repeated. Without any, all may.
    #[arg(long, value_name = "TABLE")]
    pub(crate) allow_table: Vec<String>,
    /// A table that may not be moved, as a name or a pattern such as *.secrets, in any schema; may be repeated.
    #[arg(long, value_name = "TABLE")]
    pub(crate) exclude_table: Vec<String>,
    /// A table that needs no approval where the mode is per-table; may be repeated.
    #[arg(long, value_name = "TABLE")]
    pub(crate) auto_approve_table: Vec<String>,
    /// Whether case matters to these tables; without it, exclusions hold in any case, and what is allowed in the same.
    #[arg(long, value_parser = value::table_case())]
    pub(crate) table_case: Option<TableCase>,
    /// When the connection ends by itself, e.g. 2026-12-31 or 2026-12-31T22:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = value::time, conflicts_with = "expires_in")]
    pub(crate) expires_at: Option<DateTime<Utc>>,
    /// How long from now the connection lasts, e.g. 30d; what is to be repeated with --request-id needs --expires-at.
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    pub(crate) expires_in: Option<Duration>,
    /// How many transfers may be started.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    pub(crate) max_transfers: Option<i64>,
    /// How many transfers may run at once.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) max_running: Option<i32>,
    /// How many transfers one agent may run at once.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) max_running_per_agent: Option<i32>,
    /// How many records all transfers together may move.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    pub(crate) max_records_total: Option<i64>,
    /// How many records one transfer may ask for and move.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    pub(crate) max_records_per_request: Option<i64>,
    /// How many calls the connection's agents may make in a minute.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=1_000_000))]
    pub(crate) rate_limit: Option<i32>,
    /// An address or CIDR block that may create and start transfers; may be repeated. Without any, all may.
    #[arg(long, value_name = "CIDR")]
    pub(crate) ip_allow: Vec<String>,
    /// When transfers may be created and started, in UTC, e.g. 22:00-06:00.
    #[arg(long, value_name = "HH:MM-HH:MM")]
    pub(crate) hours: Option<String>,
    /// The conflict strategy of transfers that are declared without one.
    #[arg(long, value_parser = value::conflict_strategy())]
    pub(crate) conflict_strategy: Option<ConflictStrategy>,
    /// The heartbeat timeout of transfers that are started without one, e.g. 30s; 0s for none.
    #[arg(long, value_name = "DURATION", value_parser = value::duration_or_zero)]
    pub(crate) heartbeat_timeout: Option<Duration>,
    /// How often a transfer that names no number may be started before a lost heartbeat fails it, 1 to 100.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) max_attempts: Option<i32>,
    /// How long a run that is asked to stop has to confirm it, e.g. 30s; 0s for not at all.
    #[arg(long, value_name = "DURATION", value_parser = value::duration_or_zero)]
    pub(crate) stop_grace: Option<Duration>,
    /// How long a transfer may wait for its first start once it may be started, e.g. 12h.
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    pub(crate) start_within: Option<Duration>,
    /// How long a transfer may take from its first start on, e.g. 6h.
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    pub(crate) finish_within: Option<Duration>,
    /// How often the server tries a transfer again that failed and may pass, 0 to 100.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    pub(crate) max_retries: Option<i32>,
    /// How long the server waits before the first retry, twice as long before each further one, e.g. 5m.
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    pub(crate) retry_backoff: Option<Duration>,
    /// Whether a transfer that says how many records it asks for may transfer no more.
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) limit_to_requested: Option<bool>,
    /// Whether whoever initiated a transfer may approve it, too; by default somebody else must.
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) self_approval: Option<bool>,
}

/// A field that can be empty, by the flag that fills it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Clearable {
    Metadata,
    AllowTable,
    ExcludeTable,
    AutoApproveTable,
    TableCase,
    ExpiresAt,
    MaxTransfers,
    MaxRunning,
    MaxRunningPerAgent,
    MaxRecordsTotal,
    MaxRecordsPerRequest,
    RateLimit,
    IpAllow,
    Hours,
    ConflictStrategy,
    HeartbeatTimeout,
    MaxAttempts,
    StopGrace,
    StartWithin,
    FinishWithin,
    MaxRetries,
    RetryBackoff,
}
