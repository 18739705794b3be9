//! The copy itself: batches in key order, each one transaction of the target together with its position.
//!
//! Knows SQLite and nothing of Tidegate but the uuid under which a position is kept. The source is read afresh for each
//! batch, so that a copy never holds it locked: rows that change meanwhile are copied as they are when their turn comes.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, TransactionBehavior, params_from_iter};
use uuid::Uuid;

use crate::args::Strategy;
use crate::position::{self, Counts, KeyPart, Position};
use crate::table::{Table, quote};
use crate::writer::{Fate, Writer};

/// What to copy, and how.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The transfer on whose behalf it is done.
    pub(crate) transfer: Uuid,
    /// What happens to rows whose key the target has already.
    pub(crate) strategy: Strategy,
    /// Rows per transaction.
    pub(crate) batch_size: u32,
    /// Whether the target may be without file, table and position: not so when the ledger knows of rows in it.
    pub(crate) may_create: bool,
}

/// The target has moved on without this copier: the transfer is in other hands and not to be touched by these.
#[derive(Debug, thiserror::Error)]
#[error("another agent is copying the same transfer into the same target")]
pub(crate) struct Overtaken;

/// A copy under way.
#[derive(Debug)]
pub(crate) struct Copier {
    plan: Plan,
    source: Connection,
    target: Connection,
    table: Table,
    key_columns: String,
    largest_source_key: i64,
    position: Position,
    first_refusal: Option<String>,
}

/// Opens the source for reading.
///
/// # Errors
/// When the file does not exist or is no database.
pub(crate) fn open_source(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags)
        .with_context(|| format!("the source {} cannot be opened", path.display()))
}

impl Copier {
    /// Opens the target, creates the table there when it is missing, and finds where the copy stands.
    ///
    /// # Errors
    /// When the target cannot be opened or its table cannot take the rows.
    pub(crate) fn open(
        source: Connection,
        table: Table,
        target: &Path,
        plan: Plan,
    ) -> Result<Self> {
        let mut target = open_target(target, plan.may_create)?;
        ensure!(
            !is_same_file(&source, &target),
            "the source and the target are the same file"
        );
        ensure!(
            !table.name.eq_ignore_ascii_case("tidegate_copy_position"),
            "that table is the agent's own"
        );
        let key_columns = table.key_names().map(quote).collect::<Vec<_>>().join(", ");
        let transaction = target.transaction_with_behavior(TransactionBehavior::Immediate)?;
        table.create_in(&transaction)?;
        position::create_table(&transaction)?;
        let position = position::load(&transaction, plan.transfer, &key_columns)?;
        ensure!(
            plan.may_create || position != Position::default(),
            "the target knows nothing of this transfer, but the ledger does; is --to the file that it was begun with?"
        );
        transaction.commit()?;
        let largest_source_key = if table.integer_key {
            largest_key(&source, &table)?
        } else {
            0
        };
        Ok(Self {
            plan,
            source,
            target,
            table,
            key_columns,
            largest_source_key,
            position,
            first_refusal: None,
        })
    }

    /// Where the copy stands.
    pub(crate) fn position(&self) -> &Position {
        &self.position
    }

    /// Why the target refused a row, of the first one that it refused.
    pub(crate) fn first_refusal(&self) -> Option<&str> {
        self.first_refusal.as_deref()
    }

    /// Copies the next batch; false when there was nothing left. On return the batch is on disk.
    ///
    /// # Errors
    /// When the batch cannot be copied as a whole: then nothing of it is in the target.
    pub(crate) fn next_batch(&mut self) -> Result<bool> {
        let mut rows = self.read_batch()?;
        let Some(last) = rows.last() else {
            return Ok(false);
        };
        let last_key = self
            .table
            .key
            .iter()
            .map(|&i| KeyPart::from_value(&last[i]))
            .collect::<Result<Vec<_>>>()?;
        let mut next = Position {
            last_key: Some(last_key),
            counts: self.position.counts,
        };
        let mut refusal = None;
        let transaction = self
            .target
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let stands = position::load(&transaction, self.plan.transfer, &self.key_columns)?;
        ensure!(stands == self.position, Overtaken);
        let mut writer = Writer::new(
            &transaction,
            &self.table,
            self.plan.strategy,
            self.largest_source_key,
        )?;
        for row in &mut rows {
            next.counts.transferred += 1;
            next.counts.bytes += row.iter().map(size).sum::<i64>();
            match writer.write(row)? {
                Fate::Created => next.counts.created += 1,
                Fate::Updated => next.counts.updated += 1,
                Fate::Skipped => next.counts.skipped += 1,
                Fate::Failed(why) => {
                    next.counts.failed += 1;
                    refusal.get_or_insert(why);
                }
            }
        }
        drop(writer);
        position::store(&transaction, self.plan.transfer, &self.key_columns, &next)?;
        transaction
            .commit()
            .context("a batch cannot be committed")?;
        self.position = next;
        self.first_refusal = self.first_refusal.take().or(refusal);
        Ok(true)
    }

    /// Removes the position from the target, once the transfer is completed.
    pub(crate) fn forget(&self) -> Result<()> {
        position::forget(&self.target, self.plan.transfer)
    }

    fn read_batch(&self) -> Result<Vec<Vec<Value>>> {
        let columns: Vec<String> = self
            .table
            .columns
            .iter()
            .map(|column| quote(column))
            .collect();
        let (condition, after) = match &self.position.last_key {
            Some(last) => (
                after_sql(&self.table),
                last.iter().map(KeyPart::to_value).collect(),
            ),
            None => (String::new(), Vec::new()),
        };
        let sql = format!(
            "SELECT {} FROM {} {condition} ORDER BY {} LIMIT {}",
            columns.join(", "),
            quote(&self.table.name),
            key_list(&self.table),
            self.plan.batch_size
        );
        let mut statement = self.source.prepare(&sql)?;
        let width = columns.len();
        let rows = statement.query_map(params_from_iter(after), |row| {
            (0..width).map(|i| row.get(i)).collect()
        })?;
        rows.collect::<Result<_, _>>()
            .context("the source cannot be read")
    }
}

/// Removes a position that a completed transfer left behind; the file may be gone by now.
pub(crate) fn forget_completed(target: &Path, transfer: Uuid) -> Result<()> {
    if target.exists() {
        let db = open_target(target, false)?;
        position::create_table(&db)?;
        position::forget(&db, transfer)?;
    }
    Ok(())
}

/// The totals in the form of the summary line.
pub(crate) fn summary(counts: Counts) -> String {
    let Counts {
        transferred,
        created,
        updated,
        skipped,
        failed,
        bytes,
    } = counts;
    format!(
        "transferred={transferred} created={created} updated={updated} skipped={skipped} failed={failed} bytes={bytes}"
    )
}

fn open_target(path: &Path, may_create: bool) -> Result<Connection> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if may_create {
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
    }
    Connection::open_with_flags(path, flags)
        .with_context(|| format!("the target {} cannot be opened", path.display()))
}

fn is_same_file(source: &Connection, target: &Connection) -> bool {
    let real = |db: &Connection| db.path().and_then(|path| std::fs::canonicalize(path).ok());
    real(source).is_some() && real(source) == real(target)
}

fn largest_key(db: &Connection, table: &Table) -> Result<i64> {
    let sql = format!(
        "SELECT max({}) FROM {}",
        quote(&table.columns[table.key[0]]),
        quote(&table.name)
    );
    // Only an INTEGER PRIMARY KEY is sure to hold integers; where another type is found, no new key is made of it.
    Ok(db
        .query_row(&sql, [], |row| {
            Ok(row.get::<_, Option<i64>>(0).ok().flatten())
        })?
        .unwrap_or(0))
}

/// The key's columns by their bytes: values that any unique index keeps apart differ there too, so no row is passed over.
fn key_list(table: &Table) -> String {
    table
        .key_names()
        .map(|column| format!("{} COLLATE BINARY", quote(column)))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The first comparison says nothing new, but lets SQLite enter the index there however many columns the key has.
fn after_sql(table: &Table) -> String {
    let marks: Vec<String> = (1..=table.key.len()).map(|i| format!("?{i}")).collect();
    let first = quote(&table.columns[table.key[0]]);
    format!(
        "WHERE {first} COLLATE BINARY >= ?1 AND ({}) > ({})",
        key_list(table),
        marks.join(", ")
    )
}

fn size(value: &Value) -> i64 {
    let bytes = match value {
        Value::Null => 0,
        Value::Integer(_) | Value::Real(_) => 8,
        Value::Text(text) => text.len(),
        Value::Blob(bytes) => bytes.len(),
    };
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
