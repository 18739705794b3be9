//! What is remembered, what is not, and for how long.

use std::time::Duration;

use tidegate_proto::v1::{self, TransferStatus};
use tidegate_tests::{
    assert_refused,
    raw::{ADMIN, done, plain, totals},
};
use tonic::Code;

use super::{assert_reused, id, world};

#[tokio::test]
async fn a_repetition_answers_with_the_transfer_as_it_is_now() {
    let (world, mut raw) = world().await;
    let create = v1::CreateTransferRequest {
        request_id: id("create"),
        ..plain()
    };
    let uuid = raw.create(create.clone()).await.uuid;
    let start = v1::StartTransferRequest {
        agent_instance: String::new(),
        uuid: uuid.clone(),
        heartbeat_timeout: None,
        request_id: id("start"),
    };
    done(raw.transfers.start_transfer(start.clone())).await;
    world.clock.advance(Duration::from_secs(9));
    let now = raw.complete(&uuid, 4).await;
    assert_eq!(raw.create(create.clone()).await, now);
    assert_eq!(done(raw.transfers.start_transfer(start)).await, now);
    assert_eq!(raw.log().await.len(), 3);

    raw.delete(&uuid).await;
    let refusal = raw
        .transfers
        .create_transfer(create)
        .await
        .expect_err("there is no now");
    assert_refused(&refusal, Code::NotFound, "TRANSFER_NOT_FOUND");
    assert_eq!(raw.count().await, 0, "what was deleted does not come back");
}

#[tokio::test]
async fn a_refused_call_is_not_remembered() {
    let (_world, mut raw) = world().await;
    let uuid = raw.declared().await.uuid;
    let request = v1::ApproveTransferRequest {
        uuid: uuid.clone(),
        admin_user_uuid: id(ADMIN),
        comment: id("yes"),
        request_id: id("approve"),
        ..Default::default()
    };
    let refusal = raw
        .transfers
        .approve_transfer(request.clone())
        .await
        .expect_err("not asked yet");
    assert_refused(&refusal, Code::FailedPrecondition, "ILLEGAL_TRANSITION");
    raw.ask(&uuid, Duration::from_secs(60)).await;
    // Decided anew, and free to say something else under that id.
    let other = v1::ApproveTransferRequest {
        comment: id("after all"),
        ..request.clone()
    };
    let approved = done(raw.transfers.approve_transfer(other)).await;
    assert_eq!(approved.status(), TransferStatus::Approved);
    assert_reused(raw.transfers.approve_transfer(request), "approve").await;

    // Even the refusal that expires the transfer leaves the id free.
    let late = raw.declared().await.uuid;
    raw.ask(&late, Duration::from_secs(1)).await;
    _world.clock.advance(Duration::from_secs(1));
    let request = v1::DenyTransferRequest {
        uuid: late.clone(),
        admin_user_uuid: id(ADMIN),
        reason: String::new(),
        request_id: id("late"),
        ..Default::default()
    };
    for _ in 0..2 {
        let refusal = raw
            .transfers
            .deny_transfer(request.clone())
            .await
            .expect_err("too late");
        assert_refused(&refusal, Code::FailedPrecondition, "APPROVAL_EXPIRED");
    }
    let events = raw.events_of(&late).await;
    assert_eq!(
        events.last().map(|event| event.request_id.as_str()),
        Some("")
    );
    raw.create(v1::CreateTransferRequest {
        request_id: id("late"),
        ..plain()
    })
    .await;
}

#[tokio::test]
async fn what_is_repeatable_by_nature_remembers_no_id() {
    let (_world, mut raw) = world().await;
    let uuid = raw.running().await.uuid;
    for records in [1, 2] {
        let request = v1::UpdateProgressRequest {
            lease_epoch: 0,
            uuid: uuid.clone(),
            progress: Some(totals(records)),
            checkpoint: None,
            request_id: id("same"),
            record_problems: Vec::new(),
        };
        let running = done(raw.transfers.update_progress(request)).await;
        assert_eq!(running.progress, Some(totals(records)));
    }
    for _ in 0..2 {
        let request = v1::ExpirePendingApprovalsRequest {
            request_id: id("same"),
        };
        raw.transfers
            .expire_pending_approvals(request)
            .await
            .expect("accepted");
    }
    raw.create(v1::CreateTransferRequest {
        request_id: id("same"),
        ..plain()
    })
    .await;
}

#[tokio::test]
async fn ids_are_remembered_over_a_restart() {
    let (mut world, mut raw) = world().await;
    let create = v1::CreateTransferRequest {
        request_id: id("create"),
        ..plain()
    };
    let uuid = raw.create(create.clone()).await.uuid;
    let cancel = v1::CancelTransferRequest {
        uuid: uuid.clone(),
        reason: id("no"),
        request_id: id("cancel"),
        grace: None,
    };
    let cancelled = done(raw.transfers.cancel_transfer(cancel.clone())).await;
    let gone = raw
        .standing(TransferStatus::Completed, &world.clock)
        .await
        .uuid;
    let delete = v1::DeleteTransferRequest {
        uuid: gone,
        request_id: id("delete"),
    };
    raw.transfers
        .delete_transfer(delete.clone())
        .await
        .expect("it is terminal");
    let log = raw.log().await;

    drop(raw);
    world.stop().await;
    world.resume().await;
    let mut raw = world.services().await;
    world.clock.advance(Duration::from_secs(23 * 3_600));
    assert_eq!(raw.create(create.clone()).await, cancelled);
    assert_eq!(
        done(raw.transfers.cancel_transfer(cancel.clone())).await,
        cancelled
    );
    raw.transfers
        .delete_transfer(delete)
        .await
        .expect("it was done before");
    let other = v1::CancelTransferRequest {
        reason: String::new(),
        ..cancel
    };
    assert_reused(raw.transfers.cancel_transfer(other), "cancel").await;
    let other = v1::CreateTransferRequest {
        table_name: id("planets"),
        ..create
    };
    assert_reused(raw.transfers.create_transfer(other), "create").await;
    assert_eq!(raw.log().await, log);
    assert_eq!(raw.count().await, 1);
}
