//! The streams of `WatchTransfer` and `WatchTransfers`.
//!
//! Each is pulled by the transport: nothing is prepared before the watcher takes it, so a slow one costs a mailbox that
//! holds the newest change of each transfer and nothing else.

use std::sync::Arc;

use futures::{Stream, stream};
use tidegate_proto::v1;
use tonic::Status;

use super::{Backend, encode, status::status, streams::StreamPermit};
use crate::{
    error::Error,
    feed::{Subscription, Update},
    time::Time,
};
use tidegate_domain::{caller::Caller, id::TransferId, refusal::Refusal, transfer::Transfer};

mod backfill;
mod many;
mod position_timer;

pub(super) use backfill::StartFrom;
pub(super) use many::{WatchRequest, many};

/// Follows one transfer until its terminal status.
pub(super) async fn one(
    backend: &Backend,
    permit: StreamPermit,
    caller: &Caller,
    uuid: TransferId,
) -> Result<impl Stream<Item = Result<v1::WatchTransferResponse, Status>> + use<>, Error> {
    let mut subscription = backend.feed.subscribe();
    // First the subscription, then the snapshot: whatever is committed in between arrives twice rather than never.
    subscription.follow(uuid);
    let snapshot = backend
        .readers
        .as_seen_by(caller)
        .transfer(uuid)
        .await?
        .ok_or(Refusal::TransferNotFound { uuid })?;
    let watch = One {
        time: backend.time.clone(),
        permit,
        subscription,
        snapshot: Some(snapshot),
        seen: 0,
    };
    Ok(stream::unfold(Some(watch), |watch| async move {
        let mut watch = watch?;
        match watch.next().await {
            Ok(transfer) => {
                let message = v1::WatchTransferResponse {
                    transfer: Some(encode::transfer(&transfer, None, watch.time.roughly_now())),
                };
                let rest = (!transfer.status.is_terminal()).then_some(watch);
                Some((Ok(message), rest))
            }
            Err(error) => Some((Err(status(error)), None)),
        }
    }))
}

struct One {
    time: Time,
    permit: StreamPermit,
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
            match self.permit.unless_stopped(self.subscription.next()).await? {
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
