//! What an agent hears, and what becomes of one that does not listen.

use std::time::Duration;

use tidegate_client::{
    Client, Direction, ReporterStop, StopKind, Totals, Transfer, TransferStatus,
};
use tidegate_tests::{World, WorldOptions, soon};

async fn run(client: &Client) -> Transfer {
    let created = client
        .transfers()
        .create(Direction::Send, "characters")
        .await;
    let uuid = created.expect("it is declared").uuid;
    client.transfers().start(uuid).await.expect("it starts")
}

async fn patient() -> World {
    World::start_with(WorldOptions {
        stop_grace: Duration::from_secs(600),
        ..WorldOptions::default()
    })
    .await
}

#[tokio::test]
async fn the_reporter_says_it_and_takes_it_back() {
    let world = patient().await;
    let client = world.client().await;
    let operator = world.client().await;
    let run = run(&client).await;
    let reporter = client.transfers().report_progress(&run);
    let rows = |count| Totals {
        records_transferred: count,
        records_created: count,
        ..Totals::default()
    };
    reporter.report_with_checkpoint(rows(1), *b"row 1");
    reporter.flush().await.expect("it is stored");

    let asked = operator
        .transfers()
        .pause(run.uuid)
        .reason("maintenance")
        .await;
    assert!(asked.expect("it is asked").is_asked_to_stop());
    let stop = soon("the word of it", reporter.stopped()).await;
    assert_eq!(stop.to_string(), "asked to pause: maintenance");
    operator
        .transfers()
        .resume(run.uuid)
        .await
        .expect("taken back");
    let goes_on = reporter.acknowledge_stop(rows(1)).await;
    assert!(goes_on.expect("it is no error").is_none());
    soon("the word of that", async {
        while reporter.status().is_some() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;

    operator
        .transfers()
        .pause(run.uuid)
        .await
        .expect("it is asked");
    let stop = soon("the word of it", reporter.stopped()).await;
    let ReporterStop::Requested(stop) = stop else {
        panic!("{stop}");
    };
    assert_eq!(stop.kind, StopKind::Pause);
    // What is reported meanwhile counts.
    reporter.report_with_checkpoint(rows(2), *b"row 2");
    let paused = reporter.acknowledge_stop(rows(2)).await.expect("it stops");
    let paused = paused.expect("it was asked");
    assert!(paused.is_paused());
    assert_eq!(
        (paused.status, paused.checkpoint.as_slice()),
        (TransferStatus::Pending, &b"row 2"[..])
    );
    assert_eq!(paused.progress, rows(2));
}

/// However alive it is: who does not stop loses the run at the end of the grace.
#[tokio::test]
async fn who_does_not_listen_is_stopped_at_the_end_of_the_grace() {
    let world = World::start_with(WorldOptions {
        stop_grace: Duration::from_secs(1),
        sweep_interval: Duration::from_millis(100),
        ..WorldOptions::default()
    })
    .await;
    let client = world.client().await;
    let operator = world.client().await;
    let [cancelled, paused] = [run(&client).await, run(&client).await];
    let reporters = [&cancelled, &paused].map(|run| client.transfers().report_progress(run));
    operator
        .transfers()
        .cancel(cancelled.uuid)
        .await
        .expect("it is asked");
    operator
        .transfers()
        .pause(paused.uuid)
        .await
        .expect("it is asked");
    let beats = async {
        for rows in 1.. {
            let rows = Totals {
                records_transferred: rows,
                ..Totals::default()
            };
            reporters.iter().for_each(|reporter| reporter.report(rows));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let ended = async {
        for (run, status) in [
            (&cancelled, TransferStatus::Cancelled),
            (&paused, TransferStatus::Pending),
        ] {
            let now = soon("the end of the grace", async {
                loop {
                    let now = operator
                        .transfers()
                        .get(run.uuid)
                        .await
                        .expect("it is there");
                    if now.status == status {
                        return now;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            })
            .await;
            let stop = now.stop.expect("how it ended");
            let took = stop.stopped_at.expect("it has") - stop.requested_at;
            assert!(
                stop.forced && took >= chrono::TimeDelta::seconds(1),
                "{took}"
            );
        }
    };
    tokio::select! {
        () = beats => {}
        () = ended => {}
    }
    // They learn of it, and nothing that they say counts.
    for (reporter, run) in reporters.iter().zip([&cancelled, &paused]) {
        soon("the end", async {
            while matches!(reporter.stopped().await, ReporterStop::Requested(_)) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        let late = client
            .transfers()
            .complete(run)
            .await
            .expect_err("it is too late");
        assert!(
            late.is_lease_lost() || late.is_illegal_transition(),
            "{late}"
        );
    }
}

#[tokio::test]
async fn without_a_grace_the_end_is_at_once() {
    let world = patient().await;
    let client = world.client().await;
    let run = run(&client).await;
    let cancel = client.transfers().cancel(run.uuid).grace(Duration::ZERO);
    let ended = cancel.await.expect("it is cancelled");
    assert_eq!(ended.status, TransferStatus::Cancelled);
    assert!(ended.stop.is_some_and(|stop| stop.forced));
}
