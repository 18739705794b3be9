//! The `tidegate-server` binary: arguments in, exit code out.

use std::{io::Write as _, process::ExitCode};

use anyhow::Context as _;
use clap::Parser as _;
use tidegate_server::{
    audit, bootstrap,
    clock::Clock,
    config::{Arguments, AuditRole, Config, CreateToken, Database, Role, TokenRole, Verify},
    store::{Migrate, Store},
    telemetry,
};
use tokio::net::TcpListener;

#[tokio::main]
pub(crate) async fn main() -> ExitCode {
    let role = Arguments::parse().into_role();
    // An audit that cannot be done says nothing about the log.
    let failure = ExitCode::from(if matches!(role, Role::Audit(_)) { 2 } else { 1 });
    let outcome = match role {
        Role::Serve(config) => serve(&config).await.map(|()| ExitCode::SUCCESS),
        Role::Migrate(database) => migrate(&database).await.map(|()| ExitCode::SUCCESS),
        Role::Audit(AuditRole::Verify(what)) => verify(&what).await,
        Role::Token(TokenRole::Create(wanted)) => {
            create_token(&wanted).await.map(|()| ExitCode::SUCCESS)
        }
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            // One line, whatever the causes say.
            let line = format!("{error:#}").replace('\n', " ");
            eprintln!("tidegate-server: {line}");
            failure
        }
    }
}

async fn migrate(database: &Database) -> anyhow::Result<()> {
    let store = Store::open(&database.url, &database.options(Migrate::Auto)).await?;
    store.close().await;
    Ok(())
}

async fn verify(what: &Verify) -> anyhow::Result<ExitCode> {
    let verdict = audit::verify(&what.database, what.expect).await?;
    let (line, code) = match verdict {
        Ok(summary) => (summary.to_string(), ExitCode::SUCCESS),
        Err(fault) => (fault.to_string(), ExitCode::FAILURE),
    };
    writeln!(std::io::stdout(), "{line}").context("the verdict cannot be written")?;
    Ok(code)
}

/// Only the token goes to stdout, so that it can be put where it belongs without being seen.
async fn create_token(wanted: &CreateToken) -> anyhow::Result<()> {
    let (credential, token) = bootstrap::create_token(wanted, Clock::machine()).await?;
    eprintln!(
        "tidegate-server: created credential {} ({}, {:?}), good until {}; its token is shown this once",
        credential.uuid,
        credential.declared.role,
        credential.declared.name,
        credential
            .expires_at()
            .map_or_else(|| "never".to_owned(), |end| end.to_string()),
    );
    writeln!(std::io::stdout(), "{}", token.reveal()).context("the token cannot be written")
}

async fn serve(config: &Config) -> anyhow::Result<()> {
    telemetry::start(&config.log)?;
    let shutdown = tidegate_server::serve::signal().context("signals cannot be received")?;
    config.exposure()?;
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    tidegate_server::serve::serve(listener, config, Clock::machine(), shutdown).await
}
