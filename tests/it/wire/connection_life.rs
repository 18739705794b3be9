//! The life of a connection: every step, and every step that is not to be.

use std::time::Duration;

use tidegate_proto::v1::{self, ConnectionStatus, EventType};
use tidegate_tests::{
    World, WorldOptions, assert_refused,
    raw::{NOBODY, Raw, said, told, wire_time},
    site::{Step, of, proposal},
    soon,
};
use tonic::Code;

/// A world in which only the sweeper and the test do anything.
async fn world() -> (World, Raw) {
    let options = WorldOptions {
        sweep_interval: Duration::from_millis(20),
        stop_grace: Duration::from_secs(600),
        ..WorldOptions::still()
    };
    let world = World::start_with(options).await;
    let raw = world.services().await;
    (world, raw)
}

/// The newest event of a connection itself, and not of a transfer that follows it.
async fn last(raw: &mut Raw, uuid: &str) -> v1::Event {
    let events = raw.events_of_site(uuid).await;
    let mut its = events.into_iter().rev();
    its.find(|event| event.transfer_uuid.is_empty())
        .expect("there is an event")
}

#[tokio::test]
async fn a_pending_connection_is_approved() {
    let (world, mut raw) = world().await;
    let uuid = raw.site_in(ConnectionStatus::Pending).await;
    let before = raw.site_now(&uuid).await;
    world.clock.advance(Duration::from_secs(5));
    let request = v1::ApproveConnectionRequest {
        uuid: uuid.clone(),
        request_id: "approve-1".to_owned(),
    };
    let answer = told(raw.connections.approve_connection(request)).await;
    let now = Some(wire_time(world.clock.now()));
    let expected = v1::Connection {
        status: ConnectionStatus::Active.into(),
        updated_at: now,
        revision: 2,
        ..before
    };
    assert_eq!(answer.connection, Some(expected.clone()));
    assert_eq!(raw.site_now(&uuid).await, expected);
    let event = last(&mut raw, &uuid).await;
    let wanted = v1::Event {
        sequence: 2,
        connection_uuid: uuid,
        r#type: EventType::ConnectionApproved.into(),
        actor: "anonymous".to_owned(),
        request_id: "approve-1".to_owned(),
        revision: 2,
        occurred_at: now,
        connection_name: expected.name,
        hash: event.hash.clone(),
        ..v1::Event::default()
    };
    assert_eq!(event, wanted);
}

/// Waits until whoever runs the transfer is asked to stop.
async fn asked(raw: &mut Raw, uuid: &str) {
    soon("the request", async {
        while raw.now(uuid).await.stop.is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_connection_is_suspended_and_reactivated() {
    let (_world, mut raw) = world().await;
    let uuid = raw.site_in(ConnectionStatus::Active).await;
    let running = raw.create(of(&uuid)).await.uuid;
    raw.start(&running).await;
    let waiting = raw.create(of(&uuid)).await.uuid;
    let suspend = v1::SuspendConnectionRequest {
        uuid: uuid.clone(),
        reason: "spring tide".to_owned(),
        request_id: String::new(),
    };
    let answer = told(raw.connections.suspend_connection(suspend)).await;
    let suspended = answer.connection.expect("the connection");
    assert_eq!(suspended.status(), ConnectionStatus::Suspended);
    assert_eq!(suspended.status_reason, "spring tide");
    let event = last(&mut raw, &uuid).await;
    assert_eq!(event.r#type(), EventType::ConnectionSuspended);
    assert_eq!(event.detail, said("spring tide"));

    // Nothing begins, and what has begun may end.
    let refusal = raw.transfers.create_transfer(of(&uuid)).await;
    let refusal = refusal.expect_err("it is suspended");
    let refused = assert_refused(&refusal, Code::FailedPrecondition, "CONNECTION_NOT_ACTIVE");
    assert_eq!(refused.metadata["status"], "SUSPENDED");
    assert_eq!(refused.metadata["connection_uuid"], uuid);
    raw.report(&running, 5).await;
    asked(&mut raw, &running).await;
    raw.complete(&running, 6).await;

    let reactivate = v1::ReactivateConnectionRequest {
        uuid: uuid.clone(),
        request_id: String::new(),
    };
    let answer = told(raw.connections.reactivate_connection(reactivate)).await;
    let active = answer.connection.expect("the connection");
    assert_eq!(active.status(), ConnectionStatus::Active);
    assert_eq!((active.status_reason.as_str(), active.revision), ("", 3));
    let event_type = last(&mut raw, &uuid).await.r#type();
    assert_eq!(event_type, EventType::ConnectionReactivated);
    raw.start(&waiting).await;
}

#[tokio::test]
async fn a_revoked_connection_is_deleted_and_its_past_stays() {
    let (_world, mut raw) = world().await;
    let uuid = raw.site_in(ConnectionStatus::Active).await;
    let transfer = raw.create(of(&uuid)).await.uuid;
    raw.start(&transfer).await;
    let revoke = v1::RevokeConnectionRequest {
        uuid: uuid.clone(),
        reason: "gone".to_owned(),
        request_id: String::new(),
    };
    let answer = told(raw.connections.revoke_connection(revoke)).await;
    let revoked = answer.connection.expect("the connection");
    assert_eq!(revoked.status(), ConnectionStatus::Revoked);
    assert_eq!(revoked.status_reason, "gone");

    let delete = v1::DeleteConnectionRequest {
        uuid: uuid.clone(),
        request_id: String::new(),
    };
    let refusal = raw.connections.delete_connection(delete.clone()).await;
    let refusal = refusal.expect_err("a transfer of it goes on");
    assert_refused(&refusal, Code::FailedPrecondition, "CONNECTION_IN_USE");
    asked(&mut raw, &transfer).await;
    let ended = raw.complete(&transfer, 3).await;
    told(raw.connections.delete_connection(delete)).await;
    let get = v1::GetConnectionRequest { uuid: uuid.clone() };
    let refusal = raw.connections.get_connection(get).await;
    let refusal = refusal.expect_err("it is gone");
    assert_refused(&refusal, Code::NotFound, "CONNECTION_NOT_FOUND");
    assert_eq!(raw.now(&transfer).await, ended);
    let events = raw.events_of_site(&uuid).await;
    let types: Vec<_> = events.iter().map(v1::Event::r#type).collect();
    let expected = [
        EventType::ConnectionCreated,
        EventType::Created,
        EventType::Started,
        EventType::ConnectionRevoked,
        EventType::CancelRequested,
        EventType::Completed,
        EventType::ConnectionDeleted,
    ];
    assert_eq!(types, expected);
    // The row that is gone had this one.
    assert_eq!((events[3].revision, events[6].revision), (2, 2));
}

/// What the contract says of each step, from each status; `None`: it is refused.
const fn leads_to(step: Step, from: ConnectionStatus) -> Option<ConnectionStatus> {
    use ConnectionStatus::{Active, Expired, Pending, Revoked, Suspended};
    match (step, from) {
        (Step::Update, Pending | Active | Suspended | Expired) => Some(from),
        (Step::Approve, Pending) => Some(Active),
        (Step::Suspend, Active) => Some(Suspended),
        (Step::Reactivate, Suspended) => Some(Active),
        (Step::Revoke, Pending | Active | Suspended | Expired) => Some(Revoked),
        (Step::Delete, Pending | Revoked | Expired) => Some(ConnectionStatus::Unspecified),
        _ => None,
    }
}

#[tokio::test]
async fn every_step_from_every_status_is_as_the_contract_says() {
    use ConnectionStatus::{Active, Expired, Pending, Revoked, Suspended};
    let (_world, mut raw) = world().await;
    for status in [Pending, Active, Suspended, Revoked, Expired] {
        for step in Step::ALL {
            let uuid = raw.site_in(status).await;
            let before = raw.site_now(&uuid).await;
            let log = raw.log().await.len();
            let outcome = step.attempt(&mut raw, &uuid, "").await;
            let what = format!("{step:?} from {status:?}");
            match (leads_to(step, status), outcome) {
                (Some(ConnectionStatus::Unspecified), Ok(None)) => {}
                (Some(to), Ok(Some(after))) => {
                    assert_eq!(after.status(), to, "{what}");
                    assert_eq!(after.revision, before.revision + 1, "{what}");
                }
                (None, Err(refusal)) if step == Step::Reactivate && status == Expired => {
                    // The table allows it, its end does not.
                    assert_refused(&refusal, Code::FailedPrecondition, "CONNECTION_EXPIRED");
                    assert_eq!(raw.log().await.len(), log, "{what}");
                }
                (None, Err(refusal)) => {
                    let refused =
                        assert_refused(&refusal, Code::FailedPrecondition, "ILLEGAL_TRANSITION");
                    let name = status
                        .as_str_name()
                        .trim_start_matches("CONNECTION_STATUS_");
                    assert_eq!(refused.metadata["status"], name, "{what}");
                    assert!(!refused.metadata["allowed_from"].contains(name), "{what}");
                    assert_eq!(raw.site_now(&uuid).await, before, "{what}");
                    assert_eq!(raw.log().await.len(), log, "{what}");
                }
                (wanted, got) => panic!("{what}: {wanted:?} was expected, not {got:?}"),
            }
        }
    }
}

#[tokio::test]
async fn nothing_can_be_done_to_a_connection_that_is_not_there() {
    let (_world, mut raw) = world().await;
    for step in Step::ALL {
        let refusal = step.attempt(&mut raw, NOBODY, "").await;
        let refusal = refusal.expect_err("nobody knows it");
        assert_refused(&refusal, Code::NotFound, "CONNECTION_NOT_FOUND");
        let refusal = step.attempt(&mut raw, "no-uuid", "").await;
        let refusal = refusal.expect_err("it is no uuid");
        assert_refused(&refusal, Code::InvalidArgument, "INVALID_FIELDS");
    }
}

#[tokio::test]
async fn each_change_is_carried_out_once_however_often_it_is_asked_for() {
    let (mut world, mut raw) = world().await;
    let start = |step| match step {
        Step::Approve | Step::Delete => ConnectionStatus::Pending,
        Step::Reactivate => ConnectionStatus::Suspended,
        Step::Update | Step::Suspend | Step::Revoke => ConnectionStatus::Active,
    };
    let mut done = Vec::new();
    for step in Step::ALL {
        let uuid = raw.site_in(start(step)).await;
        let other = raw.site_in(start(step)).await;
        let id = format!("{step:?}-once");
        let first = step.attempt(&mut raw, &uuid, &id).await.expect("accepted");
        let log = raw.log().await.len();
        let again = step.attempt(&mut raw, &uuid, &id).await.expect("repeated");
        assert_eq!(again, first, "{step:?}");
        let refusal = step.attempt(&mut raw, &other, &id).await;
        let refusal = refusal.expect_err("it is another request");
        assert_refused(&refusal, Code::AlreadyExists, "REQUEST_ID_REUSED");
        assert_eq!(raw.log().await.len(), log, "{step:?}");
        done.push((step, uuid, id, first));
    }
    let create = v1::CreateConnectionRequest {
        request_id: "create-once".to_owned(),
        ..proposal()
    };
    let created = told(raw.connections.create_connection(create.clone())).await;
    let log = raw.log().await.len();

    // It is remembered on disk.
    world.stop().await;
    world.resume().await;
    let mut raw = world.services().await;
    for (step, uuid, id, first) in done {
        let again = step.attempt(&mut raw, &uuid, &id).await.expect("repeated");
        assert_eq!(again, first, "{step:?}");
    }
    let again = told(raw.connections.create_connection(create)).await;
    assert_eq!(again, created);
    assert_eq!(raw.log().await.len(), log);
}
