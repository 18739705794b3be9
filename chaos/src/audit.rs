//! Whether the chain of hashes is unbroken.

use tidegate_tests::{Database, audit::verify};

use super::Report;

/// Notes whether the log of a run is the one that was written.
pub async fn check(database: &Database, when: &str, report: &mut Report) {
    let audit = verify(database, &[]).await;
    if audit.code != Some(0) {
        report.fault(format!("{when}: the audit says {audit:?}"));
    }
}
