//! The caller's notes between `google.protobuf.Struct` and JSON.

use std::collections::BTreeMap;

use prost_types::{ListValue, Struct, Value as Wire, value::Kind};
use serde_json::{Map, Number, Value};

use tidegate_domain::validate::Check;

/// From the wire; numbers that JSON does not know are noted.
pub(super) fn from_wire(check: &mut Check, wire: Option<Struct>) -> Map<String, Value> {
    let map = object(check, wire.unwrap_or_default());
    check.metadata(map)
}

/// To the wire. Integers beyond 2^53 lose precision there: a Struct's numbers are doubles.
pub(super) fn to_wire(map: &Map<String, Value>) -> Struct {
    Struct {
        fields: map
            .iter()
            .map(|(key, value)| (key.clone(), to_value(value)))
            .collect(),
    }
}

fn object(check: &mut Check, wire: Struct) -> Map<String, Value> {
    wire.fields
        .into_iter()
        .map(|(key, value)| (key, from_value(check, value)))
        .collect()
}

fn from_value(check: &mut Check, wire: Wire) -> Value {
    match wire.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(flag)) => Value::Bool(flag),
        Some(Kind::NumberValue(number)) => Number::from_f64(number).map_or_else(
            || {
                check.add("metadata", "must not contain infinite numbers or NaN");
                Value::Null
            },
            Value::Number,
        ),
        Some(Kind::StringValue(text)) => Value::String(text),
        Some(Kind::ListValue(list)) => Value::Array(
            list.values
                .into_iter()
                .map(|value| from_value(check, value))
                .collect(),
        ),
        Some(Kind::StructValue(inner)) => Value::Object(object(check, inner)),
    }
}

fn to_value(value: &Value) -> Wire {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(flag) => Kind::BoolValue(*flag),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(list) => Kind::ListValue(ListValue {
            values: list.iter().map(to_value).collect(),
        }),
        Value::Object(map) => Kind::StructValue(Struct {
            fields: map
                .iter()
                .map(|(key, value)| (key.clone(), to_value(value)))
                .collect::<BTreeMap<_, _>>(),
        }),
    };
    Wire { kind: Some(kind) }
}
