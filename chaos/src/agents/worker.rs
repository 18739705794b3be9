//! One agent: claims a transfer after the other, and writes down what it was told before it goes on.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tidegate_client::{Client, Totals, Transfer};

use super::runs::{Entry, HEARTBEAT, ROWS, What};

/// How long a row takes.
const ROW: Duration = Duration::from_millis(25);
/// How long an agent waits for something to run before it is sure that nothing is left.
const WAIT: Duration = Duration::from_secs(4);

struct Worker {
    client: Client,
    instance: String,
    journal: File,
}

/// Runs transfers until there are none.
///
/// # Errors
/// When the server refuses what it must not, or the journal cannot be written.
pub async fn work(address: &str, instance: &str, journal: &Path) -> anyhow::Result<()> {
    let mut worker = Worker {
        client: Client::builder(address).connect_lazy()?,
        instance: instance.to_owned(),
        journal: OpenOptions::new().create(true).append(true).open(journal)?,
    };
    loop {
        let before = now();
        let claim = worker.client.transfers().claim();
        let claim = claim.agent_instance(instance).heartbeat_timeout(HEARTBEAT);
        let claimed = claim.wait(WAIT).await?;
        let Some(transfer) = claimed.first() else {
            return Ok(());
        };
        let resumed = rows(&transfer.checkpoint);
        worker.note(transfer, What::Claimed, resumed, before)?;
        worker.run(transfer, resumed).await?;
    }
}

impl Worker {
    async fn run(&mut self, transfer: &Transfer, resumed: i64) -> anyhow::Result<()> {
        let reporter = self.client.transfers().report_progress(transfer);
        for row in resumed..ROWS {
            tokio::time::sleep(ROW).await;
            let before = now();
            reporter.report_with_checkpoint(totals(row + 1), (row + 1).to_be_bytes());
            match reporter.flush().await {
                Ok(()) => self.note(transfer, What::Reported, row + 1, before)?,
                // It was taken for dead, such as on a machine that stood still.
                Err(error) if error.is_lease_lost() => {
                    return self.note(transfer, What::Lost, row, before);
                }
                Err(error) => return Err(error.into()),
            }
        }
        let before = now();
        match reporter.finish(totals(ROWS)).await {
            Ok(_) => self.note(transfer, What::Completed, ROWS, before),
            Err(error) if error.is_lease_lost() => self.note(transfer, What::Lost, ROWS, before),
            Err(error) => Err(error.into()),
        }
    }

    /// In one write, so that a kill leaves all of it or nothing.
    fn note(&mut self, run: &Transfer, what: What, rows: i64, before: i64) -> anyhow::Result<()> {
        let entry = Entry {
            instance: self.instance.clone(),
            transfer: run.uuid.to_string(),
            epoch: run.lease_epoch,
            what,
            rows,
            before,
            after: now(),
        };
        self.journal.write_all(format!("{entry}\n").as_bytes())?;
        Ok(())
    }
}

fn rows(checkpoint: &[u8]) -> i64 {
    <[u8; 8]>::try_from(checkpoint).map_or(0, i64::from_be_bytes)
}

const fn totals(rows: i64) -> Totals {
    Totals {
        records_transferred: rows,
        records_created: rows,
        records_updated: 0,
        records_skipped: 0,
        records_failed: 0,
        bytes_transferred: rows,
    }
}

/// Microseconds since 1970, which all processes of the machine agree on.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    })
}
