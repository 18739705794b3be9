//! Deliberate faults, to see that the torture runs notice each. Compiled under the feature `planted-bugs` alone, for a
//! binary of its own; whoever uses this module must be compiled away with it.

use std::{sync::LazyLock, time::Duration};

use clap::ValueEnum;

/// Names the fault of this process.
pub const VARIABLE: &str = "TIDEGATE_PLANTED_BUG";

/// Time between a promise and its keeping, where a fault turns them round.
pub(crate) const DELAY: Duration = Duration::from_millis(40);

/// What is wrong with the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Bug {
    /// Cancelling does not look at the status.
    TableIgnored,
    /// A deadline counts from the wrong side.
    DeadlineReversed,
    /// A transition leaves the revision as it is.
    RevisionStuck,
    /// Totals may go down.
    ProgressFalls,
    /// The ids of requests are not kept.
    RequestForgotten,
    /// Events get a transaction of their own, after the one that changes the rows.
    EventOutside,
    /// Watchers are told before the commit.
    PublishFirst,
    /// Callers are answered before the commit.
    AnswerFirst,
    /// A watcher that falls too far behind is not told.
    LagSkipped,
    /// Positions in the log are taken without keeping others from passing (PostgreSQL).
    CounterUnlocked,
    /// A commit does not wait for the disk (PostgreSQL).
    Unsynced,
}

static CHOSEN: LazyLock<Option<Bug>> = LazyLock::new(|| {
    let name = std::env::var(VARIABLE).ok()?;
    Bug::from_str(&name, false).ok()
});

/// The fault of this process.
pub fn chosen() -> Option<Bug> {
    *CHOSEN
}

/// Whether this is the fault of this process.
pub(crate) fn is(bug: Bug) -> bool {
    chosen() == Some(bug)
}
