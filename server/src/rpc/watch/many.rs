//! The stream of `WatchTransfers`.

use futures::{Stream, stream};
use tidegate_proto::v1::{self, watch_transfers_response::Update as Wire};
use tonic::Status;

use super::{
    super::{Backend, answer, event, status::status, streams::Place},
    existing::{Existing, Known},
    pace::Pace,
};
use crate::{
    domain::{chain::Head, log::Cursor, query::TransferFilter},
    error::Error,
    feed::{Revisions, Subscription, Update},
    store::ScopedReader,
};

/// What a watcher asks for.
pub(in crate::rpc) struct Wish {
    /// Which transfers.
    pub(in crate::rpc) filter: TransferFilter,
    /// What it is told before it is live.
    pub(in crate::rpc) begin: Begin,
    /// Whether it wants positions to resume from.
    pub(in crate::rpc) positions: bool,
}

/// What a watcher is told before it is live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rpc) enum Begin {
    /// Nothing.
    Live,
    /// All that exist.
    Existing,
    /// What happened after this place in the log, and what is in progress.
    After(Cursor),
}

/// Follows every transfer that a filter means.
pub(in crate::rpc) async fn many(
    backend: &Backend,
    reader: ScopedReader,
    place: Place,
    wish: Wish,
) -> Result<impl Stream<Item = Result<v1::WatchTransfersResponse, Status>> + use<>, Error> {
    let from = if wish.positions {
        place
            .unless_stopped(prepare(backend, &reader, wish.begin))
            .await?
    } else {
        Head::default()
    };
    let subscription = backend.feed.subscribe_matching(wish.filter.clone());
    let since = subscription.since();
    let existing = Existing::new(
        &backend.feed,
        reader,
        wish.filter,
        wish.begin,
        (from, since),
    );
    let watch = Many {
        backend: backend.clone(),
        place,
        subscription,
        existing: Some(if wish.positions {
            existing.with_positions()
        } else {
            existing
        }),
        told: Revisions::default(),
        newest: since.sequence,
        pace: wish.positions.then(Pace::new),
    };
    Ok(stream::unfold(Some(watch), |watch| async move {
        let mut watch = watch?;
        match watch.next().await {
            Ok(message) => Some((Ok(message), Some(watch))),
            Err(error) => Some((Err(status(error)), None)),
        }
    }))
}

/// Waits until the feed has told all that is in the log by now. What was told on another replica already would else be
/// told once more by this one, after a position that covers it. Answers where a watch that resumes goes on.
async fn prepare(backend: &Backend, reader: &ScopedReader, begin: Begin) -> Result<Head, Error> {
    let cursor = match begin {
        Begin::After(cursor) => cursor,
        Begin::Live | Begin::Existing => Head::default().into(),
    };
    let view = reader.look(cursor.sequence).await?;
    let from = match begin {
        Begin::After(cursor) => event::within(cursor, &view)?,
        Begin::Live | Begin::Existing => Head::default(),
    };
    backend.feed.has_told(view.bounds.last.sequence).await;
    Ok(from)
}

struct Many {
    backend: Backend,
    place: Place,
    subscription: Subscription,
    /// Until everything that existed was sent.
    existing: Option<Existing>,
    /// What was read from the rows rather than taken from the feed, which may still be about to tell what came before.
    told: Revisions,
    /// What was read from the rows rests on no later event.
    newest: i64,
    /// Absent when no positions are wanted.
    pace: Option<Pace>,
}

impl Many {
    async fn next(&mut self) -> Result<v1::WatchTransfersResponse, Error> {
        while let Some(existing) = &mut self.existing {
            let known = self.place.unless_stopped(existing.next()).await?;
            let (at, newest) = (existing.at(), existing.newest());
            match known {
                Some(known) => {
                    if let Some(message) = self.known(known) {
                        return Ok(message);
                    }
                }
                None => {
                    self.existing = None;
                    self.newest = newest;
                    let pace = self.pace.as_mut();
                    return Ok(v1::WatchTransfersResponse {
                        update: Some(Wire::CaughtUp(true)),
                        position: pace.map(|pace| pace.told(at, newest)),
                    });
                }
            }
        }
        loop {
            if let Some(position) = self.position() {
                return Ok(position);
            }
            let update = match &self.pace {
                None => Some(self.place.unless_stopped(self.subscription.next()).await?),
                Some(pace) => {
                    let due = tokio::time::sleep_until(pace.due());
                    let news = self.place.unless_stopped(self.subscription.next());
                    tokio::select! {
                        // First the news: whatever is waiting stands before the position that is due.
                        biased;
                        update = news => Some(update?),
                        () = due => None,
                    }
                }
            };
            if let Some(update) = update.and_then(|update| self.live(update)) {
                return Ok(update);
            }
        }
    }

    /// A message for what existed before; `None` when it was sent already.
    fn known(&mut self, known: Known) -> Option<v1::WatchTransfersResponse> {
        let update = match known {
            Known::Row(transfer) => {
                let (uuid, revision) = (transfer.uuid, transfer.revision);
                // A change that is waiting and not newer is contained in what was just read.
                self.subscription.discard(uuid, revision);
                if self.has_told(uuid, revision) {
                    return None;
                }
                self.told.admit(uuid, revision);
                Wire::Transfer(answer::transfer(&transfer, None))
            }
            Known::Gone(uuid) => {
                self.subscription.discard(uuid, i64::MAX);
                if self.has_told(uuid, i64::MAX) {
                    return None;
                }
                self.told.admit(uuid, i64::MAX);
                Wire::DeletedUuid(uuid.to_string())
            }
            Known::Position(at, newest) => {
                let pace = self.pace.as_mut()?;
                return Some(v1::WatchTransfersResponse {
                    update: None,
                    position: Some(pace.told(at, newest)),
                });
            }
        };
        Some(message(update))
    }

    /// A message for a change; `None` when what was sent contains it.
    fn live(&mut self, update: Update) -> Option<v1::WatchTransfersResponse> {
        let update = match update {
            Update::Changed(transfer) if self.has_told(transfer.uuid, transfer.revision) => {
                return None;
            }
            Update::Deleted(uuid) if self.has_told(uuid, i64::MAX) => return None,
            Update::Changed(transfer) => Wire::Transfer(answer::transfer(&transfer, None)),
            Update::Deleted(uuid) => Wire::DeletedUuid(uuid.to_string()),
        };
        if let Some(pace) = &mut self.pace {
            pace.news();
        }
        Some(message(update))
    }

    /// A message for a position, when one was reached and is worth telling. Sets out for one when it is time.
    fn position(&mut self) -> Option<v1::WatchTransfersResponse> {
        let pace = self.pace.as_mut()?;
        if pace.due() <= tokio::time::Instant::now() {
            self.subscription.watermark();
        }
        let at = self.subscription.reached()?;
        let newest = self.newest.max(self.backend.feed.newest());
        Some(v1::WatchTransfersResponse {
            update: None,
            position: Some(pace.reached(at, newest)?),
        })
    }

    fn has_told(&mut self, uuid: uuid::Uuid, revision: i64) -> bool {
        self.told.knows_newer(uuid, revision.saturating_sub(1))
    }
}

const fn message(update: Wire) -> v1::WatchTransfersResponse {
    v1::WatchTransfersResponse {
        update: Some(update),
        position: None,
    }
}
