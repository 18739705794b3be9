//! `tidegate stats`: sums over transfers.

use futures::stream;
use tidegate_client::Client;

use super::{With, resolve};
use crate::args::StatsCommand;
use crate::failure::Failure;
use crate::output::{Output, note};
use crate::view::stats::{COLUMNS, details};

/// Runs one of the commands.
pub(super) async fn run(
    client: &Client,
    command: StatsCommand,
    out: &mut Output,
) -> Result<(), Failure> {
    match command {
        StatsCommand::Connection { connection, span } => {
            let uuid = resolve::connection(client, connection.connection).await?;
            let stats = client
                .stats()
                .connection(uuid)
                .with(span.from, |request, time| request.from(time))
                .with(span.to, |request, time| request.to(time));
            let stats = stats.await?;
            out.details(&stats, |look| details(&stats, look))
        }
        StatsCommand::Table {
            direction,
            connection,
            span,
        } => {
            let connection = resolve::any_connection(client, connection).await?;
            let request = client
                .stats()
                .tables()
                .with(direction, |request, direction| request.direction(direction))
                .with(connection, |request, uuid| request.connection_uuid(uuid))
                .with(span.from, |request, time| request.from(time))
                .with(span.to, |request, time| request.to(time));
            let stats = request.await?;
            let items = stream::iter(stats.items.into_iter().map(Ok));
            out.list(items, 0, COLUMNS, "no completed transfers")
                .await?;
            if stats.more {
                note(
                    "there are more tables; narrow it down with --connection, --direction, --from or --to",
                );
            }
            Ok(())
        }
    }
}
