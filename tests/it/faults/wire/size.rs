//! A refusal arrives as itself, however large the request was that it is about: clients of grpc-core take 8 KiB of it.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, ReflectMessage as _, Value};
use tidegate_proto::v1;
use tidegate_tests::{
    World, WorldOptions, assert_refused, dynamic,
    http2::{Answer, Http2},
    needs::Need,
    process::{command, run},
    raw::{Raw, plain},
    refused, skip_without,
    tools::tool,
};
use tonic::{Code, Status};

/// What clients of grpc-core take.
const LARGEST: usize = 8 * 1_024;
/// Four bytes that are printed as ten, `\u{10fffd}`, and sent as twelve, `%F4%8F%BF%BD`.
const LAST: &str = "\u{10FFFD}";

async fn world() -> (World, Raw, Http2) {
    let world = World::start_with(WorldOptions::still()).await;
    let raw = world.services().await;
    let http2 = Http2::to(&world.address).await;
    (world, raw, http2)
}

fn small(answer: &Answer) -> Status {
    let size = answer.status_size();
    assert!(size < LARGEST, "{size} bytes: {:?}", answer.status());
    answer.status()
}

fn connection(policy: v1::ConnectionPolicy) -> v1::CreateConnectionRequest {
    v1::CreateConnectionRequest {
        name: "mirror".to_owned(),
        direction: v1::ConnectionDirection::Sender.into(),
        site_url: "https://mirror.example".to_owned(),
        policy: Some(policy),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_policy_with_many_bad_entries_is_refused_as_itself() {
    let (_world, _raw, mut http2) = world().await;
    let path = "/tidegate.v1.ConnectionService/CreateConnection";
    let bad: Vec<String> = (0..46).map(|n| format!("{n}\u{1}")).collect();
    let policy = v1::ConnectionPolicy {
        allowed_tables: bad.clone(),
        excluded_tables: bad.clone(),
        auto_approve_tables: bad.clone(),
        ip_allowlist: bad,
        ..Default::default()
    };
    let answer = http2.call(path, &connection(policy)).await;
    let status = small(&answer);
    let refused = assert_refused(&status, Code::InvalidArgument, "INVALID_FIELDS");
    let (last, named) = refused.fields.split_last().expect("violations");
    assert!(named.len() >= 10, "{refused:?}");
    assert_eq!(named[0], "policy.allowed_tables[0]");
    assert_eq!(last, "", "the rest is counted");
    let details = tonic_types::StatusExt::get_error_details(&status);
    let rest = details
        .bad_request()
        .and_then(|bad| bad.field_violations.last());
    let rest = rest.expect("violations").description.clone();
    let rest = rest
        .strip_prefix("and ")
        .and_then(|rest| rest.strip_suffix(" more"));
    let rest: usize = rest.and_then(|rest| rest.parse().ok()).expect("a number");
    assert!(named.len() + rest >= 40, "{} and {rest}", named.len());
}

/// A transfer of a table with a long name, on a connection that does not allow it.
async fn not_allowed(raw: &mut Raw) -> v1::CreateTransferRequest {
    let policy = v1::ConnectionPolicy {
        allowed_tables: vec!["orders".to_owned()],
        ..Default::default()
    };
    let created = raw.connections.create_connection(connection(policy)).await;
    let created = created.expect("it is accepted").into_inner().connection;
    v1::CreateTransferRequest {
        connection_uuid: created.expect("the connection").uuid,
        table_name: LAST.repeat(255),
        ..plain()
    }
}

#[tokio::test]
async fn a_long_name_that_is_not_allowed_is_refused_as_itself() {
    let (_world, mut raw, mut http2) = world().await;
    let wanted = not_allowed(&mut raw).await;
    let path = "/tidegate.v1.TransferService/CreateTransfer";
    let answer = http2.call(path, &wanted).await;
    let refused = small(&answer);
    assert_refused(&refused, Code::FailedPrecondition, "TABLE_NOT_ALLOWED");
}

#[tokio::test]
async fn every_method_refuses_oversized_fields_in_a_small_answer() {
    let (_world, _raw, mut http2) = world().await;
    let texts = [
        LAST.repeat(255),
        format!("{}\u{1}", LAST.repeat(254)),
        "%\u{7f}".repeat(127),
        "\u{0}".repeat(1_000),
        "x".repeat(4_000),
        "\"'\\".repeat(300),
    ];
    for method in dynamic::methods() {
        let path = dynamic::path(&method);
        for text in &texts {
            let mut entries = 64;
            let message = loop {
                let mut message = DynamicMessage::new(method.input());
                fill(&mut message, text, entries, 4);
                if prost::Message::encoded_len(&message) <= 60_000 || entries == 0 {
                    break message;
                }
                entries -= 1;
            };
            let answer = http2.call(&path, &message).await;
            if answer.status().code() != Code::Ok {
                refused(&small(&answer));
            }
        }
    }
}

#[tokio::test]
async fn a_path_or_encoding_that_is_long_is_not_repeated_in_full() {
    let (_world, _raw, mut http2) = world().await;
    let long = "x%".repeat(3_500);
    let answer = http2.call(&format!("/{long}"), &plain()).await;
    let unknown = small(&answer);
    assert_refused(&unknown, Code::Unimplemented, "UNKNOWN_METHOD");
    let head = tidegate_tests::http2::call("/tidegate.v1.TransferService/CreateTransfer");
    let head = head.header("grpc-encoding", long);
    let answer = http2
        .send(head, tidegate_tests::http2::framed(&plain()))
        .await;
    let encoding = small(&answer.expect("an answer"));
    assert_refused(&encoding, Code::Unimplemented, "UNSUPPORTED_ENCODING");
}

/// What a client of grpc-core makes of the answer to `message`.
async fn through_grpc_core(world: &World, path: &str, message: &impl prost::Message) -> Status {
    const SCRIPT: &str = r#"
import grpc, sys
address, path, message = sys.argv[1:]
call = grpc.insecure_channel(address).unary_unary(path)
try:
    call(bytes.fromhex(message))
    print(0)
except grpc.RpcError as error:
    trailers = {entry.key: entry.value for entry in error.trailing_metadata()}
    print(error.code().value[0], trailers.get("grpc-status-details-bin", b"").hex())
"#;
    let message: String = message
        .encode_to_vec()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let address = world.address.trim_start_matches("http://");
    let mut program = command(tool("python-grpcio"));
    program.args(["-c", SCRIPT, address, path, &message]);
    let ended = run(&mut program).await;
    let mut words = ended.stdout.split_whitespace();
    let code = words.next().and_then(|word| word.parse::<i32>().ok());
    let code = code.unwrap_or_else(|| panic!("no code in {ended:?}"));
    let hex = words.next().unwrap_or_default();
    let details: Vec<u8> = (0..hex.len())
        .step_by(2)
        .filter_map(|at| u8::from_str_radix(&hex[at..at + 2], 16).ok())
        .collect();
    Status::with_details(code.into(), "", details.into())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_grpc_core_gets_the_refusal_itself() {
    skip_without!(Need::Tool("python-grpcio"));
    let (world, mut raw, _http2) = world().await;
    let bad: Vec<String> = (0..46).map(|n| format!("{n}\u{1}")).collect();
    let policy = v1::ConnectionPolicy {
        allowed_tables: bad.clone(),
        excluded_tables: bad.clone(),
        ip_allowlist: bad,
        ..Default::default()
    };
    let path = "/tidegate.v1.ConnectionService/CreateConnection";
    let status = through_grpc_core(&world, path, &connection(policy)).await;
    assert_refused(&status, Code::InvalidArgument, "INVALID_FIELDS");

    let wanted = not_allowed(&mut raw).await;
    let path = "/tidegate.v1.TransferService/CreateTransfer";
    let status = through_grpc_core(&world, path, &wanted).await;
    assert_refused(&status, Code::FailedPrecondition, "TABLE_NOT_ALLOWED");
}

/// Gives every field a value made of `text`, and lists so many entries.
fn fill(message: &mut DynamicMessage, text: &str, entries: usize, depth: usize) {
    let fields: Vec<FieldDescriptor> = message.descriptor().fields().collect();
    for field in fields {
        let one = |depth| value(&field, text, entries, depth);
        if field.is_map() {
            let Kind::Message(entry) = field.kind() else {
                continue;
            };
            let kind = entry.map_entry_value_field();
            let keys = (0..entries.min(8)).map(|n| MapKey::String(format!("{n}{text}")));
            let Some(inner) = value(&kind, text, entries, depth.saturating_sub(1)) else {
                continue;
            };
            let map = keys.map(|key| (key, inner.clone())).collect();
            message.set_field(&field, Value::Map(map));
        } else if field.is_list() {
            if let Some(inner) = one(depth) {
                message.set_field(&field, Value::List(vec![inner; entries]));
            }
        } else if let Some(inner) = one(depth) {
            message.set_field(&field, inner);
        }
    }
}

fn value(field: &FieldDescriptor, text: &str, entries: usize, depth: usize) -> Option<Value> {
    Some(match field.kind() {
        Kind::String => Value::String(text.to_owned()),
        Kind::Bytes => Value::Bytes(text.as_bytes().to_vec().into()),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(i64::MIN),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(i32::MIN),
        Kind::Enum(_) => Value::EnumNumber(i32::MAX),
        Kind::Message(descriptor) if depth > 0 => {
            let mut inner = DynamicMessage::new(descriptor);
            fill(&mut inner, text, entries, depth - 1);
            Value::Message(inner)
        }
        _ => return None,
    })
}
