//! The streams of `WatchTransfer` and `WatchTransfers`.
//!
//! Each is pulled by the transport: nothing is prepared before the watcher takes it, so a slow one costs a mailbox that
//! holds the newest change of each transfer and nothing else.

use std::{collections::VecDeque, sync::Arc};

use futures::{Stream, stream};
use tidegate_proto::v1::{self, watch_transfers_response::Update as Wire};
use tonic::Status;
use uuid::Uuid;

use super::{Backend, answer, status::status, streams::Place};
use crate::{
    domain::{
        page::Position,
        query::{SortOrder, TransferFilter, Window},
        refusal::Refusal,
        transfer::Transfer,
    },
    error::Error,
    feed::{Revisions, Subscription, Update},
};

/// Existing transfers that are read at a time.
const STRIDE: u32 = 200;

/// Follows one transfer until its terminal status.
pub(super) async fn one(
    backend: &Backend,
    place: Place,
    uuid: Uuid,
) -> Result<impl Stream<Item = Result<v1::WatchTransferResponse, Status>> + use<>, Error> {
    let mut subscription = backend.feed.subscribe();
    // First the subscription, then the snapshot: whatever is committed in between arrives twice rather than never.
    subscription.follow(uuid);
    let snapshot = backend
        .store
        .transfer(uuid)
        .await?
        .ok_or(Refusal::TransferNotFound { uuid })?;
    let watch = One {
        place,
        subscription,
        snapshot: Some(Arc::new(snapshot)),
        seen: 0,
    };
    Ok(stream::unfold(Some(watch), |watch| async move {
        let mut watch = watch?;
        match watch.next().await {
            Ok(transfer) => {
                let message = v1::WatchTransferResponse {
                    transfer: Some(answer::transfer(&transfer, None)),
                };
                let rest = (!transfer.status.is_terminal()).then_some(watch);
                Some((Ok(message), rest))
            }
            Err(error) => Some((Err(status(error)), None)),
        }
    }))
}

struct One {
    place: Place,
    subscription: Subscription,
    snapshot: Option<Arc<Transfer>>,
    seen: i64,
}

impl One {
    async fn next(&mut self) -> Result<Arc<Transfer>, Error> {
        if let Some(snapshot) = self.snapshot.take() {
            self.seen = snapshot.revision;
            return Ok(snapshot);
        }
        loop {
            match self.place.unless_stopped(self.subscription.next()).await? {
                Update::Changed(transfer) if transfer.revision > self.seen => {
                    self.seen = transfer.revision;
                    return Ok(transfer);
                }
                // Already contained in the snapshot.
                Update::Changed(_) => {}
                Update::Deleted(uuid) => return Err(Refusal::TransferNotFound { uuid }.into()),
            }
        }
    }
}

/// Follows every transfer that `filter` means.
pub(super) fn many(
    backend: &Backend,
    place: Place,
    filter: TransferFilter,
    include_existing: bool,
) -> impl Stream<Item = Result<v1::WatchTransfersResponse, Status>> + use<> {
    let watch = Many {
        subscription: backend.feed.subscribe_matching(filter.clone()),
        backend: backend.clone(),
        place,
        filter,
        existing: Existing::new(include_existing),
        told: Revisions::default(),
    };
    stream::unfold(Some(watch), |watch| async move {
        let mut watch = watch?;
        match watch.next().await {
            Ok(update) => {
                let message = v1::WatchTransfersResponse {
                    update: Some(update),
                };
                Some((Ok(message), Some(watch)))
            }
            Err(error) => Some((Err(status(error)), None)),
        }
    })
}

struct Many {
    backend: Backend,
    place: Place,
    subscription: Subscription,
    filter: TransferFilter,
    existing: Existing,
    /// What was read from the rows rather than taken from the feed, which may still be about to tell what came before.
    told: Revisions,
}

/// How far the transfers that exist already have been sent.
struct Existing {
    read: VecDeque<Transfer>,
    after: Option<Position>,
    /// Whether everything was read.
    exhausted: bool,
    /// Whether `caught_up` was sent.
    told: bool,
}

impl Existing {
    const fn new(wanted: bool) -> Self {
        Self {
            read: VecDeque::new(),
            after: None,
            exhausted: !wanted,
            told: false,
        }
    }
}

impl Many {
    async fn next(&mut self) -> Result<Wire, Error> {
        if let Some(transfer) = self.existing().await? {
            // A change that is waiting and not newer is contained in what was just read.
            self.subscription.discard(transfer.uuid, transfer.revision);
            self.told.admit(transfer.uuid, transfer.revision);
            return Ok(Wire::Transfer(answer::transfer(&transfer, None)));
        }
        if !self.existing.told {
            self.existing.told = true;
            return Ok(Wire::CaughtUp(true));
        }
        loop {
            match self.place.unless_stopped(self.subscription.next()).await? {
                Update::Changed(transfer)
                    if self.told.knows_newer(transfer.uuid, transfer.revision) => {}
                Update::Changed(transfer) => {
                    return Ok(Wire::Transfer(answer::transfer(&transfer, None)));
                }
                Update::Deleted(uuid) => return Ok(Wire::DeletedUuid(uuid.to_string())),
            }
        }
    }

    /// The next transfer that existed already; `None` once all were sent.
    ///
    /// Oldest first, so that transfers which are created meanwhile are met at the end rather than missed.
    async fn existing(&mut self) -> Result<Option<Transfer>, Error> {
        if self.existing.read.is_empty() && !self.existing.exhausted {
            let window = Window {
                after: self.existing.after,
                skip: 0,
                limit: STRIDE,
            };
            let read = self
                .backend
                .store
                .transfers(&self.filter, SortOrder::Ascending, window);
            let rows = self
                .place
                .unless_stopped(async { read.await.map_err(Error::from) })
                .await?;
            self.existing.exhausted = rows.len() < STRIDE as usize;
            if let Some(last) = rows.last() {
                let micros = last.inserted_at.as_micros();
                self.existing.after = Some(Position {
                    micros,
                    uuid: last.uuid,
                });
            }
            self.existing.read = rows.into();
        }
        Ok(self.existing.read.pop_front())
    }
}
