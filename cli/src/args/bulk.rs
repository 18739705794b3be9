//! What may be said about bulk operations.

use clap::{Args, Subcommand};
use tidegate_client::{BulkResult, BulkVerb};
use uuid::Uuid;

use super::{ConfirmArgs, FilterArgs, LimitArgs, RequestArgs, transfer::StopArgs, value};

/// What can be done with bulk operations.
#[derive(Debug, Subcommand)]
pub(crate) enum OperationCommand {
    /// Has the server cancel, retry or delete all transfers that a filter means.
    ///
    /// The server goes on whether or not anybody waits, and keeps what came of each transfer. `tidegate transfer cancel`,
    /// `retry` and `delete` with a filter call for each transfer by themselves, and need no admin for what an agent may
    /// do. Without --status those are meant that can be cancelled or deleted, or that have failed.
    Start(Box<StartArgs>),
    /// Shows one operation.
    Get {
        #[command(flatten)]
        operation: OperationArg,
    },
    /// Lists operations, newest first.
    List {
        #[command(flatten)]
        limit: LimitArgs,
    },
    /// Lists what came of the transfers of an operation, in the order of their turns.
    Outcomes {
        #[command(flatten)]
        operation: OperationArg,
        /// Only this result.
        #[arg(long, value_parser = value::bulk_result())]
        result: Option<BulkResult>,
        #[command(flatten)]
        limit: LimitArgs,
    },
    /// Stops an operation. What was done stays done.
    Stop {
        #[command(flatten)]
        operation: OperationArg,
        #[command(flatten)]
        request: RequestArgs,
    },
}

/// One operation.
#[derive(Clone, Debug, Args)]
pub(crate) struct OperationArg {
    /// The id of the operation.
    #[arg(value_name = "ID")]
    pub(crate) id: Uuid,
}

/// What is to be started.
#[derive(Clone, Debug, Args)]
pub(crate) struct StartArgs {
    /// What is done to each transfer.
    #[arg(value_parser = value::bulk_verb())]
    pub(crate) verb: BulkVerb,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// Means every transfer that the verb is for.
    #[arg(
        long,
        required_unless_present = "FilterArgs",
        conflicts_with = "FilterArgs"
    )]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) stop: StopArgs,
    /// Says what would be covered, and starts nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Waits until it has ended.
    #[arg(long)]
    pub(crate) wait: bool,
    #[command(flatten)]
    pub(crate) confirm: ConfirmArgs,
    #[command(flatten)]
    pub(crate) request: RequestArgs,
}
