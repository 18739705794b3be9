//! Cursors from before a backup was restored: sequences are used a second time, for other events.

use tidegate_proto::v1;
use tidegate_tests::{World, WorldOptions, assert_refused, raw::Raw};
use tonic::Code;

use super::{Place, bookmark, caught_up, end, follow, forget_after, hex, list, resume};

/// A server whose log had six events, and has four of them again; with the place that its watchers had reached.
async fn restored() -> (World, Raw, Place) {
    let mut world = World::start_with(WorldOptions::still()).await;
    let mut raw = world.services().await;
    for _ in 0..6 {
        raw.declared().await;
    }
    let (watch, place) = caught_up(&mut raw).await;
    let mut events = follow(
        &mut raw,
        &Place {
            sequence: 0,
            hash: Vec::new(),
        },
    )
    .await
    .expect("it is accepted");
    assert_eq!(bookmark(&mut events).await, place);
    assert_eq!(end(&mut raw).await, place);
    drop((watch, events, raw));
    world.stop().await;
    let database = world.database().connect().await;
    forget_after(&database, 4).await;
    database.close().await.expect("closed");
    world.resume().await;
    let raw = world.services().await;
    (world, raw, place)
}

#[tokio::test]
async fn a_cursor_beyond_a_restored_log_is_ahead_of_it() {
    let (_world, mut raw, place) = restored().await;
    let refusals = [
        list(&mut raw, &place).await.map(drop),
        follow(&mut raw, &place).await.map(drop),
        resume(&mut raw, &place).await.map(drop),
    ];
    for refusal in refusals {
        let refusal = refusal.expect_err("the log ends before");
        assert_refused(&refusal, Code::OutOfRange, "CURSOR_AHEAD");
    }
}

#[tokio::test]
async fn a_cursor_of_an_event_that_is_another_now_is_refused() {
    let (_world, mut raw, place) = restored().await;
    let common = end(&mut raw).await;
    assert_eq!(common.sequence, 4);
    for _ in 0..4 {
        raw.declared().await;
    }
    let found = raw.log().await.swap_remove(5);
    assert_eq!(found.sequence, place.sequence);
    let refusals = [
        list(&mut raw, &place).await.map(drop),
        follow(&mut raw, &place).await.map(drop),
        resume(&mut raw, &place).await.map(drop),
    ];
    for refusal in refusals {
        let refusal = refusal.expect_err("it is another event");
        let told = assert_refused(&refusal, Code::DataLoss, "LOG_DIVERGED").metadata;
        assert_eq!(told["known_sequence"], "6");
        assert_eq!(told["known_hash"], hex(&place.hash));
        assert_eq!(told["found_sequence"], "6");
        assert_eq!(told["found_hash"], hex(&found.hash));
    }
    // Whoever stands where both logs are the same goes on.
    assert_eq!(list(&mut raw, &common).await.expect("accepted").len(), 4);
    let mut watch = follow(&mut raw, &common).await.expect("accepted");
    assert_eq!(bookmark(&mut watch).await, end(&mut raw).await);
    resume(&mut raw, &common).await.expect("accepted");
    // And so does a number by itself, of which nobody can say what it meant.
    let bare = Place {
        hash: Vec::new(),
        ..place
    };
    assert_eq!(list(&mut raw, &bare).await.expect("accepted").len(), 2);
    follow(&mut raw, &bare).await.expect("accepted");
    resume(&mut raw, &bare).await.expect("accepted");
}

#[tokio::test]
async fn a_hash_of_another_length_is_none() {
    let (_world, mut raw, _) = restored().await;
    let bad = Place {
        sequence: 4,
        hash: vec![1; 31],
    };
    let refusals = [
        list(&mut raw, &bad).await.map(drop),
        follow(&mut raw, &bad).await.map(drop),
        resume(&mut raw, &bad).await.map(drop),
    ];
    for refusal in refusals {
        let refusal = refusal.expect_err("it is no hash");
        let refused = assert_refused(&refusal, Code::InvalidArgument, "INVALID_FIELDS");
        assert_eq!(refused.fields, ["after_hash"]);
    }
    let alone = v1::WatchTransfersRequest {
        after_hash: vec![1; 32],
        ..v1::WatchTransfersRequest::default()
    };
    let refusal = raw.transfers.watch_transfers(alone).await;
    let refusal = refusal.expect_err("a hash of what?");
    let refused = assert_refused(&refusal, Code::InvalidArgument, "INVALID_FIELDS");
    assert_eq!(refused.fields, ["after_hash"]);
}

/// The hash of an event that was removed is kept with the floor.
#[tokio::test]
async fn a_cursor_at_the_floor_is_compared_too() {
    let day = std::time::Duration::from_secs(24 * 3_600);
    let options = WorldOptions {
        event_retention: Some(day),
        sweep_interval: std::time::Duration::from_millis(20),
        ..WorldOptions::still()
    };
    let world = World::start_with(options).await;
    let mut raw = world.services().await;
    raw.declared().await;
    let floor = end(&mut raw).await;
    world.clock.advance(2 * day);
    raw.declared().await;
    tidegate_tests::soon("the removal", async {
        while raw.log().await.len() > 1 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    })
    .await;
    assert_eq!(list(&mut raw, &floor).await.expect("accepted").len(), 1);
    let other = Place {
        hash: vec![3; 32],
        ..floor
    };
    let refusal = list(&mut raw, &other).await.expect_err("it was another");
    assert_refused(&refusal, Code::DataLoss, "LOG_DIVERGED");
}
