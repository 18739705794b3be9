//! Agents that die in the middle: the next one goes on, and no transfer is run twice at a time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use tidegate_client::{AttemptEnd, Client, ProgressReporter, Totals, Transfer, TransferStatus};
use tidegate_tests::{World, soon};

use super::{declared, story, until};

const HEARTBEAT: Duration = Duration::from_secs(1);
const TRANSFERS: usize = 50;
/// Deaths of each transfer's agents; the attempt after them completes it.
const DEATHS: i64 = 2;
const ROWS: i64 = 30;

const fn totals(records: i64) -> Totals {
    Totals {
        records_transferred: records,
        records_created: records,
        records_updated: 0,
        records_skipped: 0,
        records_failed: 0,
        bytes_transferred: records,
    }
}

/// Starts the transfer and reports a row after the other from its checkpoint on, up to `until`.
async fn run(client: &Client, transfer: &Transfer, until: i64) -> (Transfer, ProgressReporter) {
    let start = client
        .transfers()
        .start(transfer.uuid)
        .heartbeat_timeout(HEARTBEAT);
    let started = start.agent_instance("worker").await.expect("it starts");
    let reporter = client.transfers().report_progress(&started);
    let resumed = <[u8; 8]>::try_from(started.checkpoint.as_slice()).map_or(0, i64::from_be_bytes);
    for row in resumed..until {
        reporter.report_with_checkpoint(totals(row + 1), (row + 1).to_be_bytes());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    soon("what was reported", reporter.flush())
        .await
        .expect("it is stored");
    (started, reporter)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_dead_agents_and_every_transfer_ends_once() {
    let world = World::start().await;
    let zombies = Arc::new(AtomicUsize::new(0));
    let lives = (0..TRANSFERS).map(|_| async {
        let client = world.client().await;
        let transfer = declared(&client, 5).await;
        for death in 1..=DEATHS {
            let (started, reporter) = run(&client, &transfer, 10 * death).await;
            assert_eq!(started.lease_epoch, death);
            drop(reporter);
            let queued = until(&client, &transfer, |it| {
                it.status == TransferStatus::Pending
            })
            .await;
            assert_eq!(
                queued.checkpoint,
                (10 * death).to_be_bytes(),
                "nothing acknowledged is lost"
            );
            // It was not dead, only slow.
            let late = client
                .transfers()
                .complete(&started)
                .await
                .expect_err("too late");
            assert!(late.is_lease_lost(), "{late}");
            zombies.fetch_add(1, Ordering::Relaxed);
        }
        let (started, reporter) = run(&client, &transfer, ROWS).await;
        assert_eq!(started.lease_epoch, DEATHS + 1);
        let done = reporter.finish(totals(ROWS)).await.expect("it completes");
        assert_eq!(
            (done.status, done.progress),
            (TransferStatus::Completed, totals(ROWS))
        );
        let ends = story(&client, &transfer).await;
        let expected = [
            AttemptEnd::Requeued,
            AttemptEnd::Requeued,
            AttemptEnd::Completed,
        ];
        assert_eq!(ends, expected);
    });
    join_all(lives).await;
    assert_eq!(zombies.load(Ordering::Relaxed), 100);
}

#[tokio::test]
async fn the_last_attempt_fails_it() {
    let world = World::start().await;
    let client = world.client().await;
    let transfer = declared(&client, 2).await;
    for _ in 0..2 {
        until(&client, &transfer, |it| {
            it.status == TransferStatus::Pending
        })
        .await;
        let start = client.transfers().start(transfer.uuid);
        start.heartbeat_timeout(HEARTBEAT).await.expect("it starts");
    }
    let failed = until(&client, &transfer, |it| it.status.is_terminal()).await;
    assert_eq!(failed.status, TransferStatus::Failed);
    let ends = story(&client, &transfer).await;
    assert_eq!(ends, [AttemptEnd::Requeued, AttemptEnd::Failed]);
    client
        .transfers()
        .delete(transfer.uuid)
        .await
        .expect("it goes");
    let gone = client
        .transfers()
        .list_attempts(transfer.uuid)
        .await
        .expect_err("its attempts go, too");
    assert!(gone.is_not_found());
}

#[tokio::test]
async fn an_approved_transfer_needs_no_second_approval() {
    let world = World::start().await;
    let client = world.client().await;
    let transfer = declared(&client, 2).await;
    client
        .approvals()
        .request(transfer.uuid)
        .await
        .expect("it is asked");
    let admin = uuid::Uuid::from_u128(7);
    client
        .approvals()
        .approve(transfer.uuid)
        .on_behalf_of(admin)
        .await
        .expect("it is approved");
    let start = client.transfers().start(transfer.uuid);
    start.heartbeat_timeout(HEARTBEAT).await.expect("it starts");
    let queued = until(&client, &transfer, |it| it.started_at.is_none()).await;
    assert_eq!(queued.status, TransferStatus::Approved);
    let again = client
        .transfers()
        .start(transfer.uuid)
        .await
        .expect("it starts again");
    assert_eq!(again.lease_epoch, 2);
}
