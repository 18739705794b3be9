//! The smallest agent: declares a transfer, waits for its approval, runs it, and says how far it is.
#![expect(clippy::print_stdout, reason = "an example says what it does")]

use std::time::Duration;

use tidegate_client::{Client, Direction, ReporterStop, Totals, TransferStatus};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let client = Client::from_env().await?;
    let declared = client.transfers().create(Direction::Send, "orders");
    let declared = declared.records_requested(3_000).requires_approval(true);
    let uuid = declared.await?.uuid;
    client.approvals().request(uuid).await?;
    println!("{uuid} waits for its approval");
    let decided = client
        .transfers()
        .wait_until(uuid, &[TransferStatus::Approved]);
    let decided = decided.await?;
    anyhow::ensure!(
        decided.status == TransferStatus::Approved,
        "{uuid} is {}",
        decided.status
    );
    let started = client.transfers().start(uuid);
    let started = started.heartbeat_timeout(Duration::from_secs(30)).await?;
    let reporter = client.transfers().report_progress(&started);
    let mut totals = Totals::default();
    for _batch in 0..3 {
        // Here rows are moved.
        totals.records_transferred += 1_000;
        reporter.report(totals);
        match reporter.status() {
            None => {}
            Some(ReporterStop::Requested(stop)) => {
                if let Some(stopped) = reporter.acknowledge_stop(totals).await? {
                    println!("{uuid} is {}: {}", stopped.status, stop.kind);
                    return Ok(());
                }
            }
            Some(stop) => anyhow::bail!("{uuid} has to stop: {stop}"),
        }
    }
    let done = reporter.finish(totals).await?;
    println!("{uuid} is {}", done.status);
    Ok(())
}
