//! The stream of `WatchTransfers`.

use futures::{Stream, stream};
use tidegate_proto::v1::{self, watch_transfers_response::Update as Wire};
use tonic::Status;

use super::{
    super::{Backend, encode, event, status::status, streams::StreamPermit},
    backfill::{Backfill, BackfillItem, StartFrom},
    position_timer::PositionTimer,
};
use crate::{
    error::Error,
    feed::{Feed, Revisions, Subscription, Update},
    time::Time,
};
use tidegate_domain::{chain::Head, id::TransferId, query::TransferFilter, transfer::Transfer};
use tidegate_store::ScopedReader;

/// What a watcher asks for.
pub(in crate::rpc) struct WatchRequest {
    /// Which transfers.
    pub(in crate::rpc) filter: TransferFilter,
    /// What it is told before it is live.
    pub(in crate::rpc) start_from: StartFrom,
    /// Whether it wants positions to resume from.
    pub(in crate::rpc) positions: bool,
}

/// Follows every transfer that a filter means.
pub(in crate::rpc) async fn many(
    backend: &Backend,
    reader: ScopedReader,
    permit: StreamPermit,
    watch_request: WatchRequest,
) -> Result<impl Stream<Item = Result<v1::WatchTransfersResponse, Status>> + use<>, Error> {
    let from = if watch_request.positions {
        permit
            .unless_stopped(prepare(backend, &reader, watch_request.start_from))
            .await?
    } else {
        Head::default()
    };
    let subscription = backend
        .feed
        .subscribe_matching(watch_request.filter.clone());
    let since = subscription.since();
    let backfill = Backfill::new(
        &backend.feed,
        reader,
        watch_request.filter,
        watch_request.start_from,
        (from, since),
    );
    let watch = Many {
        feed: backend.feed.clone(),
        time: backend.time.clone(),
        permit,
        subscription,
        backfill: Some(Box::new(if watch_request.positions {
            backfill.with_positions()
        } else {
            backfill
        })),
        told: Revisions::default(),
        newest: since.sequence,
        timer: watch_request.positions.then(PositionTimer::new),
    };
    // There may be many, and the state of a stream is kept twice.
    Ok(stream::unfold(Some(Box::new(watch)), |watch| async move {
        let mut watch = watch?;
        match watch.next().await {
            Ok(message) => Some((Ok(message), Some(watch))),
            Err(error) => Some((Err(status(error)), None)),
        }
    }))
}

/// Waits until the feed has told all that is in the log by now. What was told on another replica already would else be
/// told once more by this one, after a position that covers it. Answers where a watch that resumes goes on.
async fn prepare(
    backend: &Backend,
    reader: &ScopedReader,
    start_from: StartFrom,
) -> Result<Head, Error> {
    let cursor = match start_from {
        StartFrom::After(cursor) => cursor,
        StartFrom::Live | StartFrom::Existing => Head::default().into(),
    };
    let view = reader.look(cursor.sequence).await?;
    let from = match start_from {
        StartFrom::After(cursor) => event::within(cursor, &view)?,
        StartFrom::Live | StartFrom::Existing => Head::default(),
    };
    backend.feed.has_told(view.bounds.last.sequence).await;
    Ok(from)
}

struct Many {
    feed: Feed,
    time: Time,
    permit: StreamPermit,
    subscription: Subscription,
    /// Until everything that existed was sent.
    backfill: Option<Box<Backfill>>,
    /// What was read from the rows rather than taken from the feed, which may still be about to tell what came before.
    told: Revisions,
    /// What was read from the rows rests on no later event.
    newest: i64,
    /// Absent when no positions are wanted.
    timer: Option<PositionTimer>,
}

impl Many {
    async fn next(&mut self) -> Result<v1::WatchTransfersResponse, Error> {
        while let Some(backfill) = &mut self.backfill {
            let item = self.permit.unless_stopped(backfill.next()).await?;
            let (at, newest) = (backfill.at(), backfill.newest());
            match item {
                Some(item) => {
                    if let Some(message) = self.item(item) {
                        return Ok(message);
                    }
                }
                None => {
                    self.backfill = None;
                    self.newest = newest;
                    let timer = self.timer.as_mut();
                    return Ok(v1::WatchTransfersResponse {
                        update: Some(Wire::CaughtUp(true)),
                        position: timer.map(|timer| timer.told(at, newest)),
                    });
                }
            }
        }
        loop {
            if let Some(position) = self.position() {
                return Ok(position);
            }
            let update = match &self.timer {
                None => Some(self.permit.unless_stopped(self.subscription.next()).await?),
                Some(timer) => {
                    let due = tokio::time::sleep_until(timer.due());
                    let news = self.permit.unless_stopped(self.subscription.next());
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
    fn item(&mut self, item: BackfillItem) -> Option<v1::WatchTransfersResponse> {
        let update = match item {
            BackfillItem::Row(transfer) => {
                let (uuid, revision) = (transfer.uuid, transfer.revision);
                // A change that is waiting and not newer is contained in what was just read.
                self.subscription.discard(uuid, revision);
                if self.has_told(uuid, revision) {
                    return None;
                }
                self.told.admit(uuid, revision);
                Wire::Transfer(self.encoded(&transfer))
            }
            BackfillItem::Gone(uuid) => {
                self.subscription.discard(uuid, i64::MAX);
                if self.has_told(uuid, i64::MAX) {
                    return None;
                }
                self.told.admit(uuid, i64::MAX);
                Wire::DeletedUuid(uuid.to_string())
            }
            BackfillItem::Position(at, newest) => {
                let timer = self.timer.as_mut()?;
                return Some(v1::WatchTransfersResponse {
                    update: None,
                    position: Some(timer.told(at, newest)),
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
            Update::Changed(transfer) => Wire::Transfer(self.encoded(&transfer)),
            Update::Deleted(uuid) => Wire::DeletedUuid(uuid.to_string()),
        };
        if let Some(timer) = &mut self.timer {
            timer.news();
        }
        Some(message(update))
    }

    /// A message for a position, when one was reached and is worth telling. Sets out for one when it is time.
    fn position(&mut self) -> Option<v1::WatchTransfersResponse> {
        let timer = self.timer.as_mut()?;
        if timer.due() <= tokio::time::Instant::now() {
            self.subscription.watermark();
        }
        let at = self.subscription.reached()?;
        let newest = self.newest.max(self.feed.newest());
        Some(v1::WatchTransfersResponse {
            update: None,
            position: Some(timer.reached(at, newest)?),
        })
    }

    fn encoded(&self, transfer: &Transfer) -> v1::Transfer {
        encode::transfer(transfer, None, self.time.roughly_now())
    }

    fn has_told(&mut self, uuid: TransferId, revision: i64) -> bool {
        self.told.knows_newer(uuid, revision.saturating_sub(1))
    }
}

const fn message(update: Wire) -> v1::WatchTransfersResponse {
    v1::WatchTransfersResponse {
        update: Some(update),
        position: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_watcher_keeps_little() {
        fn size<S>(_: impl FnOnce(Box<Many>) -> S) -> usize {
            size_of::<S>()
        }
        let next = size(|mut watch: Box<Many>| async move {
            let update = watch.next().await;
            (update.is_ok(), watch)
        });
        assert!(next < 640, "{next} bytes while it waits");
        assert!(size_of::<Many>() < 512, "{} bytes", size_of::<Many>());
    }
}
