//! Outages: who keeps trying keeps their run, and who died in it loses it soon after its end.

use std::time::{Duration, Instant};

use tidegate_client::{Client, ProgressReporter, Totals, Transfer, TransferStatus};
use tidegate_tests::{
    Database, ServerProcess, World, WorldOptions, fault::FakeClock, needs::Need, skip_without, soon,
};

use super::{declared, until};

/// How long agents may be silent.
const LIMIT: Duration = Duration::from_secs(2);
/// Time that a sweep and a loaded machine may add to it.
const SLACK: Duration = Duration::from_secs(3);
const AGENTS: i64 = 5;
const ARGUMENTS: [&str; 2] = ["--sweep-interval", "100ms"];

/// An agent that goes on reporting whatever happens, until it is dropped.
struct Agent {
    client: Client,
    started: Transfer,
    reporter: ProgressReporter,
    rows: i64,
}

impl Agent {
    async fn start(client: &Client, limit: Duration) -> Self {
        let transfer = declared(client, 1).await;
        let start = client
            .transfers()
            .start(transfer.uuid)
            .heartbeat_timeout(limit);
        let started = start.await.expect("it starts");
        let reporter = client.transfers().report_progress(&started);
        let mut agent = Self {
            client: client.clone(),
            started,
            reporter,
            rows: 0,
        };
        agent.goes_on().await;
        agent
    }

    /// Reports one more row, and has it stored.
    async fn goes_on(&mut self) {
        self.rows += 1;
        self.reporter.report(Totals {
            records_transferred: self.rows,
            ..Totals::default()
        });
        let stored = soon("a report", self.reporter.flush()).await;
        stored.expect("the run is still its own");
        assert!(
            self.reporter.status().is_none(),
            "{:?}",
            self.reporter.status()
        );
    }

    /// Dies: nobody hears of it any more.
    fn dies(self) -> (Client, Transfer) {
        (self.client, self.started)
    }
}

async fn agents(client: &Client, limit: Duration) -> Vec<Agent> {
    let mut agents = Vec::new();
    for _ in 0..AGENTS {
        agents.push(Agent::start(client, limit).await);
    }
    agents
}

/// After an outage: all who kept trying go on, and who died is found within the limit and a sweep.
async fn is_over(agents: &mut [Agent], dead: (Client, Transfer)) {
    let since = Instant::now();
    let (client, transfer) = dead;
    // It may be alive, for all that the server can know so far.
    tokio::time::sleep(LIMIT / 2).await;
    let still = until(&client, &transfer, |_| true).await;
    assert_eq!(
        still.status,
        TransferStatus::InProgress,
        "it was not given the whole limit"
    );
    for agent in agents.iter_mut() {
        agent.goes_on().await;
    }
    let lost = until(&client, &transfer, |it| {
        it.status != TransferStatus::InProgress
    })
    .await;
    let error_message = lost.error_message.unwrap_or_default();
    assert!(
        error_message.starts_with("HEARTBEAT_LOST"),
        "{error_message}"
    );
    let found = since.elapsed();
    assert!(found < LIMIT + SLACK, "{found:?}");
    for agent in agents {
        agent.goes_on().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_takes_nobody_s_run() {
    let database = Database::fresh().await;
    let mut server = ServerProcess::start(&database, 0, &ARGUMENTS).await;
    let port = server.port();
    let client = server.client().await;
    let mut agents = agents(&client, LIMIT).await;
    for away in [LIMIT / 2, LIMIT, 5 * LIMIT] {
        let doomed = Agent::start(&client, LIMIT).await;
        server.kill().await;
        let dead = doomed.dies();
        tokio::time::sleep(away).await;
        server = ServerProcess::start(&database, port, &ARGUMENTS).await;
        is_over(&mut agents, dead).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stood_still_takes_nobody_s_run() {
    let database = Database::fresh().await;
    let server = ServerProcess::start(&database, 0, &ARGUMENTS).await;
    let client = server.client().await;
    let mut agents = agents(&client, LIMIT).await;
    let dead = Agent::start(&client, LIMIT).await.dies();
    server.signal("STOP").await;
    tokio::time::sleep(3 * LIMIT).await;
    server.signal("CONT").await;
    is_over(&mut agents, dead).await;
}

#[tokio::test]
async fn a_day_away_is_no_different() {
    let limit = Duration::from_secs(60);
    let options = WorldOptions {
        sweep_interval: Duration::from_millis(15),
        ..WorldOptions::still()
    };
    let mut world = World::start_with(options).await;
    let client = world.client().await;
    let mut kept = Agent::start(&client, limit).await;
    let (_, dead) = Agent::start(&client, limit).await.dies();
    drop(kept.reporter);
    world.stop().await;
    world.clock.advance(100 * limit);
    world.resume().await;
    let client = world.client().await;
    // Many sweeps later both are as they were.
    tokio::time::sleep(Duration::from_millis(300)).await;
    kept.reporter = client.transfers().report_progress(&kept.started);
    kept.goes_on().await;
    let still = client
        .transfers()
        .get(dead.uuid)
        .await
        .expect("it is there");
    assert_eq!(still.status, TransferStatus::InProgress);
    world.clock.advance(limit / 2);
    kept.goes_on().await;
    world.clock.advance(limit / 2);
    until(&client, &dead, |it| it.status == TransferStatus::Failed).await;
    kept.goes_on().await;
}

mod sqlite_only {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_clock_that_is_set_takes_nobody_s_run() {
        skip_without!(Need::Faketime);
        let clock = FakeClock::new();
        let variables = clock.variables();
        let variables = variables.iter();
        let variables: Vec<_> = variables
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let database = Database::fresh().await;
        let server =
            ServerProcess::start_as("tidegate-server", &database, 0, &ARGUMENTS, &variables).await;
        let client = server.client().await;
        let mut agents = agents(&client, LIMIT).await;
        for ahead in [3_600, 2 * 3_600, 24 * 3_600] {
            clock.set(ahead);
            // Several sweeps, and less than the limit.
            tokio::time::sleep(LIMIT / 2).await;
            for agent in &mut agents {
                agent.goes_on().await;
            }
        }
        let dead = Agent::start(&client, LIMIT).await.dies();
        is_over(&mut agents, dead).await;
    }
}

mod postgres_only {
    use super::*;
    use tidegate_tests::cluster::Cluster;

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn a_database_that_is_away_takes_nobody_s_run() {
        let cluster = Cluster::start().await;
        let database = Database::on(&cluster.url).await;
        let one = ServerProcess::start(&database, 0, &ARGUMENTS).await;
        let other = ServerProcess::start(&database, 0, &ARGUMENTS).await;
        let (on_one, on_other) = (one.client().await, other.client().await);
        let mut agents = agents(&on_one, LIMIT).await;
        agents.extend(super::agents(&on_other, LIMIT).await);
        for away in [LIMIT / 2, LIMIT, 5 * LIMIT] {
            let dead = Agent::start(&on_one, LIMIT).await.dies();
            cluster.stop().await;
            tokio::time::sleep(away).await;
            cluster.resume().await;
            is_over(&mut agents, dead).await;
        }
    }
}
