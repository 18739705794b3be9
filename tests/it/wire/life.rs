//! The life of a transfer that needs no approval, field by field.

use std::{collections::BTreeMap, time::Duration};

use prost_types::{ListValue, Struct, Value, value::Kind};
use tidegate_proto::v1::{self, TransferStatus};
use tidegate_tests::{
    World, WorldOptions, assert_refused,
    raw::{ADMIN, NOBODY, Raw, done, plain, totals, wire_duration, wire_time},
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

#[tokio::test]
async fn a_transfer_is_created_with_everything_it_was_given() {
    let (world, mut raw) = world().await;
    world.clock.advance(Duration::from_micros(1_234_567));
    let connection_uuid = raw.connection("mirror").await;
    let earlier = raw.declared().await;
    let request = v1::CreateTransferRequest {
        direction: v1::Direction::Receive.into(),
        table_name: "público.personajes".to_owned(),
        connection_uuid: connection_uuid.clone(),
        session_code: "AB12CD34".to_owned(),
        remote_site_url: "https://mirror.example/sync?x=1".to_owned(),
        records_requested: i64::MAX,
        conflict_strategy: v1::ConflictStrategy::Merge.into(),
        requires_approval: true,
        requester_ip: "2001:0db8:0:0:0:0:0:1".to_owned(),
        requester_user_agent: "agent/7 (test)".to_owned(),
        initiated_by_uuid: ADMIN.to_owned(),
        metadata: Some(notes()),
        retry_of_uuid: earlier.uuid.clone(),
        request_id: "create-1".to_owned(),
    };
    let answer = raw
        .transfers
        .create_transfer(request)
        .await
        .expect("it is accepted");
    let created = answer.into_inner().transfer.expect("the transfer");

    let uuid = Uuid::try_parse(&created.uuid).expect("a uuid");
    assert_eq!(
        (uuid.get_version_num(), uuid.to_string()),
        (7, created.uuid.clone())
    );
    let now = Some(wire_time(world.clock.now()));
    let expected = v1::Transfer {
        uuid: created.uuid.clone(),
        direction: v1::Direction::Receive.into(),
        connection_uuid,
        session_code: "AB12CD34".to_owned(),
        remote_site_url: "https://mirror.example/sync?x=1".to_owned(),
        table_name: "público.personajes".to_owned(),
        records_requested: i64::MAX,
        conflict_strategy: v1::ConflictStrategy::Merge.into(),
        status: TransferStatus::Pending.into(),
        requires_approval: true,
        progress: Some(totals(0)),
        requester_ip: "2001:db8::1".to_owned(),
        requester_user_agent: "agent/7 (test)".to_owned(),
        initiated_by_uuid: ADMIN.to_owned(),
        inserted_at: now,
        updated_at: now,
        metadata: Some(notes()),
        retry_of_uuid: earlier.uuid,
        revision: 1,
        ..v1::Transfer::default()
    };
    assert_eq!(created, expected);
    assert_eq!(
        raw.now(&created.uuid).await,
        expected,
        "what was answered is what is kept"
    );
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
        direction: v1::Direction::Send.into(),
        table_name: "characters".to_owned(),
        status: TransferStatus::Pending.into(),
        progress: Some(totals(0)),
        requester_ip: "127.0.0.1".to_owned(),
        requester_user_agent: agent,
        inserted_at: now,
        updated_at: now,
        metadata: Some(Struct::default()),
        revision: 1,
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
async fn a_transfer_starts_reports_and_completes() {
    let (world, mut raw) = world().await;
    let created = raw.declared().await;
    let uuid = created.uuid.clone();

    world.clock.advance(Duration::from_micros(1_000_001));
    let began = world.clock.now();
    let heartbeat = Duration::from_secs(60);
    let request = v1::StartTransferRequest {
        uuid: uuid.clone(),
        heartbeat_timeout: Some(wire_duration(heartbeat)),
        request_id: String::new(),
    };
    let started = done(raw.transfers.start_transfer(request)).await;
    let expected = v1::Transfer {
        status: TransferStatus::InProgress.into(),
        started_at: Some(wire_time(began)),
        updated_at: Some(wire_time(began)),
        heartbeat_timeout: Some(wire_duration(heartbeat)),
        heartbeat_expires_at: Some(wire_time(began.after(heartbeat))),
        revision: 2,
        ..created
    };
    assert_eq!(started, expected);

    world.clock.advance(Duration::from_secs(7));
    let reported = world.clock.now();
    let progress = v1::Progress {
        records_transferred: Some(10),
        records_created: Some(6),
        bytes_transferred: Some(4_096),
        ..v1::Progress::default()
    };
    let request = v1::UpdateProgressRequest {
        uuid: uuid.clone(),
        progress: Some(progress),
        checkpoint: Some(vec![0, 255, 7]),
        request_id: String::new(),
    };
    let running = done(raw.transfers.update_progress(request)).await;
    let expected = v1::Transfer {
        progress: Some(v1::Progress {
            records_transferred: Some(10),
            records_created: Some(6),
            bytes_transferred: Some(4_096),
            ..totals(0)
        }),
        checkpoint: vec![0, 255, 7],
        updated_at: Some(wire_time(reported)),
        heartbeat_expires_at: Some(wire_time(reported.after(heartbeat))),
        revision: 3,
        success_rate: 0.6,
        ..expected
    };
    assert_eq!(running, expected);

    world.clock.advance(Duration::from_micros(500));
    let ended = world.clock.now();
    let last = v1::Progress {
        records_updated: Some(2),
        ..v1::Progress::default()
    };
    let request = v1::CompleteTransferRequest {
        uuid: uuid.clone(),
        progress: Some(last),
        request_id: String::new(),
    };
    let completed = done(raw.transfers.complete_transfer(request)).await;
    let expected = v1::Transfer {
        status: TransferStatus::Completed.into(),
        progress: Some(v1::Progress {
            records_transferred: Some(10),
            records_created: Some(6),
            records_updated: Some(2),
            bytes_transferred: Some(4_096),
            ..totals(0)
        }),
        completed_at: Some(wire_time(ended)),
        updated_at: Some(wire_time(ended)),
        heartbeat_expires_at: None,
        duration: Some(wire_duration(Duration::from_micros(7_000_500))),
        success_rate: 0.8,
        revision: 4,
        ..expected
    };
    assert_eq!(completed, expected);
    assert_eq!(raw.now(&uuid).await, expected);
}

#[tokio::test]
async fn the_success_rate_is_not_clamped() {
    let (_world, mut raw) = world().await;
    let uuid = raw.running().await.uuid;
    let progress = v1::Progress {
        records_transferred: Some(4),
        records_created: Some(4),
        records_updated: Some(2),
        ..v1::Progress::default()
    };
    let request = v1::CompleteTransferRequest {
        uuid,
        progress: Some(progress),
        request_id: String::new(),
    };
    let completed = done(raw.transfers.complete_transfer(request)).await;
    assert_eq!(completed.success_rate.to_bits(), 1.5_f64.to_bits());
}

#[tokio::test]
async fn a_failed_transfer_keeps_its_message_and_its_totals() {
    let (world, mut raw) = world().await;
    let started = raw.running().await;
    world.clock.advance(Duration::from_secs(3));
    let now = Some(wire_time(world.clock.now()));
    let request = v1::FailTransferRequest {
        uuid: started.uuid.clone(),
        error_message: "line 1\n\tline 2".to_owned(),
        progress: Some(totals(5)),
        request_id: String::new(),
    };
    let failed = done(raw.transfers.fail_transfer(request)).await;
    let expected = v1::Transfer {
        status: TransferStatus::Failed.into(),
        error_message: "line 1\n\tline 2".to_owned(),
        progress: Some(totals(5)),
        completed_at: now,
        updated_at: now,
        duration: Some(wire_duration(Duration::from_secs(3))),
        success_rate: 1.0,
        revision: 3,
        ..started
    };
    assert_eq!(failed, expected);
    assert_eq!(raw.now(&failed.uuid).await, expected);
}

#[tokio::test]
async fn a_transfer_is_cancelled_from_every_status_that_is_not_terminal() {
    let (world, mut raw) = world().await;
    for status in [
        TransferStatus::Pending,
        TransferStatus::PendingApproval,
        TransferStatus::Approved,
        TransferStatus::InProgress,
    ] {
        let before = raw.standing(status, &world.clock).await;
        world.clock.advance(Duration::from_micros(3));
        let now = Some(wire_time(world.clock.now()));
        let request = v1::CancelTransferRequest {
            uuid: before.uuid.clone(),
            reason: "no longer wanted".to_owned(),
            request_id: String::new(),
        };
        let cancelled = done(raw.transfers.cancel_transfer(request)).await;
        let expected = v1::Transfer {
            status: TransferStatus::Cancelled.into(),
            cancel_reason: "no longer wanted".to_owned(),
            completed_at: now,
            updated_at: now,
            duration: before
                .started_at
                .map(|_| wire_duration(Duration::from_micros(3))),
            revision: before.revision + 1,
            ..before
        };
        assert_eq!(cancelled, expected, "from {status:?}");
    }
}

#[tokio::test]
async fn a_deleted_transfer_is_gone_and_its_events_stay() {
    let (_world, mut raw) = world().await;
    let uuid = raw.running().await.uuid;
    let completed = raw.complete(&uuid, 3).await;
    let before = raw.events_of(&uuid).await;
    let request = v1::DeleteTransferRequest {
        uuid: uuid.clone(),
        request_id: "del".to_owned(),
    };
    let answer = raw
        .transfers
        .delete_transfer(request)
        .await
        .expect("it is terminal");
    assert_eq!(answer.into_inner(), v1::DeleteTransferResponse {});

    let get = v1::GetTransferRequest {
        uuid: uuid.clone(),
        preload: Vec::new(),
    };
    let refusal = raw
        .transfers
        .get_transfer(get)
        .await
        .expect_err("it is gone");
    assert_refused(&refusal, Code::NotFound, "TRANSFER_NOT_FOUND");
    assert_eq!(raw.count().await, 0);
    let after = raw.events_of(&uuid).await;
    let (last, kept) = after.split_last().expect("events stay");
    assert_eq!(kept, before);
    assert_eq!(last.action, i32::from(v1::TransferEventAction::Deleted));
    assert_eq!(
        (last.from_status, last.to_status),
        (completed.status, completed.status)
    );
    assert_eq!(
        (last.request_id.as_str(), last.revision),
        ("del", completed.revision)
    );

    let again = v1::DeleteTransferRequest {
        uuid,
        request_id: String::new(),
    };
    let refusal = raw
        .transfers
        .delete_transfer(again)
        .await
        .expect_err("it is gone already");
    assert_refused(&refusal, Code::NotFound, "TRANSFER_NOT_FOUND");
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
