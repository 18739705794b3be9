//! A server in a process of its own.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tidegate_client::Client;
use tidegate_proto::v1::{
    event_service_client::EventServiceClient, transfer_service_client::TransferServiceClient,
};
use tokio::process::Child;
use tonic::transport::{Channel, Endpoint};

use super::{Reading, Said, binary, command, listen, signal};
use crate::{Database, soon};

/// How a server is started.
#[derive(Clone, Debug)]
pub struct Launch<'a> {
    /// The program.
    pub program: &'a str,
    /// Where it listens; 0: where the system says.
    pub port: u16,
    /// Its arguments.
    pub arguments: &'a [&'a str],
    /// Its variables.
    pub variables: Vec<(&'a str, String)>,
    /// The file that its log is appended to, instead of a pipe that is read.
    pub log: Option<&'a Path>,
}

impl Default for Launch<'_> {
    fn default() -> Self {
        Self {
            program: "tidegate-server",
            port: 0,
            arguments: &[],
            variables: Vec::new(),
            log: None,
        }
    }
}

/// Where the log of a server goes.
enum Log {
    Pipe(Said),
    File(PathBuf),
}

/// The address that a server says in a file that it serves at, or what it said before it ended.
async fn written(path: &Path, before: usize, child: &mut Child) -> Result<String, String> {
    loop {
        let ended = child.try_wait().is_ok_and(|ended| ended.is_some());
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let since = text.get(before..).unwrap_or_default();
        if let Some(found) = since.lines().find_map(address) {
            return Ok(found);
        }
        if ended {
            return Err(since.to_owned());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A running server process. Killed when dropped.
pub struct ServerProcess {
    /// Where it listens, as `http://127.0.0.1:port`.
    pub address: String,
    child: Child,
    log: Log,
    // Last, so that the process is gone when its database goes.
    database: Database,
}

impl ServerProcess {
    /// Starts the server on `database`, at a port that the system picks or, to come back where clients look for it, at
    /// `port`. It does not delay its drain unless `arguments` say so.
    ///
    /// # Panics
    /// When it does not say that it serves.
    pub async fn start(database: &Database, port: u16, arguments: &[&str]) -> Self {
        Self::start_as("tidegate-server", database, port, arguments, &[]).await
    }

    /// As [`start`](Self::start), with another program and variables of its own.
    ///
    /// # Panics
    /// When it does not say that it serves.
    pub async fn start_as(
        program: &str,
        database: &Database,
        port: u16,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        let variables = variables.iter();
        let variables = variables.map(|(name, value)| (*name, (*value).to_owned()));
        let launch = Launch {
            program,
            port,
            arguments,
            variables: variables.collect(),
            log: None,
        };
        Self::launch(database, launch).await
    }

    /// Starts a server in every detail.
    ///
    /// # Panics
    /// When it does not say that it serves.
    pub async fn launch(database: &Database, launch: Launch<'_>) -> Self {
        // Building it may take longer than its start.
        _ = binary(launch.program);
        let server = soon("the start", Self::try_launch(database, launch)).await;
        server.unwrap_or_else(|said| panic!("the server ended at its start:\n{said}"))
    }

    /// As [`launch`](Self::launch), until it serves.
    ///
    /// # Errors
    /// What it said, when it ends before that.
    ///
    /// # Panics
    /// When it cannot be started.
    pub async fn try_launch(database: &Database, launch: Launch<'_>) -> Result<Self, String> {
        // What an earlier one said.
        let before = launch.log.and_then(|path| std::fs::read(path).ok());
        let before = before.map_or(0, |text| text.len());
        let stderr = launch.log.map_or_else(Stdio::piped, |path| {
            let log = File::options().create(true).append(true).open(path);
            log.expect("a log file can be opened").into()
        });
        let mut child = command(binary(launch.program))
            .args(["--database-url", database.url()])
            .args(["--listen", &format!("127.0.0.1:{}", launch.port)])
            .args(launch.arguments)
            // As variables, so that arguments can say otherwise.
            .env("TIDEGATE_DRAIN_DELAY", "0s")
            .env("TIDEGATE_MAX_CONNECTIONS_PER_ADDRESS", "4096")
            .envs(launch.variables)
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .expect("the server starts");
        let (address, log) = match (launch.log, child.stderr.take()) {
            (Some(path), _) => {
                let address = written(path, before, &mut child).await?;
                (address, Log::File(path.to_owned()))
            }
            (None, stderr) => {
                let (address, said) = listen(stderr.expect("stderr is piped"), address).await?;
                (address, Log::Pipe(said))
            }
        };
        Ok(Self {
            address: format!("http://{address}"),
            child,
            log,
            database: database.clone(),
        })
    }

    /// Starts the server on a database of its own.
    pub async fn fresh() -> Self {
        Self::start(&Database::fresh().await, 0, &[]).await
    }

    /// Where it keeps its ledger.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The port that it listens on.
    ///
    /// # Panics
    /// Never: the address ends with a port.
    pub fn port(&self) -> u16 {
        let port = self
            .address
            .rsplit(':')
            .next()
            .and_then(|port| port.parse().ok());
        port.expect("the address ends with a port")
    }

    /// Host and port, without the scheme.
    pub fn authority(&self) -> &str {
        self.address.trim_start_matches("http://")
    }

    /// The number of its process.
    ///
    /// # Panics
    /// When it has ended.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Sends a signal such as `HUP`.
    pub async fn signal(&self, name: &str) {
        signal(&self.child, name).await;
    }

    /// What it wrote to its log so far.
    pub fn log(&self) -> String {
        match &self.log {
            Log::Pipe(said) => said.so_far(),
            Log::File(path) => {
                let text = std::fs::read(path).unwrap_or_default();
                String::from_utf8_lossy(&text).into_owned()
            }
        }
    }

    /// Waits until its log says `word`, and answers with the first line that does.
    ///
    /// # Panics
    /// When it does not.
    pub async fn logged(&self, word: &str) -> String {
        let wait = async {
            loop {
                if let Some(line) = self.log().lines().find(|line| line.contains(word)) {
                    return line.to_owned();
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        soon(&format!("the log's word {word:?}"), wait).await
    }

    /// Reads its log or no more.
    ///
    /// # Panics
    /// When it is a file.
    pub fn read_log(&self, reading: Reading) {
        match &self.log {
            Log::Pipe(said) => said.set_reading(reading),
            Log::File(path) => panic!("nobody reads {}", path.display()),
        }
    }

    /// The typed client.
    ///
    /// # Panics
    /// When it cannot connect.
    pub async fn client(&self) -> Client {
        Client::connect(self.address.clone())
            .await
            .expect("the server listens")
    }

    /// A bare channel.
    ///
    /// # Panics
    /// When it cannot connect.
    pub async fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(self.address.clone()).expect("a valid address");
        endpoint.connect().await.expect("the server listens")
    }

    /// The generated client of `TransferService`, for requests that the typed one would not send.
    pub async fn raw(&self) -> TransferServiceClient<Channel> {
        TransferServiceClient::new(self.channel().await)
    }

    /// The generated client of `EventService`.
    pub async fn raw_events(&self) -> EventServiceClient<Channel> {
        EventServiceClient::new(self.channel().await)
    }

    /// `kill -9`, and waits until it is gone.
    ///
    /// # Panics
    /// When the process cannot be killed.
    pub async fn kill(mut self) {
        if !self.has_ended() {
            self.child.kill().await.expect("the process can be killed");
        }
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.status().is_some()
    }

    /// How it has ended, if it has.
    pub fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Sends `SIGTERM` and does not wait.
    pub async fn begin_drain(&self) {
        signal(&self.child, "TERM").await;
    }

    /// `SIGTERM`, and waits until it has drained; its exit status and how long it took.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn terminate(self) -> (ExitStatus, Duration) {
        let began = std::time::Instant::now();
        self.begin_drain().await;
        (self.ended().await, began.elapsed())
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn ended(mut self) -> ExitStatus {
        soon("the drain", self.child.wait())
            .await
            .expect("it can be waited for")
    }

    /// Waits until it has ended by itself; its exit status and all that it said.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn last_words(mut self) -> (ExitStatus, String) {
        let status = soon("the end of the server", self.child.wait()).await;
        let status = status.expect("it can be waited for");
        let said = match self.log {
            Log::Pipe(said) => said.whole().await,
            Log::File(path) => std::fs::read_to_string(path).unwrap_or_default(),
        };
        (status, said)
    }
}

/// The address in the line that says the server serves.
pub fn address(line: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(line).ok()?;
    (value.get("message")? == "serving")
        .then(|| value.get("address")?.as_str().map(str::to_owned))?
}
