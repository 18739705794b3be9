//! The caller's notes.

use serde_json::{Map, Value};

use super::{Check, METADATA_DEPTH_MAX, METADATA_MAX};
use crate::text;

impl Check {
    /// The caller's notes.
    pub fn metadata(&mut self, map: Map<String, Value>) -> Map<String, Value> {
        let value = Value::Object(map);
        if depth(&value) > METADATA_DEPTH_MAX {
            self.add(
                "metadata",
                format!("must be at most {METADATA_DEPTH_MAX} levels deep"),
            );
        }
        let size = serde_json::to_string(&value).map_or(usize::MAX, |text| text.len());
        if size > METADATA_MAX {
            self.add(
                "metadata",
                format!("must be at most {METADATA_MAX} bytes of JSON, is {size}"),
            );
        }
        if has_control(&value) {
            self.add("metadata", "must not contain NUL or control characters");
        }
        match value {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }
}

// Depth is bounded already: the wire's decoder refuses messages nested deeper than 100.
fn depth(value: &Value) -> usize {
    match value {
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        Value::Array(list) => 1 + list.iter().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn has_control(value: &Value) -> bool {
    let bad = |text: &str| text.chars().any(|c| c.is_control() && !text::is_break(c));
    match value {
        Value::Object(map) => map
            .iter()
            .any(|(key, value)| bad(key) || has_control(value)),
        Value::Array(list) => list.iter().any(has_control),
        Value::String(text) => bad(text),
        _ => false,
    }
}
