//! Every field of every request, spoilt in every way that its kind can be, one at a time.
//!
//! The requests are built from the contract's descriptors, so that a field that is added later is tried too.

use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, MethodDescriptor, Value,
};
use tidegate_tests::{World, WorldOptions, assert_refused, dynamic, raw::ADMIN};
use tonic::{Code, transport::Channel};

use super::everything;

/// One field of a request, at its place, with a value that must be refused.
struct Spoilt {
    place: Vec<FieldDescriptor>,
    value: Value,
}

impl Spoilt {
    /// How the answer names it.
    fn path(&self) -> String {
        let names = self.place.iter().map(|field| match field.kind() {
            Kind::Message(inner) if field.is_list() && is_ours(&inner) => {
                format!("{}[0]", field.name())
            }
            _ => field.name().to_owned(),
        });
        let names: Vec<_> = names.collect();
        let within = match self.place.last().map(FieldDescriptor::kind) {
            Some(Kind::String) if matches!(self.value, Value::List(_)) => "[0]",
            Some(Kind::Message(message)) if is_mask(&message) => ".paths[0]",
            _ => "",
        };
        names.join(".") + within
    }
}

fn is_mask(message: &MessageDescriptor) -> bool {
    message.full_name() == "google.protobuf.FieldMask"
}

/// A mask of these paths.
fn mask(message: &MessageDescriptor, paths: &[&str]) -> Value {
    let mut mask = DynamicMessage::new(message.clone());
    let paths = paths.iter().map(|path| Value::String((*path).to_owned()));
    mask.set_field_by_name("paths", Value::List(paths.collect()));
    Value::Message(mask)
}

/// Whether nobody looks at a field: what a change cannot name, and a code of which is never said what is wrong with it.
fn is_ignored(field: &FieldDescriptor) -> bool {
    match field.parent_message().name() {
        "Connection" => !["uuid", "name", "site_url", "policy"].contains(&field.name()),
        "RedeemSessionRequest" => true,
        _ => false,
    }
}

/// Whether a message is one of ours, to be looked into, rather than one that is a value.
fn is_ours(message: &MessageDescriptor) -> bool {
    message.package_name() == "tidegate.v1"
}

/// A request in which nothing is wrong.
fn sound(message: &MessageDescriptor, uuid: &str) -> DynamicMessage {
    let mut sound = DynamicMessage::new(message.clone());
    for field in message.fields().filter(|field| !field.is_map()) {
        let value = match field.kind() {
            Kind::String => match field.name() {
                "page_token" | "request_id" => continue,
                // Agents alone have one.
                "connection_uuid" if message.name() == "CreateCredentialRequest" => continue,
                "requester_ip" | "address" => Value::String("::1".to_owned()),
                "allowed_hours" => Value::String("22:00-06:00".to_owned()),
                "ip_allowlist" => Value::List(vec![Value::String("::1".to_owned())]),
                _ if field.is_list() => Value::List(vec![Value::String("x".to_owned())]),
                "uuid" => Value::String(uuid.to_owned()),
                name if name.ends_with("uuid") => Value::String(ADMIN.to_owned()),
                name if name.ends_with("url") => Value::String("https://a.example".to_owned()),
                _ => Value::String("x".to_owned()),
            },
            // A watch refuses it.
            Kind::Enum(_) if field.name() == "reconciliation" => continue,
            Kind::Enum(_) if field.is_list() => Value::List(vec![Value::EnumNumber(1)]),
            Kind::Enum(_) => Value::EnumNumber(1),
            Kind::Message(inner) if is_ours(&inner) => {
                let inner = Value::Message(sound_inner(&inner));
                match field.is_list() {
                    true => Value::List(vec![inner]),
                    false => inner,
                }
            }
            // A digest belongs to the name of how it was made.
            Kind::Bytes if message.name() == "ReceiptStatement" => Value::Bytes(vec![7].into()),
            Kind::Int64 if field.name() == "count" || message.name() == "ReceiptStatement" => {
                Value::I64(1)
            }
            Kind::Message(inner) if is_mask(&inner) => {
                mask(&inner, &["name", "site_url", "metadata", "policy"])
            }
            _ => continue,
        };
        sound.set_field(&field, value);
    }
    sound
}

fn sound_inner(message: &MessageDescriptor) -> DynamicMessage {
    sound(message, ADMIN)
}

/// Every way to spoil `message`.
fn spoilt(message: &MessageDescriptor, place: &[FieldDescriptor]) -> Vec<Spoilt> {
    let mut all = Vec::new();
    for field in message.fields().filter(|field| !is_ignored(field)) {
        let mut place = place.to_vec();
        place.push(field.clone());
        match field.kind() {
            Kind::Message(inner) if is_ours(&inner) && !field.is_map() => {
                all.extend(spoilt(&inner, &place));
            }
            kind => {
                let values = bad_values(&field, &kind).into_iter();
                all.extend(values.map(|value| Spoilt {
                    place: place.clone(),
                    value,
                }));
            }
        }
    }
    all
}

fn bad_values(field: &FieldDescriptor, kind: &Kind) -> Vec<Value> {
    match kind {
        _ if field.is_map() => bad_maps(),
        Kind::String => {
            let texts = bad_texts(field.name()).into_iter().map(Value::String);
            if field.is_list() {
                texts.map(|text| Value::List(vec![text])).collect()
            } else {
                texts.collect()
            }
        }
        Kind::Enum(_) => {
            let unknown = [99, -1, i32::MAX].map(Value::EnumNumber).to_vec();
            if field.is_list() {
                // Nothing given is an empty list, so an element may not be UNSPECIFIED.
                let unspecified = vec![Value::EnumNumber(0)];
                let unknown = unknown
                    .into_iter()
                    .map(|value| vec![Value::EnumNumber(1), value]);
                unknown.chain([unspecified]).map(Value::List).collect()
            } else {
                unknown
            }
        }
        Kind::Int32 if field.name() == "priority" => [-101, 101, i32::MAX].map(Value::I32).to_vec(),
        Kind::Int32 => [-1, i32::MIN].map(Value::I32).to_vec(),
        Kind::Int64 => [-1, i64::MIN].map(Value::I64).to_vec(),
        Kind::Bytes => vec![Value::Bytes(vec![7; 4_097].into())],
        Kind::Message(message) => match message.full_name() {
            "google.protobuf.Timestamp" => [
                (i64::MAX, 0),
                (i64::MIN, 0),
                (0, -1),
                (0, 1_000_000_000),
                (-62_135_596_801, 0),
                (253_402_300_800, 0),
            ]
            .map(|(seconds, nanos)| pair(message, seconds, nanos))
            .to_vec(),
            "google.protobuf.Duration" => {
                // A token may end the moment that another takes its place, and operators may ask for no heartbeat and give
                // no grace.
                let too_short: &[_] = match (field.name(), field.parent_message().name()) {
                    ("overlap" | "grace" | "stop_grace" | "wait", _) => &[],
                    ("heartbeat_timeout", "ConnectionPolicy") => &[(0, 999_999_999)],
                    _ => &[(0, 0), (0, 999_999_999)],
                };
                let others = [
                    (-1, 0),
                    (0, -1),
                    (i64::MAX, 0),
                    (i64::MIN, 0),
                    (i64::MAX, i32::MAX),
                    (366 * 24 * 3_600, 1),
                ];
                let all = too_short.iter().copied().chain(others);
                all.map(|(seconds, nanos)| pair(message, seconds, nanos))
                    .collect()
            }
            "google.protobuf.FieldMask" => vec![mask(message, &["x"]), mask(message, &["uuid"])],
            // Notes are tried by hand.
            "google.protobuf.Struct" => Vec::new(),
            other => panic!("nobody has thought of how to spoil a {other}"),
        },
        Kind::Bool => Vec::new(),
        other => panic!("nobody has thought of how to spoil a {other:?}"),
    }
}

/// Names with values, of texts.
fn bad_maps() -> Vec<Value> {
    let map = |names: &[(String, &str)]| {
        let entry = |(name, value): &(String, &str)| {
            let value = Value::String((*value).to_owned());
            (MapKey::String(name.clone()), value)
        };
        Value::Map(names.iter().map(entry).collect())
    };
    let many: Vec<_> = (0..17).map(|number| (number.to_string(), "")).collect();
    vec![
        map(&[(String::new(), "x")]),
        map(&[("x".repeat(65), "x")]),
        map(&[("a\0b".to_owned(), "x")]),
        map(&[("x".to_owned(), &"x".repeat(256))]),
        map(&[("x".to_owned(), "\u{7}")]),
        map(&many),
    ]
}

fn bad_texts(name: &str) -> Vec<String> {
    let mut texts = vec![
        "a\0b".to_owned(),
        "a\u{7}b".to_owned(),
        "\u{85}".to_owned(),
        "x".repeat(3_000),
    ];
    let more: &[&str] = match name {
        "request_id" => &[
            "señal",
            "two words",
            "0190b7a2-5c1e-7d3f-8a4b-1c2d3e4f5a6b0",
            "\u{7f}",
        ],
        "requester_ip" => &["999.1.1.1", "localhost", "1.2.3.4:80", "::1 "],
        "ip_allowlist" => &["", "::1/129", "192.0.2.1/24", "192.0.2.0/24,"],
        "allowed_hours" => &["9-17", "09:00-09:00", "24:00-01:00", "00:00 - 24:00"],
        "allowed_tables" => &["", " "],
        "page_token" => &["x", "AAAA", "ñ", "=="],
        name if name.ends_with("uuid") => &[
            "7",
            "0190b7a25c1e7d3f8a4b1c2d3e4f5a6b",
            "{0190b7a2-5c1e-7d3f-8a4b-1c2d3e4f5a6b}",
            "urn:uuid:0190b7a2-5c1e-7d3f-8a4b-1c2d3e4f5a6b",
            "0190b7a2-5c1e-7d3f-8a4b-1c2d3e4f5a6b ",
            "0190b7a2-5c1e-7d3f-8a4b-1c2d3e4f5a6g",
            "0190b7a2-5c1e-7d3f-8a4b-1c2d3e4f5a6\0",
            "'; DROP TABLE transfer; --",
        ],
        name if name.ends_with("url") => &["ftp://a.example", "a.example", "https://", "http//x"],
        _ => &[],
    };
    texts.extend(more.iter().map(|text| (*text).to_owned()));
    texts
}

fn pair(message: &MessageDescriptor, seconds: i64, nanos: i32) -> Value {
    let mut value = DynamicMessage::new(message.clone());
    value.set_field_by_name("seconds", Value::I64(seconds));
    value.set_field_by_name("nanos", Value::I32(nanos));
    Value::Message(value)
}

fn put(message: &mut DynamicMessage, place: &[FieldDescriptor], value: Value) {
    match place {
        [] => {}
        [field] => message.set_field(field, value),
        [field, rest @ ..] => {
            let inner = match message.get_field_mut(field) {
                Value::List(list) => list.first_mut(),
                one => Some(one),
            };
            if let Some(Value::Message(inner)) = inner {
                put(inner, rest, value);
            }
        }
    }
}

/// The bad fields that the server names. On a stream of reports a refusal is an answer.
async fn refused_fields(
    channel: &Channel,
    method: &MethodDescriptor,
    message: &DynamicMessage,
) -> Result<Vec<String>, String> {
    let answer = match dynamic::call(channel, method, message).await {
        Err(status) => {
            let refused = assert_refused(&status, Code::InvalidArgument, "INVALID_FIELDS");
            let told = refused.metadata.get("fields").map(String::as_str);
            assert_eq!(told, Some(refused.fields.join(", ").as_str()), "{status:?}");
            return Ok(refused.fields);
        }
        Ok(answer) => answer.ok_or("no answer")?,
    };
    let error = answer
        .get_field_by_name("error")
        .ok_or_else(|| format!("accepted: {answer}"))?;
    let error = error.as_message().ok_or("an error is a message")?;
    let text = |name: &str| error.get_field_by_name(name).map(|value| value.to_string());
    if text("reason").as_deref() != Some("\"INVALID_FIELDS\"") {
        return Err(format!("another reason: {error}"));
    }
    let metadata = error.get_field_by_name("metadata").ok_or("no metadata")?;
    let metadata = metadata.as_map().ok_or("metadata is a map")?;
    let fields = metadata.get(&MapKey::String("fields".to_owned()));
    let fields = fields.and_then(Value::as_str).ok_or("no fields")?;
    Ok(fields.split(", ").map(str::to_owned).collect())
}

fn is_only(named: &[String], path: &str) -> bool {
    !named.is_empty() && named.iter().all(|name| name == path)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_of_every_request_is_checked() {
    let world = World::start_with(WorldOptions::still()).await;
    let mut raw = world.services().await;
    let uuid = raw.declared().await.uuid;
    let before = everything(&mut raw).await;
    let channel = world.channel().await;
    let (mut tried, mut wrong) = (0, Vec::new());
    for method in dynamic::methods() {
        for spoilt in spoilt(&method.input(), &[]) {
            let mut message = sound(&method.input(), &uuid);
            put(&mut message, &spoilt.place, spoilt.value.clone());
            let named = refused_fields(&channel, &method, &message).await;
            tried += 1;
            // One field may be wrong in more than one way.
            if !named
                .as_ref()
                .is_ok_and(|named| is_only(named, &spoilt.path()))
            {
                let shown: String = message.to_string().chars().take(300).collect();
                wrong.push(format!("{}: {shown} gave {named:?}", method.full_name()));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {tried}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(tried > 500, "only {tried} were tried");
    assert_eq!(
        everything(&mut raw).await,
        before,
        "refused calls change nothing"
    );
}

#[tokio::test]
async fn what_the_walk_calls_sound_is_not_refused_as_bad() {
    let world = World::start_with(WorldOptions::still()).await;
    let uuid = world.services().await.declared().await.uuid;
    let channel = world.channel().await;
    for method in dynamic::methods() {
        let message = sound(&method.input(), &uuid);
        if let Err(status) = dynamic::call(&channel, &method, &message).await {
            assert_ne!(
                status.code(),
                Code::InvalidArgument,
                "{}: {status:?}",
                method.full_name()
            );
        }
    }
}
