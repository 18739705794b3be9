//! The watch of the log.

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures::{
    Stream, StreamExt as _,
    stream::{self, BoxStream},
};
use tidegate_proto::v1::{self, watch_events_response::Update};
use uuid::Uuid;

use super::line::Line;
use crate::{Client, Error, Event, convert, transport::within};

#[cfg(test)]
mod tests;

/// The server says something every 10 s at least; a stream that was silent for so long is dead.
const SILENCE: Duration = Duration::from_secs(30);

/// Asks to follow the log; made by [`Client::watch_events`].
#[derive(Clone, Debug)]
#[must_use = "a watch begins with `into_stream`"]
pub struct WatchEvents {
    client: Client,
    message: v1::WatchEventsRequest,
}

/// The events of the log as they happen, for ever: each once, in ascending sequence, none left out; made by
/// [`WatchEvents::into_stream`].
///
/// Whatever interrupts the connection is ridden out: the watch goes on after the last event, on any replica. An `Err` is a
/// final refusal and ends the stream: `CURSOR_EXPIRED` when the server has deleted events that were not told yet,
/// `CURSOR_AHEAD` when the log does not reach to where the watch is to begin.
#[must_use = "a watch connects when it is polled"]
pub struct EventsWatch {
    events: BoxStream<'static, Result<Event, Error>>,
    sequence: Arc<AtomicI64>,
}

impl Client {
    /// Follows the log, over any interruption.
    pub fn watch_events(&self) -> WatchEvents {
        WatchEvents {
            client: self.clone(),
            message: v1::WatchEventsRequest::default(),
        }
    }
}

impl WatchEvents {
    /// Only events after this position in the log; 0, the default, is from the oldest that is kept.
    pub fn after_sequence(mut self, sequence: i64) -> Self {
        self.message.after_sequence = sequence;
        self
    }

    /// Only those of this transfer.
    pub fn transfer_uuid(mut self, uuid: Uuid) -> Self {
        self.message.transfer_uuid = uuid.to_string();
        self
    }

    /// Only those of this connection.
    pub fn connection_uuid(mut self, uuid: Uuid) -> Self {
        self.message.connection_uuid = uuid.to_string();
        self
    }

    /// Begins the watch, which connects when first polled.
    pub fn into_stream(self) -> EventsWatch {
        let sequence = Arc::new(AtomicI64::new(self.message.after_sequence));
        let follower = Follower {
            line: Line::new(self.client.clone()),
            request: self,
            sequence: Arc::clone(&sequence),
            done: false,
        };
        let events = stream::unfold(follower, |mut follower| async {
            let next = follower.next().await?;
            Some((next, follower))
        });
        EventsWatch {
            events: events.boxed(),
            sequence,
        }
    }

    /// The same as [`into_stream`](Self::into_stream).
    pub fn start(self) -> EventsWatch {
        self.into_stream()
    }
}

impl EventsWatch {
    /// The position that the watch has reached: everything up to here that was asked for has been told. A later watch can
    /// go on from it; that of a filtered watch moves on though nothing is told.
    pub fn sequence(&self) -> i64 {
        self.sequence.load(Ordering::SeqCst)
    }
}

impl Stream for EventsWatch {
    type Item = Result<Event, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.events.poll_next_unpin(context)
    }
}

impl fmt::Debug for EventsWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventsWatch")
            .field("sequence", &self.sequence())
            .finish_non_exhaustive()
    }
}

struct Follower {
    request: WatchEvents,
    line: Line<v1::WatchEventsResponse>,
    sequence: Arc<AtomicI64>,
    done: bool,
}

impl Follower {
    async fn next(&mut self) -> Option<Result<Event, Error>> {
        if self.done {
            return None;
        }
        let next = self.next_event().await;
        self.done = next.is_err();
        Some(next)
    }

    async fn next_event(&mut self) -> Result<Event, Error> {
        loop {
            if !self.line.is_open() {
                self.open().await?;
                continue;
            }
            let Ok(message) = tokio::time::timeout(SILENCE, self.line.message()).await else {
                // A stream that has ended is waiting for its next try: that is no silence.
                if self.line.is_open() {
                    self.line.is_silent().await?;
                }
                continue;
            };
            let Some(message) = message? else {
                continue;
            };
            self.line.was_useful();
            match message.update {
                Some(Update::Event(event)) => {
                    let event = convert::event(event)?;
                    // What was told already would be a defect of the server's; telling it again would be one of ours.
                    if self.reached(event.sequence) {
                        return Ok(event);
                    }
                }
                Some(Update::Bookmark(bookmark)) => _ = self.reached(bookmark.sequence),
                // A kind of update that this version does not know.
                None => {}
            }
        }
    }

    async fn open(&mut self) -> Result<(), Error> {
        let request = v1::WatchEventsRequest {
            after_sequence: self.sequence.load(Ordering::SeqCst),
            ..self.request.message.clone()
        };
        let client = &self.request.client;
        let mut stubs = client.streams().clone();
        let stream = within(client.timeout(), stubs.events.watch_events(request)).await;
        self.line.opened(stream).await
    }

    /// Notes a position; whether it is a new one.
    fn reached(&self, sequence: i64) -> bool {
        self.sequence.fetch_max(sequence, Ordering::SeqCst) < sequence
    }
}
