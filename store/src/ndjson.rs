//! How a ledger is written in lines of JSON: a header, a record for each row, and a trailer.
//!
//! A record is a row with all of its columns, since no message of the contract holds them all: digests of tokens, ids of
//! requests, what is set for queries. What a column is comes from its entity, so a column that is added is exported. Values
//! are written as proto3's JSON mapping writes them: 64-bit integers as decimal text, bytes in base64; what is NULL is left
//! out.
//!
//! A line counts only as it would have been written, to the byte.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, IdenStatic as _, Iterable as _, ModelTrait as _,
    TryIntoModel as _, Value, sea_query::ArrayType,
};
use serde::{
    Deserialize, Serialize, Serializer,
    de::DeserializeOwned,
    ser::{Error as _, SerializeMap as _},
};
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use crate::{open, tables::Table};

/// What the header calls the format.
const FORMAT: &str = "tidegate-ledger";
/// Its version, one higher with every change of it.
const VERSION: u32 = 1;

/// The first line: what the others are.
#[derive(Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    format: String,
    version: u32,
    schema: String,
}

impl Header {
    /// That of this version.
    pub(crate) fn own() -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            schema: open::schema(),
        }
    }

    /// Why an export with this header cannot be read; `None`: it can.
    pub(crate) fn problem(&self) -> Option<String> {
        let own = Self::own();
        if self.format != own.format {
            return Some(NO_EXPORT.to_owned());
        }
        if self.version != own.version {
            return Some(format!(
                "the export has version {} of the format; this version of the server reads {VERSION}",
                self.version
            ));
        }
        (self.schema != own.schema).then(|| {
            format!(
                "the export has the schema {}, this version of the server {}; export and import with the same version",
                self.schema, own.schema
            )
        })
    }
}

/// What is said of a first line that is no header.
pub(crate) const NO_EXPORT: &str = "this is no export of a ledger";

/// The last line, without which an export is not whole.
#[derive(Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Trailer {
    pub(crate) end: Totals,
}

/// What the records come to.
#[derive(Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Totals {
    /// How many there are of each table.
    pub(crate) records: BTreeMap<String, u64>,
    /// The end of the log, as `audit verify` writes it.
    pub(crate) head: String,
    /// SHA-256 of all of their lines, in lower-case hex.
    pub(crate) sha256: String,
}

/// What a line of the table begins with.
pub(crate) fn opening<T: Table>() -> String {
    format!("{{\"{}\":{{", T::default().table_name())
}

/// The line, without its end.
pub(crate) fn encode<T: Table>(row: &T::Model) -> Result<Vec<u8>, serde_json::Error> {
    struct Record<'a, T: Table>(&'a T::Model);
    impl<T: Table> Serialize for Record<'_, T> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut record = serializer.serialize_map(Some(1))?;
            record.serialize_entry(T::default().table_name(), &Columns::<T>(self.0))?;
            record.end()
        }
    }
    serde_json::to_vec(&Record::<T>(row))
}

struct Columns<'a, T: Table>(&'a T::Model);

impl<T: Table> Serialize for Columns<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut columns = serializer.serialize_map(None)?;
        for column in T::Column::iter() {
            let name = column.as_str();
            match self.0.get(column) {
                Value::Bool(Some(value)) => columns.serialize_entry(name, &value)?,
                Value::BigInt(Some(value)) => columns.serialize_entry(name, &value.to_string())?,
                Value::String(Some(value)) => columns.serialize_entry(name, &value)?,
                Value::Uuid(Some(value)) => columns.serialize_entry(name, &value.to_string())?,
                Value::Bytes(Some(value)) => {
                    columns.serialize_entry(name, &BASE64.encode(&value))?;
                }
                Value::Bool(None)
                | Value::BigInt(None)
                | Value::String(None)
                | Value::Uuid(None)
                | Value::Bytes(None) => {}
                other => return Err(S::Error::custom(format!("{name} holds {other:?}"))),
            }
        }
        columns.end()
    }
}

/// The row that a line holds.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn decode<T: Table>(line: &[u8]) -> Result<T::Model, String> {
    let table = T::default().table_name();
    let record: BTreeMap<String, Map<String, Json>> = parse(line)?;
    let columns = record.get(table).ok_or_else(unusual)?;
    let mut row = T::ActiveModel::default();
    for column in T::Column::iter() {
        let name = column.as_str();
        let wrong = || format!("{name} of {table} holds nothing that it can");
        let json = columns.get(name);
        if json.is_none() && !column.def().is_null() {
            return Err(format!("{name} of {table} is missing"));
        }
        let value = value(&T::Model::get_value_type(column), json).ok_or_else(wrong)?;
        row.try_set(column, value).map_err(|_| wrong())?;
    }
    let row = row.try_into_model().map_err(|error| error.to_string())?;
    let again = encode::<T>(&row).map_err(|error| error.to_string())?;
    if again == line {
        Ok(row)
    } else {
        Err(unusual())
    }
}

/// A value of a column of the kind `kind`.
fn value(kind: &ArrayType, json: Option<&Json>) -> Option<Value> {
    let text = json.map(|json| json.as_str().unwrap_or_default());
    let value = match kind {
        ArrayType::Bool => Value::Bool(match json {
            Some(json) => Some(json.as_bool()?),
            None => None,
        }),
        ArrayType::BigInt => Value::BigInt(text.map(str::parse).transpose().ok()?),
        ArrayType::String => Value::String(text.map(ToOwned::to_owned)),
        ArrayType::Uuid => Value::Uuid(text.map(Uuid::try_parse).transpose().ok()?),
        ArrayType::Bytes => {
            let bytes = text.map(|text| BASE64.decode(text.as_bytes()));
            Value::Bytes(bytes.transpose().ok()?)
        }
        _ => return None,
    };
    Some(value)
}

/// The header or the trailer that a line holds.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read<T: DeserializeOwned + Serialize>(line: &[u8]) -> Result<T, String> {
    let value: T = parse(line)?;
    match serde_json::to_vec(&value) {
        Ok(again) if again == line => Ok(value),
        _ => Err(unusual()),
    }
}

fn parse<T: DeserializeOwned>(line: &[u8]) -> Result<T, String> {
    serde_json::from_slice(line).map_err(|error| error.to_string())
}

fn unusual() -> String {
    "it is not written as an export writes it".to_owned()
}
