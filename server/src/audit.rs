//! `tidegate-server audit verify`: recomputes the chain of hashes from what is stored.

use anyhow::Context as _;

use crate::{
    checkpoint::Witness,
    config::{Database, Verify},
};
use tidegate_domain::{
    chain::{Audit, Fault, Head, Summary},
    checkpoint::Comparison,
};
use tidegate_store::{Migrate, Snapshot};

/// Events that are read at once.
const PAGE: u32 = 1_000;

/// Verifies the log, and that it agrees with the checkpoints that are named: what to say of a sound one, or else the first
/// thing that is wrong.
///
/// # Errors
/// When the log, the checkpoints or a key cannot be read.
pub async fn report(what: &Verify) -> anyhow::Result<Result<Vec<String>, String>> {
    let witness = what.checkpoints.as_deref();
    let witness = witness.map(|path| Witness::read(path, &what.public_key));
    let witness = match witness.transpose()?.transpose() {
        Ok(witness) => witness,
        Err(mismatch) => return Ok(Err(mismatch.to_string())),
    };
    let (mut comparison, cut) = match witness {
        Some(Witness { comparison, cut }) => (comparison, Some(cut)),
        None => (Comparison::default(), None),
    };
    let summary = match verify(&what.database, what.expect, &mut comparison).await? {
        Ok(summary) => summary,
        Err(fault) => return Ok(Err(fault.to_string())),
    };
    let agreement = match comparison.finish(summary.removed, summary.head.sequence) {
        Ok(agreement) => agreement,
        Err(mismatch) => return Ok(Err(mismatch.to_string())),
    };
    let mut lines = vec![summary.to_string()];
    if let Some(cut) = cut {
        let cut = cut.iter();
        lines.extend(cut.map(|line| {
            format!("line {line} of the checkpoints: not written to its end, skipped")
        }));
        lines.push(agreement.to_string());
    }
    Ok(Ok(lines))
}

/// Goes along the whole log of `database`, as of one moment, beside a server that may be running. `expected`
/// is a head that an earlier audit printed; `comparison` is told where the log leads.
///
/// # Errors
/// When the log cannot be read; what is wrong with a log that can be is the answer.
pub async fn verify(
    database: &Database,
    expected: Option<Head>,
    comparison: &mut Comparison,
) -> anyhow::Result<Result<Summary, Fault>> {
    let options = database.options(Migrate::Check);
    let snapshot = Snapshot::open(&database.url, &options).await?;
    let verdict = walk(&snapshot, expected, comparison)
        .await
        .context("the log cannot be read")?;
    snapshot.close().await?;
    Ok(verdict)
}

async fn walk(
    snapshot: &Snapshot,
    expected: Option<Head>,
    comparison: &mut Comparison,
) -> anyhow::Result<Result<Summary, Fault>> {
    let Some(books) = snapshot.books().await? else {
        return Ok(Err(Fault::Counter("it cannot be read")));
    };
    let mut audit = match Audit::begin(books, expected) {
        Ok(audit) => audit,
        Err(fault) => return Ok(Err(fault)),
    };
    comparison.meet(&audit.head());
    // The lowest number of all, since a row that does not belong may have any.
    let mut after = i64::MIN;
    loop {
        let page = snapshot.rows(after, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(audit.finish());
        };
        after = last.sequence;
        for row in &page {
            if let Err(fault) = audit.next(row) {
                return Ok(Err(fault));
            }
            comparison.meet(&audit.head());
        }
    }
}
