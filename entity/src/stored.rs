//! Values of the domain in columns: as text, or as a uuid.

use std::{fmt::Display, str::FromStr};

use sea_orm::{
    ColIdx, DbErr, QueryResult, TryFromU64, TryGetError, TryGetable, Value,
    sea_query::{ArrayType, ColumnType, Nullable, ValueType, ValueTypeErr},
};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

/// A value that is kept as the text that it is displayed as, to the letter: any other text has no meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored<T>(pub T);

/// A value that is kept as JSON. The column is text, since PostgreSQL's JSON cannot hold all that JSON can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonText<T>(pub T);

/// An identity that is kept as a uuid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StoredId<T>(pub T);

impl<T> From<T> for StoredId<T> {
    fn from(id: T) -> Self {
        Self(id)
    }
}

impl<T: Into<Uuid>> From<StoredId<T>> for Value {
    fn from(id: StoredId<T>) -> Self {
        id.0.into().into()
    }
}

impl<T: From<Uuid>> TryGetable for StoredId<T> {
    fn try_get_by<I: ColIdx>(row: &QueryResult, index: I) -> Result<Self, TryGetError> {
        Uuid::try_get_by(row, index).map(T::from).map(Self)
    }
}

impl<T: From<Uuid>> ValueType for StoredId<T> {
    fn try_from(value: Value) -> Result<Self, ValueTypeErr> {
        <Uuid as ValueType>::try_from(value).map(T::from).map(Self)
    }

    fn type_name() -> String {
        "StoredId".to_owned()
    }

    fn array_type() -> ArrayType {
        ArrayType::Uuid
    }

    fn column_type() -> ColumnType {
        ColumnType::Uuid
    }
}

impl<T: From<Uuid> + Into<Uuid>> Nullable for StoredId<T> {
    fn null() -> Value {
        Value::Uuid(None)
    }
}

/// Identities are never numbers that the database makes.
impl<T> TryFromU64 for StoredId<T> {
    fn try_from_u64(_: u64) -> Result<Self, DbErr> {
        Err(DbErr::Type("an identity is no number".to_owned()))
    }
}

/// Nor are texts.
impl<T> TryFromU64 for Stored<T> {
    fn try_from_u64(_: u64) -> Result<Self, DbErr> {
        Err(DbErr::Type("a text is no number".to_owned()))
    }
}

pub(crate) trait AsText: Sized {
    fn to_text(&self) -> String;
    fn from_text(text: &str) -> Result<Self, String>;
}

impl<T: Display + FromStr> AsText for Stored<T> {
    fn to_text(&self) -> String {
        self.0.to_string()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        let value = T::from_str(text).ok().map(Self);
        value
            .filter(|value| value.to_text() == text)
            .ok_or_else(|| format!("{text:?} has no meaning"))
    }
}

impl<T: Serialize + DeserializeOwned> AsText for JsonText<T> {
    fn to_text(&self) -> String {
        serde_json::to_string(&self.0).expect("its keys are text")
    }

    fn from_text(text: &str) -> Result<Self, String> {
        let value = serde_json::from_str(text);
        value.map(Self).map_err(|error| error.to_string())
    }
}

/// What SeaORM asks of the type of a column.
macro_rules! text_column {
    ($name:ident: $($bound:tt)+) => {
        impl<T: $($bound)+> From<$name<T>> for Value {
            fn from(value: $name<T>) -> Self {
                value.to_text().into()
            }
        }

        impl<T: $($bound)+> TryGetable for $name<T> {
            fn try_get_by<I: ColIdx>(row: &QueryResult, index: I) -> Result<Self, TryGetError> {
                let text = String::try_get_by(row, index)?;
                Self::from_text(&text)
                    .map_err(|problem| DbErr::Type(format!("column {index:?}: {problem}")).into())
            }
        }

        impl<T: $($bound)+> ValueType for $name<T> {
            fn try_from(value: Value) -> Result<Self, ValueTypeErr> {
                let text = <String as ValueType>::try_from(value)?;
                Self::from_text(&text).map_err(|_| ValueTypeErr)
            }

            fn type_name() -> String {
                stringify!($name).to_owned()
            }

            fn array_type() -> ArrayType {
                ArrayType::String
            }

            fn column_type() -> ColumnType {
                ColumnType::Text
            }
        }

        impl<T: $($bound)+> Nullable for $name<T> {
            fn null() -> Value {
                Value::String(None)
            }
        }
    };
}

text_column!(Stored: Display + FromStr);
text_column!(JsonText: Serialize + DeserializeOwned);

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use tidegate_domain::status::TransferStatus;

    use super::*;

    #[test]
    fn a_text_counts_only_as_it_would_be_written() {
        for status in TransferStatus::ALL {
            let stored = Stored(*status);
            assert_eq!(Stored::from_text(&stored.to_text()), Ok(stored));
        }
        for text in ["", "pending", "PENDING ", "DONE"] {
            assert!(Stored::<TransferStatus>::from_text(text).is_err(), "{text}");
        }
        assert!(Stored::<IpAddr>::from_text("2001:db8::7").is_ok());
        assert!(Stored::<IpAddr>::from_text("2001:DB8::7").is_err());
    }

    #[test]
    fn json_may_be_written_in_any_form() {
        let list = JsonText(vec!["a".to_owned(), "\"b\"".to_owned()]);
        assert_eq!(list.to_text(), r#"["a","\"b\""]"#);
        assert_eq!(
            JsonText::from_text(" [\"a\", \"\\u0022b\\\"\"]\n"),
            Ok(list)
        );
        assert!(JsonText::<Vec<String>>::from_text("[1]").is_err());
    }
}
