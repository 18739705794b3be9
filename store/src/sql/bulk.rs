//! Writes many rows in one statement.
//!
//! PostgreSQL takes the columns as arrays, so that the statement is the same for any number of rows and stays prepared. SQLite
//! has no arrays: its text follows the number of rows, of which there are a few sizes (see [`chunk`](super::chunk)). Both
//! texts are put together here, since that is most of what a statement costs.
//!
//! Columns that an index holds appear only where they really change: naming one costs a write to its index on SQLite
//! and the heap-only update on PostgreSQL.

use std::fmt::Write as _;

use sea_orm::{
    DbBackend, DbErr, EntityTrait, IdenStatic as _, Iterable as _, ModelTrait, Statement, Value,
    sqlx::{Arguments as _, postgres::PgArguments},
};
use uuid::Uuid;

/// The name of the new values within an update.
const FRESH: &str = "fresh";

/// A statement with its rows.
#[derive(Debug)]
pub(crate) enum Bulk {
    /// One parameter for each value of each row.
    Values(Statement),
    /// One parameter for each column.
    Arrays { sql: String, columns: Vec<Array> },
}

/// Adds `rows`.
pub(crate) fn insert<E: EntityTrait>(backend: DbBackend, rows: &[E::Model]) -> Result<Bulk, DbErr> {
    let columns: Vec<E::Column> = E::Column::iter().collect();
    let head = format!(
        "INSERT INTO \"{}\" ({}) ",
        E::default().table_name(),
        list(&columns, |name| format!("\"{name}\""))
    );
    build::<E>(backend, &columns, rows, &head, "")
}

/// Sets `columns` of the rows to what `rows` say; `key` tells them apart.
pub(crate) fn update<E: EntityTrait>(
    backend: DbBackend,
    key: E::Column,
    columns: &[E::Column],
    rows: &[E::Model],
) -> Result<Bulk, DbErr> {
    let table = E::default();
    let (table, key_name) = (table.table_name(), key.as_str());
    let mut position = 1;
    let changes = list(columns, |name| {
        position += 1;
        // Both databases can call the columns of a list of values so.
        format!("\"{name}\" = {FRESH}.column{position}")
    });
    let named: Vec<E::Column> = std::iter::once(key)
        .chain(columns.iter().copied())
        .collect();
    let head = format!("UPDATE \"{table}\" SET {changes} FROM (");
    let tail = format!(") AS {FRESH} WHERE \"{table}\".\"{key_name}\" = {FRESH}.column1");
    build::<E>(backend, &named, rows, &head, &tail)
}

fn build<E: EntityTrait>(
    backend: DbBackend,
    columns: &[E::Column],
    rows: &[E::Model],
    head: &str,
    tail: &str,
) -> Result<Bulk, DbErr> {
    if backend == DbBackend::Postgres {
        let values = |column: &E::Column| Array::of(rows.iter().map(|row| row.get(*column)));
        let columns: Vec<Array> = columns.iter().map(values).collect::<Result<_, _>>()?;
        let mut sql = format!("{head}SELECT * FROM UNNEST(");
        for (number, column) in (1..).zip(&columns) {
            let comma = if number > 1 { ", " } else { "" };
            _ = write!(sql, "{comma}${number}::{}[]", column.type_name());
        }
        sql.push_str(") AS given (");
        sql.push_str(&names(columns.len()));
        sql.push(')');
        sql.push_str(tail);
        return Ok(Bulk::Arrays { sql, columns });
    }
    let row = format!("({})", vec!["?"; columns.len()].join(", "));
    let mut sql = format!("{head}VALUES {}", vec![row.as_str(); rows.len()].join(", "));
    sql.push_str(tail);
    let values = rows
        .iter()
        .flat_map(|row| columns.iter().map(|column| row.get(*column)));
    Ok(Bulk::Values(Statement::from_sql_and_values(
        backend, sql, values,
    )))
}

fn list<C: sea_orm::ColumnTrait>(columns: &[C], mut each: impl FnMut(&str) -> String) -> String {
    let each: Vec<String> = columns.iter().map(|column| each(column.as_str())).collect();
    each.join(", ")
}

/// `column1, column2` and so on.
fn names(count: usize) -> String {
    let names: Vec<String> = (1..=count)
        .map(|number| format!("column{number}"))
        .collect();
    names.join(", ")
}

/// Defines what kinds of values a column can hold.
macro_rules! array {
    ($($variant:ident($type:ty) as $name:literal,)+) => {
        /// All values of one column.
        #[derive(Debug)]
        pub(crate) enum Array {
            $($variant(Vec<Option<$type>>),)+
        }

        impl Array {
            fn of(values: impl Iterator<Item = Value>) -> Result<Self, DbErr> {
                let mut values = values.peekable();
                match values.peek() {
                    $(Some(Value::$variant(_)) => {
                        let take = |value| match value {
                            Value::$variant(value) => Ok(value),
                            other => Err(mixed(&other)),
                        };
                        values.map(take).collect::<Result<_, _>>().map(Self::$variant)
                    })+
                    Some(other) => Err(mixed(other)),
                    None => Err(DbErr::Type("no rows".to_owned())),
                }
            }

            const fn type_name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $name,)+
                }
            }

            fn bind(self, arguments: &mut PgArguments) -> Result<(), DbErr> {
                let bound = match self {
                    $(Self::$variant(values) => arguments.add(values),)+
                };
                bound.map_err(|error| DbErr::Type(error.to_string()))
            }
        }
    };
}

array! {
    Bool(bool) as "boolean",
    BigInt(i64) as "bigint",
    String(String) as "text",
    Bytes(Vec<u8>) as "bytea",
    Uuid(Uuid) as "uuid",
}

/// A column of the schema has one type, and it is one of those above.
fn mixed(value: &Value) -> DbErr {
    DbErr::Type(format!("a column holds {value:?}"))
}

/// The columns as arguments of one statement.
pub(crate) fn arguments(columns: Vec<Array>) -> Result<PgArguments, DbErr> {
    let mut arguments = PgArguments::default();
    for column in columns {
        column.bind(&mut arguments)?;
    }
    Ok(arguments)
}
