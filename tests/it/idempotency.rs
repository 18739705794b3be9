//! A change that carries a request id happens once, however often it is asked for.

use std::time::Duration;

use futures::future::join_all;
use tidegate_proto::v1::{self, TransferStatus};
use tidegate_tests::{
    World, WorldOptions, assert_refused,
    raw::{ADMIN, Raw, done, plain, totals, wire_duration},
};
use tonic::{Code, Response, Status};

async fn world() -> (World, Raw) {
    let world = World::start_with(WorldOptions::still()).await;
    let raw = world.services().await;
    (world, raw)
}

fn id(text: &str) -> String {
    text.to_owned()
}

async fn assert_reused<T>(call: impl Future<Output = Result<Response<T>, Status>>, id: &str) {
    let refusal = call
        .await
        .map(drop)
        .expect_err("the id belongs to another request");
    let refused = assert_refused(&refusal, Code::AlreadyExists, "REQUEST_ID_REUSED");
    assert_eq!(
        refused.metadata.get("request_id").map(String::as_str),
        Some(id)
    );
}

/// Sends a request twice, then another one under its id: the second changes nothing, the third is refused.
macro_rules! repeat {
    ($raw:ident, $method:ident, $request:expr, but $($field:ident: $other:expr),+) => {{
        let request = $request;
        let first = done($raw.transfers.$method(request.clone())).await;
        let log = $raw.log().await;
        let again = done($raw.transfers.$method(request.clone())).await;
        assert_eq!(again, first, "{}", stringify!($method));
        $({
            let mut other = request.clone();
            other.$field = $other;
            assert_reused($raw.transfers.$method(other), &request.request_id).await;
        })+
        assert_eq!($raw.log().await, log, "{}", stringify!($method));
        let caused: Vec<_> =
            log.iter().filter(|event| event.request_id == request.request_id).collect();
        assert_eq!(caused.len(), 1, "{}", stringify!($method));
        assert_eq!(caused[0].transfer_uuid, first.uuid);
        assert_eq!(caused[0].revision, first.revision);
        first
    }};
}

#[tokio::test]
async fn every_change_of_a_transfer_can_be_repeated() {
    let (_world, mut raw) = world().await;
    let other = raw.declared().await.uuid;
    let request = v1::CreateTransferRequest {
        request_id: id("create"),
        ..plain()
    };
    let uuid = repeat!(raw, create_transfer, request,
        but table_name: id("planets"), requires_approval: true, session_code: id("S"))
    .uuid;
    assert_eq!(raw.count().await, 2);
    let request = v1::RequestApprovalRequest {
        uuid: uuid.clone(),
        expires_in: None,
        request_id: id("ask"),
    };
    // The default said aloud is another body.
    let day = Some(wire_duration(Duration::from_secs(24 * 3_600)));
    repeat!(raw, request_approval, request, but expires_in: day, uuid: other.clone());
    let request = v1::ApproveTransferRequest {
        uuid: uuid.clone(),
        admin_user_uuid: id(ADMIN),
        comment: id("yes"),
        request_id: id("approve"),
    };
    repeat!(raw, approve_transfer, request, but comment: id("no"), admin_user_uuid: other.clone());
    let request = v1::StartTransferRequest {
        uuid: uuid.clone(),
        heartbeat_timeout: None,
        request_id: id("start"),
    };
    let minute = Some(wire_duration(Duration::from_secs(60)));
    repeat!(raw, start_transfer, request, but heartbeat_timeout: minute, uuid: other.clone());
    let request = v1::CompleteTransferRequest {
        uuid: uuid.clone(),
        progress: Some(totals(9)),
        request_id: id("complete"),
    };
    repeat!(raw, complete_transfer, request, but progress: Some(totals(10)), uuid: other.clone());

    let failed = raw.running().await.uuid;
    let request = v1::FailTransferRequest {
        uuid: failed,
        error_message: id("lost"),
        progress: None,
        request_id: id("fail"),
    };
    repeat!(raw, fail_transfer, request, but error_message: id("found"), progress: Some(totals(1)));
    let denied = raw.declared().await.uuid;
    raw.ask(&denied, Duration::from_secs(60)).await;
    let request = v1::DenyTransferRequest {
        uuid: denied,
        admin_user_uuid: id(ADMIN),
        reason: id("no"),
        request_id: id("deny"),
    };
    repeat!(raw, deny_transfer, request, but reason: String::new());
    let request = v1::CancelTransferRequest {
        uuid: other.clone(),
        reason: id("no"),
        request_id: id("cancel"),
    };
    repeat!(raw, cancel_transfer, request, but reason: String::new(), uuid: uuid);
}

#[tokio::test]
async fn a_deletion_can_be_repeated() {
    let (world, mut raw) = world().await;
    let uuid = raw
        .standing(TransferStatus::Failed, &world.clock)
        .await
        .uuid;
    let kept = raw
        .standing(TransferStatus::Failed, &world.clock)
        .await
        .uuid;
    let request = v1::DeleteTransferRequest {
        uuid: uuid.clone(),
        request_id: id("delete"),
    };
    raw.transfers
        .delete_transfer(request.clone())
        .await
        .expect("it is terminal");
    let log = raw.log().await;
    raw.transfers
        .delete_transfer(request.clone())
        .await
        .expect("it is done already");
    let other = v1::DeleteTransferRequest {
        uuid: kept.clone(),
        ..request
    };
    assert_reused(raw.transfers.delete_transfer(other), "delete").await;
    let fresh = v1::DeleteTransferRequest {
        uuid,
        request_id: id("fresh"),
    };
    let refusal = raw
        .transfers
        .delete_transfer(fresh)
        .await
        .expect_err("another request");
    assert_refused(&refusal, Code::NotFound, "TRANSFER_NOT_FOUND");
    assert_eq!(raw.log().await, log);
    assert_eq!(raw.now(&kept).await.status(), TransferStatus::Failed);
}

#[tokio::test]
async fn a_connection_is_created_once() {
    let (_world, mut raw) = world().await;
    let request = v1::CreateConnectionRequest {
        name: id("mirror"),
        direction: v1::ConnectionDirection::Sender.into(),
        site_url: id("https://mirror.example"),
        request_id: id("connect"),
    };
    let mut answers = Vec::new();
    for _ in 0..3 {
        let answer = raw
            .connections
            .create_connection(request.clone())
            .await
            .expect("accepted");
        answers.push(answer.into_inner());
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    let other = v1::CreateConnectionRequest {
        name: id("other"),
        ..request.clone()
    };
    assert_reused(raw.connections.create_connection(other), "connect").await;
    let transfer = v1::CreateTransferRequest {
        request_id: id("connect"),
        ..plain()
    };
    assert_reused(raw.transfers.create_transfer(transfer), "connect").await;
    raw.create(v1::CreateTransferRequest {
        request_id: id("create"),
        ..plain()
    })
    .await;
    let connection = v1::CreateConnectionRequest {
        request_id: id("create"),
        ..request
    };
    assert_reused(raw.connections.create_connection(connection), "create").await;
    let list = raw
        .connections
        .list_connections(v1::ListConnectionsRequest::default())
        .await;
    assert_eq!(list.expect("accepted").into_inner().connections.len(), 1);
}

#[tokio::test]
async fn one_id_does_not_serve_two_methods() {
    let (_world, mut raw) = world().await;
    let uuid = raw.running().await.uuid;
    let request = v1::CompleteTransferRequest {
        uuid: uuid.clone(),
        progress: None,
        request_id: id("one"),
    };
    done(raw.transfers.complete_transfer(request)).await;
    let log = raw.log().await;
    // The body is the same but for the method.
    let delete = v1::DeleteTransferRequest {
        uuid: uuid.clone(),
        request_id: id("one"),
    };
    assert_reused(raw.transfers.delete_transfer(delete), "one").await;
    let start = v1::StartTransferRequest {
        uuid,
        heartbeat_timeout: None,
        request_id: id("one"),
    };
    assert_reused(raw.transfers.start_transfer(start), "one").await;
    assert_eq!(raw.log().await, log);
}

#[tokio::test]
async fn a_repetition_answers_with_the_transfer_as_it_is_now() {
    let (world, mut raw) = world().await;
    let create = v1::CreateTransferRequest {
        request_id: id("create"),
        ..plain()
    };
    let uuid = raw.create(create.clone()).await.uuid;
    let start = v1::StartTransferRequest {
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
            uuid: uuid.clone(),
            progress: Some(totals(records)),
            checkpoint: None,
            request_id: id("same"),
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

/// Fifty callers on eight connections send the same request at once.
async fn fifty(
    world: &World,
    request: &v1::CreateTransferRequest,
) -> Vec<Result<v1::Transfer, Status>> {
    let connections = join_all((0..8).map(|_| world.services())).await;
    let calls = (0..50).map(|number| {
        let mut raw = connections[number % connections.len()].clone();
        let request = request.clone();
        tokio::spawn(async move {
            let answer = raw.transfers.create_transfer(request).await?;
            Ok(answer.into_inner().transfer.expect("the transfer"))
        })
    });
    let answers = join_all(calls).await;
    answers
        .into_iter()
        .map(|answer| answer.expect("no panic"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_callers_with_one_id_create_one_transfer() {
    // The machine's clock, so that a second creation would show in its times too.
    let mut world = World::start().await;
    let request = v1::CreateTransferRequest {
        request_id: id("fifty"),
        ..plain()
    };
    let mut first: Option<v1::Transfer> = None;
    for _ in 0..2 {
        for answer in fifty(&world, &request).await {
            let answer = answer.expect("every caller gets the transfer");
            assert_eq!(first.get_or_insert_with(|| answer.clone()), &answer);
        }
        let mut raw = world.services().await;
        assert_eq!((raw.count().await, raw.log().await.len()), (1, 1));
        drop(raw);
        world.stop().await;
        world.resume().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_different_requests_with_one_id_one_wins() {
    let world = World::start().await;
    let ours = v1::CreateTransferRequest {
        request_id: id("mine"),
        ..plain()
    };
    let theirs = v1::CreateTransferRequest {
        table_name: id("planets"),
        ..ours.clone()
    };
    let (ours, theirs) = tokio::join!(fifty(&world, &ours), fifty(&world, &theirs));
    let mut winners = Vec::new();
    for side in [ours, theirs] {
        let accepted = side.iter().filter(|answer| answer.is_ok()).count();
        assert!(
            accepted == 0 || accepted == 50,
            "a side wins or loses as a whole: {accepted}"
        );
        winners.push(accepted);
        for refusal in side.into_iter().filter_map(Result::err) {
            assert_refused(&refusal, Code::AlreadyExists, "REQUEST_ID_REUSED");
        }
    }
    winners.sort_unstable();
    assert_eq!(winners, [0, 50]);
    let mut raw = world.services().await;
    assert_eq!((raw.count().await, raw.log().await.len()), (1, 1));
}
