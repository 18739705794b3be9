//! Attempts over the wire, field by field.

use std::time::Duration;

use tidegate_proto::v1::{self, AttemptEnd, EventType, TransferStatus};
use tidegate_tests::{
    World, WorldOptions,
    raw::{Raw, at_rest, done, plain, told, totals, under_way, wire_duration, wire_time},
    request, soon,
};

const HEARTBEAT: Duration = Duration::from_secs(60);

fn of(uuid: &str) -> v1::ListAttemptsRequest {
    v1::ListAttemptsRequest {
        uuid: uuid.to_owned(),
        before_epoch: 0,
    }
}

async fn attempts(raw: &mut Raw, uuid: &str) -> Vec<v1::Attempt> {
    told(raw.transfers.list_attempts(of(uuid))).await.attempts
}

fn starting(uuid: &str, agent_instance: &str) -> v1::StartTransferRequest {
    v1::StartTransferRequest {
        heartbeat_timeout: Some(wire_duration(HEARTBEAT)),
        agent_instance: agent_instance.to_owned(),
        ..request::starting(uuid)
    }
}

#[tokio::test]
async fn every_attempt_is_listed_with_how_it_ended() {
    let options = WorldOptions {
        sweep_interval: Duration::from_millis(15),
        ..WorldOptions::still()
    };
    let world = World::start_with(options).await;
    let mut raw = world.services().await;
    let twice = v1::CreateTransferRequest {
        max_attempts: 2,
        ..plain()
    };
    let created = raw.create(twice).await;
    assert_eq!((created.max_attempts, created.lease_epoch), (2, 0));
    let none = told(raw.transfers.list_attempts(of(&created.uuid))).await;
    assert_eq!(none.attempts, []);

    let began = world.clock.now();
    let started = done(
        raw.transfers
            .start_transfer(starting(&created.uuid, "host-1")),
    )
    .await;
    let expected = v1::Transfer {
        status: TransferStatus::InProgress.into(),
        started_at: Some(wire_time(began)),
        heartbeat_timeout: Some(wire_duration(HEARTBEAT)),
        heartbeat_expires_at: Some(wire_time(began.after(HEARTBEAT))),
        lease_epoch: 1,
        agent_instance: "host-1".to_owned(),
        revision: 2,
        ..under_way(created.clone(), Some(wire_time(began)))
    };
    assert_eq!(started, expected);
    let report = v1::UpdateProgressRequest {
        lease_epoch: 1,
        checkpoint: Some(b"row 7".to_vec()),
        ..request::reporting(&created.uuid, totals(7))
    };
    let reported = done(raw.transfers.update_progress(report)).await;
    let running = v1::Attempt {
        lease_epoch: 1,
        lease_owner_uuid: String::new(),
        agent_instance: "host-1".to_owned(),
        started_at: Some(wire_time(began)),
        ended_at: None,
        end: AttemptEnd::Running.into(),
        error_message: String::new(),
        progress: Some(totals(7)),
        checkpoint: b"row 7".to_vec(),
    };
    let so_far = attempts(&mut raw, &created.uuid).await;
    assert_eq!(so_far, std::slice::from_ref(&running));

    world.clock.advance(HEARTBEAT);
    let lost = world.clock.now();
    let queued = soon("the end of the lease", async {
        loop {
            let now = raw.now(&created.uuid).await;
            if now.status() == TransferStatus::Pending {
                return now;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let expected = v1::Transfer {
        status: TransferStatus::Pending.into(),
        started_at: None,
        heartbeat_timeout: None,
        heartbeat_expires_at: None,
        agent_instance: String::new(),
        updated_at: Some(wire_time(lost)),
        revision: 4,
        ..at_rest(reported.clone(), None)
    };
    assert_eq!(queued, expected, "totals and checkpoint stay");
    let requeued = v1::Attempt {
        ended_at: Some(wire_time(lost)),
        end: AttemptEnd::Requeued.into(),
        error_message: "HEARTBEAT_LOST: the agent did not report for 60 s".to_owned(),
        ..running
    };
    let so_far = attempts(&mut raw, &created.uuid).await;
    assert_eq!(so_far, std::slice::from_ref(&requeued));

    let again = done(
        raw.transfers
            .start_transfer(starting(&created.uuid, "host-2")),
    )
    .await;
    assert_eq!(
        (again.lease_epoch, again.checkpoint.as_slice()),
        (2, &b"row 7"[..])
    );
    assert_eq!(
        again.progress,
        Some(totals(0)),
        "what was counted before is not carried on"
    );
    let completion = v1::CompleteTransferRequest {
        lease_epoch: 2,
        progress: Some(totals(9)),
        ..request::completion(&created.uuid)
    };
    let completed = done(raw.transfers.complete_transfer(completion)).await;
    assert_eq!(completed.status(), TransferStatus::Completed);
    let last = v1::Attempt {
        lease_epoch: 2,
        agent_instance: "host-2".to_owned(),
        started_at: Some(wire_time(lost)),
        ended_at: Some(wire_time(lost)),
        end: AttemptEnd::Completed.into(),
        error_message: String::new(),
        progress: Some(totals(9)),
        ..requeued.clone()
    };
    assert_eq!(attempts(&mut raw, &created.uuid).await, [requeued, last]);

    let events = raw.events_of(&created.uuid).await;
    let types: Vec<_> = events.iter().map(v1::Event::r#type).collect();
    let expected = [
        EventType::Created,
        EventType::Started,
        EventType::Requeued,
        EventType::Started,
        EventType::Completed,
    ];
    assert_eq!(types, expected);
    let lease = |lease_epoch, name: &str| {
        Some(v1::EventLease {
            lease_epoch,
            agent_instance: name.to_owned(),
            ..v1::EventLease::default()
        })
    };
    let leases: Vec<_> = events.iter().map(|event| event.lease.clone()).collect();
    let (first, second) = (lease(1, "host-1"), lease(2, "host-2"));
    assert_eq!(leases, [None, first.clone(), first, second.clone(), second]);
    let failure = v1::event::Detail::Failure(v1::FailureDetail {
        error_message: "HEARTBEAT_LOST: the agent did not report for 60 s".to_owned(),
        code: v1::FailureCode::HeartbeatLost.into(),
        retryable: true,
    });
    assert_eq!(events[2].detail, Some(failure));
    assert_eq!(
        (events[2].from_status(), events[2].to_status()),
        (TransferStatus::InProgress, TransferStatus::Pending)
    );
}
