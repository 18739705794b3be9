//! Every field of a policy refuses with its own reason, when a transfer is created and when it is started.

use std::time::Duration;

use tidegate_proto::v1::{self, ConnectionPolicy};
use tidegate_tests::{
    World, WorldOptions, assert_refused,
    raw::{Raw, done, plain, totals, wire_duration, wire_time},
    request,
    site::{Step, of},
};
use tonic::{Code, Status};

/// The clock of this world stands at 08:00 in UTC.
async fn world() -> (World, Raw) {
    let world = World::start_with(WorldOptions::still()).await;
    let micros = world.clock.now().as_micros();
    assert_eq!(micros % 86_400_000_000, 8 * 3_600_000_000);
    let raw = world.services().await;
    (world, raw)
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A policy that refuses, the reason that it gives, and the part of it that the answer names.
struct Case {
    policy: ConnectionPolicy,
    code: Code,
    reason: &'static str,
    named: (&'static str, &'static str),
}

fn case(
    policy: ConnectionPolicy,
    reason: &'static str,
    named: (&'static str, &'static str),
) -> Case {
    let code = if reason == "IP_NOT_ALLOWED" {
        Code::PermissionDenied
    } else {
        Code::FailedPrecondition
    };
    Case {
        policy,
        code,
        reason,
        named,
    }
}

fn cases() -> Vec<Case> {
    let open = ConnectionPolicy::default;
    let table = ("table_name", "characters");
    vec![
        case(
            ConnectionPolicy {
                allowed_tables: names(&["Characters", "items"]),
                ..open()
            },
            "TABLE_NOT_ALLOWED",
            table,
        ),
        case(
            ConnectionPolicy {
                allowed_tables: names(&["characters"]),
                excluded_tables: names(&["characters"]),
                ..open()
            },
            "TABLE_NOT_ALLOWED",
            table,
        ),
        case(
            ConnectionPolicy {
                ip_allowlist: names(&["192.0.2.0/24", "::1"]),
                ..open()
            },
            "IP_NOT_ALLOWED",
            ("address", "127.0.0.1"),
        ),
        case(
            ConnectionPolicy {
                // Any minute but this one.
                allowed_hours: "08:01-08:00".to_owned(),
                ..open()
            },
            "OUTSIDE_ALLOWED_HOURS",
            ("allowed_hours", "08:01-08:00"),
        ),
        case(
            ConnectionPolicy {
                max_transfers: Some(0),
                ..open()
            },
            "TRANSFER_LIMIT_REACHED",
            ("max_transfers", "0"),
        ),
        case(
            ConnectionPolicy {
                max_records_total: Some(0),
                ..open()
            },
            "RECORD_LIMIT_REACHED",
            ("max_records_total", "0"),
        ),
        case(
            ConnectionPolicy {
                max_records_per_request: Some(6),
                ..open()
            },
            "RECORD_LIMIT_REACHED",
            ("max_records_per_request", "6"),
        ),
    ]
}

fn wanted(connection_uuid: &str) -> v1::CreateTransferRequest {
    v1::CreateTransferRequest {
        records_requested: 7,
        ..of(connection_uuid)
    }
}

fn assert_case(refusal: &Status, case: &Case, uuid: &str) {
    let refused = assert_refused(refusal, case.code, case.reason);
    assert_eq!(refused.metadata["connection_uuid"], uuid, "{refusal:?}");
    let (key, value) = case.named;
    assert_eq!(refused.metadata[key], value, "{refusal:?}");
}

#[tokio::test]
async fn a_policy_refuses_creation_and_changes_nothing() {
    let (_world, mut raw) = world().await;
    for case in cases() {
        let uuid = raw.site(case.policy.clone()).await;
        let refusal = raw.transfers.create_transfer(wanted(&uuid)).await;
        assert_case(&refusal.expect_err(case.reason), &case, &uuid);
        raw.limit(&uuid, ConnectionPolicy::default()).await;
        raw.create(wanted(&uuid)).await;
    }
    assert_eq!(
        raw.count().await,
        i64::try_from(cases().len()).expect("few")
    );
}

#[tokio::test]
async fn a_policy_refuses_a_start_until_it_allows_it_again() {
    let (_world, mut raw) = world().await;
    for case in cases() {
        let uuid = raw.site(ConnectionPolicy::default()).await;
        let transfer = raw.create(wanted(&uuid)).await;
        raw.limit(&uuid, case.policy.clone()).await;
        let start = request::starting(&transfer.uuid);
        let refusal = raw.transfers.start_transfer(start).await;
        assert_case(&refusal.expect_err(case.reason), &case, &uuid);
        assert_eq!(raw.now(&transfer.uuid).await, transfer);
        raw.limit(&uuid, ConnectionPolicy::default()).await;
        raw.start(&transfer.uuid).await;
    }
}

#[tokio::test]
async fn what_is_within_the_policy_is_allowed() {
    let (_world, mut raw) = world().await;
    let policy = ConnectionPolicy {
        allowed_tables: names(&["characters"]),
        excluded_tables: names(&["items"]),
        ip_allowlist: names(&["192.0.2.0/24", "127.0.0.0/8"]),
        allowed_hours: "08:00-08:01".to_owned(),
        max_transfers: Some(1),
        max_records_total: Some(1),
        max_records_per_request: Some(7),
        ..ConnectionPolicy::default()
    };
    let uuid = raw.site(policy).await;
    let transfer = raw.create(wanted(&uuid)).await.uuid;
    raw.start(&transfer).await;
    let site = raw.site_now(&uuid).await;
    assert_eq!((site.transfers_used, site.revision), (1, 1));
}

#[tokio::test]
async fn a_connection_that_is_not_in_use_refuses() {
    let (_world, mut raw) = world().await;
    let revoked = raw.site(ConnectionPolicy::default()).await;
    let suspended = raw.site(ConnectionPolicy::default()).await;
    let mut transfers = Vec::new();
    for uuid in [&revoked, &suspended] {
        transfers.push(raw.create(of(uuid)).await.uuid);
    }
    raw.step(Step::Revoke, &revoked).await;
    raw.step(Step::Suspend, &suspended).await;
    let pending = raw.site_in(v1::ConnectionStatus::Pending).await;
    for (uuid, status) in [
        (&revoked, "REVOKED"),
        (&suspended, "SUSPENDED"),
        (&pending, "PENDING"),
    ] {
        let refusal = raw.transfers.create_transfer(of(uuid)).await;
        let refusal = refusal.expect_err(status);
        let refused = assert_refused(&refusal, Code::FailedPrecondition, "CONNECTION_NOT_ACTIVE");
        assert_eq!(refused.metadata["status"], status);
    }
    for transfer in transfers {
        let start = request::starting(&transfer);
        let refusal = raw.transfers.start_transfer(start).await;
        let refusal = refusal.expect_err("it is not in use");
        assert_refused(&refusal, Code::FailedPrecondition, "CONNECTION_NOT_ACTIVE");
    }
}

#[tokio::test]
async fn a_connection_ends_at_its_end_before_anybody_sweeps() {
    let (world, mut raw) = world().await;
    let policy = ConnectionPolicy {
        expires_at: Some(wire_time(world.clock.now().after(Duration::from_secs(60)))),
        ..ConnectionPolicy::default()
    };
    let uuid = raw.site(policy).await;
    let transfer = raw.create(of(&uuid)).await.uuid;
    world
        .clock
        .advance(Duration::from_secs(60) - Duration::from_micros(1));
    let running = raw.create(of(&uuid)).await.uuid;
    raw.start(&running).await;
    world.clock.advance(Duration::from_micros(1));
    let refusal = raw.transfers.create_transfer(of(&uuid)).await;
    let refusal = refusal.expect_err("it has ended");
    assert_refused(&refusal, Code::FailedPrecondition, "CONNECTION_EXPIRED");
    let start = request::starting(&transfer);
    let refusal = raw.transfers.start_transfer(start).await;
    let refusal = refusal.expect_err("it has ended");
    assert_refused(&refusal, Code::FailedPrecondition, "CONNECTION_EXPIRED");
    // What has begun may end.
    raw.report(&running, 1).await;
    raw.complete(&running, 2).await;
}

#[tokio::test]
async fn a_deleted_connection_starts_nothing() {
    let (_world, mut raw) = world().await;
    let uuid = raw.site_in(v1::ConnectionStatus::Active).await;
    // Transfers keep their connection's uuid after it is gone; only those that have ended.
    let ended = raw.create(of(&uuid)).await.uuid;
    raw.cancel(&ended).await;
    raw.step(Step::Revoke, &uuid).await;
    raw.step(Step::Delete, &uuid).await;
    let refusal = raw.transfers.create_transfer(of(&uuid)).await;
    let refusal = refusal.expect_err("it is gone");
    assert_refused(&refusal, Code::NotFound, "CONNECTION_NOT_FOUND");
    raw.delete(&ended).await;
}

#[tokio::test]
async fn what_a_caller_leaves_open_comes_from_the_policy() {
    let (_world, mut raw) = world().await;
    let timeout = wire_duration(Duration::from_secs(30));
    let policy = ConnectionPolicy {
        default_conflict_strategy: v1::ConflictStrategy::Merge.into(),
        heartbeat_timeout: Some(timeout),
        ..ConnectionPolicy::default()
    };
    let uuid = raw.site(policy).await;
    let open = raw.create(of(&uuid)).await;
    assert_eq!(open.conflict_strategy(), v1::ConflictStrategy::Merge);
    assert_eq!(raw.start(&open.uuid).await.heartbeat_timeout, Some(timeout));
    let own = v1::CreateTransferRequest {
        conflict_strategy: v1::ConflictStrategy::Skip.into(),
        ..of(&uuid)
    };
    let own = raw.create(own).await;
    assert_eq!(own.conflict_strategy(), v1::ConflictStrategy::Skip);
    let start = v1::StartTransferRequest {
        heartbeat_timeout: Some(wire_duration(Duration::from_secs(5))),
        ..request::starting(&own.uuid)
    };
    let started = done(raw.transfers.start_transfer(start)).await;
    assert_eq!(
        started.heartbeat_timeout,
        Some(wire_duration(Duration::from_secs(5)))
    );
    // Without a connection there is no policy.
    let free = raw.create(plain()).await;
    assert_eq!((free.policy_revision, free.self_approval), (0, false));
}

#[tokio::test]
async fn one_transfer_moves_no_more_than_a_request_may() {
    let (_world, mut raw) = world().await;
    let policy = ConnectionPolicy {
        max_records_per_request: Some(10),
        ..ConnectionPolicy::default()
    };
    let uuid = raw.site(policy).await;
    let transfer = raw.create(of(&uuid)).await.uuid;
    raw.start(&transfer).await;
    raw.report(&transfer, 8).await;
    let report = request::reporting(&transfer, totals(11));
    let refusal = raw.transfers.update_progress(report).await;
    let refusal = refusal.expect_err("one too many");
    let refused = assert_refused(&refusal, Code::FailedPrecondition, "RECORD_LIMIT_REACHED");
    assert_eq!(refused.metadata["max_records_per_request"], "10");
    assert_eq!(refused.metadata["remaining"], "2");
    raw.complete(&transfer, 10).await;
}
