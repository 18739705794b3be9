//! The client's worker with a true server: it is known, runs what there is, and leaves nothing behind.

use std::{collections::BTreeSet, time::Duration};

use futures::future::join_all;
use tidegate_client::{
    AgentState, Client, Direction, Totals, TransferFilter, TransferStatus, Worker,
};
use tidegate_tests::{World, WorldOptions, soon};
use uuid::Uuid;

async fn declare(client: &Client, count: usize) -> BTreeSet<Uuid> {
    let all = (0..count).map(async |_| {
        let declared = client.transfers().create(Direction::Send, "orders").await;
        declared.expect("declared").uuid
    });
    join_all(all).await.into_iter().collect()
}

/// Runs whatever comes until the worker ends; what it was.
async fn work(mut worker: Worker) -> Vec<Uuid> {
    let mut done = Vec::new();
    while let Some(run) = worker.next().await.expect("nothing is refused") {
        let uuid = run.transfer.uuid;
        let totals = Totals {
            records_transferred: 7,
            records_created: 7,
            ..Totals::default()
        };
        run.reporter.report(totals);
        run.reporter.finish(totals).await.expect("completed");
        done.push(uuid);
    }
    done
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_run_all_there_is_once_and_are_known_meanwhile() {
    let world = World::start_with(WorldOptions::default()).await;
    let client = world.client().await;
    let early = declare(&client, 20).await;
    let work_of = |name: &str| client.agents().work(name).slots(4).version("1.4").start();
    let (mut one, two) = (work_of("one"), work_of("two"));
    let run = soon("a run", one.next()).await;
    let run = run.expect("nothing is refused").expect("a run");
    soon("both are known", async {
        loop {
            let known = client
                .agents()
                .list()
                .alive_only(true)
                .await
                .expect("a list");
            let one = known.items.iter().find(|it| it.agent_instance == "one");
            if known.items.len() == 2
                && one.is_some_and(|it| it.runs > 0 && it.state == AgentState::Alive)
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let kept = run.transfer.uuid;
    let mut rest = tokio::spawn(work(two));
    let late = declare(&client, 20).await;
    let mine = async {
        let mut mine = vec![kept];
        run.reporter
            .finish(Totals::default())
            .await
            .expect("completed");
        drop(run.slot);
        loop {
            let filter = TransferFilter {
                status: vec![TransferStatus::Completed],
                ..TransferFilter::default()
            };
            if client
                .transfers()
                .count()
                .filter(filter)
                .await
                .expect("a count")
                == 40
            {
                one.stop();
                mine.extend(work(one).await);
                return mine;
            }
            tokio::select! {
                run = one.next() => {
                    let run = run.expect("nothing is refused").expect("a run");
                    mine.push(run.transfer.uuid);
                    run.reporter.finish(Totals::default()).await.expect("completed");
                }
                () = tokio::time::sleep(Duration::from_millis(50)) => {}
            }
        }
    };
    let mine = soon("all are done", mine).await;
    rest.abort();
    let ended = (&mut rest).await;
    assert!(ended.is_err(), "it waits for more: {ended:?}");
    let all: BTreeSet<_> = early.union(&late).copied().collect();
    let distinct: BTreeSet<_> = mine.iter().copied().collect();
    assert_eq!(distinct.len(), mine.len(), "nothing is run twice");
    assert!(distinct.is_subset(&all));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_running_that_a_stopped_worker_has_not_handed_out() {
    let world = World::start_with(WorldOptions::default()).await;
    let client = world.client().await;
    let rounds = (0..12).map(async |round: u64| {
        let table = format!("table_{round}");
        let prepared = client.agents().work(format!("agent-{round}")).slots(3);
        let worker = prepared.table_names([&table]).start();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let declared = async {
            let created = client.transfers().create(Direction::Send, &table).await;
            created.expect("declared")
        };
        let stopped = async {
            tokio::time::sleep(Duration::from_millis(round)).await;
            worker.stop();
        };
        let (declared, ()) = tokio::join!(declared, stopped);
        let done = soon("the worker ends", work(worker)).await;
        let left = client
            .transfers()
            .get(declared.uuid)
            .await
            .expect("it is there");
        let expected = match done.as_slice() {
            [] => TransferStatus::Pending,
            [_] => TransferStatus::Completed,
            _ => panic!("one was declared: {done:?}"),
        };
        assert_eq!(left.status, expected, "round {round}");
        done.len()
    });
    let done: usize = join_all(rounds).await.into_iter().sum();
    assert!(done > 0, "some come before the stop");
}
