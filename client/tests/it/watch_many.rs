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
        position: None,
    })
}

fn deleted(uuid: Uuid) -> Message {
    Ok(WatchTransfersResponse {
        update: Some(Update::DeletedUuid(uuid.to_string())),
        position: None,
    })
}

/// As an older server says it.
fn caught_up() -> Message {
    Ok(WatchTransfersResponse {
        update: Some(Update::CaughtUp(true)),
        position: None,
    })
}

fn caught_up_at(sequence: i64, newest_sequence: i64) -> Message {
    Ok(WatchTransfersResponse {
        update: Some(Update::CaughtUp(true)),
        ..position(sequence, newest_sequence)?
    })
}

fn position(sequence: i64, newest_sequence: i64) -> Message {
    Ok(WatchTransfersResponse {
        update: None,
        position: Some(v1::WatchPosition {
            sequence,
            newest_sequence,
            hash: Vec::new(),
        }),
    })
}

/// Streams that follow each other: each but the last breaks after its messages. Each but the first is to be asked for
/// from such a position on.
fn streams(of: Vec<(Option<i64>, Vec<Message>)>) -> Script {
    Script {
        watch_many: Some(Box::new(move |number, request| {
            assert!(request.positions);
            let (after, messages) = &of[number];
            assert_eq!(request.after_sequence, *after, "connection {number}");
            let mut messages = messages.clone();
            let last = number + 1 == of.len();
            if !last && messages.last().is_none_or(Result::is_ok) {
                messages.push(Err(refusal(Code::Unavailable, "SHUTTING_DOWN")));
            }
            Ok(Said {
                messages,
                stays: true,
            })
        })),
        ..Script::default()
    }
}

/// Two streams of an older server: the first breaks after its messages, the second stays.
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
        Ok(WatchUpdate::Restarted) => "restarted".to_owned(),
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
        .transfers()
        .watch_all()
        .include_existing(true)
        .into_stream();

    let told = told(&mut watch, 9).await;

    let first = ["d:4", "a:1", "b:3", "caught up", "c:1", "c:2"];
    assert_eq!(told[..6], first);
    assert_eq!(told[6..], ["a:2", "e:4", "a:3"]);
}

#[tokio::test]
async fn a_watch_goes_on_from_the_last_position() {
    let script = streams(vec![
        (
            None,
            vec![
                changed(A, 1, Wire::Pending, 1),
                changed(B, 3, Wire::Completed, 2),
                caught_up_at(10, 10),
                changed(C, 2, Wire::InProgress, 3),
                deleted(D),
                // The stream has told more than its position covers.
                position(12, 15),
                changed(A, 4, Wire::Failed, 5),
            ],
        ),
        (
            Some(12),
            vec![
                changed(A, 4, Wire::Failed, 5),
                deleted(D),
                // Cut while it catches up, after a part of it.
                position(16, 17),
            ],
        ),
        (
            Some(16),
            vec![
                changed(C, 2, Wire::InProgress, 3),
                caught_up_at(17, 17),
                changed(C, 3, Wire::Completed, 6),
            ],
        ),
    ]);
    let fake = Fake::play(script).await;
    let watch = fake.client().transfers().watch_all();
    let mut watch = watch.include_existing(true).into_stream();
    let first = ["a:1", "b:3", "caught up", "c:2", "-d", "a:4"];
    let told = told(&mut watch, 7).await;
    assert_eq!(told[..6], first);
    assert_eq!(told[6..], ["c:3"]);
}

#[tokio::test]
async fn what_existed_before_is_not_told_unasked() {
    let script = streams(vec![
        // Nothing was said before the first interruption, so there is nothing to go on from.
        (None, vec![]),
        (
            None,
            vec![caught_up_at(3, 3), changed(A, 2, Wire::InProgress, 100)],
        ),
        (
            Some(3),
            vec![
                changed(A, 2, Wire::InProgress, 100),
                changed(B, 1, Wire::Pending, 110),
                caught_up_at(5, 5),
            ],
        ),
    ]);
    let fake = Fake::play(script).await;
    let mut watch = fake.client().transfers().watch_all().start();
    assert_eq!(told(&mut watch, 3).await, ["caught up", "a:2", "b:1"]);
}

#[tokio::test]
async fn without_a_way_to_go_on_everything_is_asked_for() {
    for (code, reason) in [
        (Code::OutOfRange, "CURSOR_EXPIRED"),
        (Code::OutOfRange, "CURSOR_AHEAD"),
        (Code::DataLoss, "LOG_DIVERGED"),
    ] {
        let mut script = streams(vec![
            (
                None,
                vec![
                    changed(A, 3, Wire::InProgress, 1),
                    changed(B, 3, Wire::InProgress, 1),
                    caught_up_at(10, 10),
                ],
            ),
            (Some(10), vec![Err(refusal(code, reason))]),
            (
                None,
                vec![changed(B, 3, Wire::InProgress, 1), caught_up_at(40, 40)],
            ),
        ]);
        script.get = Some(Box::new(|_, _| {
            Err(refusal(Code::NotFound, "TRANSFER_NOT_FOUND"))
        }));
        let fake = Fake::play(script).await;
        let watch = fake.client().transfers().watch_all();
        let mut watch = watch.include_existing(true).into_stream();
        let again: &[&str] = match reason {
            "CURSOR_EXPIRED" => &["-a"],
            // The ledger went back in time, so what was told means nothing, and what is not told again is gone.
            _ => &["restarted", "b:3", "caught up"],
        };
        let first = ["a:3", "b:3", "caught up"];
        let told = told(&mut watch, first.len() + again.len()).await;
        assert_eq!(told[..3], first);
        assert_eq!(&told[3..], again);
    }
}

/// The position and its hash are those of the last word about them.
#[tokio::test]
async fn a_position_is_passed_back_with_its_hash() {
    let position = |sequence, byte| {
        Ok(WatchTransfersResponse {
            update: Some(Update::CaughtUp(true)),
            position: Some(v1::WatchPosition {
                sequence,
                newest_sequence: sequence,
                hash: vec![byte; 32],
            }),
        })
    };
    let script = Script {
        watch_many: Some(Box::new(move |number, request| {
            let (after, hash) = (request.after_sequence, request.after_hash);
            let messages = match number {
                0 => vec![
                    position(7, 1),
                    Err(refusal(Code::Unavailable, "SHUTTING_DOWN")),
                ],
                // It is noticed while the stream is open.
                1 => {
                    assert_eq!((after, hash), (Some(7), vec![1; 32]));
                    vec![Err(refusal(Code::DataLoss, "LOG_DIVERGED"))]
                }
                _ => {
                    assert_eq!((after, hash), (None, vec![]));
                    assert!(request.include_existing, "though it was not asked for");
                    vec![changed(A, 1, Wire::Pending, 1), position(3, 2)]
                }
            };
            Ok(Said {
                messages,
                stays: true,
            })
        })),
        ..Script::default()
    };
    let fake = Fake::play(script).await;
    let mut watch = fake.client().transfers().watch_all().start();
    let expected = ["caught up", "restarted", "a:1", "caught up"];
    assert_eq!(told(&mut watch, 4).await, expected);
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
        .transfers()
        .watch_all()
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
        .transfers()
        .watch_all()
        .include_existing(true)
        .into_stream();
    let update = timeout(PATIENCE, watch.next()).await.unwrap();
    assert!(update.unwrap().unwrap_err().is_invalid());
    assert!(watch.next().await.is_none());
}
