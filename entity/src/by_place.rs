//! Rows read by the places of their columns. By their names each column would be looked up in each row, and SeaORM writes a
//! text for each that is NULL.

use sea_orm::{
    DbErr, FromQueryResult, QueryResult, RuntimeErr,
    sqlx::{self, Row as _},
};
use uuid::Uuid;

use crate::stored::{AsText, JsonText, Stored, StoredId};

/// A row of a whole table, with its columns in the order of the entity's.
pub trait ByPlace: Sized {
    /// # Errors
    /// When a column has no value that the row can hold.
    fn by_place(row: &QueryResult) -> Result<Self, DbErr>;
}

/// What `Select::into_model` makes such rows of.
#[derive(Debug)]
pub struct Placed<M>(pub M);

impl<M: ByPlace> FromQueryResult for Placed<M> {
    fn from_query_result(row: &QueryResult, _: &str) -> Result<Self, DbErr> {
        M::by_place(row).map(Self)
    }
}

/// A value of a column.
pub(crate) trait Cell: Sized {
    /// `None` where it is NULL.
    fn optional(row: &QueryResult, place: usize) -> Result<Option<Self>, DbErr>;

    fn get(row: &QueryResult, place: usize) -> Result<Self, DbErr> {
        let value = Self::optional(row, place)?;
        value.ok_or_else(|| DbErr::Type(format!("column {place} is NULL")))
    }
}

fn failed(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(error.into()))
}

macro_rules! value {
    ($row:ident, $place:ident) => {
        match ($row.try_as_sqlite_row(), $row.try_as_pg_row()) {
            (Some(row), _) => row.try_get($place).map_err(failed),
            (_, Some(row)) => row.try_get($place).map_err(failed),
            _ => Err(DbErr::Type("a row of another database".to_owned())),
        }
    };
}

macro_rules! cells {
    ($($type:ty),*) => {$(
        impl Cell for $type {
            fn optional(row: &QueryResult, place: usize) -> Result<Option<Self>, DbErr> {
                value!(row, place)
            }
        }
    )*};
}

cells!(i64, bool, String, Vec<u8>, Uuid);

impl<T: Cell> Cell for Option<T> {
    fn optional(row: &QueryResult, place: usize) -> Result<Option<Self>, DbErr> {
        T::optional(row, place).map(Some)
    }
}

impl<T: From<Uuid>> Cell for StoredId<T> {
    fn optional(row: &QueryResult, place: usize) -> Result<Option<Self>, DbErr> {
        let id = Uuid::optional(row, place)?;
        Ok(id.map(T::from).map(Self))
    }
}

fn text<T: AsText>(row: &QueryResult, place: usize) -> Result<Option<T>, DbErr> {
    let text: Option<&str> = value!(row, place)?;
    let value = text.map(T::from_text).transpose();
    value.map_err(|problem| DbErr::Type(format!("column {place}: {problem}")))
}

impl<T> Cell for Stored<T>
where
    Self: AsText,
{
    fn optional(row: &QueryResult, place: usize) -> Result<Option<Self>, DbErr> {
        text(row, place)
    }
}

impl<T> Cell for JsonText<T>
where
    Self: AsText,
{
    fn optional(row: &QueryResult, place: usize) -> Result<Option<Self>, DbErr> {
        text(row, place)
    }
}

/// Reads `Model` by the places of these columns, which are all that it has, in their order.
macro_rules! by_place {
    ($($column:ident),* $(,)?) => {
        impl $crate::by_place::ByPlace for Model {
            fn by_place(row: &QueryResult) -> Result<Self, DbErr> {
                let mut places = 0..;
                Ok(Self {
                    $($column: $crate::by_place::Cell::get(row, places.next().unwrap_or_default())?),*
                })
            }
        }

        #[cfg(test)]
        mod tests {
            use sea_orm::Iterable as _;

            use super::*;

            #[test]
            fn columns_are_read_in_their_order() {
                let columns = Column::iter().map(|column| column.as_str().to_owned());
                assert_eq!(columns.collect::<Vec<_>>(), [$(stringify!($column)),*]);
            }
        }
    };
}
pub(crate) use by_place;
