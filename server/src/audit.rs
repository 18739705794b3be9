//! `tidegate-server audit verify`: recomputes the chain of hashes from what is stored.

use anyhow::Context as _;

use crate::config::Database;
use tidegate_domain::chain::{Audit, Fault, Head, Summary};
use tidegate_store::{Migrate, Snapshot};

/// Events that are read at once.
const PAGE: u32 = 1_000;

/// Goes along the whole log of `database`, as of one moment, beside a server that may be running. `expected`
/// is a head that an earlier audit printed.
///
/// # Errors
/// When the log cannot be read; what is wrong with a log that can be is the answer.
pub async fn verify(
    database: &Database,
    expected: Option<Head>,
) -> anyhow::Result<Result<Summary, Fault>> {
    let options = database.options(Migrate::Check);
    let snapshot = Snapshot::open(&database.url, &options).await?;
    let verdict = walk(&snapshot, expected)
        .await
        .context("the log cannot be read")?;
    snapshot.close().await?;
    Ok(verdict)
}

async fn walk(
    snapshot: &Snapshot,
    expected: Option<Head>,
) -> anyhow::Result<Result<Summary, Fault>> {
    let Some(books) = snapshot.books().await? else {
        return Ok(Err(Fault::Counter("it cannot be read")));
    };
    let mut audit = match Audit::begin(books, expected) {
        Ok(audit) => audit,
        Err(fault) => return Ok(Err(fault)),
    };
    // The lowest number of all, since a row that does not belong may have any.
    let mut after = i64::MIN;
    loop {
        let page = snapshot.rows(after, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(audit.finish());
        };
        after = last.sequence;
        if let Err(fault) = page.iter().try_for_each(|row| audit.next(row)) {
            return Ok(Err(fault));
        }
    }
}
