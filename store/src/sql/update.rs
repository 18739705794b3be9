//! Changes many rows in one statement: `UPDATE .. FROM (VALUES ..)`, which both databases speak alike.
//!
//! Columns that an index holds appear only where they really change: naming one costs a write to its index on SQLite
//! and the heap-only update on PostgreSQL.

use sea_orm::{
    EntityTrait, ModelTrait,
    sea_query::{Expr, ExprTrait, IntoIden, Query, TableRef, UpdateStatement, ValueTuple},
};

/// The name of the new values within the statement.
const FRESH: &str = "fresh";

/// Sets `columns` of the rows to what `rows` say; `key` tells them apart.
pub(crate) fn statement<E: EntityTrait>(
    key: E::Column,
    columns: &[E::Column],
    rows: &[E::Model],
) -> UpdateStatement {
    let values = rows.iter().map(|row| {
        ValueTuple::Many(
            std::iter::once(key)
                .chain(columns.iter().copied())
                .map(|column| row.get(column))
                .collect(),
        )
    });
    // Both databases call the columns of a values list column1, column2 and so on.
    let fresh = |position: usize| Expr::col((FRESH, format!("column{position}")));
    Query::update()
        .table(E::default())
        .values(columns.iter().copied().zip((2..).map(fresh)))
        .from(TableRef::ValuesList(values.collect(), FRESH.into_iden()))
        .and_where(Expr::col((E::default(), key)).eq(fresh(1)))
        .to_owned()
}
