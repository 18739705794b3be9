//! The end of a lease against everything else that ends a run: one outcome, and the events tell it.

use std::time::Duration;

use futures::future::join_all;
use tidegate_proto::v1::{self, EventType, TransferStatus};
use tidegate_tests::{
    World, WorldOptions, races,
    raw::{Raw, done, plain, totals, wire_duration},
    request,
};
use tonic::Code;

const HEARTBEAT: Duration = Duration::from_secs(10);

/// A run that is as good as lost, and which of its agent's calls come when it is.
async fn running(mut raw: Raw) -> String {
    let create = v1::CreateTransferRequest {
        max_attempts: 2,
        ..plain()
    };
    let uuid = raw.create(create).await.uuid;
    let start = v1::StartTransferRequest {
        heartbeat_timeout: Some(wire_duration(HEARTBEAT)),
        agent_instance: "one".to_owned(),
        ..request::starting(&uuid)
    };
    done(raw.transfers.start_transfer(start)).await;
    uuid
}

/// What was acknowledged.
#[derive(Debug, Default)]
struct Acknowledged {
    completed: bool,
    cancelled: bool,
    second: bool,
}

async fn fight(raw: Raw, uuid: &str, number: u64) -> Acknowledged {
    let later = |place: u64| {
        tokio::time::sleep(Duration::from_micros(
            (number * 1_003 + place * 130_007) % 400_000,
        ))
    };
    let complete = async {
        later(1).await;
        let request = v1::CompleteTransferRequest {
            lease_epoch: 1,
            progress: Some(totals(5)),
            ..request::completion(uuid)
        };
        raw.transfers.clone().complete_transfer(request).await
    };
    let cancel = async {
        later(2).await;
        raw.transfers
            .clone()
            .cancel_transfer(request::cancellation(uuid))
            .await
    };
    let second = async {
        later(3).await;
        let start = v1::StartTransferRequest {
            agent_instance: "two".to_owned(),
            ..request::starting(uuid)
        };
        raw.transfers.clone().start_transfer(start).await
    };
    let (completed, cancelled, second) = tokio::join!(complete, cancel, second);
    for refusal in [
        completed.as_ref().err(),
        cancelled.as_ref().err(),
        second.as_ref().err(),
    ] {
        let code = refusal.map_or(Code::FailedPrecondition, tonic::Status::code);
        assert!(
            matches!(code, Code::FailedPrecondition | Code::Aborted),
            "{refusal:?}"
        );
    }
    Acknowledged {
        completed: completed.is_ok(),
        cancelled: cancelled.is_ok(),
        second: second.is_ok(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_them_ends_the_run_and_the_events_tell_which() {
    let options = WorldOptions {
        sweep_interval: Duration::from_millis(5),
        ..WorldOptions::still()
    };
    let world = World::start_with(options).await;
    let mut raw = world.services().await;
    let uuids = join_all((0..races(400)).map(|_| running(raw.clone()))).await;
    let fights = uuids
        .iter()
        .zip(0..)
        .map(|(uuid, number)| fight(raw.clone(), uuid, number));
    let ((), outcomes) = tokio::join!(
        async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            world.clock.advance(HEARTBEAT);
        },
        join_all(fights)
    );
    let mut seen = [0; 3];
    for (uuid, outcome) in uuids.iter().zip(outcomes) {
        let events = raw.events_of(uuid).await;
        let types: Vec<_> = events[2..].iter().map(v1::Event::r#type).collect();
        let now = raw.now(uuid).await;
        assert_eq!(now.status, events.last().expect("an event").to_status);
        assert_eq!(
            outcome.completed,
            types == [EventType::Completed],
            "{outcome:?} {types:?}"
        );
        assert_eq!(
            outcome.cancelled,
            types.last() == Some(&EventType::Cancelled),
            "{outcome:?} {types:?}"
        );
        let requeued = types.first() == Some(&EventType::Requeued);
        assert_eq!(
            outcome.second,
            requeued && types.contains(&EventType::Started),
            "{outcome:?} {types:?}"
        );
        let attempts = v1::ListAttemptsRequest {
            uuid: uuid.clone(),
            before_epoch: 0,
        };
        let attempts = raw
            .transfers
            .list_attempts(attempts)
            .await
            .expect("a list")
            .into_inner()
            .attempts;
        assert_eq!(
            attempts.len(),
            1 + usize::from(outcome.second),
            "{attempts:?}"
        );
        assert!(
            now.status() != TransferStatus::Failed,
            "it has an attempt left"
        );
        for (seen, happened) in
            seen.iter_mut()
                .zip([outcome.completed, outcome.cancelled, requeued])
        {
            *seen += u32::from(happened);
        }
    }
    assert!(
        seen.iter().all(|count| *count > 0),
        "nobody raced: {seen:?}"
    );
}
