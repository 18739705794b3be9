//! `tidegate event`: the log.

use futures::{StreamExt, stream};
use tidegate_client::{Client, EventsWatch, ListEvents, LogPosition, WatchEvents};
use uuid::Uuid;

use super::{With, resolve};
use crate::args::{EventArgs, EventCommand};
use crate::failure::Failure;
use crate::output::Output;
use crate::view::event::{COLUMNS, line};

mod log;

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
            of,
            after,
            from,
            last,
            limit,
        } => {
            let about = About::of(client, of).await?;
            let after = match from {
                Some(time) => log::before(client, time).await?.into(),
                None => after,
            };
            if let Some(last) = last {
                let newest = log::last(client, &about, last).await?;
                let events = stream::iter(newest.into_iter().map(Ok));
                return out.list(events, 0, COLUMNS, "no events").await;
            }
            let request = about.list(client).after(after).page_size(limit.page_size());
            out.list(request.items(), limit.count(), COLUMNS, "no events")
                .await
        }
        EventCommand::Watch { of, after } => {
            let about = About::of(client, of).await?;
            let after = match after {
                Some(after) => after,
                None => log::newest(client).await?.into(),
            };
            follow(about.watch(client).after(after).into_stream(), out).await
        }
        EventCommand::Export { after, follow } => export(client, after, follow, out).await,
    }
}

/// What the events are about.
struct About {
    transfer: Option<Uuid>,
    connection: Option<Uuid>,
}

impl About {
    async fn of(client: &Client, args: EventArgs) -> Result<Self, Failure> {
        Ok(Self {
            transfer: resolve::any_transfer(client, args.transfer).await?,
            connection: resolve::any_connection(client, args.connection).await?,
        })
    }

    fn list(&self, client: &Client) -> ListEvents {
        client
            .list_events()
            .with(self.transfer, |request, uuid| request.transfer_uuid(uuid))
            .with(self.connection, |request, uuid| {
                request.connection_uuid(uuid)
            })
    }

    fn watch(&self, client: &Client) -> WatchEvents {
        client
            .watch_events()
            .with(self.transfer, |request, uuid| request.transfer_uuid(uuid))
            .with(self.connection, |request, uuid| {
                request.connection_uuid(uuid)
            })
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
