//! The client's watch of all transfers, cut off from its server.

use std::collections::BTreeMap;

use futures::StreamExt as _;
use tidegate_client::{TransfersWatch, WatchUpdate};
use tidegate_proto::v1;
use tidegate_tests::{
    raw::{Raw, plain},
    relay::Relay,
    soon,
};

use super::{
    resume::{forget, forgetful},
    world,
};

/// Follows a client's watch until a transfer of the table `end` comes.
async fn follow(watch: &mut TransfersWatch, told: &mut Vec<WatchUpdate>, end: &str) {
    loop {
        let update = soon("an update", watch.next()).await;
        let update = update.expect("it has no end").expect("no refusal");
        let last = matches!(&update, WatchUpdate::Transfer(it) if it.table_name == end);
        told.push(update);
        if last {
            return;
        }
    }
}

async fn marker(raw: &mut Raw, table: &str) {
    raw.create(v1::CreateTransferRequest {
        table_name: table.to_owned(),
        ..plain()
    })
    .await;
}

/// What was told of each transfer.
fn revisions(told: &[WatchUpdate]) -> BTreeMap<String, Vec<Option<i64>>> {
    let mut revisions = BTreeMap::<String, Vec<Option<i64>>>::new();
    for update in told {
        match update {
            WatchUpdate::Transfer(it) => revisions
                .entry(it.uuid.to_string())
                .or_default()
                .push(Some(it.revision)),
            WatchUpdate::Deleted(uuid) => {
                revisions.entry(uuid.to_string()).or_default().push(None);
            }
            _ => {}
        }
    }
    revisions
}

#[tokio::test]
async fn the_client_tells_everything_once_over_cuts() {
    let (world, mut raw) = world().await;
    let ended = raw.declared().await.uuid;
    raw.cancel(&ended).await;
    let uuid = raw.running().await.uuid;
    let short = raw.declared().await.uuid;
    marker(&mut raw, "begun").await;
    let relay = Relay::to(&world.address).await;
    let client = tidegate_client::Client::builder(relay.address.clone()).connect_lazy();
    let client = client.expect("an address");
    let mut watch = client
        .transfers()
        .watch_all()
        .include_existing(true)
        .into_stream();
    let mut told = Vec::new();
    follow(&mut watch, &mut told, "begun").await;
    let caught_up = soon("the rest", watch.next()).await.expect("more");
    assert!(matches!(caught_up, Ok(WatchUpdate::CaughtUp)));
    for round in 1..=5 {
        relay.sever();
        raw.report(&uuid, round).await;
        if round == 2 {
            raw.cancel(&short).await;
            raw.delete(&short).await;
        }
        let end = format!("round {round}");
        marker(&mut raw, &end).await;
        follow(&mut watch, &mut told, &end).await;
    }
    raw.complete(&uuid, 6).await;
    relay.sever();
    marker(&mut raw, "the end").await;
    follow(&mut watch, &mut told, "the end").await;
    let told = revisions(&told);
    assert_eq!(told[&ended], [Some(2)]);
    assert_eq!(told[&short], [Some(1), None]);
    let running = &told[&uuid];
    assert!(
        running.windows(2).all(|pair| pair[0] < pair[1]),
        "{running:?}"
    );
    assert!(told.values().all(|revisions| !revisions.is_empty()));
    assert_eq!(told.len(), 3 + 7);
    assert!(relay.opened() >= 2);
}

#[tokio::test]
async fn the_client_begins_over_when_its_position_has_expired() {
    let (world, mut raw) = forgetful().await;
    let kept = raw.declared().await.uuid;
    let deleted = raw.declared().await.uuid;
    marker(&mut raw, "begun").await;
    let relay = Relay::to(&world.address).await;
    let client = tidegate_client::Client::builder(relay.address.clone()).connect_lazy();
    let client = client.expect("an address");
    let mut watch = client
        .transfers()
        .watch_all()
        .include_existing(true)
        .into_stream();
    let mut told = Vec::new();
    follow(&mut watch, &mut told, "begun").await;
    let caught_up = soon("the rest", watch.next()).await.expect("more");
    assert!(matches!(caught_up, Ok(WatchUpdate::CaughtUp)));
    // It is not polled, so it comes back only when all this is over.
    relay.sever();
    raw.cancel(&deleted).await;
    raw.delete(&deleted).await;
    raw.start(&kept).await;
    forget(&world, &mut raw).await;
    marker(&mut raw, "again").await;
    follow(&mut watch, &mut told, "again").await;
    while !told
        .iter()
        .any(|update| matches!(update, WatchUpdate::Deleted(_)))
    {
        let update = soon("the deletion", watch.next()).await;
        told.push(update.expect("it has no end").expect("no refusal"));
    }
    let told = revisions(&told);
    assert_eq!(told[&kept], [Some(1), Some(2)]);
    assert_eq!(told[&deleted], [Some(1), None]);
    assert_eq!(told.len(), 4);
}
