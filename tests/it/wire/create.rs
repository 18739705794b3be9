//! A new transfer, field by field, and reading it back.

use std::{collections::BTreeMap, time::Duration};

use prost_types::{ListValue, Struct, Value, value::Kind};
use tidegate_proto::v1::{self, TransferStatus};
use tidegate_tests::{
    World, WorldOptions, assert_refused,
    raw::{ADMIN, NOBODY, Raw, done, plain, totals, wire_time},
};
use tonic::Code;
use uuid::Uuid;

async fn world() -> (World, Raw) {
    let world = World::start_with(WorldOptions::still()).await;
    let raw = world.services().await;
    (world, raw)
}

fn text(value: &str) -> Value {
    Value {
        kind: Some(Kind::StringValue(value.to_owned())),
    }
}

fn notes() -> Struct {
    let list = ListValue {
        values: vec![
            Value {
                kind: Some(Kind::NumberValue(1.5)),
            },
            Value {
                kind: Some(Kind::BoolValue(true)),
            },
            Value {
                kind: Some(Kind::NullValue(0)),
            },
            text("línea\nnueva"),
        ],
    };
    let inner = BTreeMap::from([(
        "list".to_owned(),
        Value {
            kind: Some(Kind::ListValue(list)),
        },
    )]);
    let inner = Value {
        kind: Some(Kind::StructValue(Struct { fields: inner })),
    };
    Struct {
        fields: BTreeMap::from([("inner".to_owned(), inner), ("key".to_owned(), text(""))]),
    }
}

/// Neither side has said anything.
fn unreconciled() -> v1::Reconciliation {
    v1::Reconciliation {
        state: v1::ReconciliationState::Pending.into(),
        ..v1::Reconciliation::default()
    }
}

/// A request with every field, and the transfer that it asks for.
fn everything(
    connection_uuid: &str,
    retry_of_uuid: &str,
) -> (v1::CreateTransferRequest, v1::Transfer) {
    let time = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let request = v1::CreateTransferRequest {
        max_attempts: 7,
        priority: -100,
        direction: v1::Direction::Receive.into(),
        table_name: "público.personajes".to_owned(),
        connection_uuid: connection_uuid.to_owned(),
        session_code: "AB12CD34".to_owned(),
        remote_site_url: "https://mirror.example/sync?x=1".to_owned(),
        records_requested: i64::MAX,
        conflict_strategy: v1::ConflictStrategy::Merge.into(),
        requires_approval: true,
        requester_ip: "2001:0db8:0:0:0:0:0:1".to_owned(),
        requester_user_agent: "agent/7 (test)".to_owned(),
        initiated_by_uuid: ADMIN.to_owned(),
        metadata: Some(notes()),
        correlation_uuid: retry_of_uuid.to_owned(),
        plan_uuid: NOBODY.to_owned(),
        retry_of_uuid: retry_of_uuid.to_owned(),
        request_id: "create-1".to_owned(),
        not_before: time(2_000_000_000),
        start_by: time(2_000_000_001),
        finish_by: time(2_000_000_002),
    };
    let transfer = v1::Transfer {
        direction: v1::Direction::Receive.into(),
        connection_uuid: connection_uuid.to_owned(),
        session_code: "AB12CD34".to_owned(),
        remote_site_url: "https://mirror.example/sync?x=1".to_owned(),
        table_name: "público.personajes".to_owned(),
        records_requested: i64::MAX,
        conflict_strategy: v1::ConflictStrategy::Merge.into(),
        status: TransferStatus::Pending.into(),
        requires_approval: true,
        progress: Some(totals(0)),
        requester_ip: "2001:db8::1".to_owned(),
        observed_ip: "127.0.0.1".to_owned(),
        requester_user_agent: "agent/7 (test)".to_owned(),
        initiated_by_uuid: ADMIN.to_owned(),
        metadata: Some(notes()),
        correlation_uuid: retry_of_uuid.to_owned(),
        plan_uuid: NOBODY.to_owned(),
        retry_of_uuid: retry_of_uuid.to_owned(),
        max_attempts: 7,
        priority: -100,
        not_before: time(2_000_000_000),
        start_expires_at: time(2_000_000_001),
        finish_expires_at: time(2_000_000_002),
        revision: 1,
        estimate_unknown_reason: v1::EstimateUnknownReason::NotRunning.into(),
        reconciliation: Some(unreconciled()),
        ..v1::Transfer::default()
    };
    (request, transfer)
}

#[tokio::test]
async fn a_transfer_is_created_with_everything_it_was_given() {
    let (world, mut raw) = world().await;
    world.clock.advance(Duration::from_micros(1_234_567));
    let connection_uuid = raw.connection("mirror").await;
    let earlier = v1::CreateTransferRequest {
        direction: v1::Direction::Receive.into(),
        table_name: "público.personajes".to_owned(),
        connection_uuid: connection_uuid.clone(),
        ..plain()
    };
    let earlier = raw.create(earlier).await.uuid;
    raw.cancel(&earlier).await;
    let (request, expected) = everything(&connection_uuid, &earlier);
    let created = done(raw.transfers.create_transfer(request)).await;
    let uuid = Uuid::try_parse(&created.uuid).expect("a uuid");
    assert_eq!(
        (uuid.get_version_num(), uuid.to_string()),
        (7, created.uuid.clone())
    );
    let now = Some(wire_time(world.clock.now()));
    let expected = v1::Transfer {
        uuid: created.uuid.clone(),
        inserted_at: now,
        updated_at: now,
        policy_revision: 1,
        retry_number: 1,
        ..expected
    };
    assert_eq!(created, expected);
    let kept = raw.now(&created.uuid).await;
    assert_eq!(kept, expected, "what was answered is what is kept");
}

#[tokio::test]
async fn what_was_not_given_is_absent_and_the_caller_is_noted() {
    let (world, mut raw) = world().await;
    let created = raw.declared().await;
    let agent = created.requester_user_agent.clone();
    assert!(agent.starts_with("tonic/"), "{agent}");
    let now = Some(wire_time(world.clock.now()));
    let expected = v1::Transfer {
        uuid: created.uuid.clone(),
        correlation_uuid: created.uuid.clone(),
        direction: v1::Direction::Send.into(),
        table_name: "characters".to_owned(),
        status: TransferStatus::Pending.into(),
        progress: Some(totals(0)),
        observed_ip: "127.0.0.1".to_owned(),
        requester_user_agent: agent,
        inserted_at: now,
        updated_at: now,
        metadata: Some(Struct::default()),
        max_attempts: 1,
        revision: 1,
        estimate_unknown_reason: v1::EstimateUnknownReason::NotRunning.into(),
        reconciliation: Some(unreconciled()),
        ..v1::Transfer::default()
    };
    assert_eq!(created, expected);
}

#[tokio::test]
async fn a_transfer_is_read_with_its_connection_only_when_asked() {
    let (_world, mut raw) = world().await;
    let connection_uuid = raw.connection("mirror").await;
    let request = v1::CreateTransferRequest {
        connection_uuid: connection_uuid.clone(),
        ..plain()
    };
    let created = raw.create(request).await;
    let get = |preload: Vec<i32>| v1::GetTransferRequest {
        uuid: created.uuid.clone(),
        preload,
    };

    let bare = done(raw.transfers.get_transfer(get(Vec::new()))).await;
    assert_eq!(bare, created);
    assert_eq!(bare.connection, None);
    let wanted = vec![v1::Preload::Connection.into()];
    let full = done(raw.transfers.get_transfer(get(wanted))).await;
    let connection = full.connection.clone().expect("the connection");
    assert_eq!(
        (connection.uuid, connection.name),
        (connection_uuid, "mirror".to_owned())
    );
    assert_eq!(
        v1::Transfer {
            connection: None,
            ..full
        },
        created
    );

    let alone = raw.declared().await;
    let request = v1::GetTransferRequest {
        uuid: alone.uuid.clone(),
        preload: vec![v1::Preload::Connection.into()],
    };
    assert_eq!(done(raw.transfers.get_transfer(request)).await, alone);

    let unknown = v1::GetTransferRequest {
        uuid: NOBODY.to_owned(),
        preload: Vec::new(),
    };
    let refusal = raw
        .transfers
        .get_transfer(unknown)
        .await
        .expect_err("nobody knows it");
    let refused = assert_refused(&refusal, Code::NotFound, "TRANSFER_NOT_FOUND");
    assert_eq!(
        refused.metadata.get("uuid").map(String::as_str),
        Some(NOBODY)
    );
}

#[tokio::test]
async fn unknown_neighbours_are_named() {
    let (_world, mut raw) = world().await;
    let request = v1::CreateTransferRequest {
        connection_uuid: NOBODY.to_owned(),
        ..plain()
    };
    let refusal = raw
        .transfers
        .create_transfer(request)
        .await
        .expect_err("no such connection");
    let refused = assert_refused(&refusal, Code::NotFound, "CONNECTION_NOT_FOUND");
    assert_eq!(
        refused.metadata.get("uuid").map(String::as_str),
        Some(NOBODY)
    );
    let request = v1::CreateTransferRequest {
        retry_of_uuid: NOBODY.to_owned(),
        ..plain()
    };
    let refusal = raw
        .transfers
        .create_transfer(request)
        .await
        .expect_err("no such transfer");
    let refused = assert_refused(&refusal, Code::NotFound, "TRANSFER_NOT_FOUND");
    assert_eq!(
        refused.metadata.get("uuid").map(String::as_str),
        Some(NOBODY)
    );
    assert_eq!((raw.count().await, raw.log().await.len()), (0, 0));
}
