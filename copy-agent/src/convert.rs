//! Between the ledger's words and those of the copy, and what may be said to the ledger at all.

use std::path::Path;

use anyhow::{Result, bail};
use tidegate_client::{ConflictStrategy, Totals};

use crate::args::Strategy;
use crate::position::Counts;

/// Most characters that the ledger takes as an error message.
const LONGEST_MESSAGE: usize = 2000;

/// The words of an error as the ledger takes them: without control characters, cut to what fits.
pub(crate) fn message_of(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(LONGEST_MESSAGE)
        .collect()
}

/// The name of a file without the folders above it.
pub(crate) fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.chars().filter(|c| !c.is_control()).collect()
}

/// A strategy in the ledger's words.
pub(crate) fn to_conflict_strategy(strategy: Strategy) -> ConflictStrategy {
    match strategy {
        Strategy::Skip => ConflictStrategy::Skip,
        Strategy::Overwrite => ConflictStrategy::Overwrite,
        Strategy::Merge => ConflictStrategy::Merge,
        Strategy::Append => ConflictStrategy::Append,
    }
}

/// A strategy in this agent's words.
///
/// # Errors
/// When this agent does not know it.
pub(crate) fn from_conflict_strategy(strategy: ConflictStrategy) -> Result<Strategy> {
    Ok(match strategy {
        ConflictStrategy::Skip => Strategy::Skip,
        ConflictStrategy::Overwrite => Strategy::Overwrite,
        ConflictStrategy::Merge => Strategy::Merge,
        ConflictStrategy::Append => Strategy::Append,
        other => bail!("this agent does not know the conflict strategy {other}"),
    })
}

/// Totals in the ledger's words.
pub(crate) fn totals_of(counts: Counts) -> Totals {
    Totals {
        records_transferred: counts.transferred,
        records_created: counts.created,
        records_updated: counts.updated,
        records_skipped: counts.skipped,
        records_failed: counts.failed,
        bytes_transferred: counts.bytes,
    }
}

/// Totals in this agent's words.
pub(crate) fn counts_of(totals: Totals) -> Counts {
    Counts {
        transferred: totals.records_transferred,
        created: totals.records_created,
        updated: totals.records_updated,
        skipped: totals.records_skipped,
        failed: totals.records_failed,
        bytes: totals.bytes_transferred,
    }
}
