//! Processes of their own: servers to be killed, and other programs that are run to their end.

use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tidegate_client::Client;
use tidegate_proto::v1::{
    event_service_client::EventServiceClient, transfer_service_client::TransferServiceClient,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::{Child, Command},
    sync::{oneshot, watch},
    task::JoinHandle,
};
use tonic::transport::{Channel, Endpoint};

use crate::{Database, soon};

/// Longest run of a program that does real work.
const LONG: Duration = Duration::from_secs(90);

/// Variables that programs of ours read; a test must not depend on what its caller has set.
const VARIABLES: [&str; 25] = [
    "TIDEGATE_ADDRESS",
    "TIDEGATE_TOKEN",
    "TIDEGATE_TOKEN_FILE",
    "TIDEGATE_CA",
    "TIDEGATE_CERT",
    "TIDEGATE_KEY",
    "TIDEGATE_OUTPUT",
    "TIDEGATE_LISTEN",
    "TIDEGATE_TLS_CERT",
    "TIDEGATE_TLS_KEY",
    "TIDEGATE_TLS_CLIENT_CA",
    "TIDEGATE_AUTH",
    "TIDEGATE_INSECURE",
    "TIDEGATE_DATABASE_URL",
    "TIDEGATE_SWEEP_INTERVAL",
    "TIDEGATE_EVENT_RETENTION",
    "TIDEGATE_MAX_CONNECTIONS",
    "TIDEGATE_MAX_CONNECTIONS_PER_ADDRESS",
    "TIDEGATE_MAX_CONNECTION_AGE",
    "TIDEGATE_MAX_STREAMS",
    "TIDEGATE_REQUESTS_PER_MINUTE",
    "TIDEGATE_TOKEN_PEPPER_FILE",
    "TIDEGATE_DRAIN_DELAY",
    "TIDEGATE_LOG",
    "RUST_LOG",
];

/// The folder that the programs of this build are in.
///
/// # Panics
/// When the running program does not know where it is.
pub fn folder() -> PathBuf {
    let program = std::env::current_exe().expect("a program knows its own path");
    let folder = program.parent().expect("it is in a folder");
    // Tests are one level below the other programs.
    match folder.parent() {
        Some(profile) if folder.ends_with("deps") => profile.to_owned(),
        _ => folder.to_owned(),
    }
}

/// The binary `name` beside the running test; an example is `examples/name`.
///
/// # Panics
/// When it was not built.
pub fn binary(name: &str) -> PathBuf {
    let path = folder().join(name);
    assert!(
        path.exists(),
        "{} is missing: run the tests with scripts/test",
        path.display()
    );
    path
}

/// A command that reads nothing, keeps what it writes, ends with its handle and knows no setting of ours.
pub fn command(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new(program.as_ref());
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    for variable in VARIABLES {
        command.env_remove(variable);
    }
    command
}

/// What a program left when it ended.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
}

/// Runs a program to its end, but not for ever.
///
/// # Panics
/// When it does not start or does not end.
pub async fn run(command: &mut Command) -> Finished {
    let child = command.spawn().expect("the program starts");
    finish(child).await
}

/// Waits for the end of a program that was started with [`command`].
///
/// # Panics
/// When it does not end.
pub async fn finish(child: Child) -> Finished {
    let output = tokio::time::timeout(LONG, child.wait_with_output()).await;
    let output = output
        .expect("the program ends in time")
        .expect("it can be read");
    Finished {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Sends a signal such as `TERM` to a program that was started here.
///
/// # Panics
/// When it has ended already.
pub async fn signal(child: &Child, name: &str) {
    let pid = child.id().expect("it runs").to_string();
    let sent = Command::new("kill")
        .args([&format!("-{name}"), &pid])
        .status()
        .await;
    assert!(sent.expect("kill runs").success(), "kill -{name} {pid}");
}

/// What a program says, line by line, while it runs.
#[derive(Debug)]
pub struct Said {
    words: Arc<Mutex<String>>,
    attention: watch::Sender<Attention>,
    reader: JoinHandle<()>,
}

/// How one listens to a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attention {
    /// Everything is read.
    Listening,
    /// Nothing is read; the program's pipe fills up.
    Paused,
    /// Nobody will ever read; the pipe is broken.
    Gone,
}

impl Said {
    /// Listens so from now on.
    pub fn attend(&self, attention: Attention) {
        self.attention.send_replace(attention);
    }

    /// What it said so far.
    pub fn so_far(&self) -> String {
        self.words
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// All that it said, once it has ended.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn whole(mut self) -> String {
        soon("the program's last word", &mut self.reader)
            .await
            .expect("lines are read to their end");
        self.so_far()
    }
}

/// Reads lines until one of them `means` something, and keeps reading afterwards, so that the writer never waits.
///
/// # Panics
/// When the program ends before, or says no such thing for a long time.
pub async fn heard<T: Send + 'static>(
    what: &str,
    from: impl AsyncRead + Unpin + Send + 'static,
    means: impl Fn(&str) -> Option<T> + Send + 'static,
) -> (T, Said) {
    let words = Arc::<Mutex<String>>::default();
    let (tell, told) = oneshot::channel();
    let (attention, attends) = watch::channel(Attention::Listening);
    let reader = read(from, Arc::clone(&words), means, tell, attends);
    let said = Said {
        words,
        attention,
        reader: tokio::spawn(reader),
    };
    match soon(what, told).await {
        Ok(found) => (found, said),
        Err(_) => panic!("the program ended without {what}:\n{}", said.so_far()),
    }
}

async fn read<T>(
    from: impl AsyncRead + Unpin,
    words: Arc<Mutex<String>>,
    means: impl Fn(&str) -> Option<T>,
    tell: oneshot::Sender<T>,
    mut attends: watch::Receiver<Attention>,
) {
    let mut tell = Some(tell);
    let mut lines = BufReader::new(from).lines();
    loop {
        let attention = *attends.borrow_and_update();
        let line = tokio::select! {
            biased;
            Ok(()) = attends.changed() => continue,
            line = lines.next_line(), if attention == Attention::Listening => line,
            () = std::future::ready(()), if attention == Attention::Gone => return,
        };
        let Ok(Some(line)) = line else {
            return;
        };
        {
            let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
            words.push_str(&line);
            words.push('\n');
        }
        if tell.is_some()
            && let Some(found) = means(&line)
        {
            _ = tell.take().map(|tell| tell.send(found));
        }
    }
}

/// A running server process. Killed when dropped.
pub struct ServerProcess {
    /// Where it listens, as `http://127.0.0.1:port`.
    pub address: String,
    child: Child,
    said: Said,
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
        let mut child = command(binary(program))
            .args(["--database-url", database.url()])
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .args(arguments)
            // As variables, so that arguments can say otherwise.
            .env("TIDEGATE_DRAIN_DELAY", "0s")
            .env("TIDEGATE_MAX_CONNECTIONS_PER_ADDRESS", "4096")
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .spawn()
            .expect("the server starts");
        let stderr = child.stderr.take().expect("stderr is piped");
        let (address, said) = heard("the server's word that it serves", stderr, address).await;
        Self {
            address: format!("http://{address}"),
            child,
            said,
            database: database.clone(),
        }
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
        self.said.so_far()
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

    /// Listens to its log so from now on.
    pub fn attend(&self, attention: Attention) {
        self.said.attend(attention);
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
        matches!(self.child.try_wait(), Ok(Some(_)))
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
        (status, self.said.whole().await)
    }
}

/// The address in the line that says the server serves.
pub fn address(line: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(line).ok()?;
    (value.get("message")? == "serving")
        .then(|| value.get("address")?.as_str().map(str::to_owned))?
}
