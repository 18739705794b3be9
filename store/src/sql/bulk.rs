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
    sea_query::Values,
    sqlx::{Arguments as _, IntoArguments, Postgres, postgres::PgArguments},
};
use sea_query_sqlx::SqlxValues;
use uuid::Uuid;

/// The name of the new values within an update.
const FRESH: &str = "fresh";

/// A statement with its rows.
#[derive(Debug)]
pub(crate) enum Bulk {
    /// One parameter for each value of each row.
    Values(Statement),
    /// One parameter for each column, after those of what comes before.
    Arrays {
        sql: String,
        before: Values,
        columns: Vec<Array>,
    },
}

/// What PostgreSQL does in the same statement before it adds rows.
#[derive(Debug)]
pub(crate) struct Before {
    /// As after WITH. Rows are added only if its part [`ADDS`](Self::ADDS) has a row, and as often as it has one.
    pub(crate) sql: String,
    /// Its parameters.
    pub(crate) values: Values,
}

impl Before {
    pub(crate) const ADDS: &str = "adds";
}

/// Adds `rows`.
pub(crate) fn insert<E: EntityTrait>(backend: DbBackend, rows: &[E::Model]) -> Result<Bulk, DbErr> {
    let columns: Vec<E::Column> = E::Column::iter().collect();
    let head = insert_into::<E>(&columns);
    build::<E>(backend, &columns, rows, None, (&head, ""))
}

/// Adds `rows` in one statement with `before`, which SQLite cannot.
pub(crate) fn insert_after<E: EntityTrait>(
    before: Before,
    rows: &[E::Model],
) -> Result<Bulk, DbErr> {
    let columns: Vec<E::Column> = E::Column::iter().collect();
    let head = format!("WITH {} {}", before.sql, insert_into::<E>(&columns));
    let tail = format!(", {}", Before::ADDS);
    let ends = (head.as_str(), tail.as_str());
    build::<E>(
        DbBackend::Postgres,
        &columns,
        rows,
        Some(before.values),
        ends,
    )
}

fn insert_into<E: EntityTrait>(columns: &[E::Column]) -> String {
    format!(
        "INSERT INTO \"{}\" ({}) ",
        E::default().table_name(),
        list(columns, |name| format!("\"{name}\""))
    )
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
    build::<E>(backend, &named, rows, None, (&head, &tail))
}

fn build<E: EntityTrait>(
    backend: DbBackend,
    columns: &[E::Column],
    rows: &[E::Model],
    before: Option<Values>,
    (head, tail): (&str, &str),
) -> Result<Bulk, DbErr> {
    if backend == DbBackend::Postgres {
        let before = before.unwrap_or(Values(Vec::new()));
        let values = |column: &E::Column| Array::of(rows.iter().map(|row| row.get(*column)));
        let columns: Vec<Array> = columns.iter().map(values).collect::<Result<_, _>>()?;
        let mut sql = format!("{head}SELECT given.* FROM UNNEST(");
        for (place, column) in columns.iter().enumerate() {
            let comma = if place > 0 { ", " } else { "" };
            let number = before.0.len() + place + 1;
            _ = write!(sql, "{comma}${number}::{}[]", column.type_name());
        }
        sql.push_str(") AS given (");
        sql.push_str(&names(columns.len()));
        sql.push(')');
        sql.push_str(tail);
        return Ok(Bulk::Arrays {
            sql,
            before,
            columns,
        });
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

/// The columns as arguments of one statement, after those of what comes before.
pub(crate) fn arguments(before: Values, columns: Vec<Array>) -> Result<PgArguments, DbErr> {
    let mut arguments = IntoArguments::<Postgres>::into_arguments(SqlxValues(before));
    for column in columns {
        column.bind(&mut arguments)?;
    }
    Ok(arguments)
}
