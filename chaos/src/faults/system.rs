//! Servers with everything around them that can be made to fail.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rand::{Rng as _, rngs::StdRng};
use sea_orm::{ConnectionTrait as _, DbErr};
use tokio::{process::Command, task::JoinHandle};

use super::kind::{Fault, FaultKind};
use crate::{Fleet, Setup};
use tidegate_tests::{
    Database,
    cluster::Cluster,
    database::Kind,
    fault::{FakeClock, Op, Shim, SmallDisk, shim::LOG, together},
    process::Reading,
    relay::Relay,
};

/// Room on a disk that will be full.
const SMALL: u64 = 48 << 20;
/// The name of a log on it.
const LOG_FILE: &str = "log";
/// Exit codes of a server that cannot go on and says so.
const DOCUMENTED: [i32; 2] = [70, 74];
/// How long a supervisor waits before it starts a server again.
const BACKOFF: Duration = Duration::from_millis(200);
/// The longest of one look at the servers.
const LOOK: Duration = Duration::from_millis(25);

/// Servers and what they stand on.
pub struct System {
    /// The servers.
    pub fleet: Fleet,
    /// Their database, by the direct way.
    pub database: Database,
    /// What the supervisor saw that must not be.
    pub findings: Vec<String>,
    /// How often a server ended with a documented code.
    pub exits: u64,
    shim: Shim,
    clock: Option<FakeClock>,
    disk: Option<SmallDisk>,
    relay: Option<Relay>,
    cluster: Option<Arc<Cluster>>,
    held: Option<JoinHandle<()>>,
    stopped: Vec<String>,
}

impl System {
    /// Servers that `fault` can be done to, all of them serving: two of them on PostgreSQL.
    ///
    /// # Panics
    /// When they do not come up.
    pub async fn start(kind: Kind, cluster: Option<Arc<Cluster>>, fault: &Fault) -> Self {
        let shim = Shim::new();
        let clock = (fault.kind == FaultKind::ClockWrong).then(FakeClock::new);
        let small = matches!(fault.kind, FaultKind::DiskFull | FaultKind::LogFull);
        let disk = small.then(|| SmallDisk::mount(SMALL));
        let (database, relay) = match (&cluster, &disk) {
            (Some(cluster), _) => {
                let database = Database::on(&cluster.url).await;
                let relay = Relay::to(&format!("http://{}", cluster.authority())).await;
                (database, Some(relay))
            }
            (None, Some(disk)) if fault.kind == FaultKind::DiskFull => {
                (Database::file(&disk.path().join("tidegate.db")), None)
            }
            (None, _) => (Database::new_file(), None),
        };
        let clocks = clock.as_ref().map(FakeClock::variables);
        let setup = Setup {
            variables: together([shim.variables()].into_iter().chain(clocks)),
            log: disk
                .as_ref()
                .filter(|_| fault.kind == FaultKind::LogFull)
                .map(|disk| disk.path().join(LOG_FILE)),
            ..Setup::default()
        };
        let replicas = if kind == Kind::Sqlite { 1 } else { 2 };
        let theirs = match &relay {
            Some(relay) => database.through(relay),
            None => database.clone(),
        };
        let mut fleet = Fleet::on(theirs, replicas, setup);
        for number in 0..replicas {
            fleet.restart(number).await;
        }
        Self {
            fleet,
            database,
            findings: Vec::new(),
            exits: 0,
            shim,
            clock,
            disk,
            relay,
            cluster,
            held: None,
            stopped: Vec::new(),
        }
    }

    /// Lets time pass as a supervisor does: whoever ends with a documented code is started again. A start may last until
    /// `patience` is over, and is tried again afterwards.
    pub async fn supervise(&mut self, until: Instant, patience: Instant) {
        loop {
            for number in 0..self.fleet.len() {
                if let Some(status) = self.fleet.take_ended(number) {
                    match status.code() {
                        Some(code) if DOCUMENTED.contains(&code) => self.exits += 1,
                        _ => self
                            .findings
                            .push(format!("server {number} ended: {status}")),
                    }
                    tokio::time::sleep(BACKOFF).await;
                }
                if !self.fleet.is_there(number) {
                    let left = patience.saturating_duration_since(Instant::now());
                    let start = tokio::time::timeout(left, self.fleet.try_restart(number));
                    if let Ok(Err(_)) = start.await {
                        tokio::time::sleep(BACKOFF).await;
                    }
                }
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(LOOK)).await;
        }
    }

    /// Injects the fault for as long as it lasts. Whether it was met.
    ///
    /// # Panics
    /// When it cannot be done.
    pub async fn inject(&mut self, fault: &Fault, random: &mut StdRng) -> bool {
        let struck = self.shim.struck();
        let end = Instant::now() + fault.lasts;
        self.begin(fault, random).await;
        while Instant::now() < end {
            if fault.kind == FaultKind::SessionsKilled {
                self.kill_sessions().await;
            }
            let next = Instant::now() + Duration::from_millis(random.random_range(50..200));
            self.supervise(next.min(end), end).await;
        }
        self.end(fault).await;
        let by_shim = matches!(fault.kind, FaultKind::DiskFails | FaultKind::LogFails);
        !by_shim || self.shim.struck() > struck
    }

    async fn begin(&mut self, fault: &Fault, random: &mut StdRng) {
        use FaultKind as F;
        match fault.kind {
            F::DiskFails => {
                let disk = fault.disk;
                self.shim
                    .fail_some(disk.ops, disk.files, disk.failure, disk.skip, disk.times);
            }
            F::DiskFull => self.small().fill(),
            F::LogFull => {
                self.small().fill();
                // The last page of the log has room left.
                self.small().fill_up(LOG_FILE);
            }
            F::FileLocked => self.lock_file(fault.lasts),
            F::LogDead => self.read_logs(Reading::Gone),
            F::LogStuck => self.read_logs(Reading::Stuck),
            F::LogFails => self.shim.fail(&[Op::Write], LOG, fault.disk.failure),
            F::ClockWrong => self.clock.as_ref().expect("it is fake").set(fault.ahead),
            F::ProcessStopped => {
                let victim = random.random_range(0..self.fleet.len());
                self.stopped = vec![self.fleet.server(victim).pid().to_string()];
                send("STOP", &self.stopped).await;
            }
            F::Silent => self.relay().silence(fault.direction),
            F::Forgotten => self.relay().forget(),
            F::Reset => self.relay().reset(),
            F::Refused => self.relay().refuse(),
            F::Ignored => {
                self.relay().forget();
                self.relay().ignore().await;
            }
            F::Delayed => self.relay().delay(fault.direction, fault.delay),
            F::Overtaken => self.relay().delay_half(fault.delay),
            F::SessionsKilled => {}
            F::SessionsStopped => {
                let sql = "SELECT string_agg(pid::text, ' ') FROM pg_stat_activity
                    WHERE datname = $$NAME$$ AND pid <> pg_backend_pid()";
                let pids = self.told(sql).await;
                self.stopped = pids.split_whitespace().map(str::to_owned).collect();
                send("STOP", &self.stopped).await;
            }
            F::DatabaseStopped => self.cluster().stop().await,
            F::ReadOnly => {
                self.administer("ALTER SYSTEM SET default_transaction_read_only = on")
                    .await;
                self.administer("SELECT pg_reload_conf()").await;
            }
            F::LoginRefused => {
                self.administer("ALTER DATABASE NAME ALLOW_CONNECTIONS false")
                    .await;
                self.kill_sessions().await;
            }
            F::RowsLocked => self.hold("transfer ORDER BY random() LIMIT 5", fault.lasts),
            F::CounterLocked => self.hold("event_counter", fault.lasts),
        }
    }

    async fn end(&mut self, fault: &Fault) {
        use FaultKind as F;
        self.shim.heal();
        if let Some(disk) = &self.disk {
            disk.make_room();
        }
        if let Some(clock) = &self.clock {
            clock.set(0);
        }
        if let Some(relay) = &mut self.relay {
            relay.heal();
        }
        if fault.kind == F::LogStuck {
            self.read_logs(Reading::On);
        }
        send("CONT", &std::mem::take(&mut self.stopped)).await;
        if let Some(held) = self.held.take() {
            held.await.expect("no panic");
        }
        match fault.kind {
            F::DatabaseStopped => self.cluster().resume().await,
            F::ReadOnly => {
                self.administer("ALTER SYSTEM RESET default_transaction_read_only")
                    .await;
                self.administer("SELECT pg_reload_conf()").await;
            }
            F::LoginRefused => {
                self.administer("ALTER DATABASE NAME ALLOW_CONNECTIONS true")
                    .await;
            }
            _ => {}
        }
    }

    fn small(&self) -> &SmallDisk {
        self.disk.as_ref().expect("a fault of a full disk")
    }

    fn relay(&mut self) -> &mut Relay {
        self.relay.as_mut().expect("a fault of PostgreSQL")
    }

    fn cluster(&self) -> &Cluster {
        self.cluster.as_ref().expect("a fault of PostgreSQL")
    }

    fn read_logs(&self, reading: Reading) {
        for number in 0..self.fleet.len() {
            if self.fleet.is_there(number) {
                self.fleet.server(number).read_log(reading);
            }
        }
    }

    /// Holds the lock of the file as a program does that writes to it.
    fn lock_file(&mut self, lasts: Duration) {
        let path = self.database.path().expect("a fault of SQLite").to_owned();
        let held = tokio::spawn(async move {
            let file = rusqlite::Connection::open(path).expect("it opens");
            file.busy_timeout(Duration::from_secs(10)).expect("a limit");
            file.execute_batch("BEGIN IMMEDIATE").expect("the lock");
            tokio::time::sleep(lasts).await;
            file.execute_batch("ROLLBACK").expect("its end");
        });
        self.held = Some(held);
    }

    /// Holds rows as somebody does who edits them.
    fn hold(&mut self, rows: &str, lasts: Duration) {
        let sql = format!(
            "BEGIN; SELECT 1 FROM {rows} FOR UPDATE; SELECT pg_sleep({}); ROLLBACK",
            lasts.as_secs_f64()
        );
        let database = self.database.clone();
        self.held = Some(tokio::spawn(async move {
            run(&database, &sql).await.expect("the rows can be held");
        }));
    }

    async fn kill_sessions(&self) {
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = $$NAME$$ AND pid <> pg_backend_pid()";
        self.administer(sql).await;
    }

    /// Does something at the cluster; `NAME` is the database.
    async fn administer(&self, sql: &str) {
        let sql = sql.replace("NAME", self.database.name().expect("it is PostgreSQL"));
        let cluster = self.database.at(&self.cluster().url);
        run(&cluster, &sql).await.expect("PostgreSQL does it");
    }

    async fn told(&self, sql: &str) -> String {
        let sql = sql.replace("NAME", self.database.name().expect("it is PostgreSQL"));
        let connection = self.database.at(&self.cluster().url).connect().await;
        let statement = sea_orm::Statement::from_string(sea_orm::DbBackend::Postgres, sql);
        let row = connection
            .query_one_raw(statement)
            .await
            .expect("an answer");
        let text = row.and_then(|row| row.try_get_by_index::<Option<String>>(0).ok());
        connection.close().await.expect("it closes");
        text.flatten().unwrap_or_default()
    }
}

async fn run(database: &Database, sql: &str) -> Result<(), DbErr> {
    let connection = database.connect().await;
    connection.execute_unprepared(sql).await?;
    connection.close().await
}

async fn send(signal: &str, pids: &[String]) {
    if pids.is_empty() {
        return;
    }
    let mut kill = Command::new("kill");
    let sent = kill.arg(format!("-{signal}")).args(pids).status().await;
    // One of them may have ended.
    _ = sent.expect("kill runs");
}
