//! Writes single rows into the target by the conflict strategy, and says what became of each. Commits nothing.

use anyhow::{Context, Result, ensure};
use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, Statement, params_from_iter};

use crate::args::Strategy;
use crate::table::{Table, quote};

/// What became of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Inserted, as it was or under a new key.
    Created,
    /// Written over the one in the target.
    Updated,
    /// Left out: the target has its key.
    Skipped,
    /// Refused by a constraint of the target, in SQLite's words.
    Failed(String),
}

/// The statements for one batch of one table.
pub(crate) struct Writer<'a> {
    db: &'a Connection,
    table: &'a Table,
    strategy: Strategy,
    /// No new key is below this one, so that none takes the place of a row that is still to come.
    largest_source_key: i64,
    exists: Statement<'a>,
    insert: Statement<'a>,
    update: Option<Statement<'a>>,
    largest_key: Statement<'a>,
}

impl<'a> Writer<'a> {
    /// Prepares the statements.
    pub(crate) fn new(
        db: &'a Connection,
        table: &'a Table,
        strategy: Strategy,
        largest_source_key: i64,
    ) -> Result<Self> {
        let update = match update_sql(table, strategy) {
            Some(sql) => Some(db.prepare(&sql)?),
            None => None,
        };
        let name = quote(&table.name);
        let conditions: Vec<String> = table
            .key_names()
            .enumerate()
            .map(|(i, column)| format!("{} = ?{}", quote(column), i + 1))
            .collect();
        let exists = db.prepare(&format!(
            "SELECT EXISTS(SELECT 1 FROM {name} WHERE {})",
            conditions.join(" AND ")
        ))?;
        let insert = db.prepare(&insert_sql(table))?;
        let first_key = quote(&table.columns[table.key[0]]);
        let largest_key = db.prepare(&format!("SELECT max({first_key}) FROM {name}"))?;
        Ok(Self {
            db,
            table,
            strategy,
            largest_source_key,
            exists,
            insert,
            update,
            largest_key,
        })
    }

    /// Writes one row, its values in the order of the table's columns.
    ///
    /// # Errors
    /// Whatever is not the fault of this row alone: the batch cannot be finished.
    pub(crate) fn write(&mut self, row: &mut [Value]) -> Result<Fate> {
        let key = self.table.key.iter().map(|&index| &row[index]);
        let exists: bool = self
            .exists
            .query_row(params_from_iter(key), |found| found.get(0))?;
        match (exists, self.strategy) {
            (false, _) => self.insert(row),
            (true, Strategy::Skip) => Ok(Fate::Skipped),
            (true, Strategy::Overwrite | Strategy::Merge) => self.update(row),
            (true, Strategy::Append) => {
                row[self.table.key[0]] = Value::Integer(self.new_key()?);
                self.insert(row)
            }
        }
    }

    fn insert(&mut self, row: &[Value]) -> Result<Fate> {
        let result = self.insert.execute(params_from_iter(row.iter()));
        self.judge(result, Fate::Created)
    }

    fn update(&mut self, row: &[Value]) -> Result<Fate> {
        // A table of nothing but its key has nothing to write.
        let Some(update) = &mut self.update else {
            return Ok(Fate::Updated);
        };
        let result = update.execute(params_from_iter(row.iter()));
        self.judge(result, Fate::Updated)
    }

    fn new_key(&mut self) -> Result<i64> {
        ensure!(
            self.table.integer_key,
            "strategy append needs an integer primary key to make new keys, and {} has none",
            quote(&self.table.name)
        );
        let largest: Option<i64> = self
            .largest_key
            .query_row([], |row| row.get(0))
            .context("the target's largest key is no integer")?;
        let largest = largest.unwrap_or(0).max(self.largest_source_key);
        largest
            .checked_add(1)
            .context("there is no integer key left in the target")
    }

    fn judge(&self, result: rusqlite::Result<usize>, done: Fate) -> Result<Fate> {
        let error = match result {
            Ok(_) => return Ok(done),
            Err(error) => error,
        };
        let of_this_row = matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch)
        );
        // A trigger or a conflict clause may have ended the transaction, and with it the rows before this one.
        if of_this_row && !self.db.is_autocommit() {
            return Ok(Fate::Failed(error.to_string()));
        }
        Err(error).context("a row cannot be written")
    }
}

fn insert_sql(table: &Table) -> String {
    let columns: Vec<String> = table.columns.iter().map(|column| quote(column)).collect();
    let values: Vec<String> = (1..=table.columns.len()).map(|i| format!("?{i}")).collect();
    // OR ABORT stands above any conflict clause in the target's schema: none may replace other rows unasked.
    format!(
        "INSERT OR ABORT INTO {} ({}) VALUES ({})",
        quote(&table.name),
        columns.join(", "),
        values.join(", ")
    )
}

fn update_sql(table: &Table, strategy: Strategy) -> Option<String> {
    let mut assignments = Vec::new();
    let mut conditions = Vec::new();
    for (index, column) in table.columns.iter().enumerate() {
        let (column, value) = (quote(column), index + 1);
        match strategy {
            _ if table.key.contains(&index) => conditions.push(format!("{column} = ?{value}")),
            Strategy::Merge => assignments.push(format!("{column} = coalesce(?{value}, {column})")),
            Strategy::Overwrite => assignments.push(format!("{column} = ?{value}")),
            Strategy::Skip | Strategy::Append => return None,
        }
    }
    if assignments.is_empty() {
        return None;
    }
    let (assignments, conditions) = (assignments.join(", "), conditions.join(" AND "));
    Some(format!(
        "UPDATE OR ABORT {} SET {assignments} WHERE {conditions}",
        quote(&table.name)
    ))
}
