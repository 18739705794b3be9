//! The command line of the agent: what may be said, and what goes together. Opens nothing.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use uuid::Uuid;

/// Copies one table of a SQLite file into another SQLite file, as a transfer that Tidegate keeps the account of.
///
/// The first line on stdout is `transfer UUID`, the last one a summary. A copy that was killed goes on where it was
/// when it is called again with `--transfer UUID` and the same files.
///
/// With `--claim NAME` it runs, one after the other, what others declare for it, until it is interrupted: then it ends
/// the copy that it is at. Its lines begin with `transfer UUID` for each.
///
/// Exit codes: 0 completed, 1 error, 2 wrong usage, 10 failed, 11 denied, 12 expired, 13 cancelled, 130 interrupted.
#[derive(Debug, Parser)]
#[command(name = "tidegate-copy", verbatim_doc_comment)]
pub(crate) struct Args {
    /// SQLite file to read from; it is never written.
    #[arg(long, value_name = "FILE")]
    pub(crate) from: PathBuf,
    /// SQLite file to write to; it is created when missing, and so is the table.
    #[arg(long, value_name = "FILE")]
    pub(crate) to: PathBuf,
    /// Table to copy; with --transfer the transfer says it.
    #[arg(long, value_name = "NAME", required_unless_present_any = ["transfer", "claim"])]
    pub(crate) table: Option<String>,
    /// Columns that identify a row [default: the primary key of the source].
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    pub(crate) key: Vec<String>,
    /// What happens to a row whose key the target has already [default: skip, or what the transfer says].
    #[arg(long, value_enum)]
    pub(crate) strategy: Option<Strategy>,
    /// Rows per transaction of the target.
    #[arg(long, value_name = "ROWS", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) batch_size: u32,
    /// Asks for an approval and waits for it before anything is copied.
    #[arg(long)]
    pub(crate) require_approval: bool,
    /// Runs a transfer that was declared already, or goes on with one that was begun.
    #[arg(long, value_name = "UUID")]
    pub(crate) transfer: Option<Uuid>,
    /// Claims transfers to this site instead of declaring one, those of --table if that is given, as the agent of this
    /// name; it should be the same whenever the agent starts.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["transfer", "require_approval", "initiated_by"])]
    pub(crate) claim: Option<String>,
    /// Address of the Tidegate server.
    #[arg(long, value_name = "URL", env = "TIDEGATE_ADDRESS", default_value = tidegate_client::DEFAULT_ADDRESS)]
    pub(crate) address: String,
    /// Rests so long after each batch, so that the copy can be watched.
    #[arg(long, value_name = "DURATION", default_value = "0ms", value_parser = humantime::parse_duration)]
    pub(crate) pause_per_batch: Duration,
    /// The person or agent on whose behalf the transfer is declared.
    #[arg(long, value_name = "UUID")]
    pub(crate) initiated_by: Option<Uuid>,
}

/// What happens to a row whose key the target has already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Strategy {
    /// It stays as it is.
    Skip,
    /// The new row replaces it.
    Overwrite,
    /// The new values replace its own, except where the new one is null.
    Merge,
    /// It stays as it is, and the new row is inserted under a new key.
    Append,
}
