//! `tidegate event`: the log.

use std::collections::HashMap;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use tidegate_client::{Client, EventsWatch, ListEvents, LogPosition, WatchEvents};
use tokio::time::interval;
use uuid::Uuid;

use super::{With, approval::people, away::Away, resolve};
use crate::args::{EventArgs, EventCommand};
use crate::failure::Failure;
use crate::output::Output;
use crate::view::event::{COLUMNS, Logged, line};

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
            let names = names(client, out).await;
            let after = match from {
                Some(time) => log::before(client, time).await?.into(),
                None => after,
            };
            if let Some(last) = last {
                let newest = log::last(client, &about, last).await?;
                let newest = newest
                    .into_iter()
                    .map(|event| Ok(Logged::new(event, &names)));
                let events = stream::iter(newest);
                return out.list(events, 0, COLUMNS, "no events").await;
            }
            let request = about.list(client).after(after).page_size(limit.page_size());
            let events = request.items();
            let events = events.map_ok(|event| Logged::new(event, &names));
            out.list(events, limit.count(), COLUMNS, "no events").await
        }
        EventCommand::Watch { of, after } => {
            let about = About::of(client, of).await?;
            let after = match after {
                Some(after) => after,
                None => log::newest(client).await?.into(),
            };
            let names = names(client, out).await;
            let events = about.watch(client).after(after).into_stream();
            follow(events, &names, out).await
        }
        EventCommand::Verify { after } => {
            let found = client.events().verify().after(after).to_the_end().await?;
            out.thing(&found, |_| found.to_string())?;
            match found.fault {
                Some(_) => Err(Failure::Told(1)),
                None => Ok(()),
            }
        }
        EventCommand::Export { after, follow } => export(client, after, follow, out).await,
    }
}

/// What those who did it are called, where it is read at a terminal: elsewhere ids are wanted.
async fn names(client: &Client, out: &Output) -> HashMap<Uuid, String> {
    if out.is_short() {
        people(client).await
    } else {
        HashMap::new()
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
            .events()
            .list()
            .with(self.transfer, |request, uuid| request.transfer_uuid(uuid))
            .with(self.connection, |request, uuid| {
                request.connection_uuid(uuid)
            })
    }

    fn watch(&self, client: &Client) -> WatchEvents {
        client
            .events()
            .watch()
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
        let mut events = client.events().watch().after(after).into_stream();
        while let Some(event) = events.next().await {
            out.json_line(&event?)?;
        }
        return Err(Failure::WatchEnded);
    }
    let request = client.events().list().after(after);
    let mut events = request.page_size(EXPORT_PAGE).items();
    while let Some(event) = events.next().await {
        out.json_line(&event?)?;
    }
    Ok(())
}

/// A line for each event, until interrupted or refused.
async fn follow(
    mut events: EventsWatch,
    names: &HashMap<Uuid, String>,
    out: &mut Output,
) -> Result<(), Failure> {
    let mut away = Away::default();
    let mut tick = interval(Away::TICK);
    loop {
        tokio::select! {
            event = events.next() => {
                let event = event.ok_or(Failure::WatchEnded)??;
                let kind = event.event_type.to_string();
                let event = Logged::new(event, names);
                out.news(&event, |look| line(&event, look), &kind)?;
            }
            _ = tick.tick() => {
                away.look(events.interruption());
                away.say();
            }
        }
    }
}
