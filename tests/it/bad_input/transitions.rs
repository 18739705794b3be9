//! Every action from every status: what the contract does not name is refused, says so, and changes nothing.

use tidegate_proto::v1::{self, TransferStatus as S};
use tidegate_tests::{
    World, WorldOptions, assert_refused,
    raw::{ADMIN, Raw, plain},
};
use tonic::{Code, Status};

const STATUSES: [S; 9] = [
    S::Pending,
    S::PendingApproval,
    S::Approved,
    S::Denied,
    S::InProgress,
    S::Completed,
    S::Failed,
    S::Cancelled,
    S::Expired,
];

/// Each action with the statuses that the contract lets it leave.
const ACTIONS: [(&str, &[S]); 9] = [
    ("REQUEST_APPROVAL", &[S::Pending]),
    ("APPROVE", &[S::PendingApproval]),
    ("DENY", &[S::PendingApproval]),
    ("START", &[S::Pending, S::Approved]),
    ("UPDATE_PROGRESS", &[S::InProgress]),
    ("COMPLETE", &[S::InProgress]),
    ("FAIL", &[S::InProgress]),
    (
        "CANCEL",
        &[S::Pending, S::PendingApproval, S::Approved, S::InProgress],
    ),
    (
        "DELETE",
        &[S::Completed, S::Failed, S::Cancelled, S::Denied, S::Expired],
    ),
];

async fn act(raw: &mut Raw, action: &str, uuid: &str) -> Result<(), Status> {
    let transfers = &mut raw.transfers;
    let (uuid, admin_user_uuid, request_id) = (uuid.to_owned(), ADMIN.to_owned(), String::new());
    match action {
        "REQUEST_APPROVAL" => {
            let request = v1::RequestApprovalRequest {
                uuid,
                expires_in: None,
                request_id,
            };
            transfers.request_approval(request).await.map(drop)
        }
        "APPROVE" => {
            let comment = String::new();
            let request = v1::ApproveTransferRequest {
                uuid,
                admin_user_uuid,
                comment,
                request_id,
            };
            transfers.approve_transfer(request).await.map(drop)
        }
        "DENY" => {
            let reason = String::new();
            let request = v1::DenyTransferRequest {
                uuid,
                admin_user_uuid,
                reason,
                request_id,
            };
            transfers.deny_transfer(request).await.map(drop)
        }
        "START" => {
            let request = v1::StartTransferRequest {
                uuid,
                heartbeat_timeout: None,
                request_id,
            };
            transfers.start_transfer(request).await.map(drop)
        }
        "UPDATE_PROGRESS" => {
            let request = v1::UpdateProgressRequest {
                uuid,
                progress: None,
                checkpoint: None,
                request_id,
            };
            transfers.update_progress(request).await.map(drop)
        }
        "COMPLETE" => {
            let request = v1::CompleteTransferRequest {
                uuid,
                progress: None,
                request_id,
            };
            transfers.complete_transfer(request).await.map(drop)
        }
        "FAIL" => {
            let error_message = "lost".to_owned();
            let request = v1::FailTransferRequest {
                uuid,
                error_message,
                progress: None,
                request_id,
            };
            transfers.fail_transfer(request).await.map(drop)
        }
        "CANCEL" => {
            let request = v1::CancelTransferRequest {
                uuid,
                reason: String::new(),
                request_id,
            };
            transfers.cancel_transfer(request).await.map(drop)
        }
        "DELETE" => {
            let request = v1::DeleteTransferRequest { uuid, request_id };
            transfers.delete_transfer(request).await.map(drop)
        }
        other => panic!("no such action: {other}"),
    }
}

fn name(status: S) -> &'static str {
    status.as_str_name().trim_start_matches("TRANSFER_STATUS_")
}

#[tokio::test]
async fn every_action_from_every_status_obeys_the_contract() {
    let world = World::start_with(WorldOptions::still()).await;
    let mut raw = world.services().await;
    for status in STATUSES {
        for (action, allowed) in ACTIONS {
            let before = raw.standing(status, &world.clock).await;
            assert_eq!(before.status(), status);
            let events = raw.events_of(&before.uuid).await;
            let outcome = act(&mut raw, action, &before.uuid).await;
            if allowed.contains(&status) {
                assert!(outcome.is_ok(), "{action} from {status:?}: {outcome:?}");
                continue;
            }
            let refusal = outcome.expect_err("the contract does not name it");
            let late = status == S::Expired && matches!(action, "APPROVE" | "DENY");
            let reason = if late {
                "APPROVAL_EXPIRED"
            } else {
                "ILLEGAL_TRANSITION"
            };
            let refused = assert_refused(&refusal, Code::FailedPrecondition, reason);
            let told = |key: &str| refused.metadata.get(key).map(String::as_str);
            let names: Vec<_> = allowed.iter().map(|status| name(*status)).collect();
            assert_eq!(told("uuid"), Some(before.uuid.as_str()));
            assert_eq!(told("status"), Some(name(status)), "{action}");
            assert_eq!(told("action"), Some(action));
            assert_eq!(told("allowed_from"), Some(names.join(", ").as_str()));
            assert_eq!(
                raw.now(&before.uuid).await,
                before,
                "{action} from {status:?}"
            );
            assert_eq!(
                raw.events_of(&before.uuid).await,
                events,
                "{action} from {status:?}"
            );
        }
    }
}

#[tokio::test]
async fn what_requires_approval_does_not_start_without() {
    let world = World::start_with(WorldOptions::still()).await;
    let mut raw = world.services().await;
    let before = raw
        .create(v1::CreateTransferRequest {
            requires_approval: true,
            ..plain()
        })
        .await;
    let refusal = act(&mut raw, "START", &before.uuid)
        .await
        .expect_err("nobody approved it");
    let refused = assert_refused(&refusal, Code::FailedPrecondition, "APPROVAL_REQUIRED");
    assert_eq!(
        refused.metadata.get("status").map(String::as_str),
        Some("PENDING")
    );
    assert_eq!(
        refused.metadata.get("action").map(String::as_str),
        Some("START")
    );
    assert_eq!(raw.now(&before.uuid).await, before);
    assert_eq!(raw.log().await.len(), 1);
}

#[tokio::test]
async fn every_action_on_an_unknown_transfer_is_not_found() {
    let world = World::start_with(WorldOptions::still()).await;
    let mut raw = world.services().await;
    let gone = raw.standing(S::Cancelled, &world.clock).await.uuid;
    raw.delete(&gone).await;
    let log = raw.log().await;
    for (action, _) in ACTIONS {
        for uuid in [tidegate_tests::raw::NOBODY, gone.as_str()] {
            let refusal = act(&mut raw, action, uuid)
                .await
                .expect_err("there is none");
            let refused = assert_refused(&refusal, Code::NotFound, "TRANSFER_NOT_FOUND");
            assert_eq!(
                refused.metadata.get("uuid").map(String::as_str),
                Some(uuid),
                "{action}"
            );
        }
    }
    assert_eq!(raw.log().await, log);
}
