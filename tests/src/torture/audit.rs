//! Has the chain of hashes recomputed, as an operator would.

use super::Report;
use crate::{
    Database,
    process::{Finished, binary, command, run},
};

/// Runs `tidegate-server audit verify` with more arguments on a database, whether or not it is being served.
///
/// # Panics
/// When it does not end.
pub async fn verify(database: &Database, arguments: &[&str]) -> Finished {
    let mut audit = command(binary("tidegate-server"));
    audit
        .args(["audit", "verify", "--database-url", database.url()])
        .args(arguments);
    run(&mut audit).await
}

/// Notes whether the log of a run is the one that was written.
pub async fn check(database: &Database, when: &str, report: &mut Report) {
    let audit = verify(database, &[]).await;
    if audit.code != Some(0) {
        report.fault(format!("{when}: the audit says {audit:?}"));
    }
}
