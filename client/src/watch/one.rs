//! The watch of one transfer.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::{
    Stream, StreamExt as _, TryStreamExt as _,
    stream::{self, BoxStream},
};
use tidegate_proto::v1;
use uuid::Uuid;

use super::reconnect::{Interruption, ReconnectingStream};
use crate::{Client, Error, Transfer, TransferStatus, Transfers, convert};

/// The states of one transfer as they come: the present one at once, then its changes; made by [`Transfers::watch`].
///
/// Ends after the transfer's terminal state. Changes that follow each other quickly are conflated, so revisions may be
/// left out, but they never repeat or go down. Whatever interrupts the connection is ridden out, for as long as it takes;
/// an `Err` is final and ends the stream: `NOT_FOUND` when there is no such transfer (any more), `LOG_DIVERGED` when what
/// was told may not have happened, since a backup was restored or a standby took over that lacked the last commits, or
/// another refusal.
#[must_use = "a watch connects when it is polled"]
pub struct TransferWatch {
    states: BoxStream<'static, Result<Transfer, Error>>,
    interruption: Interruption,
}

impl TransferWatch {
    /// Why the watch has no connection at present and tries again; `None` while it has one, and before it was polled.
    #[must_use]
    pub fn interruption(&self) -> Option<Error> {
        self.interruption.get()
    }
}

impl Transfers {
    /// Follows one transfer to its end, over any interruption. Connects when first polled.
    pub fn watch(&self, uuid: Uuid) -> TransferWatch {
        let follower = Follower {
            client: self.client.clone(),
            uuid,
            connection: ReconnectingStream::new(self.client.clone()),
            revision: 0,
            done: false,
        };
        let interruption = follower.connection.interruption();
        let states = stream::unfold(follower, |mut follower| async {
            let next = follower.next().await?;
            Some((next, follower))
        });
        TransferWatch {
            states: states.boxed(),
            interruption,
        }
    }

    /// Waits until a transfer has one of these statuses or has ended, over any interruption, and answers with it as it is
    /// then. A status that it has only for a moment may be passed over. There is no limit of time:
    /// `tokio::time::timeout` sets one.
    ///
    /// # Errors
    /// As [`TransferWatch`] has them.
    pub fn wait_until(
        &self,
        uuid: Uuid,
        statuses: &[TransferStatus],
    ) -> impl Future<Output = Result<Transfer, Error>> + Send + use<> {
        let mut states = self.watch(uuid);
        let statuses = statuses.to_vec();
        async move {
            while let Some(transfer) = states.try_next().await? {
                if statuses.contains(&transfer.status) || transfer.status.is_terminal() {
                    return Ok(transfer);
                }
            }
            Err(Error::malformed("a watch ended before its transfer"))
        }
    }
}

impl Stream for TransferWatch {
    type Item = Result<Transfer, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.states.poll_next_unpin(context)
    }
}

impl fmt::Debug for TransferWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransferWatch").finish_non_exhaustive()
    }
}

struct Follower {
    client: Client,
    uuid: Uuid,
    connection: ReconnectingStream<v1::WatchTransferResponse>,
    /// The newest that was given.
    revision: i64,
    done: bool,
}

impl Follower {
    async fn next(&mut self) -> Option<Result<Transfer, Error>> {
        if self.done {
            return None;
        }
        let next = self.newer_state().await;
        self.done = match &next {
            Ok(transfer) => transfer.status.is_terminal(),
            Err(_) => true,
        };
        Some(next)
    }

    async fn newer_state(&mut self) -> Result<Transfer, Error> {
        loop {
            if !self.connection.is_open() {
                let request = v1::WatchTransferRequest {
                    uuid: self.uuid.to_string(),
                };
                let opening = self.client.open(request, |mut stubs, request| async move {
                    stubs.transfers.watch_transfer(request).await
                });
                let stream = opening.await;
                self.connection.opened(stream).await?;
                continue;
            }
            let Some(message) = self.connection.message().await? else {
                continue;
            };
            let transfer = convert::transfer(message.transfer)?;
            // A new connection begins with the present state, which may have been given already.
            if transfer.revision < self.revision {
                return Err(Error::diverged(self.revision, transfer.revision));
            }
            if transfer.revision > self.revision {
                self.revision = transfer.revision;
                self.connection.was_useful();
                return Ok(transfer);
            }
        }
    }
}
