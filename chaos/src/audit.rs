//! Whether the chain of hashes is unbroken, and whether the sums are those of the transfers.

use tidegate_tests::{
    Database,
    audit::{check_sums, verify},
};

use super::Report;

/// Notes whether the log of a run is the one that was written, and whether its transfers are those that were counted.
pub async fn check(database: &Database, when: &str, report: &mut Report) {
    let audit = verify(database, &[]).await;
    if audit.code != Some(0) {
        report.fault(format!("{when}: the audit says {audit:?}"));
    }
    let sums = check_sums(database).await;
    if sums.code != Some(0) {
        report.fault(format!("{when}: the sums are wrong: {sums:?}"));
    }
}
