#![doc = include_str!("../README.md")]

use std::{
    ffi::OsString,
    iter,
    path::Path,
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::Context as _;
use clap::{Command, CommandFactory as _, FromArgMatches as _, builder::Resettable};
use tempfile::TempDir;
use tidegate_client::{Client, ClientBuilder};
use tidegate_server::{
    bootstrap,
    clock::Clock,
    config::{Arguments, Auth, Config, Role, TokenRole},
    serve::{self, Listeners},
};
use tokio::{
    net::TcpListener,
    runtime::{self, Runtime},
    sync::oneshot,
    time::timeout,
};

/// Longer than a server takes to start or to drain.
const PATIENCE: Duration = Duration::from_secs(20);
/// Time for what blocks a thread to end when the server is dropped.
const REST: Duration = Duration::from_secs(2);

/// A server for one test.
#[derive(Debug)]
pub struct TestServer {
    address: String,
    admin_token: Option<String>,
    client: Client,
    running: Option<Running>,
    // Last, so that the server is gone before its ledger.
    _folder: TempDir,
}

/// The thread of a server. It ends when `drain` is used, and at once when `_kill` is dropped.
#[derive(Debug)]
struct Running {
    drain: oneshot::Sender<()>,
    ended: oneshot::Receiver<anyhow::Result<()>>,
    _kill: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

/// What there is to know of a server that listens.
struct Listening {
    address: String,
    admin_token: Option<String>,
}

impl TestServer {
    /// A server that asks nobody who they are.
    ///
    /// # Panics
    /// When it does not come up; says why.
    pub async fn start() -> Self {
        Self::start_with(iter::empty::<OsString>()).await
    }

    /// A server with these flags of `tidegate-server`, such as `["--auth", "required", "--stop-grace", "1s"]`. Where it
    /// listens and what it keeps its ledger in is not theirs to say.
    ///
    /// # Panics
    /// When a flag is wrong or the server does not come up; says why.
    pub async fn start_with<F: Into<OsString>>(flags: impl IntoIterator<Item = F>) -> Self {
        let flags = flags.into_iter().map(F::into).collect();
        let started = Self::try_start(flags).await;
        started.unwrap_or_else(|error| panic!("the server does not come up: {error:#}"))
    }

    async fn try_start(flags: Vec<OsString>) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("no folder for the ledger")?;
        let config = config(folder.path(), flags)?;
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("tidegate-test-server")
            .enable_all()
            .build()?;
        let (listens, listening) = oneshot::channel();
        let (drain, drained) = oneshot::channel();
        let (kill, killed) = oneshot::channel::<()>();
        let (ends, mut ended) = oneshot::channel();
        let database = folder.path().to_owned();
        let thread = thread::spawn(move || {
            let end = run(&runtime, &database, &config, listens, drained, killed);
            runtime.shutdown_timeout(REST);
            _ = ends.send(end);
        });
        let listening = timeout(PATIENCE, listening).await;
        let listening = match listening.context("it did not listen in time")? {
            Ok(listening) => listening,
            Err(_) => return Err(why(&mut ended).await),
        };
        let Listening {
            address,
            admin_token,
        } = listening;
        let connecting = builder(&address, admin_token.as_deref()).connect();
        let client = tokio::select! {
            client = connecting => client?,
            end = &mut ended => {
                end.context("its thread died")??;
                anyhow::bail!("it ended at once");
            }
        };
        Ok(Self {
            address,
            admin_token,
            client,
            running: Some(Running {
                drain,
                ended,
                _kill: kill,
                thread,
            }),
            _folder: folder,
        })
    }

    /// Where it listens, such as `http://127.0.0.1:40123`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A client: an admin, where the server asks who calls. Its connection belongs to the runtime that the server was
    /// started from.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// A client that is set up otherwise, with the token of somebody else for example: without one so far.
    pub fn client_builder(&self) -> ClientBuilder {
        Client::builder(&self.address)
    }

    /// The token of the admin; `None` where the server asks nobody who they are.
    #[must_use]
    pub fn admin_token(&self) -> Option<&str> {
        self.admin_token.as_deref()
    }

    /// Ends the server as SIGTERM does: streams are told, and calls that are under way are answered.
    ///
    /// # Panics
    /// When it fails to end.
    pub async fn stop(mut self) {
        let Some(running) = self.running.take() else {
            return;
        };
        _ = running.drain.send(());
        let ended = timeout(PATIENCE, running.ended).await;
        let ended = ended.map(|end| end.unwrap_or_else(|_| Err(anyhow::anyhow!("it panicked"))));
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => panic!("the server failed: {error:#}"),
            Err(_) => panic!("the server did not end in time"),
        }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if let Some(Running { _kill, thread, .. }) = self.running.take() {
            drop(_kill);
            // It panicked, then, and has said so.
            _ = thread.join();
        }
    }
}

fn builder(address: &str, token: Option<&str>) -> ClientBuilder {
    let builder = Client::builder(address);
    match token {
        Some(token) => builder.token(token),
        None => builder,
    }
}

/// Why a server ended that had not begun to listen.
async fn why(ended: &mut oneshot::Receiver<anyhow::Result<()>>) -> anyhow::Error {
    match timeout(PATIENCE, ended).await {
        Ok(Ok(Err(error))) => error,
        Ok(Ok(Ok(())) | Err(_)) | Err(_) => anyhow::anyhow!("its thread died"),
    }
}

fn run(
    runtime: &Runtime,
    folder: &Path,
    config: &Config,
    listens: oneshot::Sender<Listening>,
    drained: oneshot::Receiver<()>,
    killed: oneshot::Receiver<()>,
) -> anyhow::Result<()> {
    let serving = async {
        let clock = Clock::machine();
        let admin_token = match config.auth() {
            Auth::Required => Some(admin_token(folder, clock.clone()).await?),
            Auth::Off => None,
        };
        let calls = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("http://{}", calls.local_addr()?);
        _ = listens.send(Listening {
            address,
            admin_token,
        });
        let listeners = Listeners {
            calls,
            metrics: None,
        };
        let drained = async { _ = drained.await };
        serve::serve(listeners, config, None, clock, drained).await
    };
    runtime.block_on(async {
        tokio::select! {
            end = serving => end,
            // The sender is never used, only dropped.
            _ = killed => Ok(()),
        }
    })
}

async fn admin_token(folder: &Path, clock: Clock) -> anyhow::Result<String> {
    let words = ["token", "create", "--role", "admin", "--name", "test"];
    let words = words.iter().map(OsString::from).chain(database(folder));
    let Role::Token(TokenRole::Create(wanted)) = role(words)? else {
        anyhow::bail!("a token is created");
    };
    let (_, token) = bootstrap::create_token(&wanted, clock).await?;
    Ok(token.reveal())
}

fn config(folder: &Path, flags: Vec<OsString>) -> anyhow::Result<Box<Config>> {
    let own = ["--drain-delay", "0s"].map(OsString::from);
    match role(own.into_iter().chain(flags).chain(database(folder)))? {
        Role::Serve(config) => Ok(config),
        _ => anyhow::bail!("the flags must be those of a server that serves"),
    }
}

fn database(folder: &Path) -> [OsString; 2] {
    let file = folder.join("tidegate.db");
    let url = format!("sqlite://{}?mode=rwc", file.display());
    ["--database-url".into(), url.into()]
}

/// What the command line means, whatever the variables of this process say.
fn role(words: impl Iterator<Item = OsString>) -> anyhow::Result<Role> {
    let command = without_variables(Arguments::command());
    let words = iter::once(OsString::from("tidegate-server")).chain(words);
    let matches = command.try_get_matches_from(words)?;
    Ok(Arguments::from_arg_matches(&matches)?.into_role())
}

fn without_variables(command: Command) -> Command {
    let command = command.mut_args(|argument| argument.env(Resettable::Reset));
    command.mut_subcommands(without_variables)
}
