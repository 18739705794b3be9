//! Approval as a second pair of eyes, on what was looked at.

use sea_orm::ConnectionTrait as _;
use tidegate_proto::v1::{self, ApprovalMode, ConnectionPolicy, TransferStatus};
use tidegate_tests::{
    World, WorldOptions, assert_refused,
    raw::{ADMIN, Raw, done, plain},
    request,
    site::of,
};
use tonic::Code;

const INITIATOR: &str = "0190b7a2-1111-7000-8000-000000000001";

async fn world() -> (World, Raw) {
    let world = World::start_with(WorldOptions::still()).await;
    let raw = world.services().await;
    (world, raw)
}

fn approving(mode: ApprovalMode) -> ConnectionPolicy {
    ConnectionPolicy {
        approval_mode: mode.into(),
        auto_approve_tables: vec!["characters".to_owned()],
        ..ConnectionPolicy::default()
    }
}

#[tokio::test]
async fn an_approval_is_required_by_the_policy_or_by_the_caller() {
    let (_world, mut raw) = world().await;
    for (mode, listed, other) in [
        (ApprovalMode::Unspecified, false, false),
        (ApprovalMode::AutoApprove, false, false),
        (ApprovalMode::RequireApproval, true, true),
        (ApprovalMode::PerTable, false, true),
    ] {
        let uuid = raw.site(approving(mode)).await;
        for (table, by_policy) in [("characters", listed), ("items", other)] {
            for by_caller in [false, true] {
                let transfer = v1::CreateTransferRequest {
                    table_name: table.to_owned(),
                    requires_approval: by_caller,
                    ..of(&uuid)
                };
                let transfer = raw.create(transfer).await;
                let required = by_policy || by_caller;
                assert_eq!(transfer.requires_approval, required, "{mode:?} {table}");
                let start = request::starting(&transfer.uuid);
                let started = raw.transfers.start_transfer(start).await;
                match started {
                    Ok(_) => assert!(!required, "{mode:?} {table}"),
                    Err(refusal) => {
                        assert!(required, "{mode:?} {table}");
                        let code = Code::FailedPrecondition;
                        assert_refused(&refusal, code, "APPROVAL_REQUIRED");
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn what_was_decided_for_a_transfer_stays_when_the_policy_changes() {
    let (_world, mut raw) = world().await;
    let uuid = raw.site(approving(ApprovalMode::RequireApproval)).await;
    let strict = raw.create(of(&uuid)).await;
    assert_eq!((strict.policy_revision, strict.self_approval), (1, false));
    let lenient = ConnectionPolicy {
        self_approval: true,
        ..ConnectionPolicy::default()
    };
    raw.limit(&uuid, lenient).await;
    let free = raw.create(of(&uuid)).await;
    assert_eq!((free.policy_revision, free.self_approval), (2, true));
    assert!(!free.requires_approval);
    raw.start(&free.uuid).await;
    let found = raw.now(&strict.uuid).await;
    assert_eq!(found, strict);
    let start = request::starting(&strict.uuid);
    let refusal = raw.transfers.start_transfer(start).await;
    let refusal = refusal.expect_err("it was to be approved");
    assert_refused(&refusal, Code::FailedPrecondition, "APPROVAL_REQUIRED");
}

/// A transfer that waits for a decision, of this initiator.
async fn waiting(raw: &mut Raw, connection_uuid: &str, initiator: &str) -> String {
    let transfer = v1::CreateTransferRequest {
        connection_uuid: connection_uuid.to_owned(),
        initiated_by_uuid: initiator.to_owned(),
        ..plain()
    };
    let uuid = raw.create(transfer).await.uuid;
    raw.ask(&uuid, std::time::Duration::from_secs(60)).await;
    uuid
}

fn by(uuid: &str, admin: &str) -> v1::ApproveTransferRequest {
    v1::ApproveTransferRequest {
        admin_user_uuid: admin.to_owned(),
        ..request::approval(uuid)
    }
}

#[tokio::test]
async fn whoever_initiated_a_transfer_does_not_approve_it() {
    let (_world, mut raw) = world().await;
    let strict = raw.site(ConnectionPolicy::default()).await;
    let lenient = ConnectionPolicy {
        self_approval: true,
        ..ConnectionPolicy::default()
    };
    let lenient = raw.site(lenient).await;
    for connection in [strict.as_str(), ""] {
        let uuid = waiting(&mut raw, connection, INITIATOR).await;
        let before = raw.now(&uuid).await;
        let refusal = raw.transfers.approve_transfer(by(&uuid, INITIATOR)).await;
        let refusal = refusal.expect_err("they initiated it");
        let refused = assert_refused(&refusal, Code::PermissionDenied, "SELF_APPROVAL");
        assert_eq!(refused.metadata["uuid"], uuid);
        assert_eq!(raw.now(&uuid).await, before);
        let approved = done(raw.transfers.approve_transfer(by(&uuid, ADMIN))).await;
        assert_eq!(approved.status(), TransferStatus::Approved);
    }
    let uuid = waiting(&mut raw, &lenient, INITIATOR).await;
    let approved = done(raw.transfers.approve_transfer(by(&uuid, INITIATOR))).await;
    assert_eq!(approved.approved_by_uuid, INITIATOR);
    // Nobody named: nobody to keep apart.
    let uuid = waiting(&mut raw, &strict, "").await;
    done(raw.transfers.approve_transfer(by(&uuid, INITIATOR))).await;
    // To say no to oneself is always possible.
    let uuid = waiting(&mut raw, &strict, INITIATOR).await;
    let deny = v1::DenyTransferRequest {
        admin_user_uuid: INITIATOR.to_owned(),
        ..request::denial(&uuid)
    };
    let denied = done(raw.transfers.deny_transfer(deny)).await;
    assert_eq!(denied.status(), TransferStatus::Denied);
}

#[tokio::test]
async fn the_database_itself_keeps_initiator_and_approver_apart() {
    let (mut world, mut raw) = world().await;
    let uuid = waiting(&mut raw, "", INITIATOR).await;
    world.stop().await;
    let behind = world.database().connect().await;
    let approve = |by: &str| {
        format!("UPDATE transfer SET status = 'APPROVED', approved_at = 1, approved_by_uuid = {by}")
    };
    let own = behind
        .execute_unprepared(&approve("initiated_by_uuid"))
        .await;
    assert!(own.is_err(), "a forged approval was stored");
    let other = behind.execute_unprepared(&approve("uuid")).await;
    other.expect("somebody else may");
    let allowed = "UPDATE transfer SET self_approval = TRUE, approved_by_uuid = initiated_by_uuid";
    behind
        .execute_unprepared(allowed)
        .await
        .expect("the policy said so");
    behind.close().await.expect("it closes");
    world.resume().await;
    let mut raw = world.services().await;
    assert_eq!(raw.now(&uuid).await.approved_by_uuid, INITIATOR);
}

#[tokio::test]
async fn a_decision_holds_for_the_revision_that_was_looked_at() {
    let (_world, mut raw) = world().await;
    let uuid = waiting(&mut raw, "", "").await;
    for given in [0, 1, 3] {
        let approve = v1::ApproveTransferRequest {
            revision: Some(given),
            ..by(&uuid, ADMIN)
        };
        let refusal = raw.transfers.approve_transfer(approve).await;
        let refusal = refusal.expect_err("it is at revision 2");
        let refused = assert_refused(&refusal, Code::Aborted, "STALE_REVISION");
        assert_eq!(refused.metadata["current"], "2");
        let deny = v1::DenyTransferRequest {
            revision: Some(given),
            ..request::denial(&uuid)
        };
        let refusal = raw.transfers.deny_transfer(deny).await;
        let refusal = refusal.expect_err("it is at revision 2");
        assert_refused(&refusal, Code::Aborted, "STALE_REVISION");
    }
    let approve = v1::ApproveTransferRequest {
        revision: Some(2),
        ..by(&uuid, ADMIN)
    };
    let approved = done(raw.transfers.approve_transfer(approve)).await;
    assert_eq!(approved.status(), TransferStatus::Approved);
    let uuid = waiting(&mut raw, "", "").await;
    let deny = v1::DenyTransferRequest {
        revision: Some(2),
        ..request::denial(&uuid)
    };
    let denied = done(raw.transfers.deny_transfer(deny)).await;
    assert_eq!(denied.status(), TransferStatus::Denied);
}
