//! The `tidegate-server` binary: arguments in, exit code out.

use std::{
    fs::File,
    io::{BufReader, BufWriter, Write as _},
    path::Path,
    process::ExitCode,
};

use anyhow::Context as _;
use mimalloc::MiMalloc;
use tidegate_server::{
    audit, bootstrap, check,
    clock::Clock,
    config::{
        AuditRole, Backup, Config, ConfigRole, CreateToken, Database, Export, Import, LogFormat,
        Role, Settings, StatsRole, TokenRole, Verify,
    },
    ready,
    serve::{self, Listeners},
    supervisor::Fatal,
    telemetry,
};
use tidegate_store::{Migrate, NewFile, Snapshot, Store};
use tokio::runtime::Runtime;

/// A third of the processor time of a busy server went into the allocator of the C library.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// The exit code of a role that failed.
const FAILED: u8 = 1;
/// The exit code of an audit or a check that could not be done: it says nothing about what is stored.
const UNKNOWN: u8 = 2;
/// Sums that a check shows at most.
const SHOWN: u32 = 100;
/// What a migration says of its progress.
const PROGRESS: &str = "info,sea_orm_migration=warn";

pub(crate) fn main() -> ExitCode {
    let read = Settings::read(std::env::args_os().collect());
    let (role, settings) = read.unwrap_or_else(|refused| refused.exit());
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            telemetry::say(&format!("no threads can be started: {error}"));
            return ExitCode::from(FAILED);
        }
    };
    let code = runtime.block_on(run(role, settings));
    // Whatever still waits for a disk or a peer must not hold up the end.
    runtime.shutdown_background();
    code
}

async fn run(role: Role, settings: Settings) -> ExitCode {
    let failed = if matches!(role, Role::Audit(_) | Role::Stats(StatsRole::Check(_))) {
        UNKNOWN
    } else {
        FAILED
    };
    let serves = matches!(role, Role::Serve(_));
    let outcome = match role {
        Role::Serve(config) => run_server(&config, settings)
            .await
            .map(|()| ExitCode::SUCCESS),
        Role::Backup(what) => backup(&what).await.map(|()| ExitCode::SUCCESS),
        Role::Export(what) => export(&what).await.map(|()| ExitCode::SUCCESS),
        Role::Import(what) => import(&what).await.map(|()| ExitCode::SUCCESS),
        Role::Config(ConfigRole::Check(config)) => check_settings(&config, &settings).await,
        Role::Config(ConfigRole::Print(_)) => {
            print(settings.to_toml().trim_end()).map(|()| ExitCode::SUCCESS)
        }
        Role::Migrate(database) => migrate(&database).await.map(|()| ExitCode::SUCCESS),
        Role::Audit(AuditRole::Verify(what)) => verify(&what).await,
        Role::Stats(StatsRole::Check(database)) => check_sums(&database).await,
        Role::Stats(StatsRole::Rebuild(database)) => {
            rebuild_sums(&database).await.map(|()| ExitCode::SUCCESS)
        }
        Role::Ready(whom) => ready::ask(whom.metrics_listen)
            .await
            .map(|()| ExitCode::SUCCESS),
        Role::Token(TokenRole::Create(wanted)) => {
            create_token(&wanted).await.map(|()| ExitCode::SUCCESS)
        }
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            let fatal = error.downcast_ref::<Fatal>();
            // A server has logged it already.
            if !(serves && fatal.is_some()) {
                telemetry::say(&format!("{error:#}"));
            }
            ExitCode::from(fatal.map_or(failed, Fatal::code))
        }
    }
}

async fn migrate(database: &Database) -> anyhow::Result<()> {
    let _log = telemetry::start(PROGRESS, LogFormat::Auto)?;
    let store = Store::open(&database.url, &database.options(Migrate::Auto)).await?;
    store.close().await;
    Ok(())
}

async fn backup(what: &Backup) -> anyhow::Result<()> {
    tidegate_store::backup(&what.database.url, &what.file).await?;
    print(&format!(
        "the ledger was copied into {}",
        what.file.display()
    ))
}

async fn export(what: &Export) -> anyhow::Result<()> {
    let database = &what.database;
    let options = database.options(Migrate::Check);
    let exported = match &what.output {
        None => {
            let mut stdout = BufWriter::new(std::io::stdout().lock());
            tidegate_store::export(&database.url, &options, &mut stdout).await?
        }
        Some(path) => {
            let file = NewFile::create(path);
            let failed = || format!("the export {} cannot be written", path.display());
            let mut out = BufWriter::new(file.with_context(failed)?);
            let exported = tidegate_store::export(&database.url, &options, &mut out).await?;
            out.into_inner()?.keep().with_context(failed)?;
            exported
        }
    };
    telemetry::say(&format!("exported {exported}"));
    Ok(())
}

async fn import(what: &Import) -> anyhow::Result<()> {
    let database = &what.database;
    let options = database.options(Migrate::Check);
    let imported = if what.file == Path::new("-") {
        tidegate_store::import(&database.url, &options, std::io::stdin().lock()).await?
    } else {
        let file = File::open(&what.file);
        let file = file.with_context(|| format!("{} cannot be read", what.file.display()))?;
        tidegate_store::import(&database.url, &options, BufReader::new(file)).await?
    };
    print(&format!("imported {imported}"))
}

async fn verify(what: &Verify) -> anyhow::Result<ExitCode> {
    let (lines, code) = match audit::report(what).await? {
        Ok(lines) => (lines, ExitCode::SUCCESS),
        Err(line) => (vec![line], ExitCode::FAILURE),
    };
    lines.iter().try_for_each(|line| print(line))?;
    Ok(code)
}

/// Prints the first of what differs.
async fn check_sums(database: &Database) -> anyhow::Result<ExitCode> {
    let options = database.options(Migrate::Check);
    let snapshot = Snapshot::open(&database.url, &options).await?;
    let wrong = snapshot.wrong_sums(SHOWN + 1).await;
    let wrong = wrong.context("the ledger cannot be read")?;
    snapshot.close().await?;
    if wrong.is_empty() {
        print("the sums are those of the transfers")?;
        return Ok(ExitCode::SUCCESS);
    }
    let shown = SHOWN as usize;
    for sums in wrong.iter().take(shown) {
        print(&sums.to_string())?;
    }
    if wrong.len() > shown {
        print("there is more that differs; `tidegate-server stats rebuild` makes all sums anew")?;
    }
    Ok(ExitCode::FAILURE)
}

async fn rebuild_sums(database: &Database) -> anyhow::Result<()> {
    let store = Store::open(&database.url, &database.options(Migrate::Check)).await?;
    let made = store.rebuild_sums().await;
    store.close().await;
    let made = made.context("the sums could not be made anew")?;
    print(&format!("made {made} sums anew"))
}

async fn check_settings(config: &Config, settings: &Settings) -> anyhow::Result<ExitCode> {
    for warning in settings.warnings() {
        telemetry::say(&format!("warning: {warning}"));
    }
    let faults = check::faults(config).await;
    for fault in &faults {
        telemetry::say(fault);
    }
    if !faults.is_empty() {
        return Ok(ExitCode::from(FAILED));
    }
    print("a server can start with these settings")?;
    Ok(ExitCode::SUCCESS)
}

fn print(line: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{line}").context("what was found cannot be written")
}

/// Only the token goes to stdout, so that it can be put where it belongs without being seen.
async fn create_token(wanted: &CreateToken) -> anyhow::Result<()> {
    let (credential, token) = bootstrap::create_token(wanted, Clock::machine()).await?;
    telemetry::say(&format!(
        "created credential {} ({}, {:?}), good until {}; its token is shown this once",
        credential.uuid,
        credential.declared.role,
        credential.declared.name,
        credential
            .expires_at()
            .map_or_else(|| "never".to_owned(), |end| end.to_string()),
    ));
    print(&token.reveal())
}

async fn run_server(config: &Config, settings: Settings) -> anyhow::Result<()> {
    let shutdown = serve::signal().context("signals cannot be received")?;
    let _log = telemetry::start(&config.log, config.log_format)?;
    for warning in settings.warnings() {
        tracing::warn!("{warning}");
    }
    config.exposure()?;
    let listeners = Listeners::bind(config).await?;
    let settings = Some(settings);
    serve::serve(listeners, config, settings, Clock::machine(), shutdown).await
}
