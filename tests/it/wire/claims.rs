//! Claims over the wire: what is started, in which order, and what a repetition answers.

use std::time::Duration;

use tidegate_proto::v1::{self, EventType, TransferStatus};
use tidegate_tests::{
    World, WorldOptions, assert_refused,
    raw::{NOBODY, Raw, done, plain, told, under_way, wire_duration, wire_time},
    request,
};
use tonic::Code;

const HEARTBEAT: Duration = Duration::from_secs(60);

async fn world() -> (World, Raw, String) {
    let world = World::start_with(WorldOptions::still()).await;
    let mut raw = world.services().await;
    let connection = raw.connection("north").await;
    (world, raw, connection)
}

/// As many as there are.
fn all(connection: &str) -> v1::ClaimTransfersRequest {
    v1::ClaimTransfersRequest {
        max: 100,
        ..request::claim(connection)
    }
}

async fn claim(raw: &mut Raw, request: v1::ClaimTransfersRequest) -> Vec<v1::Transfer> {
    told(raw.transfers.claim_transfers(request)).await.transfers
}

fn uuids(transfers: &[v1::Transfer]) -> Vec<&str> {
    transfers.iter().map(|it| it.uuid.as_str()).collect()
}

fn of(connection: &str, priority: i32) -> v1::CreateTransferRequest {
    v1::CreateTransferRequest {
        connection_uuid: connection.to_owned(),
        priority,
        ..plain()
    }
}

/// Declares what may not be started now, each for a reason of its own.
async fn others(world: &World, raw: &mut Raw, connection: &str) {
    let paused = raw.create(of(connection, 9)).await.uuid;
    done(raw.transfers.pause_transfer(request::pause(&paused))).await;
    let early = v1::CreateTransferRequest {
        not_before: Some(wire_time(world.clock.now().after(HEARTBEAT))),
        ..of(connection, 9)
    };
    raw.create(early).await;
    let undecided = v1::CreateTransferRequest {
        requires_approval: true,
        ..of(connection, 9)
    };
    raw.create(undecided.clone()).await;
    let asked = raw.create(undecided).await.uuid;
    raw.ask(&asked, HEARTBEAT).await;
    let running = raw.create(of(connection, 9)).await.uuid;
    raw.start(&running).await;
    let elsewhere = raw.connection("south").await;
    raw.create(of(&elsewhere, 9)).await;
    raw.create(of("", 9)).await;
}

#[tokio::test]
async fn what_may_be_started_is_started_in_its_order() {
    let (world, mut raw, connection) = world().await;
    others(&world, &mut raw, &connection).await;
    let approved = v1::CreateTransferRequest {
        requires_approval: true,
        ..of(&connection, -100)
    };
    let last = raw.create(approved).await.uuid;
    raw.ask(&last, HEARTBEAT).await;
    let last = raw.approve(&last).await;
    let mut expected = Vec::new();
    for priority in [0, 100, 100] {
        world.clock.advance(Duration::from_millis(1));
        expected.push(raw.create(of(&connection, priority)).await);
    }
    expected.rotate_left(1);
    expected.push(last);

    world.clock.advance(Duration::from_secs(1));
    let now = world.clock.now();
    let request = v1::ClaimTransfersRequest {
        agent_instance: "host-1".to_owned(),
        heartbeat_timeout: Some(wire_duration(HEARTBEAT)),
        request_id: "claim-1".to_owned(),
        ..all(&connection)
    };
    let claimed = told(raw.transfers.claim_transfers(request)).await.transfers;
    let started = |transfer: v1::Transfer| v1::Transfer {
        status: TransferStatus::InProgress.into(),
        started_at: Some(wire_time(now)),
        updated_at: Some(wire_time(now)),
        heartbeat_timeout: Some(wire_duration(HEARTBEAT)),
        heartbeat_expires_at: Some(wire_time(now.after(HEARTBEAT))),
        lease_epoch: 1,
        agent_instance: "host-1".to_owned(),
        revision: transfer.revision + 1,
        ..under_way(transfer, Some(wire_time(now)))
    };
    let expected: Vec<_> = expected.into_iter().map(started).collect();
    assert_eq!(claimed, expected);
    for transfer in &claimed {
        assert_eq!(raw.now(&transfer.uuid).await, *transfer);
    }

    let log = raw.log().await;
    let events = &log[log.len() - 4..];
    for (event, transfer) in events.iter().zip(&claimed) {
        assert_eq!(event.r#type(), EventType::Started);
        assert_eq!(event.transfer_uuid, transfer.uuid);
    }
    for event in events {
        let lease = event.lease.as_ref().expect("whose run it is");
        assert_eq!(
            (lease.lease_epoch, lease.agent_instance.as_str()),
            (1, "host-1")
        );
    }
    let rest = &uuids(&claimed)[1..];
    let claim_detail = v1::event::Detail::Claim(v1::ClaimDetail {
        claimed_with_uuids: rest.iter().map(ToString::to_string).collect(),
    });
    assert_eq!(events[0].request_id, "claim-1");
    assert_eq!(events[0].detail, Some(claim_detail));
    assert_eq!(
        (events[1].request_id.as_str(), &events[1].detail),
        ("", &None)
    );

    let nothing = claim(&mut raw, all(&connection)).await;
    assert_eq!(nothing, []);
    let alone = claim(&mut raw, all("")).await;
    assert_eq!(alone.len(), 1, "the one that belongs to no connection");
}

#[tokio::test]
async fn only_what_the_filter_means_is_started() {
    let (_world, mut raw, connection) = world().await;
    let mut declared = Vec::new();
    for (table, direction) in [
        ("orders", v1::Direction::Send),
        ("orders", v1::Direction::Receive),
        ("Orders", v1::Direction::Send),
        ("items", v1::Direction::Send),
    ] {
        let request = v1::CreateTransferRequest {
            table_name: table.to_owned(),
            direction: direction.into(),
            ..of(&connection, 0)
        };
        declared.push(raw.create(request).await.uuid);
    }
    let one = v1::ClaimTransfersRequest {
        table_names: vec!["items".to_owned(), "orders".to_owned()],
        ..request::claim(&connection)
    };
    let oldest = claim(&mut raw, one.clone()).await;
    assert_eq!(
        uuids(&oldest),
        [&declared[0]],
        "one, unless more are wanted"
    );
    let sent = v1::ClaimTransfersRequest {
        direction: v1::Direction::Send.into(),
        max: 9,
        ..one
    };
    assert_eq!(uuids(&claim(&mut raw, sent).await), [&declared[3]]);
    let rest = claim(&mut raw, all(&connection)).await;
    assert_eq!(uuids(&rest), [&declared[1], &declared[2]]);
}

#[tokio::test]
async fn a_repetition_answers_with_the_same_transfers() {
    let (_world, mut raw, connection) = world().await;
    for _ in 0..3 {
        raw.create(of(&connection, 0)).await;
    }
    let request = v1::ClaimTransfersRequest {
        max: 2,
        request_id: "claim".to_owned(),
        ..request::claim(&connection)
    };
    let first = claim(&mut raw, request.clone()).await;
    assert_eq!(first.len(), 2);
    let log = raw.log().await;
    assert_eq!(claim(&mut raw, request.clone()).await, first);
    assert_eq!(raw.log().await, log, "nothing was started by it");
    let completed = raw.complete(&first[1].uuid, 7).await;
    let again = claim(&mut raw, request.clone()).await;
    assert_eq!(again, [first[0].clone(), completed], "as they are now");
    raw.delete(&first[1].uuid).await;
    assert_eq!(claim(&mut raw, request.clone()).await, first[..1]);

    let more = v1::ClaimTransfersRequest { max: 3, ..request };
    let refused = raw.transfers.claim_transfers(more).await;
    let refused = refused.expect_err("the id is of another request");
    assert_refused(&refused, Code::AlreadyExists, "REQUEST_ID_REUSED");

    let one = v1::ClaimTransfersRequest {
        request_id: "one".to_owned(),
        ..request::claim(&connection)
    };
    let last = claim(&mut raw, one.clone()).await;
    assert_eq!((last.len(), claim(&mut raw, one).await), (1, last));
    let empty = v1::ClaimTransfersRequest {
        request_id: "empty".to_owned(),
        ..request::claim(&connection)
    };
    assert_eq!(claim(&mut raw, empty.clone()).await, []);
    raw.create(of(&connection, 0)).await;
    let found = claim(&mut raw, empty).await;
    assert_eq!(found.len(), 1, "an empty answer is not remembered");
}

#[tokio::test]
async fn what_the_policy_does_not_allow_now_is_left_out() {
    let (_world, mut raw, connection) = world().await;
    let excluded = raw.create(of(&connection, 9)).await.uuid;
    let large = v1::CreateTransferRequest {
        records_requested: 11,
        table_name: "orders".to_owned(),
        ..of(&connection, 9)
    };
    raw.create(large).await;
    let mut good = Vec::new();
    for _ in 0..3 {
        let request = v1::CreateTransferRequest {
            table_name: "orders".to_owned(),
            ..of(&connection, 0)
        };
        good.push(raw.create(request).await.uuid);
    }
    let policy = |policy| v1::UpdateConnectionRequest {
        connection: Some(v1::Connection {
            uuid: connection.clone(),
            policy: Some(policy),
            ..v1::Connection::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["policy".to_owned()],
        }),
        ..v1::UpdateConnectionRequest::default()
    };
    let strict = v1::ConnectionPolicy {
        excluded_tables: vec!["characters".to_owned()],
        max_records_per_request: Some(10),
        max_transfers: Some(2),
        ..v1::ConnectionPolicy::default()
    };
    told(raw.connections.update_connection(policy(strict))).await;
    let claimed = claim(&mut raw, all(&connection)).await;
    assert_eq!(uuids(&claimed), [&good[0], &good[1]], "two and no more");
    let elsewhere = v1::ConnectionPolicy {
        ip_allowlist: vec!["192.0.2.0/24".to_owned()],
        ..v1::ConnectionPolicy::default()
    };
    told(raw.connections.update_connection(policy(elsewhere))).await;
    let refused = raw.transfers.claim_transfers(all(&connection)).await;
    let refused = refused.expect_err("nothing is started from here");
    assert_refused(&refused, Code::PermissionDenied, "IP_NOT_ALLOWED");
    let open = v1::ConnectionPolicy::default();
    told(raw.connections.update_connection(policy(open))).await;
    let rest = claim(&mut raw, all(&connection)).await;
    assert_eq!((rest.len(), rest[0].uuid.as_str()), (3, excluded.as_str()));
}

#[tokio::test]
async fn an_unknown_connection_is_named() {
    let (_world, mut raw, _) = world().await;
    let refused = raw.transfers.claim_transfers(all(NOBODY)).await;
    let refused = refused.expect_err("there is no such connection");
    let refused = assert_refused(&refused, Code::NotFound, "CONNECTION_NOT_FOUND");
    assert_eq!(
        refused.metadata.get("uuid").map(String::as_str),
        Some(NOBODY)
    );
    for bad in [
        v1::ClaimTransfersRequest {
            max: 101,
            ..all(NOBODY)
        },
        v1::ClaimTransfersRequest {
            table_names: vec!["x".to_owned(); 101],
            ..all(NOBODY)
        },
        v1::ClaimTransfersRequest {
            wait: Some(wire_duration(Duration::from_millis(60_001))),
            ..all(NOBODY)
        },
    ] {
        let refused = raw.transfers.claim_transfers(bad).await;
        let refused = refused.expect_err("it is beyond a limit");
        assert_refused(&refused, Code::InvalidArgument, "INVALID_FIELDS");
    }
}

#[tokio::test]
async fn a_retry_inherits_the_priority() {
    let (_world, mut raw, connection) = world().await;
    let uuid = raw.create(of(&connection, 7)).await.uuid;
    raw.cancel(&uuid).await;
    let retry = v1::RetryTransferRequest {
        uuid,
        ..v1::RetryTransferRequest::default()
    };
    let again = done(raw.transfers.retry_transfer(retry)).await;
    assert_eq!(again.priority, 7);
}
