//! The worker: what it claims, over lost answers and refusals, and how it stops.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tidegate_client::{ClaimedRun, Reason, Worker};
use tidegate_proto::v1::{self, TransferStatus as Wire};
use tokio::time::{sleep, timeout};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::fake::{Fake, PATIENCE, Script, refusal, transfer};

type Asked = Arc<Mutex<Vec<v1::ClaimTransfersRequest>>>;

/// A server that is asked for claims, and what it was asked.
fn claiming(
    answer: impl Fn(usize, &v1::ClaimTransfersRequest) -> Result<usize, Status> + Send + Sync + 'static,
) -> (Script, Asked) {
    let asked = Asked::default();
    let heard = Arc::clone(&asked);
    let script = Script {
        claim: Some(Box::new(move |number, request| {
            heard.lock().expect("no panic").push(request.clone());
            let started = (0..answer(number, &request)?).map(|_| {
                let uuid = Uuid::new_v4();
                v1::Transfer {
                    lease_epoch: 1,
                    ..transfer(uuid, 2, Wire::InProgress, 1)
                }
            });
            Ok(v1::ClaimTransfersResponse {
                transfers: started.collect(),
            })
        })),
        ..Script::default()
    };
    (script, asked)
}

async fn next(worker: &mut Worker) -> ClaimedRun {
    let run = timeout(PATIENCE, worker.next()).await.expect("in time");
    run.expect("nothing is refused").expect("there is one")
}

#[tokio::test]
async fn no_more_is_claimed_than_there_are_slots() {
    let (script, asked) = claiming(|_, request| Ok(request.max.try_into().expect("positive")));
    let fake = Fake::play(script).await;
    let mut worker = fake.client().agents().work("host-1").slots(3).start();
    let mut runs = Vec::new();
    for _ in 0..3 {
        runs.push(next(&mut worker).await);
    }
    let more = timeout(Duration::from_millis(100), worker.next()).await;
    assert!(more.is_err(), "no slot is free");
    let slots = |asked: &Asked| -> Vec<i32> {
        asked
            .lock()
            .expect("no panic")
            .iter()
            .map(|it| it.max)
            .collect()
    };
    assert_eq!(slots(&asked), [3]);
    drop(runs.pop());
    runs.push(next(&mut worker).await);
    assert_eq!(slots(&asked), [3, 1]);
    let asked = asked.lock().expect("no panic");
    assert_ne!(asked[0].request_id, asked[1].request_id);
    assert_eq!(asked[0].agent_instance, "host-1");
    assert!(asked[0].wait.is_some(), "it does not ask all the time");
}

#[tokio::test]
async fn a_claim_whose_answer_was_lost_is_repeated_under_its_id() {
    let (script, asked) = claiming(|number, _| match number {
        0..10 => Err(Status::unavailable("gone")),
        _ => Ok(1),
    });
    let fake = Fake::play(script).await;
    let mut worker = fake.client().agents().work("host-1").start();
    let _run = next(&mut worker).await;
    let asked = asked.lock().expect("no panic");
    assert_eq!(asked.len(), 11, "more often than any other call is tried");
    assert!(asked.windows(2).all(|two| two[0] == two[1]), "{asked:?}");
    assert!(!asked[0].request_id.is_empty());
}

#[tokio::test]
async fn a_refusal_for_good_is_told_once() {
    let (script, _) = claiming(|_, _| Err(refusal(Code::NotFound, "CONNECTION_NOT_FOUND")));
    let fake = Fake::play(script).await;
    let mut worker = fake.client().agents().work("host-1").start();
    let refused = timeout(PATIENCE, worker.next()).await.expect("in time");
    let refused = refused.expect_err("there is no such connection");
    assert_eq!(refused.reason(), Some(Reason::ConnectionNotFound));
    let end = timeout(PATIENCE, worker.next()).await.expect("in time");
    assert!(end.expect("nothing more").is_none());
    assert_eq!(fake.count("claim"), 1);
}

#[tokio::test]
async fn empty_answers_that_come_at_once_are_not_asked_for_all_the_time() {
    let (script, asked) = claiming(|_, _| Ok(0));
    let fake = Fake::play(script).await;
    let worker = fake.client().agents().work("host-1").start();
    sleep(Duration::from_millis(600)).await;
    drop(worker);
    let count = asked.lock().expect("no panic").len();
    // The pauses of the test's client have a ceiling of 50 ms.
    assert!((2..200).contains(&count), "{count}");
}

#[tokio::test]
async fn a_worker_that_is_stopped_hands_out_what_it_has_and_ends() {
    let (script, asked) = claiming(|_, request| Ok(request.max.try_into().expect("positive")));
    let fake = Fake::play(script).await;
    let mut worker = fake.client().agents().work("host-1").slots(2).start();
    while asked.lock().expect("no panic").is_empty() {
        sleep(Duration::from_millis(5)).await;
    }
    worker.stop();
    let runs = [next(&mut worker).await, next(&mut worker).await];
    assert_ne!(runs[0].transfer.uuid, runs[1].transfer.uuid);
    drop(runs);
    let end = timeout(PATIENCE, worker.next()).await.expect("in time");
    assert!(end.expect("no refusal").is_none());
    // A claim that was still under way is repeated once; another one is not made.
    let asked = asked.lock().expect("no panic");
    assert!(asked.len() <= 2, "{asked:?}");
    assert!(asked.iter().all(|it| *it == asked[0]), "{asked:?}");
}

#[tokio::test]
async fn an_agent_beats_and_claims_though_its_beats_are_refused() {
    let (script, _) = claiming(|_, _| Ok(1));
    let registered: Arc<Mutex<Vec<v1::RegisterAgentRequest>>> = Arc::default();
    let heard = Arc::clone(&registered);
    let script = Script {
        register: Some(Box::new(move |number, request| {
            heard.lock().expect("no panic").push(request);
            match number {
                0..3 => Err(Status::unavailable("gone")),
                _ => Err(refusal(Code::ResourceExhausted, "TOO_MANY_AGENTS")),
            }
        })),
        ..script
    };
    let fake = Fake::play(script).await;
    let work = fake.client().agents().work("host-1").slots(2);
    let work = work
        .version("1.4")
        .host("h")
        .engine("postgres", "17")
        .label("rack", "7");
    let mut worker = work.start();
    let _run = next(&mut worker).await;
    let until = async {
        while registered.lock().expect("no panic").len() < 4 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, until).await.expect("it is tried again");
    let told = registered.lock().expect("no panic")[0].clone();
    let tags = |name: &str, value: &str| [(name.to_owned(), value.to_owned())].into();
    let expected = v1::RegisterAgentRequest {
        agent_instance: "host-1".to_owned(),
        version: "1.4".to_owned(),
        host: "h".to_owned(),
        engines: tags("postgres", "17"),
        slots: 2,
        labels: tags("rack", "7"),
        request_id: told.request_id.clone(),
        ..v1::RegisterAgentRequest::default()
    };
    assert_eq!(told, expected);
}
