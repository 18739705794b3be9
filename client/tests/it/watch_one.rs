//! The watch of one transfer, over streams that end in every way there is.

use std::time::Duration;

use futures::StreamExt as _;
use tidegate_client::{Error, Reason, Transfer, TransferStatus, TransferWatch};
use tidegate_proto::v1::{self, TransferStatus as Wire};
use tokio::time::timeout;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::fake::{Fake, PATIENCE, Said, Script, refusal, transfer};

const ORDERS: Uuid = Uuid::from_u128(7);

fn state(revision: i64, status: Wire) -> Result<v1::WatchTransferResponse, Status> {
    Ok(v1::WatchTransferResponse {
        transfer: Some(transfer(ORDERS, revision, status, revision)),
    })
}

/// One stream after another, each with its messages; the last one stays open.
fn streams(
    count: usize,
    said: impl Fn(usize) -> Vec<Result<v1::WatchTransferResponse, Status>> + Send + Sync + 'static,
) -> Script {
    Script {
        watch: Some(Box::new(move |number, request| {
            assert_eq!(request.uuid, ORDERS.to_string());
            Ok(Said {
                messages: said(number),
                stays: number + 1 >= count,
            })
        })),
        ..Script::default()
    }
}

async fn next(watch: &mut TransferWatch) -> Option<Result<Transfer, Error>> {
    timeout(PATIENCE, watch.next())
        .await
        .expect("something comes")
}

#[tokio::test]
async fn it_reconnects_and_never_goes_back() {
    let script = streams(5, |number| match number {
        // Ends cleanly, before its time.
        0 => vec![state(1, Wire::Pending), state(2, Wire::InProgress)],
        1 => vec![
            state(2, Wire::InProgress),
            Err(refusal(Code::Unavailable, "SHUTTING_DOWN")),
        ],
        2 => vec![
            state(2, Wire::InProgress),
            state(5, Wire::InProgress),
            Err(Status::cancelled("reset")),
        ],
        3 => vec![state(5, Wire::InProgress), Err(Status::unknown("reset"))],
        _ => vec![
            state(5, Wire::InProgress),
            state(6, Wire::Completed),
            state(7, Wire::Completed),
        ],
    });
    let fake = Fake::play(script).await;
    let mut watch = fake.client().transfers().watch(ORDERS);

    let mut revisions = Vec::new();
    while let Some(transfer) = next(&mut watch).await {
        revisions.push(transfer.unwrap().revision);
    }

    assert_eq!(
        revisions,
        [1, 2, 5, 6],
        "and the end after the terminal state"
    );
    assert_eq!(fake.count("watch"), 5);
}

#[tokio::test]
async fn a_ledger_that_went_back_is_said() {
    let script = streams(2, |number| match number {
        0 => vec![
            state(4, Wire::InProgress),
            Err(refusal(Code::Unavailable, "SHUTTING_DOWN")),
        ],
        _ => vec![state(2, Wire::Approved)],
    });
    let fake = Fake::play(script).await;
    let mut watch = fake.client().transfers().watch(ORDERS);
    assert_eq!(next(&mut watch).await.unwrap().unwrap().revision, 4);
    let error = next(&mut watch).await.unwrap().unwrap_err();
    assert_eq!(error.reason(), Some(Reason::LogDiverged));
    assert_eq!(error.metadata()["found_revision"], "2");
    assert!(next(&mut watch).await.is_none());
}

#[tokio::test]
async fn it_outlives_the_server() {
    let fake = Fake::play(streams(1, |_| vec![state(2, Wire::InProgress)])).await;
    let address = fake.address();
    let mut watch = fake.client().transfers().watch(ORDERS);
    assert_eq!(next(&mut watch).await.unwrap().unwrap().revision, 2);

    drop(fake);
    let silent = timeout(Duration::from_millis(300), watch.next()).await;
    assert!(silent.is_err(), "an interruption is not told: {silent:?}");
    let why = watch.interruption().expect("it can be asked for");
    assert!(why.is_unavailable(), "{why:?}");
    let listener = loop {
        match tokio::net::TcpListener::bind(address).await {
            Ok(listener) => break listener,
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    let _fake = Fake::play_on(listener, streams(1, |_| vec![state(3, Wire::Failed)]));

    let last = next(&mut watch).await.unwrap().unwrap();
    assert_eq!((last.revision, last.status), (3, TransferStatus::Failed));
    assert!(watch.interruption().is_none());
    assert!(next(&mut watch).await.is_none());
}

#[tokio::test]
async fn a_transfer_that_does_not_exist_ends_it() {
    let script = Script {
        watch: Some(Box::new(|_, _| {
            Err(refusal(Code::NotFound, "TRANSFER_NOT_FOUND"))
        })),
        ..Script::default()
    };
    let fake = Fake::play(script).await;
    let mut watch = fake.client().transfers().watch(ORDERS);

    assert!(next(&mut watch).await.unwrap().unwrap_err().is_not_found());
    assert!(next(&mut watch).await.is_none());
    assert_eq!(fake.count("watch"), 1);
}

#[tokio::test]
async fn a_transfer_that_is_deleted_ends_it() {
    let script = streams(1, |_| {
        vec![
            state(1, Wire::Pending),
            Err(refusal(Code::NotFound, "TRANSFER_NOT_FOUND")),
        ]
    });
    let fake = Fake::play(script).await;
    let mut watch = fake.client().transfers().watch(ORDERS);

    assert!(next(&mut watch).await.unwrap().is_ok());
    assert!(next(&mut watch).await.unwrap().unwrap_err().is_not_found());
    assert!(next(&mut watch).await.is_none());
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_ends_it() {
    let script = streams(1, |_| {
        vec![Ok(v1::WatchTransferResponse { transfer: None })]
    });
    let fake = Fake::play(script).await;
    let mut watch = fake.client().transfers().watch(ORDERS);
    let error = next(&mut watch).await.unwrap().unwrap_err();
    assert_eq!(error.code().as_str(), "INTERNAL");
    assert!(next(&mut watch).await.is_none());
}

#[tokio::test]
async fn a_status_is_waited_for_over_interruptions_and_no_longer_than_to_the_end() {
    let script = streams(2, |number| match number {
        0 => vec![state(1, Wire::PendingApproval)],
        _ => vec![state(2, Wire::Approved), state(3, Wire::Completed)],
    });
    let fake = Fake::play(script).await;
    let transfers = fake.client().transfers();
    let waiting = transfers.wait_until(ORDERS, &[TransferStatus::Approved]);
    let approved = timeout(PATIENCE, waiting).await.expect("it is reached");
    assert_eq!(approved.expect("it is there").revision, 2);
    let waiting = transfers.wait_until(ORDERS, &[TransferStatus::Failed]);
    let ended = timeout(PATIENCE, waiting).await.expect("it ends");
    assert_eq!(
        ended.expect("it is there").status,
        TransferStatus::Completed
    );
}
