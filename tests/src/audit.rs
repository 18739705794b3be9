//! Has the chain of hashes recomputed, and sums compared, as an operator would.

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

/// Runs `tidegate-server stats check` on a database, whether or not it is being served.
///
/// # Panics
/// When it does not end.
pub async fn check_sums(database: &Database) -> Finished {
    let mut check = command(binary("tidegate-server"));
    check.args(["stats", "check", "--database-url", database.url()]);
    run(&mut check).await
}
