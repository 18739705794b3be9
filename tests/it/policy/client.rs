//! Policies through the typed client.

use std::time::Duration;

use chrono::DateTime;
use tidegate_client::{
    ApprovalMode, ConflictStrategy, ConnectionDirection, ConnectionPolicy, ConnectionStatus,
    Direction, Reason,
};
use tidegate_tests::{World, WorldOptions};
use uuid::Uuid;

#[tokio::test]
async fn a_policy_comes_back_as_it_was_built() {
    let world = World::start_with(WorldOptions::still()).await;
    let client = world.client().await;
    let policy = ConnectionPolicy::default()
        .approval_mode(ApprovalMode::PerTable)
        .allowed_tables(["a", "b"])
        .excluded_tables(["c"])
        .auto_approve_tables(["a"])
        .expires_at(DateTime::from_timestamp(4_000_000_000, 0))
        .max_transfers(5)
        .max_records_total(Some(50))
        .max_records_per_request(10)
        .rate_limit_requests_per_minute(60)
        .ip_allowlist(["127.0.0.0/8"])
        .allowed_hours("08:00-09:00")
        .default_conflict_strategy(ConflictStrategy::Skip)
        .heartbeat_timeout(Duration::from_secs(30))
        .self_approval(true);
    let created = client
        .connections()
        .create("north", ConnectionDirection::Sender, "https://n.example")
        .policy(policy.clone())
        .pending(true)
        .await
        .expect("it is accepted");
    assert_eq!(created.policy, policy);
    assert_eq!(created.status, ConnectionStatus::Pending);

    let updated = client
        .connections()
        .update(created.uuid)
        .name("south")
        .allowed_tables(["characters"])
        .max_transfers(None)
        .allowed_hours("")
        .default_conflict_strategy(None)
        .revision(1)
        .await
        .expect("it is accepted");
    let expected = policy
        .allowed_tables(["characters"])
        .max_transfers(None)
        .allowed_hours("")
        .default_conflict_strategy(None);
    assert_eq!(updated.policy, expected);
    assert_eq!((updated.name.as_str(), updated.revision), ("south", 2));
    let cleared = client
        .connections()
        .update(created.uuid)
        .policy(ConnectionPolicy::default())
        .await
        .expect("it is accepted");
    assert_eq!(cleared.policy, ConnectionPolicy::default());
}

#[tokio::test]
async fn a_connection_and_its_transfers_tell_what_was_decided() {
    let world = World::start_with(WorldOptions::still()).await;
    let client = world.client().await;
    let site = client
        .connections()
        .create("north", ConnectionDirection::Sender, "https://n.example")
        .policy(
            ConnectionPolicy::default()
                .max_transfers(1)
                .self_approval(true),
        )
        .pending(true)
        .await
        .expect("it is accepted");
    let uuid = site.uuid;
    client
        .connections()
        .approve(uuid)
        .await
        .expect("it is pending");
    let transfer = client
        .transfers()
        .create(Direction::Send, "orders")
        .connection_uuid(uuid)
        .await
        .expect("it is allowed");
    assert_eq!(
        (transfer.self_approval, transfer.policy_revision),
        (true, 2)
    );
    client
        .approvals()
        .request(transfer.uuid)
        .await
        .expect("pending");
    let me = Uuid::from_u128(7);
    let approve = |revision| {
        let request = client.approvals().approve(transfer.uuid).on_behalf_of(me);
        request.revision(revision)
    };
    let stale = approve(1).await;
    let stale = stale.expect_err("it is at revision 2");
    assert_eq!(stale.reason(), Some(Reason::StaleRevision));
    let approved = approve(2).await;
    approved.expect("it is current");
    client
        .transfers()
        .start(transfer.uuid)
        .await
        .expect("allowed");
    let site = client.connections().get(uuid).await.expect("it is there");
    assert_eq!(site.transfers_used, 1);

    let suspended = client.connections().suspend(uuid).reason("noise").await;
    let suspended = suspended.expect("it is active");
    assert_eq!(suspended.status_reason.as_deref(), Some("noise"));
    let refused = client
        .transfers()
        .create(Direction::Send, "orders")
        .connection_uuid(uuid)
        .await
        .expect_err("it is suspended");
    assert_eq!(refused.reason(), Some(Reason::ConnectionNotActive));
    client
        .connections()
        .reactivate(uuid)
        .await
        .expect("suspended");
    client
        .connections()
        .revoke(uuid)
        .await
        .expect("it is active");
    let listed = client
        .connections()
        .list()
        .status([ConnectionStatus::Revoked]);
    assert_eq!(listed.await.expect("a page").items[0].uuid, uuid);
    client
        .transfers()
        .complete(transfer.uuid)
        .await
        .expect("running");
    client
        .connections()
        .delete(uuid)
        .await
        .expect("nothing runs");
    let gone = client
        .connections()
        .get(uuid)
        .await
        .expect_err("it is gone");
    assert_eq!(gone.reason(), Some(Reason::ConnectionNotFound));
}
