//! A request to stop against everything else that ends a run: one outcome, and the events tell it.

use std::time::Duration;

use futures::future::join_all;
use tidegate_proto::v1::{self, AttemptEnd, EventType, TransferStatus};
use tidegate_tests::{
    World, WorldOptions, races,
    raw::{Raw, done, plain, told, totals, wire_duration},
    request,
};
use tonic::{Code, Status};

const GRACE: Duration = Duration::from_secs(10);
/// Fights at the same time.
const ROUND: u64 = 50;

/// What was acknowledged, by whom.
#[derive(Debug, Default)]
struct Outcome {
    asked: bool,
    completed: bool,
    confirmed: bool,
}

/// A run whose lease ends with the grace, for every third number, or long after it.
async fn running(raw: &mut Raw, number: u64) -> String {
    let heartbeat = if number.is_multiple_of(3) {
        GRACE
    } else {
        100 * GRACE
    };
    let create = v1::CreateTransferRequest {
        max_attempts: 2,
        ..plain()
    };
    let uuid = raw.create(create).await.uuid;
    let start = v1::StartTransferRequest {
        heartbeat_timeout: Some(wire_duration(heartbeat)),
        agent_instance: "one".to_owned(),
        ..request::starting(&uuid)
    };
    done(raw.transfers.start_transfer(start)).await;
    uuid
}

/// Whether it was accepted; otherwise it was refused as the loser of a race is.
fn accepted<T>(outcome: &Result<T, Status>) -> bool {
    let code = outcome.as_ref().err().map(Status::code);
    let lost = [Code::FailedPrecondition, Code::Aborted];
    assert!(code.is_none_or(|code| lost.contains(&code)), "{code:?}");
    code.is_none()
}

/// Everything at once; every other one is to be paused, not cancelled. Each call has a step of its own
/// by which it moves from number to number, so that every order of the three comes up.
async fn fight(raw: Raw, uuid: String, number: u64) -> (String, Outcome) {
    let later = |step: u64| tokio::time::sleep(Duration::from_micros(number * step % 40_000));
    let ask = async {
        later(7_001).await;
        let grace = Some(wire_duration(GRACE));
        let mut raw = raw.clone();
        if number.is_multiple_of(2) {
            let cancel = v1::CancelTransferRequest {
                grace,
                ..request::cancellation(&uuid)
            };
            raw.transfers.cancel_transfer(cancel).await.map(drop)
        } else {
            let pause = v1::PauseTransferRequest {
                grace,
                ..request::pause(&uuid)
            };
            raw.transfers.pause_transfer(pause).await.map(drop)
        }
    };
    let complete = async {
        later(11_003).await;
        let request = v1::CompleteTransferRequest {
            lease_epoch: 1,
            progress: Some(totals(5)),
            ..request::completion(&uuid)
        };
        raw.transfers.clone().complete_transfer(request).await
    };
    let confirm = async {
        later(16_007).await;
        let request = v1::AcknowledgeStopRequest {
            lease_epoch: 1,
            progress: Some(totals(4)),
            ..request::acknowledgement(&uuid)
        };
        raw.transfers.clone().acknowledge_stop(request).await
    };
    let (asked, completed, confirmed) = tokio::join!(ask, complete, confirm);
    let outcome = Outcome {
        asked: accepted(&asked),
        completed: accepted(&completed),
        confirmed: accepted(&confirmed),
    };
    (uuid, outcome)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_them_ends_the_run_and_the_events_tell_which() {
    let options = WorldOptions {
        sweep_interval: Duration::from_millis(5),
        ..WorldOptions::still()
    };
    let world = World::start_with(options).await;
    let raw = world.services().await;
    let mut fought = Vec::new();
    for round in 0..races(400) / ROUND {
        let numbers = (round * ROUND..).take(ROUND.try_into().expect("a few"));
        let begin = numbers.clone().map(|number| {
            let mut raw = raw.clone();
            async move { running(&mut raw, number).await }
        });
        let runs = join_all(begin).await;
        let fights = runs
            .into_iter()
            .zip(numbers)
            .map(|(uuid, number)| fight(raw.clone(), uuid, number));
        // In the middle of it the grace, or the lease, is over for some.
        let (outcomes, ()) = tokio::join!(join_all(fights), async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            world.clock.advance(GRACE);
        });
        fought.extend(outcomes);
    }
    // Who was asked and never answered is stopped, too.
    world.clock.advance(GRACE);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut seen = [0; 4];
    for (uuid, outcome) in fought {
        let kind = judge(raw.clone(), &uuid, &outcome).await;
        seen[kind] += 1;
    }
    assert!(
        seen.iter().all(|count| *count > 0),
        "nobody raced: {seen:?}"
    );
}

/// Which of the ways it ended in.
async fn judge(mut raw: Raw, uuid: &str, outcome: &Outcome) -> usize {
    let events = raw.events_of(uuid).await;
    let types: Vec<_> = events[2..].iter().map(v1::Event::r#type).collect();
    let now = raw.now(uuid).await;
    let asks = [EventType::CancelRequested, EventType::PauseRequested];
    let ended: Vec<_> = types.iter().filter(|it| !asks.contains(it)).collect();
    let story = format!("{outcome:?} {types:?}");
    let [ended] = ended[..] else {
        // Asked after its lease had ended and it waited: that is another stop.
        let waited = [EventType::Requeued, EventType::Paused];
        let waited_and_cancelled = [EventType::Requeued, EventType::Cancelled];
        assert!(types == waited || types == waited_and_cancelled, "{story}");
        assert!(
            outcome.asked && !outcome.completed && !outcome.confirmed,
            "{story}"
        );
        return 3;
    };
    assert_eq!(now.status, events.last().expect("an event").to_status);
    assert_eq!(outcome.completed, *ended == EventType::Completed, "{story}");
    let forced = now.stop.as_ref().is_some_and(|stop| stop.forced);
    let stopped = matches!(ended, EventType::Cancelled | EventType::Paused);
    assert_eq!(stopped, outcome.confirmed || forced, "{story}");
    assert!(!(outcome.confirmed && forced), "{story}");
    assert_eq!(
        outcome.asked,
        types.iter().any(|it| asks.contains(it)),
        "{story}"
    );
    let attempts = v1::ListAttemptsRequest {
        uuid: uuid.to_owned(),
        before_epoch: 0,
    };
    let attempts = told(raw.transfers.list_attempts(attempts)).await.attempts;
    let end = match ended {
        EventType::Completed => AttemptEnd::Completed,
        EventType::Cancelled => AttemptEnd::Cancelled,
        EventType::Paused => AttemptEnd::Paused,
        other => panic!("{other:?} {story}"),
    };
    let told: Vec<_> = attempts.iter().map(v1::Attempt::end).collect();
    assert_eq!(told, [end], "{story}");
    if outcome.confirmed {
        assert_eq!(now.progress, Some(totals(4)), "{story}");
    }
    assert!(
        now.status() != TransferStatus::Failed,
        "it has an attempt left"
    );
    match (ended, forced) {
        (EventType::Completed, _) => 0,
        (_, false) => 1,
        (_, true) => 2,
    }
}
