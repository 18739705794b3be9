//! The chain of hashes, verified over the wire.

use sea_orm::ConnectionTrait as _;
use tidegate_proto::v1;
use tidegate_tests::{
    World, WorldOptions, assert_refused,
    raw::{Raw, told},
};
use tonic::Code;

async fn world() -> (World, Raw) {
    let world = World::start_with(WorldOptions::still()).await;
    let raw = world.services().await;
    (world, raw)
}

fn from(after_sequence: i64, after_hash: &[u8]) -> v1::VerifyLogRequest {
    v1::VerifyLogRequest {
        after_sequence,
        after_hash: after_hash.to_vec(),
    }
}

async fn verified(raw: &mut Raw, request: v1::VerifyLogRequest) -> v1::VerifyLogResponse {
    told(raw.events.verify_log(request)).await
}

#[tokio::test]
async fn the_log_is_verified_page_by_page_and_from_a_position_on() {
    let (world, mut raw) = world().await;
    let empty = verified(&mut raw, from(0, &[])).await;
    let nothing = v1::VerifyLogResponse {
        done: true,
        ..v1::VerifyLogResponse::default()
    };
    assert_eq!(empty, nothing);
    // More than one page of the server's.
    for _ in 0..300 {
        let uuid = raw.running().await.uuid;
        raw.cancel(&uuid).await;
    }
    let log = raw.log().await;
    let last = log.last().expect("an event");
    let whole = v1::VerifyLogResponse {
        after_sequence: 0,
        sequence: last.sequence,
        hash: last.hash.clone(),
        done: true,
        fault: String::new(),
    };
    assert!(last.sequence > 600, "{}", last.sequence);
    assert_eq!(verified(&mut raw, from(0, &[])).await, whole);
    let middle = &log[249];
    let rest = v1::VerifyLogResponse {
        after_sequence: 250,
        ..whole.clone()
    };
    for hash in [&middle.hash[..], &[]] {
        assert_eq!(verified(&mut raw, from(250, hash)).await, rest);
    }
    let end = verified(&mut raw, from(last.sequence, &last.hash)).await;
    assert_eq!(
        (end.sequence, end.done, &*end.fault),
        (last.sequence, true, "")
    );

    let other = raw.events.verify_log(from(250, &[7; 32])).await;
    let other = other.expect_err("another log");
    let refused = assert_refused(&other, Code::DataLoss, "LOG_DIVERGED");
    assert_eq!(refused.metadata["known_sequence"], "250");
    let ahead = raw.events.verify_log(from(last.sequence + 1, &[])).await;
    let ahead = ahead.expect_err("not there yet");
    assert_refused(&ahead, Code::OutOfRange, "CURSOR_AHEAD");

    let behind = world.database().connect().await;
    let tamper = "UPDATE event SET actor = 'somebody' WHERE sequence = 300";
    behind
        .execute_unprepared(tamper)
        .await
        .expect("it is changed");
    let faulty = v1::VerifyLogResponse {
        after_sequence: 0,
        sequence: 299,
        hash: log[298].hash.clone(),
        done: true,
        fault: "event 300 was altered".to_owned(),
    };
    assert_eq!(verified(&mut raw, from(0, &[])).await, faulty);
    let after = verified(&mut raw, from(300, &[])).await;
    assert_eq!(after.fault, "", "what comes before is taken as given");
    let removal = "DELETE FROM event WHERE sequence = 400";
    behind
        .execute_unprepared(removal)
        .await
        .expect("it is gone");
    let missing = verified(&mut raw, from(300, &[])).await;
    assert_eq!(
        (missing.sequence, &*missing.fault),
        (399, "event 400 is missing")
    );
    let at_it = verified(&mut raw, from(400, &[])).await;
    assert_eq!(at_it.fault, "event 400 is missing");
}

#[tokio::test]
async fn a_log_that_grows_meanwhile_is_sound() {
    let (_world, mut raw) = world().await;
    raw.declared().await;
    let mut writer = raw.clone();
    let writing = tokio::spawn(async move {
        for _ in 0..200 {
            writer.declared().await;
        }
    });
    let mut verified_at = Vec::new();
    while !writing.is_finished() {
        let found = verified(&mut raw, from(0, &[])).await;
        assert_eq!((found.done, &*found.fault), (true, ""));
        verified_at.push(found.sequence);
    }
    writing.await.expect("it ends");
    assert!(
        verified_at.is_sorted() && verified_at.len() > 1,
        "{verified_at:?}"
    );
}
