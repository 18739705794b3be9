//! A change that carries a request id happens once, however often it is asked for.

mod crowd;
mod memory;

use std::time::Duration;

use tidegate_proto::v1::{self, TransferStatus};
use tidegate_tests::{
    World, WorldOptions, assert_refused,
    raw::{ADMIN, Raw, done, plain, told, totals, wire_duration},
    request,
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
async fn every_step_to_completion_can_be_repeated() {
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
        ..Default::default()
    };
    repeat!(raw, approve_transfer, request, but comment: id("no"), admin_user_uuid: other.clone());
    let request = v1::StartTransferRequest {
        agent_instance: String::new(),
        uuid: uuid.clone(),
        heartbeat_timeout: None,
        request_id: id("start"),
    };
    let minute = Some(wire_duration(Duration::from_secs(60)));
    repeat!(raw, start_transfer, request, but heartbeat_timeout: minute, uuid: other.clone());
    let request = v1::CompleteTransferRequest {
        lease_epoch: 0,
        uuid: uuid.clone(),
        progress: Some(totals(9)),
        request_id: id("complete"),
        record_problems: Vec::new(),
    };
    repeat!(raw, complete_transfer, request, but progress: Some(totals(10)), uuid: other.clone());
    let own = v1::ReceiptStatement {
        records_transferred: Some(9),
        ..Default::default()
    };
    let request = v1::SubmitReceiptRequest {
        uuid: uuid.clone(),
        own: Some(own),
        request_id: id("receipt"),
        ..Default::default()
    };
    repeat!(raw, submit_receipt, request, but consistency: id("x"), uuid: other.clone());
}

#[tokio::test]
async fn every_other_end_can_be_repeated() {
    let (_world, mut raw) = world().await;
    let (other, third) = (raw.declared().await.uuid, raw.declared().await.uuid);
    let failed = raw.running().await.uuid;
    let request = v1::FailTransferRequest {
        lease_epoch: 0,
        uuid: failed,
        error_message: id("lost"),
        progress: None,
        request_id: id("fail"),
        record_problems: Vec::new(),
        code: 0,
        retryable: false,
    };
    repeat!(raw, fail_transfer, request, but error_message: id("found"), progress: Some(totals(1)));
    let denied = raw.declared().await.uuid;
    raw.ask(&denied, Duration::from_secs(60)).await;
    let request = v1::DenyTransferRequest {
        uuid: denied,
        admin_user_uuid: id(ADMIN),
        reason: id("no"),
        request_id: id("deny"),
        ..Default::default()
    };
    repeat!(raw, deny_transfer, request, but reason: String::new());
    let request = v1::CancelTransferRequest {
        uuid: other.clone(),
        reason: id("no"),
        request_id: id("cancel"),
        grace: None,
    };
    repeat!(raw, cancel_transfer, request, but reason: String::new(), uuid: third);
}

#[tokio::test]
async fn stops_can_be_repeated() {
    let (_world, mut raw) = world().await;
    let (uuid, other) = (raw.running().await.uuid, raw.running().await.uuid);
    let grace = Some(wire_duration(Duration::from_secs(60)));
    let request = v1::PauseTransferRequest {
        uuid: uuid.clone(),
        reason: id("maintenance"),
        request_id: id("pause"),
        grace,
    };
    repeat!(raw, pause_transfer, request, but reason: String::new(), grace: None, uuid: other.clone());
    let request = v1::AcknowledgeStopRequest {
        request_id: id("stopped"),
        progress: Some(totals(3)),
        ..request::acknowledgement(&uuid)
    };
    repeat!(raw, acknowledge_stop, request, but progress: Some(totals(4)), checkpoint: Some(vec![1]));
    let request = v1::ResumeTransferRequest {
        uuid,
        request_id: id("resume"),
    };
    repeat!(raw, resume_transfer, request, but uuid: other.clone());
    let request = v1::CancelTransferRequest {
        uuid: other,
        reason: id("no"),
        request_id: id("ask"),
        grace,
    };
    repeat!(raw, cancel_transfer, request, but reason: String::new(), grace: None);
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
        ..Default::default()
    };
    let mut answers = Vec::new();
    for _ in 0..3 {
        let answer = told(raw.connections.create_connection(request.clone())).await;
        answers.push(answer);
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
    let list = told(
        raw.connections
            .list_connections(v1::ListConnectionsRequest::default()),
    )
    .await;
    assert_eq!(list.connections.len(), 1);
}

#[tokio::test]
async fn one_id_does_not_serve_two_methods() {
    let (_world, mut raw) = world().await;
    let uuid = raw.running().await.uuid;
    let request = v1::CompleteTransferRequest {
        lease_epoch: 0,
        uuid: uuid.clone(),
        progress: None,
        request_id: id("one"),
        record_problems: Vec::new(),
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
        agent_instance: String::new(),
        uuid,
        heartbeat_timeout: None,
        request_id: id("one"),
    };
    assert_reused(raw.transfers.start_transfer(start), "one").await;
    assert_eq!(raw.log().await, log);
}
