//! Asking, deciding, and deciding too late.

use std::time::Duration;

use tidegate_proto::v1::{self, TransferStatus};
use tidegate_tests::{
    World, WorldOptions, assert_refused,
    raw::{ADMIN, Raw, done, plain, told, under_way, wire_duration, wire_time},
};
use tonic::Code;

const HOUR: Duration = Duration::from_secs(3_600);

async fn world() -> (World, Raw) {
    let world = World::start_with(WorldOptions::still()).await;
    let raw = world.services().await;
    (world, raw)
}

fn approval(uuid: &str) -> v1::ApproveTransferRequest {
    v1::ApproveTransferRequest {
        uuid: uuid.to_owned(),
        admin_user_uuid: ADMIN.to_owned(),
        comment: "seen and agreed".to_owned(),
        request_id: String::new(),
        ..Default::default()
    }
}

fn denial(uuid: &str) -> v1::DenyTransferRequest {
    v1::DenyTransferRequest {
        uuid: uuid.to_owned(),
        admin_user_uuid: ADMIN.to_owned(),
        reason: "not this table".to_owned(),
        request_id: String::new(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_request_for_approval_sets_the_deadline() {
    let (world, mut raw) = world().await;
    for (expires_in, expected_wait) in [(None, 24 * HOUR), (Some(HOUR), HOUR)] {
        let declared = raw.declared().await;
        world.clock.advance(Duration::from_micros(11));
        let now = world.clock.now();
        let request = v1::RequestApprovalRequest {
            uuid: declared.uuid.clone(),
            expires_in: expires_in.map(wire_duration),
            request_id: String::new(),
        };
        let asked = done(raw.transfers.request_approval(request)).await;
        let expected = v1::Transfer {
            status: TransferStatus::PendingApproval.into(),
            requires_approval: true,
            approval_expires_at: Some(wire_time(now.after(expected_wait))),
            updated_at: Some(wire_time(now)),
            revision: 2,
            ..declared
        };
        assert_eq!(asked, expected);
    }
}

#[tokio::test]
async fn an_approved_transfer_may_start() {
    let (world, mut raw) = world().await;
    let declared = raw
        .create(v1::CreateTransferRequest {
            requires_approval: true,
            ..plain()
        })
        .await;
    let start = v1::StartTransferRequest {
        uuid: declared.uuid.clone(),
        ..v1::StartTransferRequest::default()
    };
    let refusal = raw
        .transfers
        .start_transfer(start)
        .await
        .expect_err("nobody approved it");
    assert_refused(&refusal, Code::FailedPrecondition, "APPROVAL_REQUIRED");
    let asked = raw.ask(&declared.uuid, HOUR).await;

    world.clock.advance(HOUR - Duration::from_micros(1));
    let now = Some(wire_time(world.clock.now()));
    let approved = done(raw.transfers.approve_transfer(approval(&declared.uuid))).await;
    let expected = v1::Transfer {
        status: TransferStatus::Approved.into(),
        approved_at: now,
        approved_by_uuid: ADMIN.to_owned(),
        updated_at: now,
        revision: 3,
        ..asked
    };
    assert_eq!(approved, expected);
    let started = raw.start(&declared.uuid).await;
    let expected = v1::Transfer {
        status: TransferStatus::InProgress.into(),
        started_at: now,
        lease_epoch: 1,
        revision: 4,
        ..under_way(expected, now)
    };
    assert_eq!(started, expected);
}

#[tokio::test]
async fn a_denied_transfer_says_by_whom_and_why() {
    let (world, mut raw) = world().await;
    let declared = raw.declared().await;
    let asked = raw.ask(&declared.uuid, HOUR).await;
    world.clock.advance(Duration::from_secs(5));
    let now = Some(wire_time(world.clock.now()));
    let denied = done(raw.transfers.deny_transfer(denial(&declared.uuid))).await;
    let expected = v1::Transfer {
        status: TransferStatus::Denied.into(),
        denied_at: now,
        denied_by_uuid: ADMIN.to_owned(),
        denial_reason: "not this table".to_owned(),
        completed_at: now,
        updated_at: now,
        revision: 3,
        ..asked
    };
    assert_eq!(denied, expected);
    assert_eq!(denied.duration, None, "it never started");
}

#[tokio::test]
async fn a_decision_at_the_deadline_is_too_late_and_the_transfer_expires() {
    let (world, mut raw) = world().await;
    for deny in [false, true] {
        let declared = raw.declared().await;
        let asked = raw.ask(&declared.uuid, HOUR).await;
        world.clock.advance(HOUR);
        let now = Some(wire_time(world.clock.now()));
        let refusal = if deny {
            raw.transfers
                .deny_transfer(denial(&declared.uuid))
                .await
                .map(drop)
        } else {
            raw.transfers
                .approve_transfer(approval(&declared.uuid))
                .await
                .map(drop)
        };
        let refusal = refusal.expect_err("it is too late");
        let refused = assert_refused(&refusal, Code::FailedPrecondition, "APPROVAL_EXPIRED");
        let action = if deny { "DENY" } else { "APPROVE" };
        assert_eq!(
            refused.metadata.get("action").map(String::as_str),
            Some(action)
        );
        let expected = v1::Transfer {
            status: TransferStatus::Expired.into(),
            expiry_reason: v1::ExpiryReason::ApprovalExpired.into(),
            completed_at: now,
            updated_at: now,
            revision: 3,
            ..asked
        };
        assert_eq!(raw.now(&declared.uuid).await, expected);
        let events = raw.events_of(&declared.uuid).await;
        let last = events.last().expect("an event");
        assert_eq!(last.r#type, i32::from(v1::EventType::Expired));
        assert_eq!((last.actor.as_str(), events.len()), ("sweeper", 3));

        // Too late is too late, however often it is tried, and adds nothing.
        let refusal = raw
            .transfers
            .approve_transfer(approval(&declared.uuid))
            .await;
        let refusal = refusal.expect_err("it is still too late");
        assert_refused(&refusal, Code::FailedPrecondition, "APPROVAL_EXPIRED");
        assert_eq!(raw.events_of(&declared.uuid).await, events);
    }
}

#[tokio::test]
async fn expiring_counts_what_this_very_call_expired() {
    let (world, mut raw) = world().await;
    let mut soon = Vec::new();
    for seconds in [1, 2, 3] {
        let uuid = raw.declared().await.uuid;
        raw.ask(&uuid, Duration::from_secs(seconds)).await;
        soon.push(uuid);
    }
    let cancelled = raw.declared().await.uuid;
    raw.ask(&cancelled, Duration::from_secs(1)).await;
    raw.cancel(&cancelled).await;
    world.clock.advance(Duration::from_secs(2));
    let mut counts = Vec::new();
    for _ in 0..2 {
        let request = v1::ExpirePendingApprovalsRequest {
            request_id: "same".to_owned(),
        };
        let answer = told(raw.transfers.expire_pending_approvals(request)).await;
        counts.push(answer.expired_count);
    }
    assert_eq!(counts, [2, 0]);
    let mut statuses = Vec::new();
    for uuid in soon.iter().chain([&cancelled]) {
        statuses.push(raw.now(uuid).await.status());
    }
    assert_eq!(
        statuses,
        [
            TransferStatus::Expired,
            TransferStatus::Expired,
            TransferStatus::PendingApproval,
            TransferStatus::Cancelled
        ]
    );
    let events = raw.events_of(&soon[0]).await;
    assert_eq!(
        events.last().map(|event| event.actor.as_str()),
        Some("anonymous")
    );
}

#[tokio::test]
async fn pending_approvals_come_nearest_deadline_first_without_the_overdue() {
    let (world, mut raw) = world().await;
    let linked = raw.connection("mirror").await;
    let mut asked = Vec::new();
    for (seconds, table, connection) in [
        (30, "a", linked.as_str()),
        (10, "b", &linked),
        (1, "a", &linked),
        (20, "a", ""),
        (10, "a", &linked),
    ] {
        let request = v1::CreateTransferRequest {
            table_name: table.to_owned(),
            connection_uuid: connection.to_owned(),
            ..plain()
        };
        let uuid = raw.create(request).await.uuid;
        asked.push(raw.ask(&uuid, Duration::from_secs(seconds)).await);
    }
    raw.standing(TransferStatus::Approved, &world.clock).await;
    world.clock.advance(Duration::from_secs(1));
    for (connection, table, expected) in [
        // Of equal deadlines the older one first.
        ("", "", vec![1, 4, 3, 0]),
        (linked.as_str(), "", vec![1, 4, 0]),
        ("", "a", vec![4, 3, 0]),
        (&linked, "b", vec![1]),
        ("", "c", vec![]),
    ] {
        let request = v1::ListPendingApprovalsRequest {
            connection_uuid: connection.to_owned(),
            table_name: table.to_owned(),
            ..v1::ListPendingApprovalsRequest::default()
        };
        let page = told(raw.transfers.list_pending_approvals(request)).await;
        let expected: Vec<_> = expected
            .iter()
            .map(|index: &usize| asked[*index].clone())
            .collect();
        assert_eq!(page.transfers, expected, "{connection} {table}");
        assert_eq!(page.next_page_token, "");
    }
    let request = v1::ListPendingApprovalsRequest {
        preload: vec![v1::Preload::Connection.into()],
        ..v1::ListPendingApprovalsRequest::default()
    };
    for each in told(raw.transfers.list_pending_approvals(request))
        .await
        .transfers
    {
        assert_eq!(
            each.connection.map_or(String::new(), |it| it.uuid),
            each.connection_uuid
        );
    }
}
