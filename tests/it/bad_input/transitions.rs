//! Every action from every status: what the contract does not name is refused, says so, and changes nothing.

use tidegate_proto::v1::{self, TransferStatus as S};
use tidegate_tests::{
    World, WorldOptions, assert_refused,
    raw::{NOBODY, plain},
    transfer_action::TransferAction,
};
use tonic::Code;

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

fn name(status: S) -> &'static str {
    status.as_str_name().trim_start_matches("TRANSFER_STATUS_")
}

#[tokio::test]
async fn every_action_from_every_status_obeys_the_contract() {
    let world = World::start_with(WorldOptions::still()).await;
    let mut raw = world.services().await;
    for status in STATUSES {
        for action in TransferAction::ALL {
            let before = raw.standing(status, &world.clock).await;
            assert_eq!(before.status(), status);
            let events = raw.events_of(&before.uuid).await;
            let outcome = action.attempt(&mut raw, &before.uuid).await;
            if action == TransferAction::AcknowledgeStop && status == S::InProgress {
                let refusal = outcome.expect_err("nobody has asked for it");
                assert_refused(&refusal, Code::FailedPrecondition, "STOP_NOT_REQUESTED");
                continue;
            }
            if action.allowed_from().contains(&status) {
                assert!(outcome.is_ok(), "{action:?} from {status:?}: {outcome:?}");
                continue;
            }
            let refusal = outcome.expect_err("the contract does not name it");
            let late = status == S::Expired
                && matches!(action, TransferAction::Approve | TransferAction::Deny);
            let reason = if late {
                "APPROVAL_EXPIRED"
            } else {
                "ILLEGAL_TRANSITION"
            };
            let refused = assert_refused(&refusal, Code::FailedPrecondition, reason);
            let told = |key: &str| refused.metadata.get(key).map(String::as_str);
            let names: Vec<_> = action
                .allowed_from()
                .iter()
                .map(|status| name(*status))
                .collect();
            assert_eq!(told("uuid"), Some(before.uuid.as_str()));
            assert_eq!(told("status"), Some(name(status)), "{action:?}");
            assert_eq!(told("action"), Some(action.name()));
            assert_eq!(told("allowed_from"), Some(names.join(", ").as_str()));
            assert_eq!(
                raw.now(&before.uuid).await,
                before,
                "{action:?} from {status:?}"
            );
            assert_eq!(
                raw.events_of(&before.uuid).await,
                events,
                "{action:?} from {status:?}"
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
    let refusal = TransferAction::Start
        .attempt(&mut raw, &before.uuid)
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
    for action in TransferAction::ALL {
        for uuid in [NOBODY, gone.as_str()] {
            let refusal = action
                .attempt(&mut raw, uuid)
                .await
                .expect_err("there is none");
            let refused = assert_refused(&refusal, Code::NotFound, "TRANSFER_NOT_FOUND");
            assert_eq!(
                refused.metadata.get("uuid").map(String::as_str),
                Some(uuid),
                "{action:?}"
            );
        }
    }
    assert_eq!(raw.log().await, log);
}
