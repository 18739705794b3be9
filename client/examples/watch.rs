//! The smallest watcher: shows all transfers and follows them, over any interruption, until it is stopped.
#![expect(clippy::print_stdout, reason = "an example says what it does")]

use futures::TryStreamExt as _;
use tidegate_client::{Client, WatchUpdate};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let client = Client::from_env().await?;
    let watch = client.transfers().watch_all().include_existing(true);
    let mut updates = watch.into_stream();
    while let Some(update) = updates.try_next().await? {
        match update {
            WatchUpdate::Transfer(transfer) => {
                let rows = transfer.progress.records_transferred;
                let (uuid, table) = (transfer.uuid, &transfer.table_name);
                println!("{uuid} {table} is {}, {rows} rows", transfer.status);
            }
            WatchUpdate::Deleted(uuid) => println!("{uuid} was deleted"),
            WatchUpdate::CaughtUp => println!("live from here on"),
            // The database lost changes in a failover: everything is told again.
            WatchUpdate::Restarted => println!("once more from the beginning"),
            _ => {}
        }
    }
    Ok(())
}
