//! `tidegate transfer watch`: one transfer to its end, or all of them until interrupted.

use std::time::{Duration, Instant};

use futures::StreamExt;
use serde_json::json;
use tidegate_client::{Client, Transfer, TransferStatus, WatchUpdate};
use tokio::time::sleep_until;
use uuid::Uuid;

use super::resolve;
use crate::args::WatchArgs;
use crate::failure::Failure;
use crate::output::{Look, Output};
use crate::progress::{Bar, Rate, line};

/// Lines for people come at most so often.
const LINE_INTERVAL: Duration = Duration::from_secs(1);

const RESTARTED: &str = "what was shown may not have happened: the ledger went back or has another past; all that \
     exists follows";

/// How the changes of one transfer are shown.
enum Shown {
    /// Each.
    All,
    /// A bar that is drawn anew, and a line at the end.
    Bar(Bar),
    /// A line at most every second, and one at the end.
    Lines,
}

impl Shown {
    fn new(out: &Output) -> Self {
        if out.is_for_programs() {
            Self::All
        } else if out.can_draw() {
            Self::Bar(Bar::new())
        } else {
            Self::Lines
        }
    }

    /// A bar limits itself, and programs want every change.
    fn interval(&self) -> Duration {
        if matches!(self, Self::Lines) {
            LINE_INTERVAL
        } else {
            Duration::ZERO
        }
    }

    fn show(&self, transfer: &Transfer, rate: &Rate, out: &mut Output) -> Result<(), Failure> {
        if let Self::Bar(bar) = self {
            if !transfer.status.is_terminal() {
                bar.show(transfer, rate);
                return Ok(());
            }
            bar.clear();
        }
        let status = transfer.status.to_string();
        out.news(transfer, |look| line(transfer, rate, look), &status)
    }
}

/// Follows one transfer to its end.
///
/// # Errors
/// [`Failure::Ended`] when that is another than COMPLETED.
pub(super) async fn one(client: &Client, uuid: Uuid, out: &mut Output) -> Result<(), Failure> {
    let mut watch = client.watch(uuid);
    let shown = Shown::new(out);
    let mut rate = Rate::default();
    let mut due = Instant::now();
    let mut pending: Option<Transfer> = None;
    loop {
        tokio::select! {
            change = watch.next() => {
                let transfer = change.ok_or(Failure::WatchEnded)??;
                if transfer.status == TransferStatus::InProgress {
                    rate.push(Instant::now(), transfer.progress.records_transferred);
                }
                if transfer.status.is_terminal() {
                    shown.show(&transfer, &rate, out)?;
                    return ended(transfer.status);
                }
                pending = Some(transfer);
            }
            () = sleep_until(due.into()), if pending.is_some() => {}
        }
        if due <= Instant::now()
            && let Some(transfer) = pending.take()
        {
            shown.show(&transfer, &rate, out)?;
            due = Instant::now() + shown.interval();
        }
    }
}

fn ended(status: TransferStatus) -> Result<(), Failure> {
    if status == TransferStatus::Completed {
        Ok(())
    } else {
        Err(Failure::Ended(status))
    }
}

/// Follows all transfers that the filter means, until interrupted.
///
/// # Errors
/// Always, in the end.
pub(super) async fn all(client: &Client, args: WatchArgs, out: &mut Output) -> Result<(), Failure> {
    let request = client
        .watch_transfers()
        .filter(resolve::filter(client, args.filter).await?)
        .include_existing(args.include_existing);
    let mut watch = request.into_stream();
    while let Some(update) = watch.next().await {
        match update? {
            WatchUpdate::Transfer(transfer) => {
                let status = transfer.status.to_string();
                let words = |look: &Look| {
                    let id = look.id(transfer.uuid);
                    format!("{id}  {}", line(&transfer, &Rate::default(), look))
                };
                out.news(&transfer, words, &status)?;
            }
            WatchUpdate::Deleted(uuid) => {
                let deleted = json!({ "deletedUuid": uuid });
                out.news(
                    &deleted,
                    |look| format!("{}  deleted", look.id(uuid)),
                    "deleted",
                )?;
            }
            WatchUpdate::Restarted => {
                let words = |_: &Look| RESTARTED.to_owned();
                out.news(
                    &json!({ "restarted": true }),
                    words,
                    "may not have happened",
                )?;
            }
            _ => {}
        }
    }
    Err(Failure::WatchEnded)
}
