//! `tidegate event`: the log.

use futures::StreamExt;
use tidegate_client::{Client, EventsWatch, LogPosition};

use super::{With, resolve};
use crate::args::EventCommand;
use crate::failure::Failure;
use crate::output::Output;
use crate::view::event::{COLUMNS, line};

/// Events that an export asks for at once: as many as the server gives.
const EXPORT_PAGE: u32 = 1_000;

/// Runs one of the commands.
pub(super) async fn run(
    client: &Client,
    command: EventCommand,
    out: &mut Output,
) -> Result<(), Failure> {
    match command {
        EventCommand::List {
            transfer,
            connection,
            after,
            limit,
        } => {
            let transfer = resolve::any_transfer(client, transfer).await?;
            let connection = resolve::any_connection(client, connection).await?;
            let request = client
                .list_events()
                .after(after)
                .page_size(limit.page_size())
                .with(transfer, |request, uuid| request.transfer_uuid(uuid))
                .with(connection, |request, uuid| request.connection_uuid(uuid));
            out.list(request.items(), limit.count(), COLUMNS, "no events")
                .await
        }
        EventCommand::Watch {
            transfer,
            connection,
            after,
        } => {
            let transfer = resolve::any_transfer(client, transfer).await?;
            let connection = resolve::any_connection(client, connection).await?;
            let request = client
                .watch_events()
                .after(after)
                .with(transfer, |request, uuid| request.transfer_uuid(uuid))
                .with(connection, |request, uuid| request.connection_uuid(uuid));
            follow(request.into_stream(), out).await
        }
        EventCommand::Export { after, follow } => export(client, after, follow, out).await,
    }
}

/// Every event on a line of JSON, up to the end of the log or, to follow it, until interrupted or refused.
async fn export(
    client: &Client,
    after: LogPosition,
    follow: bool,
    out: &mut Output,
) -> Result<(), Failure> {
    if follow {
        let mut events = client.watch_events().after(after).into_stream();
        while let Some(event) = events.next().await {
            out.json_line(&event?)?;
        }
        return Err(Failure::WatchEnded);
    }
    let request = client.list_events().after(after);
    let mut events = request.page_size(EXPORT_PAGE).items();
    while let Some(event) = events.next().await {
        out.json_line(&event?)?;
    }
    Ok(())
}

/// A line for each event, until interrupted or refused.
async fn follow(mut events: EventsWatch, out: &mut Output) -> Result<(), Failure> {
    while let Some(event) = events.next().await {
        let event = event?;
        let kind = event.event_type.to_string();
        out.news(&event, |look| line(&event, look), &kind)?;
    }
    Err(Failure::WatchEnded)
}
