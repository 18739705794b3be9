//! The stream of `WatchEvents`.
//!
//! Reads the log in pages, by position; the feed only says that there is more. Pulled by the transport, it holds at most
//! one page, so a slow watcher costs nothing but the place where it stands.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures::{Stream, stream};
use tidegate_proto::v1::{self, watch_events_response::Update};
use tokio::{
    sync::{Semaphore, watch},
    time::Instant,
};
use tonic::Status;

use super::super::{Backend, answer, status::status, streams::Place};
use crate::{
    domain::{event::Event, query::EventFilter},
    error::Error,
};

/// Events that are read at a time.
const PAGE: u32 = 200;
/// A watcher that nothing was sent to for this time is sent a bookmark.
const BOOKMARK: Duration = Duration::from_secs(10);
/// A watcher at the end of the log looks at it at most so often, however fast it grows.
const PACE: Duration = Duration::from_millis(20);
/// Watchers that read at the same time. One commit wakes them all, and calls need connections too.
const READERS: usize = 2;

/// Lets few watchers read at a time, in the order in which they asked; cheap to clone.
#[derive(Clone)]
pub(super) struct Turns(Arc<Semaphore>);

impl Default for Turns {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(READERS)))
    }
}

/// Follows the log.
pub(super) async fn events(
    backend: &Backend,
    place: Place,
    turns: Turns,
    filter: EventFilter,
) -> Result<impl Stream<Item = Result<v1::WatchEventsResponse, Status>> + use<>, Error> {
    // First the feed, then the bounds: what is committed in between is noticed.
    let head = backend.feed.head();
    let bounds = backend.store.log_bounds().await?;
    let from = super::place(filter.after_sequence, bounds)?;
    let follower = Follower {
        backend: backend.clone(),
        turns,
        from_the_oldest: filter.after_sequence == 0,
        filter: EventFilter {
            after_sequence: from,
            ..filter
        },
        head,
        // On another replica than before, the feed may not know yet what the watcher has seen.
        least: bounds.last,
        read: VecDeque::new(),
        caught_up: false,
        looked: None,
        due: Instant::now() + BOOKMARK,
    };
    Ok(stream::unfold(
        Some((place, follower)),
        |watch| async move {
            let (place, mut follower) = watch?;
            match place.unless_stopped(follower.next()).await {
                Ok(update) => {
                    let message = v1::WatchEventsResponse {
                        update: Some(update),
                    };
                    Some((Ok(message), Some((place, follower))))
                }
                Err(error) => Some((Err(status(error)), None)),
            }
        },
    ))
}

struct Follower {
    backend: Backend,
    turns: Turns,
    /// Which events; its position is that up to which everything was read.
    filter: EventFilter,
    /// No event was read yet of a watch that asked for whatever is the oldest.
    from_the_oldest: bool,
    head: watch::Receiver<i64>,
    /// The log goes at least so far, whatever `head` knows.
    least: i64,
    /// Read and not yet sent.
    read: VecDeque<Event>,
    /// Everything that was there at first has been sent, and the bookmark that says so.
    caught_up: bool,
    /// When the end of the log was looked at last.
    looked: Option<Instant>,
    /// When a bookmark has to be sent.
    due: Instant,
}

impl Follower {
    async fn next(&mut self) -> Result<Update, Error> {
        loop {
            if let Some(event) = self.read.pop_front() {
                self.due = Instant::now() + BOOKMARK;
                return Ok(Update::Event(answer::event(&event)));
            }
            if self.due <= Instant::now() {
                return Ok(self.bookmark());
            }
            let head = self.least.max(*self.head.borrow_and_update());
            if self.filter.after_sequence < head {
                self.read_on(head).await?;
            } else if self.caught_up {
                self.wait().await;
            } else {
                self.caught_up = true;
                return Ok(self.bookmark());
            }
        }
    }

    /// Nothing is waiting to be sent, so everything up to the position has been.
    fn bookmark(&mut self) -> Update {
        self.due = Instant::now() + BOOKMARK;
        Update::Bookmark(v1::Bookmark {
            sequence: self.filter.after_sequence,
        })
    }

    /// Reads a page of a log that is committed up to `head`.
    async fn read_on(&mut self, head: i64) -> Result<(), Error> {
        let turn = self.turns.0.acquire().await;
        let events = self.backend.store.events(&self.filter, PAGE).await?;
        // Read after the page: if nothing after the position has been deleted by now, the page has no gap.
        let bounds = self.backend.store.log_bounds().await?;
        drop(turn);
        if bounds.floor > self.filter.after_sequence && self.from_the_oldest {
            self.filter.after_sequence = bounds.floor;
            return Ok(());
        }
        super::place(self.filter.after_sequence, bounds)?;
        let full = events.len() >= PAGE as usize;
        let last = events.last().map(|event| event.sequence);
        self.filter.after_sequence = match last {
            Some(last) if full => last,
            // Everything that was committed when the reading began and is asked for has been read.
            last => head.max(last.unwrap_or(0)),
        };
        self.from_the_oldest = false;
        self.looked = (!full).then(Instant::now);
        self.read = events.into();
        Ok(())
    }

    /// Waits until the log has grown, or until a bookmark is due.
    async fn wait(&mut self) {
        let news = async {
            // The sender lives as long as the backend, which is ours.
            _ = self.head.changed().await;
            if let Some(looked) = self.looked {
                tokio::time::sleep_until(looked + PACE).await;
            }
        };
        tokio::select! {
            () = news => {}
            () = tokio::time::sleep_until(self.due) => {}
        }
    }
}
