//! The caller's notes: their size, their depth, and what JSON does not know.

use std::collections::BTreeMap;

use prost_types::{ListValue, Struct, Value, value::Kind};
use tidegate_proto::v1;
use tidegate_tests::{World, WorldOptions, raw::plain};

use super::{bad_fields, everything};

fn value(kind: Kind) -> Value {
    Value { kind: Some(kind) }
}

fn object(key: &str, inner: Value) -> Struct {
    Struct {
        fields: BTreeMap::from([(key.to_owned(), inner)]),
    }
}

/// Notes of so many levels.
pub(super) fn nested(levels: usize) -> Struct {
    (1..levels).fold(Struct::default(), |inner, _| {
        object("k", value(Kind::StructValue(inner)))
    })
}

/// Notes of so many levels, lists among them.
fn nested_lists(levels: usize) -> Struct {
    let innermost = value(Kind::ListValue(ListValue::default()));
    let list = (2..levels).fold(innermost, |inner, _| {
        value(Kind::ListValue(ListValue {
            values: vec![inner],
        }))
    });
    object("k", list)
}

/// Notes of so many bytes of JSON.
fn sized(bytes: usize) -> Struct {
    let around = r#"{"k":""}"#.len();
    object("k", value(Kind::StringValue("x".repeat(bytes - around))))
}

fn noted(metadata: Struct) -> v1::CreateTransferRequest {
    v1::CreateTransferRequest {
        metadata: Some(metadata),
        ..plain()
    }
}

#[tokio::test]
async fn notes_within_the_limits_come_back_as_they_were() {
    let world = World::start_with(WorldOptions::still()).await;
    let mut raw = world.services().await;
    for metadata in [
        Struct::default(),
        nested(16),
        nested_lists(16),
        sized(16 * 1_024),
        object("", value(Kind::NumberValue(-0.0))),
        object("k", value(Kind::NumberValue(f64::MAX))),
        object("k", value(Kind::NumberValue(f64::MIN_POSITIVE))),
        object("k", value(Kind::NumberValue(0.1 + 0.2))),
        object("k", value(Kind::NumberValue(9_007_199_254_740_993.0))),
        object("\"'; \\ 🦀", value(Kind::StringValue("\n\t\r".to_owned()))),
    ] {
        let created = raw.create(noted(metadata.clone())).await;
        assert_eq!(created.metadata, Some(metadata.clone()));
        assert_eq!(raw.now(&created.uuid).await.metadata, Some(metadata));
    }
}

#[tokio::test]
async fn notes_beyond_the_limits_are_refused() {
    let world = World::start_with(WorldOptions::still()).await;
    let mut raw = world.services().await;
    raw.declared().await;
    let before = everything(&mut raw).await;
    let mut inner = object("k", value(Kind::NumberValue(f64::INFINITY)));
    inner
        .fields
        .insert("l".to_owned(), value(Kind::BoolValue(true)));
    for metadata in [
        nested(17),
        nested(30),
        nested_lists(17),
        sized(16 * 1_024 + 1),
        sized(60_000),
        object("k", value(Kind::NumberValue(f64::NAN))),
        object("k", value(Kind::NumberValue(f64::NEG_INFINITY))),
        object("k", value(Kind::StructValue(inner))),
        object("k", value(Kind::StringValue("a\0b".to_owned()))),
        object("a\u{1b}b", value(Kind::BoolValue(true))),
    ] {
        let call = raw.transfers.create_transfer(noted(metadata.clone()));
        let mut named = bad_fields(call).await;
        named.dedup();
        assert_eq!(named, ["metadata"], "{metadata:?}");
    }
    assert_eq!(everything(&mut raw).await, before);
}

#[tokio::test]
async fn notes_too_deep_to_be_read_are_a_malformed_message() {
    let world = World::start_with(WorldOptions::still()).await;
    let mut raw = world.services().await;
    let call = raw.transfers.create_transfer(noted(nested(200)));
    let refusal = call.await.expect_err("nobody reads that deep");
    let code = tonic::Code::InvalidArgument;
    tidegate_tests::assert_refused(&refusal, code, "MALFORMED_MESSAGE");
    assert_eq!(raw.count().await, 0);
}
