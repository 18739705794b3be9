//! The watch of many transfers: nothing is told twice and nothing is missed over a reconnection.

use std::time::Duration;

use futures::StreamExt as _;
use tidegate_client::{Error, TransferFilter, TransferStatus, TransfersWatch, WatchUpdate};
use tidegate_proto::v1::{
    self, TransferStatus as Wire, WatchTransfersResponse, watch_transfers_response::Update,
};
use tokio::time::timeout;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::fake::{Fake, PATIENCE, Said, Script, refusal, transfer};

const A: Uuid = Uuid::from_u128(0xa);
const B: Uuid = Uuid::from_u128(0xb);
const C: Uuid = Uuid::from_u128(0xc);
const D: Uuid = Uuid::from_u128(0xd);

type Message = Result<WatchTransfersResponse, Status>;

fn changed(uuid: Uuid, revision: i64, status: Wire, second: i64) -> Message {
    Ok(WatchTransfersResponse {
        update: Some(Update::Transfer(transfer(uuid, revision, status, second))),
    })
}

fn deleted(uuid: Uuid) -> Message {
    Ok(WatchTransfersResponse {
        update: Some(Update::DeletedUuid(uuid.to_string())),
    })
}

fn caught_up() -> Message {
    Ok(WatchTransfersResponse {
        update: Some(Update::CaughtUp(true)),
    })
}

/// Two streams: the first breaks after its messages, the second stays.
fn two(
    first: impl Fn() -> Vec<Message> + Send + Sync + 'static,
    second: impl Fn() -> Vec<Message> + Send + Sync + 'static,
    include_existing: bool,
) -> Script {
    Script {
        watch_many: Some(Box::new(move |number, request| {
            assert_eq!(request.include_existing, include_existing || number > 0);
            let mut messages = if number == 0 { first() } else { second() };
            if number == 0 {
                messages.push(Err(refusal(Code::ResourceExhausted, "WATCH_TOO_SLOW")));
            }
            Ok(Said {
                messages,
                stays: true,
            })
        })),
        recent: Some(Box::new(|_, _| {
            Ok(v1::ListRecentTransfersResponse {
                transfers: vec![transfer(D, 1, Wire::Pending, 0)],
            })
        })),
        ..Script::default()
    }
}

/// Short forms of what is told, until nothing comes any more.
async fn told(watch: &mut TransfersWatch, count: usize) -> Vec<String> {
    let mut told = Vec::new();
    while told.len() < count {
        let update = timeout(PATIENCE, watch.next())
            .await
            .unwrap_or_else(|_| panic!("only {told:?} came"));
        told.push(short(update.expect("the watch goes on")));
    }
    let more = timeout(Duration::from_millis(200), watch.next()).await;
    assert!(more.is_err(), "after {told:?} came {more:?}");
    told
}

fn short(update: Result<WatchUpdate, Error>) -> String {
    match update {
        Ok(WatchUpdate::Transfer(transfer)) => {
            format!("{:x}:{}", transfer.uuid.as_u128(), transfer.revision)
        }
        Ok(WatchUpdate::Deleted(uuid)) => format!("-{:x}", uuid.as_u128()),
        Ok(WatchUpdate::CaughtUp) => "caught up".to_owned(),
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn what_was_told_is_not_told_again() {
    let script = two(
        || {
            vec![
                // Changed long before everything else.
                changed(D, 4, Wire::Failed, -9_000),
                changed(A, 1, Wire::Pending, 1),
                changed(B, 3, Wire::Completed, 2),
                caught_up(),
                changed(C, 1, Wire::Pending, 3),
                changed(C, 2, Wire::Cancelled, 4),
            ]
        },
        || {
            vec![
                changed(D, 4, Wire::Failed, -9_000),
                changed(A, 2, Wire::InProgress, 5),
                changed(B, 3, Wire::Completed, 2),
                changed(C, 2, Wire::Cancelled, 4),
                // Began and ended while nobody watched.
                changed(Uuid::from_u128(0xe), 4, Wire::Completed, 4),
                caught_up(),
                changed(A, 1, Wire::Pending, 1),
                changed(A, 3, Wire::Completed, 6),
            ]
        },
        true,
    );
    let fake = Fake::play(script).await;
    let mut watch = fake
        .client()
        .watch_transfers()
        .include_existing(true)
        .into_stream();

    let told = told(&mut watch, 9).await;

    let first = ["d:4", "a:1", "b:3", "caught up", "c:1", "c:2"];
    assert_eq!(told[..6], first);
    assert_eq!(told[6..], ["a:2", "e:4", "a:3"]);
}

#[tokio::test]
async fn what_existed_before_is_not_told_unasked() {
    let script = two(
        || vec![caught_up(), changed(A, 2, Wire::InProgress, 100)],
        || {
            vec![
                changed(D, 1, Wire::Pending, 0),
                changed(A, 2, Wire::InProgress, 100),
                changed(B, 1, Wire::Pending, 110),
                caught_up(),
            ]
        },
        false,
    );
    let fake = Fake::play(script).await;
    let mut watch = fake.client().watch_transfers().start();
    assert_eq!(told(&mut watch, 3).await, ["caught up", "a:2", "b:1"]);
}

#[tokio::test]
async fn what_vanished_meanwhile_is_looked_up() {
    let mut script = two(
        || {
            vec![
                changed(A, 1, Wire::Pending, 1),
                changed(B, 1, Wire::Pending, 1),
                changed(C, 1, Wire::Pending, 1),
                caught_up(),
                deleted(D),
            ]
        },
        || vec![changed(C, 1, Wire::Pending, 1), caught_up()],
        true,
    );
    // The first look-up meets trouble, which is no reason to give up.
    script.get = Some(Box::new(|number, request| {
        if number == 0 {
            Err(refusal(Code::Unavailable, "DATABASE_UNAVAILABLE"))
        } else if request.uuid == A.to_string() {
            Err(refusal(Code::NotFound, "TRANSFER_NOT_FOUND"))
        } else {
            // It left the filter.
            Ok(v1::GetTransferResponse {
                transfer: Some(transfer(B, 2, Wire::InProgress, 2)),
            })
        }
    }));
    let fake = Fake::play(script).await;
    let mut watch = fake
        .client()
        .watch_transfers()
        .filter(TransferFilter {
            status: vec![TransferStatus::Pending],
            ..TransferFilter::default()
        })
        .include_existing(true)
        .into_stream();

    let told = told(&mut watch, 7).await;

    assert_eq!(told[..5], ["a:1", "b:1", "c:1", "caught up", "-d"]);
    let mut vanished = told[5..].to_vec();
    vanished.sort();
    assert_eq!(vanished, ["-a", "b:2"]);
}

#[tokio::test]
async fn a_filter_that_is_refused_ends_it() {
    let script = Script {
        watch_many: Some(Box::new(|_, _| {
            Err(refusal(Code::InvalidArgument, "INVALID_FIELDS"))
        })),
        ..Script::default()
    };
    let fake = Fake::play(script).await;
    let mut watch = fake
        .client()
        .watch_transfers()
        .include_existing(true)
        .into_stream();
    let update = timeout(PATIENCE, watch.next()).await.unwrap();
    assert!(update.unwrap().unwrap_err().is_invalid());
    assert!(watch.next().await.is_none());
}
