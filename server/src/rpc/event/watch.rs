//! The stream of `WatchEvents`.
//!
//! Reads the log in pages, by position; the feed only says that there is more. Pulled by the transport, it holds at most
//! two pages, so a slow watcher costs little but the place where it stands. The next page is read while one is sent. Who has
//! caught up shares what is read with all others who have.

use std::{collections::VecDeque, panic::resume_unwind, sync::Arc, time::Duration};

use futures::{Stream, stream};
use tidegate_proto::v1::{self, watch_events_response::Update};
use tokio::{
    sync::{Semaphore, watch},
    time::Instant,
};
use tokio_util::task::AbortOnDropHandle;
use tonic::Status;

use super::{
    super::{Backend, encode, status::status, streams::StreamPermit},
    recent::RecentEvents,
};
use crate::{
    error::Error,
    feed::{Feed, LogEnd},
};
use tidegate_domain::{
    chain::Head,
    event::Event,
    log::{Cursor, LogView},
    query::EventFilter,
};
use tidegate_store::ScopedReader;

/// Events that are read at a time.
pub(super) const PAGE: u32 = 200;
/// A watcher that nothing was sent to for this time is sent a bookmark.
const BOOKMARK: Duration = Duration::from_secs(10);
/// A watcher at the end of the log looks at it at most so often, however fast it grows.
const PACE: Duration = Duration::from_millis(20);
/// Watchers that read at the same time. One commit wakes them all, and calls need connections too.
const READERS: usize = 2;

/// Lets few watchers read at a time, in the order in which they asked; cheap to clone.
#[derive(Clone)]
pub(super) struct ReadPermits(Arc<Semaphore>);

impl Default for ReadPermits {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(READERS)))
    }
}

/// Where events come from.
pub(super) struct Sources {
    pub(super) reader: ScopedReader,
    pub(super) read_permits: ReadPermits,
    pub(super) recent: RecentEvents,
}

/// Follows the log after `cursor`, whatever position the filter has.
pub(super) async fn events(
    backend: &Backend,
    sources: Sources,
    place: StreamPermit,
    filter: EventFilter,
    cursor: Cursor,
) -> Result<impl Stream<Item = Result<v1::WatchEventsResponse, Status>> + use<>, Error> {
    // First the feed, then the log: what is committed in between is noticed.
    let mut end = backend.feed.end();
    let began = end.borrow_and_update().clone();
    let view = sources.reader.look(cursor.sequence).await?;
    let follower = Follower {
        feed: backend.feed.clone(),
        from_the_oldest: cursor.sequence == 0,
        at: super::place(cursor, &view)?,
        filter: EventFilter {
            connections: sources.reader.scope().and(filter.connections),
            ..filter
        },
        sources,
        end,
        began,
        // On another replica than before, the feed may not know yet what the watcher has seen.
        least: view.bounds.last,
        read: VecDeque::new(),
        ahead: None,
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
    feed: Feed,
    sources: Sources,
    /// Which events, of those that the caller may see; its position stands for nothing.
    filter: EventFilter,
    /// Everything up to here was read.
    at: Head,
    /// No event was read yet of a watch that asked for whatever is the oldest.
    from_the_oldest: bool,
    end: watch::Receiver<LogEnd>,
    /// The end when the watch began.
    began: LogEnd,
    /// The log goes at least so far, whatever `end` knows.
    least: Head,
    /// Read and not yet sent.
    read: VecDeque<Arc<Event>>,
    /// What comes after that, if there was more.
    ahead: Option<AbortOnDropHandle<Result<Page, Error>>>,
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
            let head = self.head()?;
            if let Some(event) = self.read.pop_front() {
                self.due = Instant::now() + BOOKMARK;
                return Ok(Update::Event(encode::event(&event)));
            }
            if self.due <= Instant::now() {
                return Ok(self.bookmark());
            }
            if self.at.sequence < head.sequence {
                if !self.read_recent(head).await? {
                    self.read_on(head).await?;
                }
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
            sequence: self.at.sequence,
            hash: encode::hash(&self.at),
        })
    }

    /// The end of the log, as far as is known.
    fn head(&mut self) -> Result<Head, Error> {
        let end = self.end.borrow_and_update();
        match end.interrupted_since(&self.began) {
            Some(why) => Err(why),
            None => Ok(self.least.later(end.head)),
        }
    }

    /// Has the page after the position read by a task of its own, of a log that is committed up to `head`.
    fn read_ahead(&mut self, head: Head) {
        let page = Page::read(
            self.sources.reader.clone(),
            self.sources.read_permits.clone(),
            EventFilter {
                after_sequence: self.at.sequence,
                ..self.filter
            },
            head,
        );
        self.ahead = Some(AbortOnDropHandle::new(tokio::spawn(page)));
    }

    /// Goes on with events that others read, too, if it is near the end of the log.
    async fn read_recent(&mut self, head: Head) -> Result<bool, Error> {
        if !self.caught_up || self.ahead.is_some() {
            return Ok(false);
        }
        let events = self.sources.recent.after(self.at, head).await?;
        let Some(last) = events.last() else {
            return Ok(false);
        };
        self.at = Head::from(&**last);
        self.looked = Some(Instant::now());
        self.read = events.into();
        self.read.retain(|event| self.filter.matches(event));
        Ok(true)
    }

    /// Goes on with the next page.
    async fn read_on(&mut self, head: Head) -> Result<(), Error> {
        if self.ahead.is_none() {
            self.read_ahead(head);
        }
        let Some(ahead) = &mut self.ahead else {
            return Ok(());
        };
        let page = ahead.await;
        self.ahead = None;
        let page = page.map_err(|ended| match ended.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            Err(_) => Error::ShuttingDown,
        })??;
        if page.view.bounds.floor.sequence > self.at.sequence && self.from_the_oldest {
            self.at = page.view.bounds.floor;
            return Ok(());
        }
        self.goes_on(&page.view)?;
        self.at = match page.last {
            Some(last) if page.is_full => last,
            // Everything that was committed when the reading began and is asked for has been read.
            last => last.map_or(page.head, |last| last.later(page.head)),
        };
        self.from_the_oldest = false;
        self.looked = (!page.is_full).then(Instant::now);
        self.read = page.events.into_iter().map(Arc::new).collect();
        if page.is_full && self.at.sequence < head.sequence {
            self.read_ahead(head);
        }
        Ok(())
    }

    /// Whether the log still has what was read of it.
    fn goes_on(&self, view: &LogView) -> Result<(), Error> {
        super::still(self.at, view).inspect_err(|_| self.feed.suspect())
    }

    /// Waits until the log has grown, or until a bookmark is due.
    async fn wait(&mut self) {
        let news = async {
            // The sender lives as long as the backend, which is ours.
            _ = self.end.changed().await;
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

/// Some events in the order of the log.
struct Page {
    events: Vec<Event>,
    last: Option<Head>,
    is_full: bool,
    /// The log was committed so far when the reading began.
    head: Head,
    /// The log as it was afterwards.
    view: LogView,
}

impl Page {
    async fn read(
        reader: ScopedReader,
        permits: ReadPermits,
        filter: EventFilter,
        head: Head,
    ) -> Result<Self, Error> {
        let _turn = permits.0.acquire().await;
        let events = reader.events(&filter, PAGE).await?;
        Ok(Self {
            // Read after the page: if nothing after the position has been deleted by now, the page has no gap, and if the
            // event at the position is still the same, it is of the same log.
            view: reader.look(filter.after_sequence).await?,
            head,
            last: events.last().map(Head::from),
            is_full: events.len() >= PAGE as usize,
            events,
        })
    }
}
