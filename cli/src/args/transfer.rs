//! The words of `tidegate transfer`.

use std::{net::IpAddr, time::Duration};

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use serde_json::{Map, Value};
use tidegate_client::{
    ConflictStrategy, Direction, FailureCode, Phase, Progress, Run, SortOrder, TransferStatus,
};
use uuid::Uuid;

use super::{
    ConfirmArgs, FilterArgs, LimitArgs, MeantArgs, ReceiptArgs, RequestArgs, TransferArg,
    TransferArgs, Which, value, which,
};

/// What can be done with transfers.
#[derive(Debug, Subcommand)]
pub(crate) enum TransferCommand {
    /// Lists transfers, newest first.
    List(ListArgs),
    /// Prints all transfers that a filter means, oldest first, an object a line.
    Export(ExportArgs),
    /// Shows transfers.
    Get {
        #[command(flatten)]
        transfers: TransferArgs,
        /// Shows its connection too.
        #[arg(long)]
        with_connection: bool,
    },
    /// Declares a transfer.
    Create(Box<CreateArgs>),
    /// Starts what there is to start: the highest priority first, then the oldest.
    Claim(ClaimArgs),
    #[command(flatten)]
    Step(StepCommand),
    #[command(flatten)]
    Decision(DecisionCommand),
    #[command(flatten)]
    Bulk(BulkCommand),
    /// Says why transfers stand where they do: what keeps them from being started, who may decide, what comes by itself.
    Explain {
        #[command(flatten)]
        transfers: TransferArgs,
        /// The address that they would be started from [default: this machine's].
        #[arg(long, value_name = "IP")]
        agent_ip: Option<IpAddr>,
    },
    /// Lists the attempts at a transfer: who ran it, how far they came, and how it ended.
    Attempts {
        #[command(flatten)]
        transfer: TransferArg,
        /// Only attempts before this lease; at most 100 are listed.
        #[arg(long, value_name = "LEASE", value_parser = clap::value_parser!(i64).range(1..))]
        before: Option<i64>,
    },
    /// Counts transfers.
    Count(FilterArgs),
    /// Follows transfers to their ends, or all of them until interrupted.
    Watch(WatchArgs),
    /// Waits until a transfer has one of these statuses, or cannot come to one any more.
    Wait(WaitArgs),
}

/// What is decided about any number of transfers.
#[derive(Debug, Subcommand)]
pub(crate) enum DecisionCommand {
    /// Approves transfers.
    Approve {
        #[command(flatten)]
        transfers: MeantArgs,
        /// Who approves [default: whoever the token belongs to]; needed where the server requires no token.
        #[arg(long, value_name = "UUID")]
        admin: Option<Uuid>,
        /// Remark for the log.
        #[arg(long)]
        comment: Option<String>,
        /// The revision that was looked at; with another one it is refused.
        #[arg(long, value_name = "N")]
        revision: Option<i64>,
        #[command(flatten)]
        confirm: ConfirmArgs,
        #[command(flatten)]
        request: RequestArgs,
    },
    /// Denies transfers.
    Deny {
        #[command(flatten)]
        transfers: MeantArgs,
        /// Who denies [default: whoever the token belongs to]; needed where the server requires no token.
        #[arg(long, value_name = "UUID")]
        admin: Option<Uuid>,
        /// Why.
        #[arg(long)]
        reason: Option<String>,
        /// The revision that was looked at; with another one it is refused.
        #[arg(long, value_name = "N")]
        revision: Option<i64>,
        #[command(flatten)]
        confirm: ConfirmArgs,
        #[command(flatten)]
        request: RequestArgs,
    },
}

/// What is done to any number of transfers.
#[derive(Debug, Subcommand)]
pub(crate) enum BulkCommand {
    /// Calls transfers off; those that run as soon as their agents have stopped.
    Cancel {
        #[command(flatten)]
        transfers: MeantArgs,
        #[command(flatten)]
        stop: StopArgs,
        #[command(flatten)]
        confirm: ConfirmArgs,
        #[command(flatten)]
        request: RequestArgs,
    },
    /// Lets transfers wait until they are resumed; those that run as soon as their agents have stopped.
    Pause {
        #[command(flatten)]
        transfers: MeantArgs,
        #[command(flatten)]
        stop: StopArgs,
        #[command(flatten)]
        confirm: ConfirmArgs,
        #[command(flatten)]
        request: RequestArgs,
    },
    /// Lets paused transfers be started again.
    Resume {
        #[command(flatten)]
        transfers: MeantArgs,
        #[command(flatten)]
        confirm: ConfirmArgs,
        #[command(flatten)]
        request: RequestArgs,
    },
    /// Declares another try of transfers that have ended, from their checkpoints.
    Retry {
        #[command(flatten)]
        transfers: MeantArgs,
        #[command(flatten)]
        confirm: ConfirmArgs,
        #[command(flatten)]
        request: RequestArgs,
    },
    /// Deletes transfers that have ended; their events stay.
    Delete {
        #[command(flatten)]
        transfers: MeantArgs,
        #[command(flatten)]
        confirm: ConfirmArgs,
        #[command(flatten)]
        request: RequestArgs,
    },
}

/// The steps of one transfer.
#[derive(Debug, Subcommand)]
pub(crate) enum StepCommand {
    /// Asks for a decision about a transfer.
    RequestApproval {
        #[command(flatten)]
        transfer: TransferArg,
        /// Time left to decide [default: 24h].
        #[arg(long, value_name = "DURATION", value_parser = value::duration)]
        expires_in: Option<Duration>,
        #[command(flatten)]
        request: RequestArgs,
    },
    /// Starts a transfer.
    Start {
        #[command(flatten)]
        transfer: TransferArg,
        /// Takes it away when nothing was heard of it for so long, e.g. 30s [default: as the connection's policy says, or
        /// else the server].
        #[arg(long, value_name = "DURATION", value_parser = value::duration)]
        heartbeat_timeout: Option<Duration>,
        /// What the agent calls itself, to tell agents of one credential apart.
        #[arg(long, value_name = "NAME")]
        agent_instance: Option<String>,
        #[command(flatten)]
        request: RequestArgs,
    },
    /// Says how far a transfer is, and that its agent is alive.
    Progress {
        #[command(flatten)]
        transfer: TransferArg,
        #[command(flatten)]
        totals: TotalsArgs,
        /// Where the agent would resume, as text; what was given before stays unless set.
        #[arg(long, value_name = "TEXT")]
        checkpoint: Option<String>,
        #[command(flatten)]
        lease: LeaseArgs,
        #[command(flatten)]
        request: RequestArgs,
    },
    /// Completes a transfer.
    Complete {
        #[command(flatten)]
        transfer: TransferArg,
        #[command(flatten)]
        totals: TotalsArgs,
        #[command(flatten)]
        lease: LeaseArgs,
        #[command(flatten)]
        request: RequestArgs,
    },
    /// Says that a transfer was stopped, as its agent was asked to.
    AcknowledgeStop {
        #[command(flatten)]
        transfer: TransferArg,
        #[command(flatten)]
        totals: TotalsArgs,
        /// Where the next agent would resume, as text; what was given before stays unless set.
        #[arg(long, value_name = "TEXT")]
        checkpoint: Option<String>,
        #[command(flatten)]
        lease: LeaseArgs,
        #[command(flatten)]
        request: RequestArgs,
    },
    /// States what one side of a movement counted and saw, and what it heard from the other.
    SubmitReceipt(Box<ReceiptArgs>),
    /// Gives a transfer up.
    Fail {
        #[command(flatten)]
        transfer: TransferArg,
        /// What went wrong.
        #[arg(long, value_name = "TEXT")]
        error_message: String,
        /// Where the cause lies.
        #[arg(long, value_parser = value::failure_code())]
        code: Option<FailureCode>,
        /// The same transfer may well succeed if it is tried again.
        #[arg(long)]
        retryable: bool,
        #[command(flatten)]
        totals: TotalsArgs,
        #[command(flatten)]
        lease: LeaseArgs,
        #[command(flatten)]
        request: RequestArgs,
    },
}

/// What to list.
#[derive(Clone, Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) limit: LimitArgs,
    /// By time of creation.
    #[arg(long, default_value = "desc", value_parser = value::order())]
    pub(crate) order: SortOrder,
    /// Passes so many over first.
    #[arg(long, value_name = "N")]
    pub(crate) skip: Option<u32>,
}

/// What to export.
#[derive(Clone, Debug, Args)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// Goes on where an export of the same filter was cut off, as it said.
    #[arg(long, value_name = "PLACE")]
    pub(crate) after: Option<String>,
}

/// What to declare.
#[derive(Clone, Debug, Args)]
pub(crate) struct CreateArgs {
    /// Which way the rows flow, seen from the agent's site.
    #[arg(long, value_parser = value::direction())]
    pub(crate) direction: Direction,
    /// The table that is moved.
    #[arg(long, value_name = "NAME")]
    pub(crate) table: String,
    /// The connection that it belongs to, by name or id.
    #[arg(long, value_name = "CONNECTION", value_parser = which::id_or_name)]
    pub(crate) connection: Option<Which>,
    /// Short code of the session that asks for it.
    #[arg(long, value_name = "CODE")]
    pub(crate) session_code: Option<String>,
    /// Address of the other site.
    #[arg(long, value_name = "URL")]
    pub(crate) remote_site_url: Option<String>,
    /// Rows expected.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    pub(crate) records_requested: Option<i64>,
    /// What happens to rows that the target has already.
    #[arg(long, value_parser = value::conflict_strategy())]
    pub(crate) conflict_strategy: Option<ConflictStrategy>,
    /// It may start only after an approval.
    #[arg(long)]
    pub(crate) requires_approval: bool,
    /// The person or agent on whose behalf it is declared.
    #[arg(long, value_name = "UUID")]
    pub(crate) initiated_by: Option<Uuid>,
    /// Notes to keep with it, as a JSON object.
    #[arg(long, value_name = "JSON", value_parser = value::object)]
    pub(crate) metadata: Option<Map<String, Value>>,
    /// The movement that it is one side of, as both sides agree upon [default: its own id, or that of what it tries again].
    #[arg(long, value_name = "UUID")]
    pub(crate) correlation: Option<Uuid>,
    /// What to group it by.
    #[arg(long, value_name = "UUID")]
    pub(crate) plan: Option<Uuid>,
    /// The transfer that this one tries again.
    #[arg(long, value_name = "ID", value_parser = which::id)]
    pub(crate) retry_of: Option<Which>,
    /// Which of several is claimed first, -100 to 100: the one with the highest [default: 0].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) priority: Option<i32>,
    /// How often it may be started in all before a lost heartbeat fails it, 1 to 100 [default: as the connection's policy
    /// says, or else once].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_attempts: Option<u32>,
    #[command(flatten)]
    pub(crate) times: TimeArgs,
    #[command(flatten)]
    pub(crate) request: RequestArgs,
}

/// What to start.
#[derive(Clone, Debug, Args)]
pub(crate) struct ClaimArgs {
    /// Only transfers of this connection, by name or id [default: the agent's own, or those that belong to none].
    #[arg(long, value_name = "CONNECTION", value_parser = which::id_or_name)]
    pub(crate) connection: Option<Which>,
    /// Only this direction.
    #[arg(long, value_parser = value::direction())]
    pub(crate) direction: Option<Direction>,
    /// Only this table, by exact name; may be repeated.
    #[arg(long, value_name = "NAME")]
    pub(crate) table: Vec<String>,
    /// The most to start, up to 100 [default: 1].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max: Option<u32>,
    /// How long to wait while there is nothing, up to 60s [default: not at all].
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    pub(crate) wait: Option<Duration>,
    /// Takes each away when nothing was heard of it for so long, e.g. 30s [default: as the connection's policy says, or
    /// else the server].
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    pub(crate) heartbeat_timeout: Option<Duration>,
    /// What the agent calls itself, to tell agents of one credential apart.
    #[arg(long, value_name = "NAME")]
    pub(crate) agent_instance: Option<String>,
    #[command(flatten)]
    pub(crate) request: RequestArgs,
}

/// When to start, and when to be done.
#[derive(Clone, Copy, Debug, Args)]
#[command(
    next_help_heading = "Limits of time, as 2h from now or as a time (--request-id needs a time)"
)]
pub(crate) struct TimeArgs {
    /// It may not be started before.
    #[arg(long, value_name = "TIME", value_parser = value::future)]
    pub(crate) not_before: Option<DateTime<Utc>>,
    /// It expires unless it was started by then; the connection's policy can set an earlier time.
    #[arg(long, value_name = "TIME", value_parser = value::future)]
    pub(crate) start_by: Option<DateTime<Utc>>,
    /// Its agent is asked to stop unless it is done by then; the connection's policy can set an earlier time.
    #[arg(long, value_name = "TIME", value_parser = value::future)]
    pub(crate) finish_by: Option<DateTime<Utc>>,
}

/// How to stop.
#[derive(Clone, Debug, Args)]
pub(crate) struct StopArgs {
    /// Why.
    #[arg(long)]
    pub(crate) reason: Option<String>,
    /// How long the agent of a running transfer has to confirm [default: as the connection's policy says, or else the
    /// server].
    #[arg(long, value_name = "DURATION", value_parser = value::duration, conflicts_with = "force")]
    grace: Option<Duration>,
    /// Stops at once, whatever the agent does.
    #[arg(long)]
    force: bool,
}

impl StopArgs {
    /// How long the agent has to confirm.
    pub(crate) fn grace(&self) -> Option<Duration> {
        self.grace.or(self.force.then_some(Duration::ZERO))
    }
}

/// For whom it is said.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct LeaseArgs {
    /// The lease under which the transfer runs, as its start told it; needed after the first start, and for an agent with a
    /// name.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    lease: Option<i64>,
}

impl LeaseArgs {
    /// The run that is meant.
    pub(crate) fn of(self, uuid: Uuid) -> Run {
        match self.lease {
            Some(lease_epoch) => Run::of(uuid, lease_epoch),
            None => Run::from(uuid),
        }
    }
}

/// Absolute totals since the transfer was started. What is not given stays as it was reported last.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Totals since the start")]
pub(crate) struct TotalsArgs {
    /// Records read from the source.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    records: Option<i64>,
    /// Records that the target did not have.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    created: Option<i64>,
    /// Records that replaced or changed one in the target.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    updated: Option<i64>,
    /// Records left out because the target had them.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    skipped: Option<i64>,
    /// Records that the target refused.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    failed: Option<i64>,
    /// Bytes moved.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    bytes: Option<i64>,
    /// The part that the run is in now.
    #[arg(long, value_parser = value::phase())]
    phase: Option<Phase>,
}

impl From<TotalsArgs> for Progress {
    fn from(totals: TotalsArgs) -> Self {
        Self {
            records_transferred: totals.records,
            records_created: totals.created,
            records_updated: totals.updated,
            records_skipped: totals.skipped,
            records_failed: totals.failed,
            bytes_transferred: totals.bytes,
            phase: totals.phase,
        }
    }
}

/// What to wait for.
#[derive(Clone, Debug, Args)]
pub(crate) struct WaitArgs {
    #[command(flatten)]
    pub(crate) transfer: TransferArg,
    /// The statuses to wait for; may be repeated or separated by commas. One that comes and goes at once may be missed: name
    /// those after it, too.
    #[arg(long = "for", value_name = "STATUS", value_delimiter = ',', default_value = "completed", value_parser = value::status)]
    pub(crate) statuses: Vec<TransferStatus>,
    /// Waits no longer than so long [default: for ever].
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    pub(crate) timeout: Option<Duration>,
}

/// What to follow.
#[derive(Clone, Debug, Args)]
pub(crate) struct WatchArgs {
    /// The transfers to follow to their ends; without one all are followed. On a terminal those under way are in a table,
    /// and what has ended is above it; elsewhere there is a line for each change.
    #[arg(value_name = "ID", value_parser = which::id, conflicts_with_all = ["all", "include_existing", "direction", "status", "connection", "table", "requires_approval", "from", "to", "correlation", "plan", "reconciliation"])]
    pub(crate) ids: Vec<Which>,
    /// Follows all transfers that the filter means, which is also what happens without an id.
    #[arg(long)]
    pub(crate) all: bool,
    /// Shows those first that exist already.
    #[arg(long)]
    pub(crate) include_existing: bool,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}
