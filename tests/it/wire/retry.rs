//! Another try of what has ended, asked for and by itself.

use std::time::Duration;

use tidegate_proto::v1::{self, EventType, TransferStatus, UpcomingAction};
use tidegate_tests::{
    World, WorldOptions, assert_refused,
    raw::{Raw, done, plain, told, wire_duration, wire_time},
    request, soon,
};
use tonic::Code;

const MINUTE: Duration = Duration::from_secs(60);

fn again(uuid: &str, request_id: &str) -> v1::RetryTransferRequest {
    v1::RetryTransferRequest {
        uuid: uuid.to_owned(),
        request_id: request_id.to_owned(),
    }
}

/// Starts it, and fails it with a checkpoint.
async fn fail(raw: &mut Raw, uuid: &str, retryable: bool) -> v1::Transfer {
    raw.start(uuid).await;
    let report = v1::UpdateProgressRequest {
        uuid: uuid.to_owned(),
        checkpoint: Some(b"row 7".to_vec()),
        ..v1::UpdateProgressRequest::default()
    };
    done(raw.transfers.update_progress(report)).await;
    let failing = v1::FailTransferRequest {
        uuid: uuid.to_owned(),
        error_message: "busy".to_owned(),
        retryable,
        ..v1::FailTransferRequest::default()
    };
    done(raw.transfers.fail_transfer(failing)).await
}

#[tokio::test]
async fn another_try_is_declared_once() {
    let world = World::start_with(WorldOptions::still()).await;
    let mut raw = world.services().await;
    let created = v1::CreateTransferRequest {
        records_requested: 9,
        max_attempts: 2,
        finish_by: Some(wire_time(world.clock.now().after(MINUTE))),
        ..plain()
    };
    let created = raw.create(created).await;
    let status = raw.transfers.retry_transfer(again(&created.uuid, "")).await;
    let refused = status.expect_err("it has not ended");
    let refused = assert_refused(&refused, Code::FailedPrecondition, "RETRY_NOT_ALLOWED");
    assert_eq!(refused.metadata["status"], "PENDING");
    let failed = fail(&mut raw, &created.uuid, true).await;
    assert_eq!(failed.retry_at, None, "no policy wants it");

    world.clock.advance(MINUTE);
    let tried = done(raw.transfers.retry_transfer(again(&failed.uuid, "once"))).await;
    let now = Some(wire_time(world.clock.now()));
    let expected = v1::Transfer {
        uuid: tried.uuid.clone(),
        inserted_at: now,
        updated_at: now,
        retry_of_uuid: failed.uuid.clone(),
        retry_number: 1,
        checkpoint: b"row 7".to_vec(),
        finish_expires_at: None,
        start_expires_at: None,
        ..created.clone()
    };
    assert_eq!(tried, expected);
    let before = raw.now(&failed.uuid).await;
    let expected = v1::Transfer {
        retried_by_uuid: tried.uuid.clone(),
        updated_at: now,
        revision: failed.revision + 1,
        ..failed.clone()
    };
    assert_eq!(before, expected);
    let repeated = done(raw.transfers.retry_transfer(again(&failed.uuid, "once"))).await;
    assert_eq!(repeated.uuid, tried.uuid, "it is the same call");

    let twice = raw.transfers.retry_transfer(again(&failed.uuid, "")).await;
    let twice = twice.expect_err("once is enough");
    let twice = assert_refused(&twice, Code::FailedPrecondition, "RETRY_NOT_ALLOWED");
    assert_eq!(twice.metadata["retried_by_uuid"], tried.uuid);
    let created_again = v1::CreateTransferRequest {
        retry_of_uuid: failed.uuid.clone(),
        ..plain()
    };
    let twice = raw.transfers.create_transfer(created_again).await;
    let twice = twice.expect_err("nor like this");
    assert_refused(&twice, Code::FailedPrecondition, "RETRY_NOT_ALLOWED");
    assert_eq!(raw.now(&failed.uuid).await, before);
    let told = raw.events_of(&failed.uuid).await;
    let last = told.last().expect("an event");
    assert_eq!(
        (last.r#type(), last.revision),
        (EventType::Retried, before.revision)
    );
    assert_eq!(
        (last.from_status, last.to_status),
        (before.status, before.status)
    );
    let retry = v1::RetryDetail {
        retried_by_uuid: tried.uuid.clone(),
    };
    assert_eq!(last.detail, Some(v1::event::Detail::Retry(retry)));
    assert_eq!(last.request_id, "", "it is the new one's");

    let cancelled = done(
        raw.transfers
            .cancel_transfer(request::cancellation(&tried.uuid)),
    )
    .await;
    let third = done(raw.transfers.retry_transfer(again(&cancelled.uuid, ""))).await;
    assert_eq!((third.retry_number, third.retry_of_uuid), (2, tried.uuid));
}

#[tokio::test]
async fn twenty_who_try_again_at_once_make_one() {
    let world = World::start_with(WorldOptions::still()).await;
    let mut raw = world.services().await;
    let created = raw.declared().await;
    let failed = fail(&mut raw, &created.uuid, false).await;
    let tries = (0..20).map(|_| {
        let mut transfers = raw.transfers.clone();
        let request = again(&failed.uuid, "");
        async move { transfers.retry_transfer(request).await }
    });
    let ended = futures::future::join_all(tries).await;
    let (made, refused): (Vec<_>, Vec<_>) = ended.into_iter().partition(Result::is_ok);
    assert_eq!((made.len(), refused.len()), (1, 19));
    for refusal in refused {
        let refusal = refusal.expect_err("it is refused");
        assert_refused(&refusal, Code::FailedPrecondition, "RETRY_NOT_ALLOWED");
    }
}

struct Patient {
    world: World,
    raw: Raw,
    connection: String,
}

impl Patient {
    async fn new(policy: v1::ConnectionPolicy) -> Self {
        let options = WorldOptions {
            sweep_interval: Duration::from_millis(15),
            ..WorldOptions::still()
        };
        let world = World::start_with(options).await;
        let mut raw = world.services().await;
        let request = v1::CreateConnectionRequest {
            name: "patient".to_owned(),
            direction: v1::ConnectionDirection::Sender.into(),
            site_url: world.address.clone(),
            policy: Some(policy),
            ..v1::CreateConnectionRequest::default()
        };
        let made = told(raw.connections.create_connection(request)).await;
        let connection = made.connection.expect("the connection").uuid;
        Self {
            world,
            raw,
            connection,
        }
    }

    async fn failed(&mut self, retryable: bool) -> v1::Transfer {
        let request = v1::CreateTransferRequest {
            connection_uuid: self.connection.clone(),
            ..plain()
        };
        let uuid = self.raw.create(request).await.uuid;
        fail(&mut self.raw, &uuid, retryable).await
    }

    async fn suspended(&mut self) {
        let request = v1::SuspendConnectionRequest {
            uuid: self.connection.clone(),
            ..v1::SuspendConnectionRequest::default()
        };
        told(self.raw.connections.suspend_connection(request)).await;
    }

    async fn until(&mut self, uuid: &str, what: impl Fn(&v1::Transfer) -> bool) -> v1::Transfer {
        let look = async {
            loop {
                let now = self.raw.now(uuid).await;
                if what(&now) {
                    return now;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        soon("the sweeper", look).await
    }
}

#[tokio::test]
async fn what_may_pass_is_tried_again_by_itself_later_and_later() {
    let mut patient = Patient::new(v1::ConnectionPolicy {
        max_retries: Some(2),
        retry_backoff: Some(wire_duration(MINUTE)),
        // Those are who it was declared from; the server itself has no address.
        ip_allowlist: vec!["127.0.0.0/8".to_owned(), "::1".to_owned()],
        ..v1::ConnectionPolicy::default()
    })
    .await;
    let hopeless = patient.failed(false).await;
    assert_eq!(hopeless.retry_at, None);
    let mut latest = patient.failed(true).await;
    for number in 1..=2_u32 {
        let wait = MINUTE * number;
        let due = patient.world.clock.now().after(wait);
        assert_eq!(latest.retry_at, Some(wire_time(due)));
        let asked = v1::ExplainTransferRequest {
            uuid: latest.uuid.clone(),
            address: String::new(),
        };
        let said = told(patient.raw.transfers.explain_transfer(asked)).await;
        assert_eq!(said.upcoming[0].action(), UpcomingAction::Retry);
        patient.world.clock.advance(wait);
        let before = patient
            .until(&latest.uuid, |it| !it.retried_by_uuid.is_empty())
            .await;
        assert_eq!(before.retry_at, None);
        let tried = patient.raw.now(&before.retried_by_uuid).await;
        assert_eq!(tried.status(), TransferStatus::Pending);
        assert_eq!(tried.retry_number, i64::from(number));
        assert_eq!(tried.checkpoint, b"row 7");
        let events = patient.raw.events_of(&tried.uuid).await;
        assert_eq!(events[0].r#type(), EventType::Created);
        assert_eq!(events[0].actor, "sweeper");
        latest = fail(&mut patient.raw, &tried.uuid, true).await;
    }
    assert_eq!(latest.retry_at, None, "that was the last");
}

#[tokio::test]
async fn a_retry_that_is_refused_waits_and_one_that_is_not_wanted_any_more_is_given_up() {
    let mut patient = Patient::new(v1::ConnectionPolicy {
        max_retries: Some(1),
        retry_backoff: Some(wire_duration(MINUTE)),
        ..v1::ConnectionPolicy::default()
    })
    .await;
    let waiting = patient.failed(true).await;
    patient.suspended().await;
    patient.world.clock.advance(MINUTE);
    let postponed = patient
        .until(&waiting.uuid, |it| it.retry_at != waiting.retry_at)
        .await;
    let due = patient.world.clock.now().after(MINUTE);
    assert_eq!(postponed.retry_at, Some(wire_time(due)));
    assert_eq!(postponed.retried_by_uuid, "");
    let events = patient.raw.events_of(&waiting.uuid).await;
    let last = events.last().expect("an event");
    assert_eq!(last.r#type(), EventType::RetryPostponed);
    assert_eq!(last.revision, postponed.revision);
    assert_eq!(last.actor, "sweeper");
    assert_eq!(last.from_status(), TransferStatus::Failed);
    assert_eq!(last.to_status(), TransferStatus::Failed);

    let unwanted = v1::UpdateConnectionRequest {
        connection: Some(v1::Connection {
            uuid: patient.connection.clone(),
            ..v1::Connection::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["policy.max_retries".to_owned()],
        }),
        ..v1::UpdateConnectionRequest::default()
    };
    told(patient.raw.connections.update_connection(unwanted)).await;
    patient.world.clock.advance(MINUTE);
    let given_up = patient
        .until(&waiting.uuid, |it| it.retry_at.is_none())
        .await;
    assert_eq!(given_up.retried_by_uuid, "");
}

mod postgres_only {
    use tidegate_proto::v1::watch_transfers_response::Update;

    use super::*;

    #[tokio::test]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn a_retry_that_waits_once_more_is_seen_at_a_replica_that_does_not_sweep() {
        let mut patient = Patient::new(v1::ConnectionPolicy {
            max_retries: Some(1),
            retry_backoff: Some(wire_duration(MINUTE)),
            ..v1::ConnectionPolicy::default()
        })
        .await;
        let clock = patient.world.clock.clone();
        let options = WorldOptions {
            clock,
            ..WorldOptions::still()
        };
        let other = patient.world.replica_with(options).await;
        let waiting = patient.failed(true).await;
        let mut elsewhere = other.services().await;
        let request = v1::WatchTransfersRequest::default();
        let watch = elsewhere.transfers.watch_transfers(request).await;
        let mut watch = watch.expect("it is accepted").into_inner();
        patient.suspended().await;
        patient.world.clock.advance(MINUTE);
        let seen = soon("the news of it", async {
            loop {
                let message = watch.message().await.expect("no refusal");
                match message.expect("it goes on").update {
                    Some(Update::Transfer(it))
                        if it.uuid == waiting.uuid && it.retry_at != waiting.retry_at =>
                    {
                        return it;
                    }
                    _ => {}
                }
            }
        });
        assert_eq!(seen.await.revision, waiting.revision + 1);
    }
}
