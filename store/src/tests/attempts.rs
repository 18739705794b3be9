//! Attempts: what ended while the transfer went on, and the latest, which is the transfer's own.

use super::fixture::{Fixture, at, full, plain};
use crate::Readers;
use tidegate_domain::{
    attempt::{Attempt, AttemptEnd},
    caller::Role,
    fixtures::{caller, id},
    id::TransferId,
    status::TransferStatus,
    transfer::Transfer,
};

fn attempt(transfer: &Transfer, epoch: i64) -> Attempt {
    let ran = Transfer {
        lease_epoch: epoch,
        started_at: Some(at(epoch * 10)),
        ..transfer.clone()
    };
    Attempt {
        ended_at: Some(at(epoch * 10 + 5)),
        end: if epoch % 2 == 0 {
            AttemptEnd::Requeued
        } else {
            AttemptEnd::Paused
        },
        ..Attempt::latest(&ran).expect("it ran")
    }
}

async fn told(fixture: &Fixture, uuid: TransferId) -> Option<Vec<Attempt>> {
    let reader = Readers::new(fixture.store.clone()).as_seen_by(&caller(Role::Viewer, None));
    let found = reader.attempts(uuid, None).await.expect("read");
    found.map(|(attempts, more)| {
        assert!(!more);
        attempts
    })
}

#[tokio::test]
async fn attempts_are_told_in_their_order_with_the_latest_at_the_end() {
    let fixture = Fixture::new().await;
    let mut running = full(1);
    running.status = TransferStatus::InProgress;
    running.superseded = false;
    running.lease_epoch = 3;
    running.completed_at = None;
    let mut queued = plain(2);
    queued.lease_epoch = 1;
    fixture
        .insert(&[running.clone(), queued.clone(), plain(3)])
        .await;
    let [second, first, others] = [
        attempt(&running, 2),
        attempt(&running, 1),
        attempt(&queued, 1),
    ];
    let batch = fixture.store.begin().await.expect("a batch");
    let ended = [second.clone(), first.clone(), others.clone()];
    batch.insert_attempts(&ended).await.expect("inserted");
    batch.commit().await.expect("committed");

    let latest = Attempt::latest(&running).expect("it runs");
    assert_eq!((latest.epoch, latest.end), (3, AttemptEnd::Running));
    assert_eq!(
        told(&fixture, running.uuid).await,
        Some(vec![first, second, latest])
    );
    assert_eq!(told(&fixture, queued.uuid).await, Some(vec![others]));
    assert_eq!(told(&fixture, plain(3).uuid).await, Some(Vec::new()));
    assert_eq!(told(&fixture, plain(4).uuid).await, None);

    let stranger = caller(Role::Agent, Some(id(9)));
    let reader = Readers::new(fixture.store.clone()).as_seen_by(&stranger);
    assert_eq!(
        reader.attempts(running.uuid, None).await.expect("read"),
        None
    );
}

#[tokio::test]
async fn attempts_go_with_their_transfer() {
    let fixture = Fixture::new().await;
    let transfers = [full(1), full(2)];
    fixture.insert(&transfers).await;
    let ended = [attempt(&transfers[0], 1), attempt(&transfers[1], 1)];
    let batch = fixture.store.begin().await.expect("a batch");
    batch.insert_attempts(&ended).await.expect("inserted");
    batch
        .delete_transfers(&[transfers[0].uuid])
        .await
        .expect("deleted");
    batch.commit().await.expect("committed");
    let left = fixture
        .store
        .attempts(transfers[0].uuid, i64::MAX)
        .await
        .expect("read");
    assert_eq!(left, []);
    let left = fixture
        .store
        .attempts(transfers[1].uuid, i64::MAX)
        .await
        .expect("read");
    assert_eq!(left, ended[1..]);
}

#[tokio::test]
async fn earlier_attempts_are_asked_for_by_their_lease() {
    let fixture = Fixture::new().await;
    let mut running = full(1);
    running.status = TransferStatus::InProgress;
    running.superseded = false;
    running.lease_epoch = 250;
    running.completed_at = None;
    fixture.insert(&[running.clone()]).await;
    let ended: Vec<_> = (1..250).map(|epoch| attempt(&running, epoch)).collect();
    let batch = fixture.store.begin().await.expect("a batch");
    batch.insert_attempts(&ended).await.expect("inserted");
    batch.commit().await.expect("committed");

    let reader = Readers::new(fixture.store.clone()).as_seen_by(&caller(Role::Viewer, None));
    let (mut before, mut epochs) = (None, Vec::new());
    loop {
        let page = reader.attempts(running.uuid, before).await.expect("read");
        let (attempts, more) = page.expect("it is there");
        assert!(attempts.len() == 100 || !more);
        before = attempts.first().map(|first| first.epoch);
        epochs.splice(0..0, attempts.iter().map(|attempt| attempt.epoch));
        if !more {
            break;
        }
    }
    assert_eq!(epochs, (1..=250).collect::<Vec<_>>());
}
