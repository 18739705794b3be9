//! What every statement goes through: how it is put together, sent within a limit of time, and what became of it.

pub(crate) mod bulk;
pub(crate) mod chunk;
pub(crate) mod classify;
pub(crate) mod condition;
pub(crate) mod reader;
pub(crate) mod session;
pub(crate) mod transaction;

use sea_orm::{DbBackend, Statement, Value};

/// The same statement with its last LIMIT written out, on SQLite: it looks at the value of a limit when it plans, and so
/// would plan anew whenever one is bound.
pub(crate) fn literal_limit(mut statement: Statement) -> Statement {
    const LIMIT: &str = " LIMIT ?";
    if statement.db_backend != DbBackend::Sqlite {
        return statement;
    }
    if let Some(values) = &mut statement.values
        && let Some(Value::BigUnsigned(Some(limit))) = values.0.last()
        && let Some(start) = statement.sql.strip_suffix(LIMIT)
    {
        statement.sql = format!("{start} LIMIT {limit}");
        values.0.pop();
    }
    statement
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_at_the_end_is_written_out_on_sqlite() {
        let build = |backend, sql: &str, values: &[u64]| {
            let values = values.iter().map(|value| Value::from(*value));
            literal_limit(Statement::from_sql_and_values(backend, sql, values))
        };
        let short = build(DbBackend::Sqlite, "SELECT a WHERE b = ? LIMIT ?", &[7, 5]);
        assert_eq!(short.sql, "SELECT a WHERE b = ? LIMIT 5");
        assert_eq!(short.values.expect("one is left").0, [Value::from(7_u64)]);
        for (backend, sql) in [
            (DbBackend::Postgres, "SELECT a LIMIT ?"),
            (DbBackend::Sqlite, "SELECT a LIMIT ? OFFSET ?"),
            (DbBackend::Sqlite, "SELECT a WHERE b = ?"),
        ] {
            assert_eq!(build(backend, sql, &[1]).sql, sql);
        }
    }
}
