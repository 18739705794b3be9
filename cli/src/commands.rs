//! Connects and hands each command to the module of its noun.

mod agent;
mod approval;
mod away;
mod bulk;
mod connection;
mod credential;
mod event;
mod export;
mod login;
mod paper;
mod profile;
mod resolve;
mod session;
mod several;
mod stats;
mod top;
mod transfer;
mod wait;
mod watch;

use std::time::Duration;

use tidegate_client::{Client, ClientSettings};

use crate::args::{Cli, Command, ConnectArgs};
use crate::failure::Failure;
use crate::output::Output;

/// No server that is there needs longer to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs one command.
///
/// # Errors
/// Whatever keeps it from doing what it was asked for.
pub(crate) async fn run(cli: Cli, out: &mut Output) -> Result<(), Failure> {
    let command = match cli.command {
        Command::Completion { shell } => return paper::completion(shell),
        Command::Man { dir } => return paper::man(&dir),
        Command::Login { server } => return login::login(&cli.connect, server, out).await,
        Command::Logout => return login::logout(&cli.connect, out),
        Command::Profile(command) => return profile::run(&cli.connect, command, out).await,
        command => command,
    };
    let client = connect(&cli.connect).await?;
    match command {
        Command::Transfer(command) => transfer::run(&client, *command, out).await,
        Command::Bulk(command) => bulk::run(&client, command, out).await,
        Command::Approval(command) => approval::run(&client, command, out).await,
        Command::Top { admin } => top::run(&client, admin, out).await,
        Command::Stats(command) => stats::run(&client, command, out).await,
        Command::Event(command) => event::run(&client, command, out).await,
        Command::Connection(command) => connection::run(&client, command, out).await,
        Command::Agent(command) => agent::run(&client, command, out).await,
        Command::Credential(command) => credential::run(&client, command, out).await,
        Command::Session(command) => session::run(&client, command, out).await,
        Command::Whoami => credential::whoami(&client, out).await,
        Command::Completion { .. }
        | Command::Man { .. }
        | Command::Login { .. }
        | Command::Logout
        | Command::Profile(_) => Ok(()),
    }
}

async fn connect(args: &ConnectArgs) -> Result<Client, Failure> {
    connect_to(args, args.settings()).await
}

/// Connects to what the settings mean.
async fn connect_to(args: &ConnectArgs, settings: ClientSettings) -> Result<Client, Failure> {
    let builder = settings.builder().map_err(Failure::unusable)?;
    let builder = builder
        .timeout(args.request_timeout)
        .connect_timeout(args.request_timeout.min(CONNECT_TIMEOUT))
        .user_agent(concat!("tidegate-cli/", env!("CARGO_PKG_VERSION")));
    Ok(builder.connect().await?)
}

/// Sets what was said on the command line and leaves the rest of a request as it is.
trait With: Sized {
    /// Applies `set` when there is a value.
    fn with<V>(self, value: Option<V>, set: impl FnOnce(Self, V) -> Self) -> Self {
        match value {
            Some(value) => set(self, value),
            None => self,
        }
    }
}

impl<T> With for T {}
