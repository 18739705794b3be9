//! The log as it is followed: gapless, in order, resumable anywhere, and honest about what it has deleted.

use std::time::Duration;

use futures::{StreamExt as _, future::join_all};
use tidegate_client::{Client, EventsWatch, Reason};
use tidegate_proto::v1::{self, watch_events_response::Update};
use tidegate_tests::{
    World, WorldOptions, assert_refused,
    raw::{NOBODY, Raw, plain},
    relay::Relay,
    soon,
};
use tonic::{Code, Status, Streaming};
use uuid::Uuid;

const DAY: Duration = Duration::from_secs(24 * 3_600);

type Watch = Streaming<v1::WatchEventsResponse>;

async fn world() -> (World, Raw) {
    let world = World::start_with(WorldOptions::still()).await;
    let raw = world.services().await;
    (world, raw)
}

/// A world that keeps events for a day and a test that moves the days.
async fn forgetful() -> (World, Raw) {
    let world = World::start_with(WorldOptions {
        event_retention: Some(DAY),
        sweep_interval: Duration::from_millis(20),
        ..WorldOptions::still()
    })
    .await;
    let raw = world.services().await;
    (world, raw)
}

fn after(after_sequence: i64) -> v1::WatchEventsRequest {
    v1::WatchEventsRequest {
        after_sequence,
        ..v1::WatchEventsRequest::default()
    }
}

async fn watch(raw: &mut Raw, request: v1::WatchEventsRequest) -> Result<Watch, Status> {
    let answer = soon("the watch", raw.events.watch_events(request)).await;
    answer.map(tonic::Response::into_inner)
}

async fn next(watch: &mut Watch) -> Result<Update, Status> {
    let message = soon("an update", watch.message()).await?;
    Ok(message.expect("it has no end").update.expect("an update"))
}

/// The sequences of events up to the next bookmark, and the bookmark's.
async fn until_bookmark(watch: &mut Watch) -> (Vec<i64>, i64) {
    let mut events = Vec::new();
    loop {
        match next(watch).await.expect("no refusal") {
            Update::Event(event) => events.push(event.sequence),
            Update::Bookmark(bookmark) => return (events, bookmark.sequence),
        }
    }
}

async fn list(raw: &mut Raw, after_sequence: i64) -> Result<Vec<i64>, Status> {
    let request = v1::ListEventsRequest {
        after_sequence,
        ..v1::ListEventsRequest::default()
    };
    let answer = raw.events.list_events(request).await?;
    let events = answer.into_inner().events;
    Ok(events.iter().map(|event| event.sequence).collect())
}

/// Waits until the log begins after `floor`.
async fn trimmed(raw: &mut Raw, floor: i64) {
    let wait = async {
        while list(raw, 0).await.expect("0 is never refused").first() != Some(&(floor + 1)) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon("the deletion of old events", wait).await;
}

#[tokio::test]
async fn many_writers_make_one_gapless_log_for_every_watcher() {
    const EACH: usize = 40;
    let (world, mut raw) = world().await;
    let mut early = watch(&mut raw, after(0)).await.expect("accepted");
    assert_eq!(until_bookmark(&mut early).await, (vec![], 0));
    let writers = (0..8).map(|_| {
        let mut raw = raw.clone();
        async move {
            for _ in 0..EACH {
                let uuid = raw.declared().await.uuid;
                raw.start(&uuid).await;
                raw.complete(&uuid, 1).await;
            }
        }
    });
    let last = i64::try_from(8 * EACH * 3).expect("small");
    let follow = async {
        for sequence in 1..=last {
            match next(&mut early).await.expect("no refusal") {
                Update::Event(event) => assert_eq!(event.sequence, sequence),
                Update::Bookmark(_) => panic!("it was busy"),
            }
        }
    };
    let ((), _) = tokio::join!(follow, join_all(writers));
    // More than a page, for one that comes late and begins in the middle.
    let mut late = watch(&mut raw, after(100)).await.expect("accepted");
    assert_eq!(
        until_bookmark(&mut late).await,
        ((101..=last).collect(), last)
    );
    drop(world);
}

#[tokio::test]
async fn a_watcher_that_is_cut_off_again_and_again_misses_nothing_and_sees_nothing_twice() {
    let (_world, mut raw) = world().await;
    let mut writer = raw.clone();
    let write = tokio::spawn(async move {
        for _ in 0..300 {
            writer.declared().await;
        }
    });
    let mut seen = 0;
    while seen < 300 {
        let mut part = watch(&mut raw, after(seen)).await.expect("accepted");
        for _ in 0..7 {
            match next(&mut part).await.expect("no refusal") {
                Update::Event(event) => {
                    assert_eq!(event.sequence, seen + 1);
                    seen += 1;
                }
                Update::Bookmark(bookmark) => assert_eq!(bookmark.sequence, seen),
            }
            if seen == 300 {
                break;
            }
        }
    }
    write.await.expect("no panic");
}

#[tokio::test]
async fn a_filtered_watch_moves_on_with_the_log() {
    let (_world, mut raw) = world().await;
    let connection_uuid = raw.connection("mirror").await;
    let linked = v1::CreateTransferRequest {
        connection_uuid: connection_uuid.clone(),
        ..plain()
    };
    let ours = raw.create(linked).await.uuid;
    for _ in 0..450 {
        raw.declared().await;
    }
    let by_connection = v1::WatchEventsRequest {
        connection_uuid,
        ..after(0)
    };
    let by_transfer = v1::WatchEventsRequest {
        transfer_uuid: ours.clone(),
        ..after(0)
    };
    // The connection's creation is the first event of the log.
    for (request, theirs) in [(by_connection, vec![1, 2]), (by_transfer, vec![2])] {
        let mut filtered = watch(&mut raw, request).await.expect("accepted");
        let told = until_bookmark(&mut filtered).await;
        assert_eq!(told, (theirs, 452), "the cursor is at the end");
    }
    let of_nobody = v1::WatchEventsRequest {
        transfer_uuid: NOBODY.to_owned(),
        ..after(7)
    };
    let mut nothing = watch(&mut raw, of_nobody).await.expect("accepted");
    assert_eq!(until_bookmark(&mut nothing).await, (vec![], 452));
    // While nothing of it happens, the log goes on: the next bookmark comes after 10 s and says how far.
    raw.declared().await;
    assert_eq!(until_bookmark(&mut nothing).await, (vec![], 453));
}

#[tokio::test]
async fn a_position_that_the_log_has_not_reached_is_refused() {
    let (_world, mut raw) = world().await;
    raw.declared().await;
    assert!(
        list(&mut raw, 1)
            .await
            .expect("the end is a position")
            .is_empty()
    );
    for ahead in [2, i64::MAX] {
        let refusals = [
            watch(&mut raw, after(ahead)).await.map(drop),
            list(&mut raw, ahead).await.map(drop),
        ];
        for refusal in refusals {
            let refused = assert_refused(
                &refusal.expect_err("it is ahead"),
                Code::OutOfRange,
                "CURSOR_AHEAD",
            );
            assert_eq!(refused.metadata["after_sequence"], ahead.to_string());
            assert_eq!(refused.metadata["newest_sequence"], "1");
        }
    }
    let negative = watch(&mut raw, after(-1)).await.map(drop);
    let refused = assert_refused(
        &negative.expect_err("there is no such position"),
        Code::InvalidArgument,
        "INVALID_FIELDS",
    );
    assert_eq!(refused.fields, ["after_sequence"]);
}

#[tokio::test]
async fn a_watch_of_the_log_takes_a_place_and_is_told_of_the_end() {
    let mut world = World::start_with(WorldOptions {
        max_streams: 1,
        ..WorldOptions::still()
    })
    .await;
    let mut raw = world.services().await;
    let mut first = watch(&mut raw, after(0)).await.expect("accepted");
    until_bookmark(&mut first).await;
    let second = watch(&mut raw, after(0)).await.map(drop);
    assert_refused(
        &second.expect_err("there is no second place"),
        Code::ResourceExhausted,
        "TOO_MANY_STREAMS",
    );
    let (end, ()) = tokio::join!(next(&mut first), world.stop());
    assert_refused(
        &end.expect_err("the server stopped"),
        Code::Unavailable,
        "SHUTTING_DOWN",
    );
}

#[tokio::test]
async fn old_events_go_and_a_position_among_them_is_refused() {
    let (mut world, mut raw) = forgetful().await;
    for _ in 0..3 {
        raw.declared().await;
    }
    world.clock.advance(DAY);
    let uuid = raw.declared().await.uuid;
    world.clock.advance(Duration::from_micros(1));
    trimmed(&mut raw, 3).await;
    // The floor is remembered, though nothing is left that could show it.
    world.stop().await;
    world.resume().await;
    let mut raw = world.services().await;
    for expired in [1, 2] {
        let refusals = [
            watch(&mut raw, after(expired)).await.map(drop),
            list(&mut raw, expired).await.map(drop),
        ];
        for refusal in refusals {
            let refused = assert_refused(
                &refusal.expect_err("it is gone"),
                Code::OutOfRange,
                "CURSOR_EXPIRED",
            );
            assert_eq!(refused.metadata["after_sequence"], expired.to_string());
            assert_eq!(refused.metadata["oldest_sequence"], "4");
        }
    }
    for complete in [0, 3] {
        assert_eq!(list(&mut raw, complete).await.expect("no gap"), [4]);
        let mut watch = watch(&mut raw, after(complete)).await.expect("no gap");
        assert_eq!(until_bookmark(&mut watch).await, (vec![4], 4));
    }
    // The numbers go on, and an event that is too old takes its whole past along even when nothing follows it.
    raw.start(&uuid).await;
    assert_eq!(list(&mut raw, 4).await.expect("no gap"), [5]);
    world.clock.advance(DAY + DAY);
    trimmed_to_nothing(&mut raw).await;
    let mut idle = watch(&mut raw, after(0)).await.expect("accepted");
    assert_eq!(until_bookmark(&mut idle).await, (vec![], 5));
    raw.complete(&uuid, 1).await;
    assert!(matches!(next(&mut idle).await, Ok(Update::Event(event)) if event.sequence == 6));
}

#[tokio::test]
async fn a_watch_at_the_end_of_the_log_loses_nothing_when_the_past_is_deleted() {
    let (world, mut raw) = forgetful().await;
    for _ in 0..5 {
        raw.declared().await;
    }
    let mut idle = watch(&mut raw, after(0)).await.expect("accepted");
    assert_eq!(until_bookmark(&mut idle).await, (vec![1, 2, 3, 4, 5], 5));
    world.clock.advance(DAY + DAY);
    trimmed_to_nothing(&mut raw).await;
    raw.declared().await;
    assert!(matches!(next(&mut idle).await, Ok(Update::Event(event)) if event.sequence == 6));
}

async fn trimmed_to_nothing(raw: &mut Raw) {
    let wait = async {
        while !list(raw, 0).await.expect("0 is never refused").is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon("the deletion of everything", wait).await;
}

#[tokio::test]
async fn a_long_past_is_deleted_in_steps_and_never_shows_a_gap() {
    let (world, mut raw) = forgetful().await;
    let mut writers: Vec<Raw> = (0..8).map(|_| raw.clone()).collect();
    let writes = writers.iter_mut().map(|raw| async {
        for _ in 0..200 {
            raw.declared().await;
        }
    });
    join_all(writes).await;
    let mut slow = watch(&mut raw, after(10)).await.expect("accepted");
    assert!(matches!(next(&mut slow).await, Ok(Update::Event(event)) if event.sequence == 11));
    world.clock.advance(DAY + DAY);
    // Whoever lists meanwhile sees a stretch without a hole.
    loop {
        let page = list(&mut raw, 0).await.expect("0 is never refused");
        assert!(
            page.windows(2).all(|pair| pair[1] == pair[0] + 1),
            "{page:?}"
        );
        if page.is_empty() {
            break;
        }
    }
    // What was on its way is still delivered, in order; then the watcher hears that the rest is gone, or has it all.
    let mut at = 11;
    let end = loop {
        match next(&mut slow).await {
            Ok(Update::Event(event)) => {
                assert_eq!(event.sequence, at + 1);
                at += 1;
            }
            Ok(Update::Bookmark(bookmark)) => {
                assert_eq!((bookmark.sequence, at), (1_600, 1_600));
                return;
            }
            Err(status) => break status,
        }
    };
    let refused = assert_refused(&end, Code::OutOfRange, "CURSOR_EXPIRED");
    // The transport reads ahead, so the word may be from amid the deletion.
    let oldest: i64 = refused.metadata["oldest_sequence"]
        .parse()
        .expect("a number");
    assert!(at + 1 < oldest && oldest <= 1_601, "{oldest} after {at}");
}

/// The sequences of the next events of a watch by the typed client.
async fn events(watch: &mut EventsWatch, count: usize) -> Vec<i64> {
    let mut sequences = Vec::new();
    while sequences.len() < count {
        let event = soon("an event", watch.next()).await.expect("it has no end");
        sequences.push(event.expect("no refusal").sequence);
    }
    sequences
}

#[tokio::test]
async fn the_client_rides_out_cuts_and_restarts_without_a_gap() {
    let (mut world, mut raw) = world().await;
    let relay = Relay::to(&world.address).await;
    let client = Client::connect(relay.address.clone())
        .await
        .expect("it listens");
    let mut watch = client.events().watch().into_stream();
    for round in 0_i64..20 {
        for _ in 0..3 {
            raw.declared().await;
        }
        if round % 4 == 3 {
            relay.sever();
        }
        let first = round * 3 + 1;
        assert_eq!(
            events(&mut watch, 3).await,
            [first, first + 1, first + 2],
            "round {round}"
        );
        assert_eq!(watch.position().sequence, first + 2);
    }
    let ours = raw.declared().await.uuid;
    let from = world.client().await;
    let mut filtered = from
        .events()
        .watch()
        .after(5)
        .transfer_uuid(Uuid::parse_str(&ours).expect("a uuid"))
        .into_stream();
    assert_eq!(events(&mut filtered, 1).await, [61]);
    world.stop().await;
    drop(watch);
}

#[tokio::test]
async fn the_client_says_when_its_position_is_gone() {
    let (world, mut raw) = forgetful().await;
    for _ in 0..3 {
        raw.declared().await;
    }
    world.clock.advance(DAY + DAY);
    trimmed_to_nothing(&mut raw).await;
    let client = world.client().await;
    let mut watch = client.events().watch().after(1).into_stream();
    let end = soon("the refusal", watch.next()).await.expect("a word");
    let error = end.expect_err("it is gone");
    assert_eq!(error.reason(), Some(Reason::CursorExpired));
    assert!(watch.next().await.is_none(), "the refusal is final");
    let mut fresh = client.events().watch().into_stream();
    raw.declared().await;
    assert_eq!(events(&mut fresh, 1).await, [4]);
}
