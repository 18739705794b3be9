//! One transfer from its declaration to its end: what is told to the ledger, and when. Leaves the rows to the copier.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value};
use tidegate_client::{
    Client, Direction, ProgressReporter, ReporterStop, Transfer, TransferStatus, Worker,
};
use uuid::Uuid;

use crate::args::{Args, Strategy};
use crate::convert::{
    counts_of, file_name, from_conflict_strategy, message_of, to_conflict_strategy, totals_of,
};
use crate::copier::{self, Copier, Overtaken, Plan};
use crate::position::Counts;
use crate::table::Table;
use crate::{complain, say};

/// The ledger fails the transfer when nothing was heard of it for so long.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(30);

/// The transfer came to another end than the one wanted.
#[derive(Debug, thiserror::Error)]
#[error("transfer {uuid} is {status}{}", reason.as_deref().map(|text| format!(": {text}")).unwrap_or_default())]
pub(crate) struct Ended {
    uuid: Uuid,
    /// The status that it stands in now.
    pub(crate) status: TransferStatus,
    reason: Option<String>,
}

impl Ended {
    fn of(transfer: &Transfer) -> Self {
        let reason = match transfer.status {
            TransferStatus::Denied => transfer.denial_reason.clone(),
            TransferStatus::Failed => transfer.error_message.clone(),
            TransferStatus::Cancelled => transfer.cancel_reason.clone(),
            _ if transfer.is_paused() => {
                Some("paused; go on with --transfer once it is resumed".to_owned())
            }
            _ => None,
        };
        Self {
            uuid: transfer.uuid,
            status: transfer.status,
            reason,
        }
    }
}

/// Runs the whole transfer and returns its final totals.
///
/// # Errors
/// [`Ended`] when it was denied, expired, cancelled or failed; any other error in its own words.
pub(crate) async fn run(args: Args) -> Result<Counts> {
    let client = Client::connect(&args.address).await?;
    let transfer = match args.transfer {
        Some(uuid) => client.transfers().get(uuid).await?,
        None => declare(&client, &args).await?,
    };
    say(&format!("transfer {}", transfer.uuid));
    let transfer = when_approved(&client, transfer, args.require_approval).await?;
    match transfer.status {
        TransferStatus::Pending | TransferStatus::Approved => {
            let transfer = client
                .transfers()
                .start(transfer.uuid)
                .heartbeat_timeout(HEARTBEAT_TIMEOUT)
                .await?;
            let reporter = client.transfers().report_progress(&transfer);
            begin(&client, &transfer, reporter, &args).await
        }
        TransferStatus::InProgress => resume(&client, &transfer, &args).await,
        TransferStatus::Completed => {
            // Killed after the last answer and before the position was removed.
            copier::forget_completed(&args.to, transfer.uuid)?;
            Ok(counts_of(transfer.progress))
        }
        _ => Err(Ended::of(&transfer).into()),
    }
}

/// Runs what there is to run, one copy after the other, until it is interrupted. A copy that comes to another end than the
/// one wanted is told of, and the next one is claimed.
///
/// # Errors
/// What keeps it from claiming anything.
pub(crate) async fn work(name: &str, args: &Args) -> Result<()> {
    let client = Client::connect(&args.address).await?;
    let work = client
        .agents()
        .work(name)
        .version(env!("CARGO_PKG_VERSION"))
        .engine("sqlite", rusqlite::version())
        .direction(Direction::Receive)
        .table_names(&args.table)
        .heartbeat_timeout(HEARTBEAT_TIMEOUT);
    let mut worker = work.start();
    loop {
        let run = tokio::select! {
            run = worker.next() => run?,
            interrupted = tokio::signal::ctrl_c() => {
                interrupted?;
                worker.stop();
                worker.next().await?
            }
        };
        let Some(run) = run else {
            return Ok(());
        };
        say(&format!("transfer {}", run.transfer.uuid));
        let copied = tokio::select! {
            copied = begin(&client, &run.transfer, run.reporter, args) => copied,
            never = stopping(&worker) => match never {},
        };
        match copied {
            Ok(counts) => say(&format!("completed: {}", copier::summary(counts))),
            Err(error) => complain(&format!("error: {error:#}")),
        }
    }
}

/// Claims nothing more once it is interrupted, and lets the copy go on.
async fn stopping(worker: &Worker) -> Infallible {
    if tokio::signal::ctrl_c().await.is_ok() {
        worker.stop();
        say("interrupted: this copy is the last one");
    }
    std::future::pending().await
}

/// Declares the transfer. Nothing but the names of the files leaves this machine.
async fn declare(client: &Client, args: &Args) -> Result<Transfer> {
    let name = args
        .table
        .as_deref()
        .context("which table? name it with --table")?;
    let source = copier::open_source(&args.from)?;
    let table = Table::read(&source, name, &args.key)?;
    let rows = table.count_rows(&source)?;
    drop(source);
    let mut metadata = Map::new();
    metadata.insert(
        "source_file".to_owned(),
        Value::String(file_name(&args.from)),
    );
    metadata.insert("target_file".to_owned(), Value::String(file_name(&args.to)));
    let mut request = client
        .transfers()
        .create(Direction::Receive, &table.name)
        .records_requested(rows)
        .conflict_strategy(to_conflict_strategy(
            args.strategy.unwrap_or(Strategy::Skip),
        ))
        .requires_approval(args.require_approval)
        .metadata(metadata);
    if let Some(uuid) = args.initiated_by {
        request = request.initiated_by_uuid(uuid);
    }
    Ok(request.await?)
}

/// Asks for the approval where one is due, and waits until it is given.
async fn when_approved(client: &Client, transfer: Transfer, require: bool) -> Result<Transfer> {
    let transfer = match transfer.status {
        TransferStatus::Pending if require || transfer.requires_approval => {
            client.approvals().request(transfer.uuid).await?
        }
        _ => transfer,
    };
    if transfer.status != TransferStatus::PendingApproval {
        return Ok(transfer);
    }
    say("waiting for the approval");
    let decided = [TransferStatus::Approved, TransferStatus::InProgress];
    let waiting = client.transfers().wait_until(transfer.uuid, &decided);
    let now = waiting.await?;
    match now.status {
        TransferStatus::Approved => say("approved"),
        // Another agent was quicker: going on here would be a second copy beside its own.
        TransferStatus::InProgress => bail!("another agent has started transfer {}", now.uuid),
        _ => {}
    }
    Ok(now)
}

/// Copies from the beginning. The transfer is this agent's now, so whatever goes wrong is also told to the ledger.
async fn begin(
    client: &Client,
    transfer: &Transfer,
    reporter: ProgressReporter,
    args: &Args,
) -> Result<Counts> {
    match open(transfer, args) {
        Ok(copier) => {
            copy(
                client,
                transfer.uuid,
                reporter,
                copier,
                args.pause_per_batch,
            )
            .await
        }
        Err(error) => {
            let answer = client.transfers().fail(transfer, message_of(&error)).await;
            Err(failed(client, transfer.uuid, answer, error).await)
        }
    }
}

/// Goes on where the target stands. What does not fit is more likely a slip in the arguments than the end of the
/// transfer, so it is not failed for that.
async fn resume(client: &Client, transfer: &Transfer, args: &Args) -> Result<Counts> {
    let copier = open(transfer, args)?;
    let position = copier.position();
    position.check_ledger(counts_of(transfer.progress), &transfer.checkpoint)?;
    say(&format!(
        "resuming after {} rows",
        position.counts.transferred
    ));
    let reporter = client.transfers().report_progress(transfer);
    copy(
        client,
        transfer.uuid,
        reporter,
        copier,
        args.pause_per_batch,
    )
    .await
}

/// Opens both files as the transfer says; arguments may repeat what it says but not contradict it.
fn open(transfer: &Transfer, args: &Args) -> Result<Copier> {
    if let Some(table) = &args.table {
        let same = table.eq_ignore_ascii_case(&transfer.table_name);
        ensure!(
            same,
            "the transfer is of the table {}, not {table}",
            transfer.table_name
        );
    }
    let agreed = transfer
        .conflict_strategy
        .map(from_conflict_strategy)
        .transpose()?;
    let strategy = match (agreed, args.strategy) {
        (Some(agreed), Some(given)) if agreed != given => {
            bail!(
                "the transfer says strategy {}, not {}",
                to_conflict_strategy(agreed),
                to_conflict_strategy(given)
            )
        }
        (agreed, given) => agreed.or(given).unwrap_or(Strategy::Skip),
    };
    let source = copier::open_source(&args.from)?;
    let table = Table::read(&source, &transfer.table_name, &args.key)?;
    table.count_rows(&source)?;
    let may_create = transfer.progress.records_transferred == 0;
    let plan = Plan {
        transfer: transfer.uuid,
        strategy,
        batch_size: args.batch_size,
        may_create,
    };
    Copier::open(source, table, &args.to, plan)
}

/// Copies batch by batch and reports each, until all is done or the transfer is taken away.
async fn copy(
    client: &Client,
    uuid: Uuid,
    reporter: ProgressReporter,
    mut copier: Copier,
    pause: Duration,
) -> Result<Counts> {
    let mut told = Instant::now();
    loop {
        report(&reporter, &copier);
        match reporter.status() {
            None => {}
            Some(ReporterStop::Requested(_)) => {
                let totals = totals_of(copier.position().counts);
                if let Some(stopped) = reporter.acknowledge_stop(totals).await? {
                    return Err(Ended::of(&stopped).into());
                }
            }
            Some(stop) => return Err(stopped(client, uuid, stop).await),
        }
        let (back, batch) = tokio::task::spawn_blocking(move || {
            let batch = copier.next_batch();
            (copier, batch)
        })
        .await
        .context("the copying thread broke off")?;
        copier = back;
        let counts = copier.position().counts;
        match batch {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) if error.is::<Overtaken>() => return Err(error),
            Err(error) => {
                let answer = reporter.fail(message_of(&error), totals_of(counts)).await;
                return Err(failed(client, uuid, answer, error).await);
            }
        }
        if told.elapsed() >= Duration::from_secs(1) {
            told = Instant::now();
            say(&format!("copied {} rows", counts.transferred));
        }
        if !pause.is_zero() {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = reporter.stopped() => {}
            }
        }
    }
    finish(client, uuid, reporter, &copier).await
}

fn report(reporter: &ProgressReporter, copier: &Copier) {
    let position = copier.position();
    reporter.report_with_checkpoint(totals_of(position.counts), position.to_checkpoint());
}

async fn finish(
    client: &Client,
    uuid: Uuid,
    reporter: ProgressReporter,
    copier: &Copier,
) -> Result<Counts> {
    let counts = copier.position().counts;
    if let Err(error) = reporter.finish(totals_of(counts)).await {
        if error.is_unavailable() || error.is_timeout() {
            return Err(error).context(format!(
                "all rows are copied; complete it with --transfer {uuid}"
            ));
        }
        return Err(stopped(client, uuid, ReporterStop::Refused(error)).await);
    }
    copier.forget()?;
    if let Some(why) = copier.first_refusal() {
        complain(&format!(
            "the target refused {} rows; the first one: {why}",
            counts.failed
        ));
    }
    Ok(counts)
}

/// Why the copy may not go on, as the ledger has it now.
async fn stopped(client: &Client, uuid: Uuid, stop: ReporterStop) -> anyhow::Error {
    match (client.transfers().get(uuid).await, stop) {
        (Ok(transfer), _) if transfer.status.is_terminal() => Ended::of(&transfer).into(),
        (_, ReporterStop::Left(status)) => Ended {
            uuid,
            status,
            reason: None,
        }
        .into(),
        (_, ReporterStop::Refused(error)) => error.into(),
        (_, other) => anyhow::anyhow!("the transfer cannot go on: {other:?}"),
    }
}

/// What to say once the ledger was told that the copy failed because of `error`.
async fn failed(
    client: &Client,
    uuid: Uuid,
    answer: Result<Transfer, tidegate_client::Error>,
    error: anyhow::Error,
) -> anyhow::Error {
    match answer {
        Ok(transfer) => Ended::of(&transfer).into(),
        Err(refusal) => {
            let end = stopped(client, uuid, ReporterStop::Refused(refusal)).await;
            error.context(format!("{end}; and the copy failed"))
        }
    }
}
