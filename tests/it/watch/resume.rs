//! Watches that go on where others were cut: by a position of the log, on any replica.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::future::join_all;
use tidegate_proto::v1::{
    self, TransferStatus, WatchTransfersRequest, watch_transfers_response::Update,
};
use tidegate_tests::{
    World, WorldOptions, assert_refused,
    raw::{Raw, plain},
    soon,
};
use tonic::{Code, Status, Streaming};

use super::{next, world};

const DAY: Duration = Duration::from_secs(24 * 3_600);

type Watch = Streaming<v1::WatchTransfersResponse>;

async fn begin(raw: &mut Raw, request: WatchTransfersRequest) -> Watch {
    let answer = soon("the watch", raw.transfers.watch_transfers(request)).await;
    answer.expect("it is accepted").into_inner()
}

fn with_positions(include_existing: bool) -> WatchTransfersRequest {
    WatchTransfersRequest {
        include_existing,
        positions: true,
        ..WatchTransfersRequest::default()
    }
}

fn after(sequence: i64) -> WatchTransfersRequest {
    WatchTransfersRequest {
        after_sequence: Some(sequence),
        ..WatchTransfersRequest::default()
    }
}

async fn message(watch: &mut Watch) -> v1::WatchTransfersResponse {
    let message = soon("a message", watch.message()).await;
    message.expect("no refusal").expect("it does not end")
}

/// What comes before it has caught up, without the positions, and the position then.
async fn until_caught_up(watch: &mut Watch) -> (Vec<Update>, v1::WatchPosition) {
    let mut updates = Vec::new();
    loop {
        let message = message(watch).await;
        match message.update {
            Some(Update::CaughtUp(_)) => {
                return (updates, message.position.expect("it was asked for"));
            }
            Some(update) => updates.push(update),
            None => assert!(message.position.is_some()),
        }
    }
}

/// What comes until the log was told up to `sequence`.
async fn until_position(watch: &mut Watch, sequence: i64) -> (Vec<Update>, v1::WatchPosition) {
    let mut updates = Vec::new();
    loop {
        let message = message(watch).await;
        updates.extend(message.update);
        if let Some(position) = message.position.filter(|it| it.sequence >= sequence) {
            return (updates, position);
        }
    }
}

async fn end_of_log(raw: &mut Raw) -> i64 {
    raw.log().await.last().map_or(0, |event| event.sequence)
}

/// Updates in an order that does not depend on which is met first.
fn sorted(mut updates: Vec<Update>) -> Vec<Update> {
    updates.sort_by_key(|update| match update {
        Update::Transfer(transfer) => transfer.uuid.clone(),
        Update::DeletedUuid(uuid) => uuid.clone(),
        Update::CaughtUp(_) => String::new(),
    });
    updates
}

/// Cuts a watch of one server, changes things there, and goes on at the other, which may be the same.
async fn goes_on(mut raw: Raw, mut other: Raw) {
    let [untouched, started, cancelled, deleted] = [
        raw.declared().await,
        raw.declared().await,
        raw.declared().await,
        raw.declared().await,
    ];
    let [reported, waiting] = [raw.running().await, raw.running().await];
    let mut watch = begin(&mut raw, with_positions(true)).await;
    let (existing, position) = until_caught_up(&mut watch).await;
    let all = [untouched, started, cancelled, deleted, reported, waiting];
    assert_eq!(
        sorted(existing),
        sorted(all.clone().map(Update::Transfer).into())
    );
    assert_eq!(position.sequence, end_of_log(&mut raw).await);
    assert_eq!(position.newest_sequence, position.sequence);
    drop(watch);

    let [_, started, cancelled, deleted, reported, waiting] = all;
    let started = raw.start(&started.uuid).await;
    let cancelled = raw.cancel(&cancelled.uuid).await;
    raw.cancel(&deleted.uuid).await;
    raw.delete(&deleted.uuid).await;
    let reported = raw.report(&reported.uuid, 5).await;
    let created = raw.declared().await;
    let mut watch = begin(&mut other, after(position.sequence)).await;
    let (news, later) = until_caught_up(&mut watch).await;
    let expected = vec![
        Update::Transfer(started),
        Update::Transfer(cancelled),
        Update::DeletedUuid(deleted.uuid),
        Update::Transfer(reported),
        Update::Transfer(waiting),
        Update::Transfer(created.clone()),
    ];
    assert_eq!(sorted(news), sorted(expected));
    assert_eq!(later.sequence, end_of_log(&mut raw).await);
    assert!(later.newest_sequence >= later.sequence);

    // It is live, and names a position soon after.
    let last = raw.cancel(&created.uuid).await;
    let (news, position) = until_position(&mut watch, later.sequence + 1).await;
    assert_eq!(news, [Update::Transfer(last)]);
    assert_eq!(position.sequence, end_of_log(&mut raw).await);
    assert_eq!(position.newest_sequence, position.sequence);
}

#[tokio::test]
async fn a_watch_goes_on_where_it_was_cut() {
    let (_world, raw) = world().await;
    goes_on(raw.clone(), raw).await;
}

#[tokio::test]
async fn whoever_asks_for_no_positions_hears_of_none() {
    let (_world, mut raw) = world().await;
    raw.declared().await;
    let plainly = WatchTransfersRequest {
        include_existing: true,
        ..WatchTransfersRequest::default()
    };
    let mut without = begin(&mut raw, plainly).await;
    let mut with = begin(&mut raw, with_positions(false)).await;
    let (_, from) = until_caught_up(&mut with).await;
    let mut seen = vec![message(&mut without).await, message(&mut without).await];
    for round in 1..=2 {
        raw.declared().await;
        until_position(&mut with, from.sequence + round).await;
        seen.push(message(&mut without).await);
    }
    assert!(
        seen.iter()
            .all(|it| it.position.is_none() && it.update.is_some())
    );
}

#[tokio::test]
async fn a_cut_while_it_catches_up_costs_no_more_than_a_page() {
    const COUNT: usize = 450;
    let (_world, raw) = world().await;
    let made = join_all((0..COUNT).map(|_| {
        let mut raw = raw.clone();
        async move { raw.declared().await.uuid }
    }));
    let made: BTreeSet<String> = made.await.into_iter().collect();
    let mut raw = raw.clone();
    let (mut told, mut position, mut connections) = (BTreeMap::new(), 0, 0);
    // Each connection lives until the first position only.
    while told.len() < COUNT {
        connections += 1;
        let mut watch = begin(&mut raw, after(position)).await;
        let (updates, reached) = until_position(&mut watch, position + 1).await;
        for update in updates {
            let Update::Transfer(transfer) = update else {
                panic!("{update:?}");
            };
            let again = told.insert(transfer.uuid.clone(), transfer);
            assert_eq!(again, None);
        }
        position = reached.sequence;
    }
    assert_eq!(connections, 3);
    assert_eq!(told.into_keys().collect::<BTreeSet<_>>(), made);
}

#[tokio::test]
async fn what_happens_while_it_catches_up_is_told_as_well() {
    let (world, raw) = world().await;
    let mut existing = Vec::new();
    for _ in 0..300 {
        existing.push(raw.clone().declared().await.uuid);
    }
    let mut watch = begin(&mut world.services().await, after(0)).await;
    let stir = existing.chunks(50).map(|uuids| {
        let mut raw = raw.clone();
        async move {
            for uuid in uuids {
                raw.start(uuid).await;
                raw.complete(uuid, 1).await;
            }
        }
    });
    let mut revisions = BTreeMap::new();
    let last = 300 * 3;
    let (_, (updates, _)) = tokio::join!(join_all(stir), until_position(&mut watch, last));
    for update in updates {
        if let Update::Transfer(transfer) = update {
            let before = revisions.insert(transfer.uuid, transfer.revision);
            assert!(before.is_none_or(|before| before <= transfer.revision));
        }
    }
    assert_eq!(revisions.len(), 300);
    assert!(revisions.values().all(|revision| *revision == 3));
}

#[tokio::test]
async fn a_filtered_watch_is_told_who_left_while_it_was_away() {
    let (_world, mut raw) = world().await;
    let connection_uuid = raw.connection("ours").await;
    let ours = v1::CreateTransferRequest {
        connection_uuid: connection_uuid.clone(),
        ..plain()
    };
    let filter = v1::TransferFilter {
        status: vec![TransferStatus::Pending.into()],
        connection_uuid,
        ..v1::TransferFilter::default()
    };
    let left = raw.create(ours.clone()).await;
    let stays = raw.create(ours.clone()).await;
    let gone = raw.create(ours.clone()).await;
    let away = raw.create(ours.clone()).await;
    raw.start(&away.uuid).await;
    let asked = WatchTransfersRequest {
        filter: Some(filter.clone()),
        ..with_positions(true)
    };
    let mut watch = begin(&mut raw, asked).await;
    let (existing, position) = until_caught_up(&mut watch).await;
    assert_eq!(existing.len(), 3);
    drop((watch, stays));

    let left = raw.start(&left.uuid).await;
    raw.cancel(&gone.uuid).await;
    raw.delete(&gone.uuid).await;
    // It was not meant before, and is not now; and neither is one of no connection.
    raw.complete(&away.uuid, 1).await;
    raw.declared().await;
    let entered = raw.create(ours.clone()).await;
    let passed = raw.create(ours).await;
    let passed = raw.start(&passed.uuid).await;
    let asked = WatchTransfersRequest {
        filter: Some(filter),
        ..after(position.sequence)
    };
    let mut watch = begin(&mut raw, asked).await;
    let (news, position) = until_caught_up(&mut watch).await;
    let expected = vec![
        Update::Transfer(left),
        Update::DeletedUuid(gone.uuid),
        Update::Transfer(entered),
        Update::Transfer(passed),
    ];
    assert_eq!(sorted(news), sorted(expected));
    assert_eq!(position.sequence, end_of_log(&mut raw).await);
}

async fn refusal(raw: &mut Raw, request: WatchTransfersRequest) -> Status {
    match raw.transfers.watch_transfers(request).await {
        Err(refusal) => refusal,
        Ok(answer) => super::end_of(&mut answer.into_inner()).await,
    }
}

/// A world that keeps events for a day.
pub(super) async fn forgetful() -> (World, Raw) {
    let world = World::start_with(WorldOptions {
        event_retention: Some(DAY),
        sweep_interval: Duration::from_millis(20),
        ..WorldOptions::still()
    })
    .await;
    let raw = world.services().await;
    (world, raw)
}

/// Lets all events so far be deleted.
pub(super) async fn forget(world: &World, raw: &mut Raw) {
    world.clock.advance(2 * DAY);
    let wait = async {
        while !raw.log().await.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon("the deletion of old events", wait).await;
}

#[tokio::test]
async fn positions_that_are_no_longer_or_not_yet_in_the_log_are_refused() {
    let (world, mut raw) = forgetful().await;
    for _ in 0..3 {
        raw.declared().await;
    }
    forget(&world, &mut raw).await;
    for expired in [0, 2] {
        let refusal = refusal(&mut raw, after(expired)).await;
        let refused = assert_refused(&refusal, Code::OutOfRange, "CURSOR_EXPIRED");
        assert_eq!(refused.metadata["after_sequence"], expired.to_string());
        assert_eq!(refused.metadata["oldest_sequence"], "4");
    }
    let ahead = refusal(&mut raw, after(4)).await;
    let refused = assert_refused(&ahead, Code::OutOfRange, "CURSOR_AHEAD");
    assert_eq!(refused.metadata["newest_sequence"], "3");
    let negative = refusal(&mut raw, after(-1)).await;
    assert_refused(&negative, Code::InvalidArgument, "INVALID_FIELDS");
    let mut watch = begin(&mut raw, after(3)).await;
    let (news, position) = until_caught_up(&mut watch).await;
    assert_eq!((news, position.sequence), (vec![], 3));
    let next_one = raw.declared().await;
    assert_eq!(next(&mut watch).await, Update::Transfer(next_one));
}

#[tokio::test]
async fn an_idle_watch_is_told_its_position() {
    let (_world, mut raw) = world().await;
    let filter = v1::TransferFilter {
        table_names: vec!["nothing".to_owned()],
        ..v1::TransferFilter::default()
    };
    let asked = WatchTransfersRequest {
        filter: Some(filter),
        ..with_positions(false)
    };
    let mut watch = begin(&mut raw, asked).await;
    let (_, from) = until_caught_up(&mut watch).await;
    // It is not told of them, but of how far the log has grown.
    raw.declared().await;
    raw.declared().await;
    let (news, _) = until_position(&mut watch, from.sequence + 2).await;
    assert_eq!(news, []);
}

mod postgres_only {
    use super::*;

    async fn two() -> (World, World, Raw, Raw) {
        let a = World::start_with(WorldOptions::still()).await;
        let b = a.replica().await;
        let (on_a, on_b) = (a.services().await, b.services().await);
        (a, b, on_a, on_b)
    }

    #[tokio::test]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn a_watch_goes_on_at_another_replica() {
        let (_a, _b, on_a, on_b) = two().await;
        goes_on(on_a, on_b).await;
    }

    #[tokio::test]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn what_a_position_covers_is_not_told_again_by_another_replica() {
        let (_a, _b, mut on_a, mut on_b) = two().await;
        let mut watch = begin(&mut on_a, with_positions(false)).await;
        until_caught_up(&mut watch).await;
        for _ in 0..3 {
            let uuid = on_a.declared().await.uuid;
            on_a.cancel(&uuid).await;
            let end = end_of_log(&mut on_a).await;
            let (_, position) = until_position(&mut watch, end).await;
            assert_eq!((position.sequence, position.newest_sequence), (end, end));
            // The other replica may not have noticed any of it.
            let mut resumed = begin(&mut on_b, after(end)).await;
            let (again, _) = until_caught_up(&mut resumed).await;
            assert_eq!(again, []);
            let next_one = on_b.declared().await;
            assert_eq!(next(&mut resumed).await, Update::Transfer(next_one));
        }
    }
}
