//! Changes of a connection, by mask and by revision.

use tidegate_proto::v1::{self, EventType, event::Detail};
use tidegate_tests::{
    World, WorldOptions, assert_refused,
    raw::{Raw, told, wire_time},
    site::{limiting, renaming, updating},
};
use tonic::Code;

async fn world() -> (World, Raw) {
    let world = World::start_with(WorldOptions::still()).await;
    let raw = world.services().await;
    (world, raw)
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A connection with something in every field that a test changes.
async fn rich(raw: &mut Raw) -> v1::Connection {
    let uuid = raw
        .site(v1::ConnectionPolicy {
            approval_mode: v1::ApprovalMode::RequireApproval.into(),
            allowed_tables: names(&["a", "b"]),
            max_transfers: Some(5),
            allowed_hours: "00:00-24:00".to_owned(),
            self_approval: true,
            ..v1::ConnectionPolicy::default()
        })
        .await;
    raw.site_now(&uuid).await
}

#[tokio::test]
async fn only_what_the_mask_names_is_changed() {
    let (world, mut raw) = world().await;
    let before = rich(&mut raw).await;
    world.clock.advance(std::time::Duration::from_secs(3));
    // Everything else in it is wrong, and not looked at.
    let wanted = v1::Connection {
        uuid: before.uuid.clone(),
        name: String::new(),
        site_url: "https://elsewhere.example".to_owned(),
        direction: 99,
        policy: Some(v1::ConnectionPolicy {
            allowed_tables: names(&["c"]),
            excluded_tables: names(&[""]),
            max_transfers: Some(-3),
            allowed_hours: "never".to_owned(),
            ..v1::ConnectionPolicy::default()
        }),
        revision: 4_711,
        ..v1::Connection::default()
    };
    let update = updating(
        wanted,
        &["site_url", "policy.allowed_tables", "policy.self_approval"],
    );
    let answer = told(raw.connections.update_connection(update)).await;
    let expected = v1::Connection {
        site_url: "https://elsewhere.example".to_owned(),
        policy: before.policy.clone().map(|policy| v1::ConnectionPolicy {
            allowed_tables: names(&["c"]),
            self_approval: false,
            ..policy
        }),
        updated_at: Some(wire_time(world.clock.now())),
        revision: 2,
        ..before.clone()
    };
    assert_eq!(answer.connection, Some(expected.clone()));
    assert_eq!(raw.site_now(&before.uuid).await, expected);
    let events = raw.events_of_site(&before.uuid).await;
    let event = &events[1];
    assert_eq!(event.r#type(), EventType::ConnectionUpdated);
    let fields = names(&["site_url", "policy.allowed_tables", "policy.self_approval"]);
    let detail = Detail::ConnectionUpdate(v1::ConnectionUpdateDetail { fields });
    assert_eq!(event.detail, Some(detail));
}

#[tokio::test]
async fn the_policy_as_a_whole_replaces_and_clears() {
    let (_world, mut raw) = world().await;
    let before = rich(&mut raw).await;
    let policy = v1::ConnectionPolicy {
        max_records_total: Some(9),
        ..v1::ConnectionPolicy::default()
    };
    let after = raw.limit(&before.uuid, policy.clone()).await;
    let expected = v1::ConnectionPolicy {
        approval_mode: v1::ApprovalMode::AutoApprove.into(),
        ..policy
    };
    assert_eq!(after.policy, Some(expected));
    assert_eq!(after.name, before.name);
    // Absent altogether, it is cleared just so.
    let bare = v1::Connection {
        uuid: before.uuid.clone(),
        ..v1::Connection::default()
    };
    let update = updating(bare, &["policy.max_records_total", "metadata"]);
    let answer = told(raw.connections.update_connection(update)).await;
    let policy = answer.connection.and_then(|it| it.policy);
    assert_eq!(policy.and_then(|it| it.max_records_total), None);
}

#[tokio::test]
async fn a_change_to_what_is_already_so_is_none() {
    let (_world, mut raw) = world().await;
    let before = rich(&mut raw).await;
    let update = renaming(&before.uuid, &before.name);
    let answer = told(raw.connections.update_connection(update)).await;
    assert_eq!(answer.connection, Some(before));
    assert_eq!(raw.log().await.len(), 1);
}

#[tokio::test]
async fn a_stale_revision_is_refused() {
    let (_world, mut raw) = world().await;
    let uuid = rich(&mut raw).await.uuid;
    let rename = |name: &str, revision| v1::UpdateConnectionRequest {
        revision,
        ..renaming(&uuid, name)
    };
    told(raw.connections.update_connection(rename("two", Some(1)))).await;
    for given in [0, 1, 3, i64::MAX] {
        let refusal = raw.connections.update_connection(rename("x", Some(given)));
        let refusal = refusal.await.expect_err("it is at revision 2");
        let refused = assert_refused(&refusal, Code::Aborted, "STALE_REVISION");
        assert_eq!(refused.metadata["given"], given.to_string());
        assert_eq!(refused.metadata["current"], "2");
        assert_eq!(refused.metadata["uuid"], uuid);
    }
    told(raw.connections.update_connection(rename("three", None))).await;
    told(raw.connections.update_connection(rename("four", Some(3)))).await;
    let found = raw.site_now(&uuid).await;
    assert_eq!((found.name.as_str(), found.revision), ("four", 4));
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_change_is_said_at_once() {
    let (_world, mut raw) = world().await;
    let uuid = rich(&mut raw).await.uuid;
    let fields = async |raw: &mut Raw, update: v1::UpdateConnectionRequest| {
        let refusal = raw.connections.update_connection(update).await;
        let refusal = refusal.expect_err("it is wrong");
        assert_refused(&refusal, Code::InvalidArgument, "INVALID_FIELDS").fields
    };
    let nothing = v1::UpdateConnectionRequest::default();
    assert_eq!(
        fields(&mut raw, nothing).await,
        ["connection.uuid", "update_mask"]
    );
    let strangers = [
        "uuid",
        "status",
        "direction",
        "policy.",
        "policy.*",
        "Name",
        "",
    ];
    let update = renaming(&uuid, "x");
    let update = updating(update.connection.unwrap_or_default(), &strangers);
    let expected: Vec<_> = (0..strangers.len())
        .map(|index| format!("update_mask.paths[{index}]"))
        .collect();
    assert_eq!(fields(&mut raw, update).await, expected);
    let bad = v1::ConnectionPolicy {
        max_transfers: Some(-1),
        ip_allowlist: names(&["192.0.2.1", "example.org"]),
        ..v1::ConnectionPolicy::default()
    };
    let mut update = limiting(&uuid, bad, &["policy", "name", "site_url", "metadata"]);
    if let Some(connection) = &mut update.connection {
        connection.site_url = "ftp://x".to_owned();
    }
    update.request_id = "with space".to_owned();
    let mut found = fields(&mut raw, update).await;
    found.sort();
    let expected = [
        "connection.name",
        "connection.policy.ip_allowlist[1]",
        "connection.policy.max_transfers",
        "connection.site_url",
        "request_id",
    ];
    assert_eq!(found, expected);
}
