//! The watch of the log.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{
    Stream, StreamExt as _,
    stream::{self, BoxStream},
};
use tidegate_proto::v1::{self, watch_events_response::Update};
use uuid::Uuid;

use super::reconnect::{Interruption, ReconnectingStream};
use crate::{Client, Error, Event, Events, LogPosition, convert};

#[cfg(test)]
mod tests;

/// The server says something every 10 s at least; a stream that was silent for so long is dead.
const SILENCE: Duration = Duration::from_secs(30);

/// Asks to follow the log; made by [`Events::watch`].
#[derive(Clone, Debug)]
#[must_use = "a watch begins with `into_stream`"]
pub struct WatchEvents {
    client: Client,
    message: v1::WatchEventsRequest,
    after: LogPosition,
}

/// The events of the log as they happen, for ever: each once, in ascending sequence, none left out; made by
/// [`WatchEvents::into_stream`].
///
/// Whatever interrupts the connection is ridden out: the watch goes on after the last event, on any replica. An `Err` is a
/// final refusal and ends the stream: `CURSOR_EXPIRED` when the server has deleted events that were not told yet,
/// `CURSOR_AHEAD` when the log does not reach to where the watch is to begin or to go on, and `LOG_DIVERGED` when it has
/// other events than were told: a backup was restored, or a standby took over that lacked the last commits. What was told
/// may not have happened then; what that means only the caller can know.
#[must_use = "a watch connects when it is polled"]
pub struct EventsWatch {
    events: BoxStream<'static, Result<Event, Error>>,
    position: Reached,
    interruption: Interruption,
}

/// The position that a watch has reached, which others may read.
type Reached = Arc<Mutex<LogPosition>>;

fn read(position: &Reached) -> LogPosition {
    position
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone()
}

impl Events {
    /// Follows the log, over any interruption.
    pub fn watch(&self) -> WatchEvents {
        WatchEvents {
            client: self.client.clone(),
            message: v1::WatchEventsRequest::default(),
            after: LogPosition::default(),
        }
    }
}

impl WatchEvents {
    /// Only events after this position in the log; 0, the default, is from the oldest that is kept. A bare number is
    /// enough, but only a position with its hash is refused, with `LOG_DIVERGED`, when the log has another event there.
    pub fn after(mut self, position: impl Into<LogPosition>) -> Self {
        self.after = position.into();
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
        let position = Reached::new(Mutex::new(self.after.clone()));
        let follower = Follower {
            connection: ReconnectingStream::new(self.client.clone()),
            request: self,
            position: Arc::clone(&position),
            done: false,
        };
        let interruption = follower.connection.interruption();
        let events = stream::unfold(follower, |mut follower| async {
            let next = follower.next().await?;
            Some((next, follower))
        });
        EventsWatch {
            events: events.boxed(),
            position,
            interruption,
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
    pub fn position(&self) -> LogPosition {
        read(&self.position)
    }

    /// Why the watch has no connection at present and tries again; `None` while it has one, and before it was polled.
    #[must_use]
    pub fn interruption(&self) -> Option<Error> {
        self.interruption.get()
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
            .field("position", &self.position())
            .finish_non_exhaustive()
    }
}

struct Follower {
    request: WatchEvents,
    connection: ReconnectingStream<v1::WatchEventsResponse>,
    position: Reached,
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
            if !self.connection.is_open() {
                self.open().await?;
                continue;
            }
            let Ok(message) = tokio::time::timeout(SILENCE, self.connection.message()).await else {
                // A stream that has ended is waiting for its next try: that is no silence.
                if self.connection.is_open() {
                    self.connection.is_silent().await?;
                }
                continue;
            };
            let Some(message) = message? else {
                continue;
            };
            self.connection.was_useful();
            match message.update {
                Some(Update::Event(event)) => {
                    let event = convert::event(event)?;
                    // What was told already would be a defect of the server's; telling it again would be one of ours.
                    if self.reached(event.position()) {
                        return Ok(event);
                    }
                }
                Some(Update::Bookmark(bookmark)) => {
                    self.reached(convert::position(bookmark.sequence, &bookmark.hash));
                }
                // A kind of update that this version does not know.
                None => {}
            }
        }
    }

    async fn open(&mut self) -> Result<(), Error> {
        let position = read(&self.position);
        let request = v1::WatchEventsRequest {
            after_sequence: position.sequence,
            after_hash: position.to_wire(),
            ..self.request.message.clone()
        };
        let client = &self.request.client;
        let opening = client.open(request, |mut stubs, request| async move {
            stubs.events.watch_events(request).await
        });
        let stream = opening.await;
        self.connection.opened(stream).await
    }

    /// Notes a position; whether it is a new one.
    fn reached(&self, position: LogPosition) -> bool {
        let mut reached = self.position.lock().unwrap_or_else(PoisonError::into_inner);
        let further = position.sequence > reached.sequence;
        // A position that was given without its hash gets it from the first bookmark.
        if further || position.sequence == reached.sequence && reached.hash.is_none() {
            *reached = position;
        }
        further
    }
}
