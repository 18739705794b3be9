//! Connections.

use std::time::Duration;

use tidegate_proto::v1;
use tidegate_tests::{
    World, WorldOptions, assert_refused,
    raw::{NOBODY, Raw, told, wire_duration, wire_time},
};
use tonic::Code;
use uuid::Uuid;

async fn world() -> (World, Raw) {
    let world = World::start_with(WorldOptions::still()).await;
    let raw = world.services().await;
    (world, raw)
}

fn request(name: &str, direction: v1::ConnectionDirection) -> v1::CreateConnectionRequest {
    v1::CreateConnectionRequest {
        allow_duplicate: true,
        name: name.to_owned(),
        direction: direction.into(),
        site_url: "http://127.0.0.1:4000/site".to_owned(),
        request_id: String::new(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_connection_is_active_at_once_and_read_back_as_created() {
    let (world, mut raw) = world().await;
    world.clock.advance(Duration::from_micros(987_654));
    let wanted = request("Ægir's mirror", v1::ConnectionDirection::Receiver);
    let answer = told(raw.connections.create_connection(wanted)).await;
    let created = answer.connection.expect("the connection");
    assert_eq!(
        Uuid::try_parse(&created.uuid).map(|uuid| uuid.get_version_num()),
        Ok(7)
    );
    let now = Some(wire_time(world.clock.now()));
    let expected = v1::Connection {
        uuid: created.uuid.clone(),
        name: "Ægir's mirror".to_owned(),
        direction: v1::ConnectionDirection::Receiver.into(),
        site_url: "http://127.0.0.1:4000/site".to_owned(),
        status: v1::ConnectionStatus::Active.into(),
        inserted_at: now,
        updated_at: now,
        revision: 1,
        policy: Some(v1::ConnectionPolicy {
            approval_mode: v1::ApprovalMode::AutoApprove.into(),
            ..v1::ConnectionPolicy::default()
        }),
        metadata: Some(prost_types::Struct::default()),
        ..Default::default()
    };
    assert_eq!(created, expected);

    let get = v1::GetConnectionRequest {
        uuid: created.uuid.clone(),
    };
    let answer = told(raw.connections.get_connection(get)).await;
    assert_eq!(answer.connection, Some(expected));
    let [event] = &raw.log().await[..] else {
        panic!("one event was expected");
    };
    let expected = v1::Event {
        sequence: 1,
        connection_uuid: created.uuid,
        r#type: v1::EventType::ConnectionCreated.into(),
        actor: "anonymous".to_owned(),
        revision: 1,
        occurred_at: now,
        connection_name: "Ægir's mirror".to_owned(),
        hash: event.hash.clone(),
        ..v1::Event::default()
    };
    assert_eq!(*event, expected);
}

#[tokio::test]
async fn a_connection_keeps_every_part_of_its_policy() {
    let (_world, mut raw) = world().await;
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let policy = v1::ConnectionPolicy {
        max_attempts: Some(3),
        stop_grace: Some(wire_duration(Duration::from_secs(90))),
        limit_to_requested: true,
        max_running: Some(1),
        max_running_per_agent: Some(i32::MAX),
        start_within: Some(wire_duration(Duration::from_secs(91))),
        finish_within: Some(wire_duration(Duration::from_secs(92))),
        max_retries: Some(100),
        retry_backoff: Some(wire_duration(Duration::from_secs(93))),
        approval_mode: v1::ApprovalMode::PerTable.into(),
        allowed_tables: names(&["public.orders", "odd, name"]),
        excluded_tables: names(&["secrets"]),
        auto_approve_tables: names(&["public.orders"]),
        expires_at: Some(prost_types::Timestamp {
            seconds: 4_000_000_000,
            nanos: 1_000,
        }),
        max_transfers: Some(0),
        max_records_total: Some(i64::MAX),
        max_records_per_request: Some(7),
        rate_limit_requests_per_minute: Some(1_000_000),
        ip_allowlist: names(&["192.0.2.0/24", "2001:db8::7/128"]),
        allowed_hours: "22:00-06:00".to_owned(),
        default_conflict_strategy: v1::ConflictStrategy::Merge.into(),
        heartbeat_timeout: Some(wire_duration(Duration::from_millis(1_500))),
        self_approval: true,
        table_case: v1::TableCase::Insensitive.into(),
    };
    let notes = prost_types::Struct {
        fields: [("ticket".to_owned(), prost_types::Value::from(4_711.0))].into(),
    };
    let wanted = v1::CreateConnectionRequest {
        policy: Some(policy.clone()),
        metadata: Some(notes.clone()),
        pending: true,
        ..request("north", v1::ConnectionDirection::Sender)
    };
    let answer = told(raw.connections.create_connection(wanted)).await;
    let uuid = answer.connection.expect("the connection").uuid;
    let found = raw.site_now(&uuid).await;
    assert_eq!(found.status(), v1::ConnectionStatus::Pending);
    assert_eq!(found.policy, Some(policy));
    assert_eq!(found.metadata, Some(notes));
    assert_eq!((found.transfers_used, found.records_used), (0, 0));
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_policy_is_said_at_once() {
    let (_world, mut raw) = world().await;
    let long = "x".repeat(256);
    let mut blocks = vec!["192.0.2.1".to_owned(); 3];
    blocks.push("192.0.2.1/24".to_owned());
    let policy = v1::ConnectionPolicy {
        max_attempts: Some(3),
        stop_grace: Some(wire_duration(Duration::from_secs(90))),
        limit_to_requested: true,
        max_running: Some(0),
        max_running_per_agent: Some(0),
        start_within: Some(wire_duration(Duration::from_millis(999))),
        finish_within: Some(wire_duration(Duration::from_secs(366 * 24 * 3_600 + 1))),
        max_retries: Some(101),
        retry_backoff: Some(wire_duration(Duration::from_secs(24 * 3_600 + 1))),
        approval_mode: 9,
        allowed_tables: vec!["good".to_owned(), String::new(), long],
        excluded_tables: vec!["x".to_owned(); 1_001],
        auto_approve_tables: vec!["a\nb".to_owned(); 50],
        expires_at: Some(prost_types::Timestamp {
            seconds: i64::MAX,
            nanos: 0,
        }),
        max_transfers: Some(-1),
        max_records_total: Some(i64::MIN),
        max_records_per_request: Some(-7),
        rate_limit_requests_per_minute: Some(0),
        ip_allowlist: blocks,
        allowed_hours: "9-17".to_owned(),
        default_conflict_strategy: 77,
        heartbeat_timeout: Some(wire_duration(Duration::from_millis(999))),
        self_approval: true,
        table_case: 9,
    };
    let bad = v1::CreateConnectionRequest {
        policy: Some(policy),
        ..v1::CreateConnectionRequest::default()
    };
    let refusal = raw.connections.create_connection(bad).await;
    let refusal = refusal.expect_err("nothing of it is right");
    let mut fields = assert_refused(&refusal, Code::InvalidArgument, "INVALID_FIELDS").fields;
    fields.sort();
    let mut expected: Vec<String> = [
        "direction",
        "name",
        "site_url",
        "policy.allowed_hours",
        "policy.allowed_tables[1]",
        "policy.allowed_tables[2]",
        "policy.approval_mode",
        "policy.default_conflict_strategy",
        "policy.excluded_tables",
        "policy.expires_at",
        "policy.finish_within",
        "policy.start_within",
        "policy.heartbeat_timeout",
        "policy.ip_allowlist[3]",
        "policy.max_retries",
        "policy.max_running",
        "policy.max_running_per_agent",
        "policy.max_transfers",
        "policy.max_records_per_request",
        "policy.max_records_total",
        "policy.rate_limit_requests_per_minute",
        "policy.retry_backoff",
        "policy.table_case",
    ]
    .map(str::to_owned)
    .to_vec();
    // The first ten of a list are enough to see what is wrong with it; and how many more there are.
    expected.push("policy.auto_approve_tables".to_owned());
    expected.extend((0..10).map(|place| format!("policy.auto_approve_tables[{place}]")));
    expected.sort();
    assert_eq!(fields, expected);
}

#[tokio::test]
async fn an_unknown_connection_is_not_found() {
    let (_world, mut raw) = world().await;
    // A transfer is no connection, whatever its uuid.
    let transfer = raw.declared().await.uuid;
    for uuid in [NOBODY.to_owned(), transfer] {
        let get = v1::GetConnectionRequest { uuid: uuid.clone() };
        let refusal = raw
            .connections
            .get_connection(get)
            .await
            .expect_err("nobody knows it");
        let refused = assert_refused(&refusal, Code::NotFound, "CONNECTION_NOT_FOUND");
        assert_eq!(refused.metadata.get("uuid"), Some(&uuid));
    }
}

#[tokio::test]
async fn connections_are_listed_newest_first_by_direction() {
    let (world, mut raw) = world().await;
    for number in 0..7 {
        world.clock.advance(Duration::from_secs(number % 2));
        let direction = if number % 3 == 0 {
            v1::ConnectionDirection::Sender
        } else {
            v1::ConnectionDirection::Receiver
        };
        let wanted = request(&format!("site {number}"), direction);
        told(raw.connections.create_connection(wanted)).await;
    }
    let mut list = async |direction: v1::ConnectionDirection, page_size| {
        let mut pages: Vec<String> = Vec::new();
        let mut page_token = String::new();
        loop {
            let direction = direction.into();
            let request = v1::ListConnectionsRequest {
                direction,
                page_size,
                page_token,
                ..Default::default()
            };
            let page = told(raw.connections.list_connections(request)).await;
            let numbers = page
                .connections
                .iter()
                .map(|each| each.name.trim_start_matches("site "));
            pages.push(numbers.collect());
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return pages;
            }
        }
    };
    let any = v1::ConnectionDirection::Unspecified;
    assert_eq!(list(any, 0).await, ["6543210"]);
    assert_eq!(list(any, 3).await, ["654", "321", "0"]);
    assert_eq!(list(v1::ConnectionDirection::Sender, 2).await, ["63", "0"]);
    assert_eq!(list(v1::ConnectionDirection::Receiver, 0).await, ["5421"]);
}

#[tokio::test]
async fn connections_are_listed_by_status() {
    let world = World::start_with(WorldOptions {
        sweep_interval: Duration::from_millis(20),
        ..WorldOptions::still()
    })
    .await;
    let mut raw = world.services().await;
    use v1::ConnectionStatus::{Active, Expired, Pending, Revoked, Suspended};
    let all = [Pending, Active, Suspended, Revoked, Expired];
    let mut uuids = Vec::new();
    for status in all {
        world.clock.advance(Duration::from_secs(1));
        uuids.push(raw.site_in(status).await);
    }
    let mut list = async |status: &[v1::ConnectionStatus]| {
        let request = v1::ListConnectionsRequest {
            status: status.iter().map(|status| (*status).into()).collect(),
            ..Default::default()
        };
        let page = told(raw.connections.list_connections(request)).await;
        let found = page.connections.iter().map(|each| each.uuid.clone());
        found.collect::<Vec<_>>()
    };
    for (status, uuid) in all.into_iter().zip(&uuids) {
        assert_eq!(list(&[status]).await, std::slice::from_ref(uuid));
    }
    let both = list(&[Active, Expired, Active]).await;
    assert_eq!(both, [uuids[4].clone(), uuids[1].clone()]);
    assert_eq!(list(&[]).await.len(), 5);

    // A token is good for the statuses that it was made for.
    let page = v1::ListConnectionsRequest {
        page_size: 1,
        status: vec![Active.into(), Pending.into()],
        ..Default::default()
    };
    let first = told(raw.connections.list_connections(page.clone())).await;
    let next = v1::ListConnectionsRequest {
        page_token: first.next_page_token.clone(),
        ..page.clone()
    };
    let second = told(raw.connections.list_connections(next)).await;
    assert_eq!(second.connections[0].uuid, uuids[0]);
    for status in [vec![Active.into()], vec![], vec![99]] {
        let other = v1::ListConnectionsRequest {
            page_token: first.next_page_token.clone(),
            status,
            ..page.clone()
        };
        let refusal = raw.connections.list_connections(other).await;
        let refusal = refusal.expect_err("the token is for another list");
        assert_refused(&refusal, Code::InvalidArgument, "INVALID_FIELDS");
    }
}
