//! What is measured: a server in a process of its own with a database of its own, and an echo server beside it.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tempfile::TempDir;
use tidegate_tests::{
    Database, ServerProcess,
    cluster::{Cluster, How},
    process::{Launch, Said, command, heard, run},
};
use tokio::process::Child;

use crate::{
    echo,
    machine::{self, Cpu, Watched},
    watchers::Findings,
};

/// What the ledger is kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

/// A server under measurement.
pub(crate) struct Subject {
    pub(crate) kind: Kind,
    pub(crate) server: ServerProcess,
    pub(crate) echo: Echo,
    pub(crate) cluster: Option<Cluster>,
    /// Of the last run with watchers.
    pub(crate) watching: Findings,
    binary: PathBuf,
    folder: TempDir,
}

impl Subject {
    /// Starts everything.
    pub(crate) async fn start(kind: Kind, binary: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let (database, cluster) = match kind {
            Kind::Sqlite => (Database::new_file(), None),
            Kind::Postgres => {
                let how = How {
                    settings: vec!["shared_buffers = 256MB".to_owned()],
                    ..How::default()
                };
                let cluster = Cluster::start_with(how).await;
                (Database::on(&cluster.url).await, Some(cluster))
            }
        };
        let log = folder.path().join("server.log");
        let server = serve(binary, &database, Some(&log), &[]).await?;
        Ok(Self {
            kind,
            server,
            echo: Echo::start().await?,
            cluster,
            watching: Findings::default(),
            binary: binary.to_owned(),
            folder,
        })
    }

    pub(crate) fn address(&self) -> &str {
        &self.server.address
    }

    /// What to look at while the server works.
    pub(crate) fn watched(&self) -> Watched {
        self.watched_at(&[&self.server])
    }

    /// What to look at while these servers work.
    pub(crate) fn watched_at(&self, servers: &[&ServerProcess]) -> Watched {
        Watched {
            servers: servers.iter().map(|server| server.pid()).collect(),
            postgres: self.postmaster(),
        }
    }

    /// What to look at while the echo works.
    pub(crate) fn watched_echo(&self) -> Watched {
        Watched {
            servers: vec![self.echo.pid()],
            postgres: None,
        }
    }

    /// What to look at while the database alone works.
    pub(crate) fn watched_database(&self) -> Watched {
        Watched {
            servers: Vec::new(),
            postgres: self.postmaster(),
        }
    }

    fn postmaster(&self) -> Option<u32> {
        machine::postmaster(self.cluster.as_ref()?.folder())
    }

    /// The folder that pgbench is in: that of the server which runs.
    pub(crate) fn postgres_programs(&self) -> anyhow::Result<PathBuf> {
        let pid = self.postmaster().context("PostgreSQL does not run")?;
        let program = std::fs::read_link(format!("/proc/{pid}/exe"))?;
        let folder = program.parent().context("a program is in a folder")?;
        Ok(folder.to_owned())
    }

    /// A place for files of this run.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A database of the same kind that nobody has used.
    pub(crate) async fn database(&self) -> Database {
        match &self.cluster {
            None => Database::new_file(),
            Some(cluster) => Database::on(&cluster.url).await,
        }
    }

    /// Has the schema made in a database that nobody has used.
    pub(crate) async fn prepare(&self, database: &Database) -> anyhow::Result<()> {
        self.serve(database, &[]).await?.terminate().await;
        Ok(())
    }

    /// One more server, on `database`.
    pub(crate) async fn serve(
        &self,
        database: &Database,
        arguments: &[&str],
    ) -> anyhow::Result<ServerProcess> {
        serve(&self.binary, database, None, arguments).await
    }

    /// The token of the first admin, made where no server is yet.
    pub(crate) async fn first_token(&self, database: &Database) -> anyhow::Result<String> {
        let arguments = [
            "token",
            "create",
            "--role",
            "admin",
            "--name",
            "bench",
            "--database-url",
            database.url(),
        ];
        let printed = output(&self.binary, &arguments).await?;
        Ok(printed.trim_end().to_owned())
    }

    /// Has the server's program do something to a database that no server has open, however long that takes.
    pub(crate) async fn maintain(&self, database: &Database, words: &[&str]) -> anyhow::Result<()> {
        let mut program = command(&self.binary);
        program.args(words).args(["--database-url", database.url()]);
        let ended = program.spawn()?.wait_with_output().await?;
        anyhow::ensure!(
            ended.status.success(),
            "{words:?} failed:\n{}",
            String::from_utf8_lossy(&ended.stderr)
        );
        Ok(())
    }

    /// The time from the start of a process to its word that it serves, with a database that has its schema, and its memory
    /// then, in MiB.
    pub(crate) async fn start_another(&self) -> anyhow::Result<(Duration, f64)> {
        let database = self.database().await;
        self.prepare(&database).await?;
        let began = Instant::now();
        let again = self.serve(&database, &[]).await?;
        let taken = began.elapsed();
        let memory = machine::memory_now(again.pid());
        again.terminate().await;
        Ok((taken, memory))
    }

    /// The memory of the server, in MiB.
    pub(crate) fn memory(&self) -> f64 {
        machine::memory_now(self.server.pid())
    }

    /// Processor time of an idle server with its database, as a share of one processor.
    pub(crate) async fn idle(&self, time: Duration) -> f64 {
        let watched = self.watched();
        let before = Cpu::now(&watched);
        tokio::time::sleep(time).await;
        let spent = Cpu::now(&watched).since(before);
        (spent.server + spent.database) / time.as_secs_f64()
    }
}

/// The log goes to a file: lines in a pipe would cost the generator as well.
async fn serve(
    binary: &Path,
    database: &Database,
    log: Option<&Path>,
    arguments: &[&str],
) -> anyhow::Result<ServerProcess> {
    let program = binary.to_str().context("a path in Unicode")?;
    let launch = Launch {
        program,
        arguments,
        log,
        // Rows that a line is prepared with may wait for their turn.
        variables: vec![("TIDEGATE_HEARTBEAT_TIMEOUT", "1d".to_owned())],
        ..Launch::default()
    };
    let started = ServerProcess::try_launch(database, launch).await;
    started.map_err(|said| anyhow::anyhow!("the server ended at its start:\n{said}"))
}

/// An echo server.
pub(crate) struct Echo {
    pub(crate) address: String,
    child: Child,
    _said: Said,
}

impl Echo {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let mut echo = command(std::env::current_exe()?);
        let mut child = echo.arg("--echo").stdout(Stdio::null()).spawn()?;
        let stderr = child.stderr.take().context("stderr is piped")?;
        let (address, said) = heard("the echo", stderr, echo::address).await;
        Ok(Self {
            address,
            child,
            _said: said,
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }
}

/// Builds the server as its users do, and answers where it is.
pub(crate) async fn build() -> anyhow::Result<PathBuf> {
    let folder = tidegate_tests::process::folder();
    let release = folder.ends_with("release");
    let target = folder
        .parent()
        .context("a profile's folder is in another")?;
    let mut cargo = command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args([
            "build",
            "--quiet",
            "-p",
            "tidegate-server",
            "--bin",
            "tidegate-server",
        ])
        .args(release.then_some("--release"))
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .env("CARGO_TARGET_DIR", target);
    let child = cargo.spawn().context("cargo runs")?;
    let built = child.wait_with_output().await?;
    anyhow::ensure!(
        built.status.success(),
        "the server does not build:\n{}",
        String::from_utf8_lossy(&built.stderr)
    );
    Ok(folder.join("tidegate-server"))
}

/// Runs a program of PostgreSQL's and answers what it wrote.
pub(crate) async fn output(program: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let finished = run(command(program).args(arguments)).await;
    anyhow::ensure!(
        finished.code == Some(0),
        "{} failed:\n{}",
        program.display(),
        finished.stderr
    );
    Ok(finished.stdout)
}
