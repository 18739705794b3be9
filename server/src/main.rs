//! The `tidegate-server` binary: arguments in, exit code out.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use tidegate_server::{
    clock::Clock,
    config::{Arguments, Config, Database, Role},
    store::{Options, Store},
    telemetry,
};
use tokio::net::TcpListener;

#[tokio::main]
pub(crate) async fn main() -> ExitCode {
    let outcome = match Arguments::parse().into_role() {
        Role::Serve(config) => serve(&config).await,
        Role::Migrate(database) => migrate(&database).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line, whatever the causes say.
            let line = format!("{error:#}").replace('\n', " ");
            eprintln!("tidegate-server: {line}");
            ExitCode::FAILURE
        }
    }
}

async fn migrate(database: &Database) -> anyhow::Result<()> {
    let store = Store::open(&database.url, &Options::default()).await?;
    store.close().await;
    Ok(())
}

async fn serve(config: &Config) -> anyhow::Result<()> {
    telemetry::start(&config.log)?;
    let shutdown = tidegate_server::serve::signal().context("signals cannot be received")?;
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    tidegate_server::serve::serve(listener, config, Clock::machine(), shutdown).await
}
