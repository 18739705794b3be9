//! What the predecessor, `PhoenixKit.Modules.Sync.Transfers`, asks PostgreSQL for, by pgbench.
//!
//! Ecto sends each insert and each update as one statement, which is a transaction of its own. The functions take the
//! record that the caller holds: they read nothing before they write, and lock nothing. The application does not run.

use std::time::Duration;

use crate::{load::Sample, subject::Subject, yardstick::pgbench};

/// The table with its indexes and 10,000 rows.
const TABLE: &str = include_str!("predecessor/table.sql");

/// What is done again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Script {
    /// Four statements: a transfer is created, started, reported and completed.
    Lifecycle,
    /// Sets the totals of one of many transfers.
    Progress,
}

/// In a database of its own.
pub(crate) async fn measure(
    subject: &Subject,
    script: Script,
    time: Duration,
) -> anyhow::Result<Sample> {
    let script = match script {
        Script::Lifecycle => include_str!("predecessor/lifecycle.sql"),
        Script::Progress => include_str!("predecessor/progress.sql"),
    };
    pgbench(subject, &subject.database().await, TABLE, script, time).await
}
