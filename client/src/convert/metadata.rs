//! Between JSON objects and `google.protobuf.Struct`.

use prost_types::{ListValue, Struct, value::Kind};
use serde_json::{Map, Number, Value};

use crate::Error;

/// Deeper nesting than the contract allows by far, and less than the stack allows.
const LEVELS: usize = 64;

/// Numbers become doubles, as in every `Struct`.
pub(crate) fn to_struct(object: Map<String, Value>) -> Struct {
    Struct {
        fields: object
            .into_iter()
            .map(|(key, value)| (key, to_value(value)))
            .collect(),
    }
}

fn to_value(value: Value) -> prost_types::Value {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(value),
        // Every number that is not of arbitrary precision has a double.
        Value::Number(value) => Kind::NumberValue(value.as_f64().unwrap_or(f64::NAN)),
        Value::String(value) => Kind::StringValue(value),
        Value::Array(values) => Kind::ListValue(ListValue {
            values: values.into_iter().map(to_value).collect(),
        }),
        Value::Object(object) => Kind::StructValue(to_struct(object)),
    };
    prost_types::Value { kind: Some(kind) }
}

pub(super) fn from_struct(object: Option<Struct>) -> Result<Map<String, Value>, Error> {
    object.map_or_else(|| Ok(Map::new()), |object| from_fields(object, LEVELS))
}

fn from_fields(object: Struct, levels: usize) -> Result<Map<String, Value>, Error> {
    object
        .fields
        .into_iter()
        .map(|(key, value)| Ok((key, from_value(value, levels)?)))
        .collect()
}

fn from_value(value: prost_types::Value, levels: usize) -> Result<Value, Error> {
    let Some(levels) = levels.checked_sub(1) else {
        return Err(Error::malformed("metadata is nested too deeply"));
    };
    Ok(match value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(value)) => Value::Bool(value),
        Some(Kind::NumberValue(value)) => number(value)?,
        Some(Kind::StringValue(value)) => Value::String(value),
        Some(Kind::ListValue(list)) => list
            .values
            .into_iter()
            .map(|value| from_value(value, levels))
            .collect::<Result<_, _>>()?,
        Some(Kind::StructValue(object)) => Value::Object(from_fields(object, levels)?),
    })
}

/// A whole number is given back as one, so that 7 does not come back as 7.0.
fn number(value: f64) -> Result<Value, Error> {
    /// Up to here every whole number is a double.
    const WHOLE: f64 = 9_007_199_254_740_992.0;

    if value.fract() == 0.0 && value.abs() <= WHOLE {
        #[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53")]
        return Ok(Value::from(value as i64));
    }
    Number::from_f64(value)
        .map(Value::Number)
        .ok_or_else(|| Error::malformed("metadata holds a number that JSON has not"))
}
