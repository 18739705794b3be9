//! What a table looks like: its columns, its key, the statement that creates it. Knows nothing of batches or transfers.

use anyhow::{Context, Result, bail, ensure};
use rusqlite::{Connection, OptionalExtension};

/// A table as the source describes it.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    /// Its name, as the schema spells it.
    pub(crate) name: String,
    /// The columns that hold values of their own, generated ones left out.
    pub(crate) columns: Vec<String>,
    /// Indexes into `columns` of those that identify a row, in order.
    pub(crate) key: Vec<usize>,
    /// Whether the key is one integer column that is the primary key, so that new keys can be made.
    pub(crate) integer_key: bool,
    create_sql: String,
}

struct Column {
    name: String,
    declared: String,
    /// Position in the primary key, from 1; 0 when it is not part of it.
    primary: i64,
}

impl Table {
    /// Reads the description of a table; `key` empty means its primary key.
    ///
    /// # Errors
    /// When there is no such table, when it is not an ordinary one, or when the key does not identify its rows.
    pub(crate) fn read(db: &Connection, name: &str, key: &[String]) -> Result<Self> {
        let (name, create_sql) =
            find(db, name)?.with_context(|| format!("there is no table {}", quote(name)))?;
        ensure!(
            !create_sql
                .to_ascii_uppercase()
                .starts_with("CREATE VIRTUAL")
                && !name.starts_with("sqlite_"),
            "{} is not an ordinary table",
            quote(&name)
        );
        let columns = columns(db, &name)?;
        let key = resolve_key(&name, &columns, key)?;
        let mut chosen = key.clone();
        chosen.sort_unstable();
        let mut primary: Vec<usize> = (0..columns.len())
            .filter(|&i| columns[i].primary > 0)
            .collect();
        primary.sort_unstable();
        let is_primary = chosen == primary;
        ensure!(
            is_primary || has_unique_index(db, &name, &key, &columns)?,
            "the key of {} is not unique: it needs a primary key or a unique index",
            quote(&name)
        );
        let integer_key = is_primary
            && key.len() == 1
            && columns[key[0]]
                .declared
                .to_ascii_uppercase()
                .contains("INT");
        let columns = columns.into_iter().map(|column| column.name).collect();
        Ok(Self {
            name,
            columns,
            key,
            integer_key,
            create_sql,
        })
    }

    /// Creates the table in another database, or checks that the one there can take the rows.
    ///
    /// # Errors
    /// When the table there lacks a column or does not hold the key unique.
    pub(crate) fn create_in(&self, db: &Connection) -> Result<()> {
        if find(db, &self.name)?.is_none() {
            // Prepared, not run as a batch: whatever the source's schema holds, it is one statement.
            db.prepare(&self.create_sql)?
                .execute([])
                .context("the table cannot be created in the target")?;
            return Ok(());
        }
        let key: Vec<String> = self.key_names().map(str::to_owned).collect();
        let there = Self::read(db, &self.name, &key).context("the target's table does not fit")?;
        for column in &self.columns {
            ensure!(
                there
                    .columns
                    .iter()
                    .any(|other| other.eq_ignore_ascii_case(column)),
                "the target's table lacks the column {}",
                quote(column)
            );
        }
        Ok(())
    }

    /// Names of the key's columns.
    pub(crate) fn key_names(&self) -> impl Iterator<Item = &str> {
        self.key.iter().map(|&index| self.columns[index].as_str())
    }

    /// Counts the rows, and makes sure that each of them has a key.
    ///
    /// # Errors
    /// When a row has no key: it could be neither found nor resumed after.
    pub(crate) fn count_rows(&self, db: &Connection) -> Result<i64> {
        let table = quote(&self.name);
        let missing: Vec<String> = self
            .key_names()
            .map(|column| format!("{} IS NULL", quote(column)))
            .collect();
        let missing = missing.join(" OR ");
        let without = db.query_row(
            &format!("SELECT EXISTS(SELECT 1 FROM {table} WHERE {missing})"),
            [],
            |row| row.get::<_, bool>(0),
        )?;
        ensure!(!without, "{table} has rows whose key is null");
        Ok(
            db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
                row.get(0)
            })?,
        )
    }
}

/// An identifier in double quotes, whatever characters it holds.
pub(crate) fn quote(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

fn find(db: &Connection, name: &str) -> Result<Option<(String, String)>> {
    let sql =
        "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name = ?1 COLLATE NOCASE";
    Ok(db
        .query_row(sql, [name], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?)
}

fn columns(db: &Connection, table: &str) -> Result<Vec<Column>> {
    let sql = "SELECT name, type, pk FROM pragma_table_xinfo(?1) WHERE hidden = 0 ORDER BY cid";
    let mut statement = db.prepare(sql)?;
    let rows = statement.query_map([table], |row| {
        Ok(Column {
            name: row.get(0)?,
            declared: row.get(1)?,
            primary: row.get(2)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn resolve_key(table: &str, columns: &[Column], wanted: &[String]) -> Result<Vec<usize>> {
    if wanted.is_empty() {
        let mut primary: Vec<usize> = (0..columns.len())
            .filter(|&i| columns[i].primary > 0)
            .collect();
        primary.sort_unstable_by_key(|&i| columns[i].primary);
        ensure!(
            !primary.is_empty(),
            "{} has no primary key; name a unique one with --key",
            quote(table)
        );
        return Ok(primary);
    }
    let mut key = Vec::with_capacity(wanted.len());
    for name in wanted {
        match columns
            .iter()
            .position(|column| column.name.eq_ignore_ascii_case(name))
        {
            Some(index) if !key.contains(&index) => key.push(index),
            Some(_) => bail!("the key names {} twice", quote(name)),
            None => bail!("{} has no column {}", quote(table), quote(name)),
        }
    }
    Ok(key)
}

/// Whether a unique index covers no other columns than the key's, so that no two rows share the key.
fn has_unique_index(
    db: &Connection,
    table: &str,
    key: &[usize],
    columns: &[Column],
) -> Result<bool> {
    let sql = "SELECT name FROM pragma_index_list(?1) WHERE \"unique\" = 1 AND partial = 0";
    let mut statement = db.prepare(sql)?;
    let indexes = statement
        .query_map([table], |row| row.get::<_, String>(0))?
        .collect::<Result<Vec<_>, _>>()?;
    let mut statement = db.prepare("SELECT name FROM pragma_index_info(?1)")?;
    for index in indexes {
        // An expression in an index has no name.
        let names = statement
            .query_map([index], |row| row.get::<_, Option<String>>(0))?
            .collect::<Result<Vec<_>, _>>()?;
        let in_key =
            |name: &Option<String>| key.iter().any(|&i| Some(&columns[i].name) == name.as_ref());
        if !names.is_empty() && names.iter().all(in_key) {
            return Ok(true);
        }
    }
    Ok(false)
}
