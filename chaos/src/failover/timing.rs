//! How long a failover takes: the database by itself, and the service on it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use sea_orm::{ConnectOptions, ConnectionTrait as _, DbErr};
use tidegate_tests::Database;
use tokio::task::JoinSet;

use crate::load::Load;

/// How much longer than the database the service may take.
pub const ALLOWED: Duration = Duration::from_secs(5);
/// Longest time from a kill until the database is written again. Patroni takes the lead from a node that was silent for
/// 10 s.
const FAILOVER: Duration = Duration::from_secs(40);
/// Time between the beginnings of two tries to write to the database, and how long each may take. They overlap, so that one
/// that hangs does not make the database look slower than it is.
const PACE: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(2);
/// Time between two looks at what the clients were told.
const LOOK: Duration = Duration::from_millis(20);

/// How long one failover took, from the kill on; `None` is longer than anybody waited.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Until a write of somebody else was committed, by the way that the servers take to the database.
    pub database: Option<Duration>,
    /// Until each client and each replica had made a change.
    pub service: Option<Duration>,
}

impl Timing {
    /// How much longer than the database the service took; nothing where it was not slower.
    pub fn behind(&self) -> Option<Duration> {
        Some(self.service?.saturating_sub(self.database?))
    }

    /// What is wrong with it.
    pub fn fault(&self) -> Option<String> {
        match (self.database, self.service, self.behind()) {
            (None, ..) => Some(format!("the database took no write within {FAILOVER:?}")),
            (_, None, _) => Some(format!(
                "not every client and replica made a change within {:?}; the database was back after {:?}",
                FAILOVER + ALLOWED,
                self.database.unwrap_or_default()
            )),
            (Some(database), Some(service), Some(behind)) if behind > ALLOWED => Some(format!(
                "the service was back after {service:?}, {behind:?} after the database, which took {database:?}"
            )),
            _ => None,
        }
    }
}

/// The newest change that was acknowledged to each client by each replica, by when it was asked for.
pub type Begun = BTreeMap<(u64, usize), Instant>;

/// Whether each client and each replica has made a change that was asked for at or after `since`. Answers that were on
/// their way at that moment prove nothing, and neither does one replica for another.
pub fn serves(begun: &Begun, since: Instant, clients: u64, replicas: usize) -> bool {
    let new = || begun.iter().filter(|(_, asked)| **asked >= since);
    let is_served = |client| new().any(|((each, _), _)| *each == client);
    let does_serve = |replica| new().any(|((_, each), _)| *each == replica);
    (0..clients).all(is_served) && (0..replicas).all(does_serve)
}

/// Waits until the load is served again after a kill at `killed`; how long after it.
pub(super) async fn service(
    load: &Load,
    killed: Instant,
    clients: u64,
    replicas: usize,
) -> Option<Duration> {
    while !serves(&load.record().begun, killed, clients, replicas) {
        if killed.elapsed() > FAILOVER + ALLOWED {
            return None;
        }
        tokio::time::sleep(LOOK).await;
    }
    Some(killed.elapsed())
}

/// A table in a database of its own, on the server that the ledger is on.
pub(super) struct Probe {
    database: Database,
}

impl Probe {
    /// A probe of the PostgreSQL at `server`.
    pub(super) async fn on(server: &str) -> Self {
        let database = Database::on(server).await;
        let connection = database.connect().await;
        let made = connection.execute_unprepared("CREATE TABLE probe (written TIMESTAMPTZ)");
        made.await.expect("the table can be made");
        connection.close().await.expect("it closes");
        Self { database }
    }

    /// Tries to write until that is committed; how long after `killed`. No client of a server has a part in it.
    pub(super) async fn first_commit(&self, killed: Instant) -> Option<Duration> {
        let mut tries = JoinSet::new();
        let mut pace = tokio::time::interval(PACE);
        while killed.elapsed() < FAILOVER {
            tokio::select! {
                Some(ended) = tries.join_next() => if let Ok(Ok(Ok(()))) = ended {
                    return Some(killed.elapsed());
                },
                _ = pace.tick() => {
                    let url = self.database.url().to_owned();
                    tries.spawn(tokio::time::timeout(PATIENCE, write(url)));
                }
            }
        }
        None
    }
}

/// One write on a connection of its own.
async fn write(url: String) -> Result<(), DbErr> {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(1)
        .connect_timeout(PATIENCE)
        .sqlx_logging(false);
    let connection = sea_orm::Database::connect(options).await?;
    let written = connection.execute_unprepared("INSERT INTO probe VALUES (clock_timestamp())");
    written.await?;
    Ok(())
}
