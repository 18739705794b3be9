//! Replicas on one database, all in processes of their own, to be killed and brought back at the same ports.

use std::{
    path::PathBuf,
    process::ExitStatus,
    time::{Duration, Instant},
};

use tidegate_proto::v1;
use tonic::{Code, transport::Endpoint};

use tidegate_tests::{
    Database, SOON, ServerProcess,
    cluster::Cluster,
    database::Kind,
    fault::Variables,
    process::{Launch, binary, command, run},
    raw::{NOBODY, Raw},
    soon,
};

/// The server as it is released.
const SERVER: &str = "tidegate-server";
/// The server that can be told where to end.
pub const WITH_FAILPOINTS: &str = "tidegate-server-failpoints";

/// How the servers of a fleet are started.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The program: a name among those of this build, or a path.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its variables.
    pub variables: Variables,
    /// The file that its log goes to, where nobody reads it.
    pub log: Option<PathBuf>,
}

impl Default for Setup {
    /// The server as it is, with a short sweep interval.
    fn default() -> Self {
        Self {
            program: SERVER.to_owned(),
            arguments: vec!["--sweep-interval".to_owned(), "50ms".to_owned()],
            variables: Vec::new(),
            log: None,
        }
    }
}

impl Setup {
    /// The server that can be told where to end.
    pub fn with_failpoints() -> Self {
        Self {
            program: WITH_FAILPOINTS.to_owned(),
            ..Self::default()
        }
    }

    /// Whether it may end at a failpoint.
    pub fn has_failpoints(&self) -> bool {
        self.program != SERVER
    }

    /// Sets the failpoints that the server may end at, or none.
    pub fn set_failpoints(&mut self, failpoints: Option<&str>) {
        self.variables.retain(|(name, _)| *name != "FAILPOINTS");
        let failpoints = failpoints.map(|failpoints| ("FAILPOINTS", failpoints.to_owned()));
        self.variables.extend(failpoints);
    }
}

/// Replicas and what they stand on.
pub struct Fleet {
    replicas: Vec<Replica>,
    setup: Setup,
    database: Database,
    // Last, so that the servers and their database are gone when it goes.
    cluster: Option<Cluster>,
}

struct Replica {
    port: u16,
    server: Option<ServerProcess>,
}

impl Fleet {
    /// So many replicas on a database of their own: on PostgreSQL one that belongs to this fleet alone.
    ///
    /// # Panics
    /// When they do not come up.
    pub async fn start(kind: Kind, replicas: usize, setup: Setup) -> Self {
        let mut fleet = Self::prepared(kind, replicas, setup).await;
        for number in 0..replicas {
            fleet.restart(number).await;
        }
        fleet
    }

    /// As [`start`](Self::start), with the replicas still to be started.
    ///
    /// # Panics
    /// When the database does not come up.
    pub async fn prepared(kind: Kind, replicas: usize, setup: Setup) -> Self {
        let (database, cluster) = match kind {
            Kind::Sqlite => (Database::new_file(), None),
            Kind::Postgres => {
                let cluster = Cluster::start().await;
                (Database::on(&cluster.url).await, Some(cluster))
            }
        };
        Self {
            cluster,
            ..Self::on(database, replicas, setup)
        }
    }

    /// So many replicas on `database`, all of them still to be started.
    pub fn on(database: Database, replicas: usize, setup: Setup) -> Self {
        let replica = || Replica {
            port: free_port(),
            server: None,
        };
        Self {
            replicas: std::iter::repeat_with(replica).take(replicas).collect(),
            setup,
            database,
            cluster: None,
        }
    }

    /// How the servers are started from now on.
    pub const fn setup(&mut self) -> &mut Setup {
        &mut self.setup
    }

    /// How many replicas there are, dead ones included.
    pub const fn len(&self) -> usize {
        self.replicas.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.replicas.is_empty()
    }

    /// Where the replicas listen when they are there.
    pub fn addresses(&self) -> Vec<String> {
        let ports = self.replicas.iter().map(|replica| replica.port);
        ports
            .map(|port| format!("http://127.0.0.1:{port}"))
            .collect()
    }

    /// What they stand on.
    pub const fn database(&self) -> &Database {
        &self.database
    }

    /// The PostgreSQL that they share, if it is one.
    pub const fn cluster(&self) -> Option<&Cluster> {
        self.cluster.as_ref()
    }

    /// A replica that is there.
    ///
    /// # Panics
    /// When it is not.
    pub fn server(&self, number: usize) -> &ServerProcess {
        let server = self.replicas[number].server.as_ref();
        server.expect("the replica was started")
    }

    /// All services of a replica, connected when they are first used.
    ///
    /// # Panics
    /// Never: the address is one.
    pub fn raw(&self, number: usize) -> Raw {
        let address = format!("http://127.0.0.1:{}", self.replicas[number].port);
        let endpoint = Endpoint::from_shared(address).expect("the address is one");
        Raw::on(endpoint.connect_lazy())
    }

    /// The first replica that was killed and not started.
    ///
    /// # Panics
    /// When there is none.
    pub fn dead(&self) -> usize {
        let mut replicas = self.replicas.iter();
        let dead = replicas.position(|replica| replica.server.is_none());
        dead.expect("a replica was killed")
    }

    /// Restarts the replicas that have ended by themselves; how many they were.
    pub async fn restart_dead(&mut self) -> u64 {
        let mut dead = 0;
        for number in 0..self.len() {
            let server = self.replicas[number].server.as_mut();
            if server.is_none_or(ServerProcess::has_ended) {
                self.restart(number).await;
                dead += 1;
            }
        }
        dead
    }

    /// `kill -9`. True: it had ended by itself already.
    pub async fn kill(&mut self, number: usize) -> bool {
        let Some(mut server) = self.replicas[number].server.take() else {
            return true;
        };
        let was_dead = server.has_ended();
        server.kill().await;
        was_dead
    }

    /// Starts a replica at its port; how long it took until it served.
    ///
    /// # Panics
    /// When it does not.
    pub async fn restart(&mut self, number: usize) -> Duration {
        // Building it may take longer than its start.
        _ = binary(&self.setup.program);
        let mut began = Instant::now();
        let mut started = soon("the start", self.try_restart(number)).await;
        let setup = self.setup.clone();
        if started.is_err() && setup.has_failpoints() {
            // The first sweep may pass its failpoint before the server serves. Any other reason to end is still there.
            self.setup.set_failpoints(None);
            began = Instant::now();
            started = soon("the start", self.try_restart(number)).await;
            self.setup = setup;
        }
        started.unwrap_or_else(|said| panic!("replica {number} ended at its start:\n{said}"));
        began.elapsed()
    }

    /// Starts a replica at its port, until it serves.
    ///
    /// # Errors
    /// What it said, when it ended before that.
    pub async fn try_restart(&mut self, number: usize) -> Result<(), String> {
        let setup = &self.setup;
        let arguments: Vec<&str> = setup.arguments.iter().map(String::as_str).collect();
        let replica = &mut self.replicas[number];
        let launch = Launch {
            program: &setup.program,
            port: replica.port,
            arguments: &arguments,
            variables: setup.variables.clone(),
            log: setup.log.as_deref(),
        };
        replica.server = Some(ServerProcess::try_launch(&self.database, launch).await?);
        Ok(())
    }

    /// Whether a replica was started and not taken away since.
    pub fn is_there(&self, number: usize) -> bool {
        self.replicas[number].server.is_some()
    }

    /// Takes away a replica that has ended by itself; how it did.
    pub fn take_ended(&mut self, number: usize) -> Option<ExitStatus> {
        let server = &mut self.replicas[number].server;
        let status = server.as_mut()?.status()?;
        *server = None;
        Some(status)
    }

    /// SIGTERM, and waits for its end. Whether it ended as it should.
    pub async fn terminate(&mut self, number: usize) -> bool {
        match self.replicas[number].server.take() {
            Some(server) => server.terminate().await.0.success(),
            None => true,
        }
    }

    /// Starts a server that is expected to end before it serves, and gives back its exit code, which an abort has not.
    pub async fn exit_at(&self, failpoints: &str) -> Option<i32> {
        let mut program = command(binary(WITH_FAILPOINTS));
        program
            .args([
                "--database-url",
                self.database.url(),
                "--listen",
                "127.0.0.1:0",
            ])
            .env("FAILPOINTS", failpoints);
        run(&mut program).await.code
    }

    /// Crashes PostgreSQL and starts it again; how long after its return every replica served again, or `None` when one
    /// did not.
    ///
    /// # Panics
    /// When there is none.
    pub async fn crash_database(&mut self) -> Option<Duration> {
        let cluster = self.cluster.as_ref().expect("the fleet is on PostgreSQL");
        cluster.crash().await;
        let began = Instant::now();
        for number in 0..self.len() {
            let mut raw = self.raw(number);
            while !answers(&mut raw).await {
                if began.elapsed() > SOON {
                    return None;
                }
                // One that may end at a failpoint may have done so.
                self.restart_dead().await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Some(began.elapsed())
    }
}

/// Whether a replica can look into its database.
async fn answers(raw: &mut Raw) -> bool {
    let question = v1::GetTransferRequest {
        uuid: NOBODY.to_owned(),
        preload: Vec::new(),
    };
    let answer = raw.transfers.get_transfer(question).await;
    answer.is_err_and(|status| status.code() == Code::NotFound)
}

/// A port that nothing uses, outside of the range that systems give to clients: the server has to get it back.
pub fn free_port() -> u16 {
    let is_free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    std::iter::repeat_with(|| rand::random_range(20_000..30_000))
        .take(100)
        .find(is_free)
        .expect("a free port")
}
