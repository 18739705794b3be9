//! Acknowledged changes survive `kill -9` of the server, none is carried out twice, and the log stays whole.
//!
//! `TIDEGATE_CRASHES` says how often it is killed, `TIDEGATE_SEED` repeats a run's choices. `scripts/chaos` does more of it,
//! with kills of PostgreSQL too.

use std::time::Duration;

use sea_orm::ConnectionTrait as _;
use tidegate_chaos::{
    Fleet, Report, Setup,
    crash::{self, CrashOptions},
    load::{Load, LoadOptions},
};
use tidegate_tests::{
    database::{Kind, kind},
    soon,
};

const CRASHES: u64 = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_changes_survive_kill_9() {
    let seed = variable("TIDEGATE_SEED").unwrap_or_else(rand::random);
    let options = CrashOptions {
        kind: kind(),
        replicas: if kind() == Kind::Sqlite { 1 } else { 2 },
        kills: variable("TIDEGATE_CRASHES").unwrap_or(CRASHES),
        database_restarts: 0,
        setup: Setup::default(),
        failpoints: false,
    };
    crash::run(&options, seed).await.assert_passed();
}

/// The whole of it would notice: the newest event of a real ledger is removed behind the server's back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_that_forgets_is_found_out() {
    let mut fleet = Fleet::start(kind(), 1, Setup::default()).await;
    let load = Load::new(LoadOptions::default());
    let clients = load.start_clients(&fleet.addresses(), 8, 4_711);
    tokio::time::sleep(Duration::from_millis(500)).await;
    load.stop.cancel();
    _ = soon("the end of the load", clients.join_all()).await;
    fleet.kill(0).await;
    let behind = fleet.database().connect().await;
    behind
        .execute_unprepared(
            "DELETE FROM event WHERE sequence = (SELECT last_sequence FROM event_counter);
             UPDATE event_counter SET last_sequence = last_sequence - 1;",
        )
        .await
        .expect("it can be changed");
    behind.close().await.expect("it closes");
    fleet.restart(0).await;
    let paused = load.pause.write().await;
    let mut report = Report::new("a deleted event", 4_711);
    crash::compare(&fleet, &load, &paused, 0, "at the end", &mut report).await;
    assert!(report.has_failed(), "the loss of an event went unnoticed");
}

fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is not a number")),
    )
}
