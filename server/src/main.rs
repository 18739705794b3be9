//! The `tidegate-server` binary: arguments in, exit code out.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use tidegate_server::{
    clock::Clock,
    config::{Arguments, Config},
    serve, telemetry,
};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> ExitCode {
    let config = Arguments::parse().into_config();
    match run(&config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line, whatever the causes say.
            let line = format!("{error:#}").replace('\n', " ");
            eprintln!("tidegate-server: {line}");
            ExitCode::FAILURE
        }
    }
}

async fn run(config: &Config) -> anyhow::Result<()> {
    telemetry::start(&config.log)?;
    let shutdown = serve::signal().context("signals cannot be received")?;
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    serve::serve(listener, config, Clock::machine(), shutdown).await
}
