//! The watch of all transfers that a filter means.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use chrono::{DateTime, Utc};
use futures::{
    Stream, StreamExt as _,
    stream::{self, BoxStream},
};
use tidegate_proto::v1::{self, watch_transfers_response::Update};
use tonic::Streaming;
use uuid::Uuid;

use super::{line::Line, memory::Memory};
use crate::{Client, Error, Transfer, TransferFilter, convert, transport::within};

/// Asks to follow transfers; made by [`Client::watch_transfers`].
#[derive(Clone, Debug)]
#[must_use = "a watch begins with `into_stream`"]
pub struct WatchTransfers {
    client: Client,
    filter: TransferFilter,
    include_existing: bool,
}

/// One thing that a [`TransfersWatch`] tells.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum WatchUpdate {
    /// A transfer that exists, was created, has changed, or has just left the filter.
    Transfer(Box<Transfer>),
    /// A transfer that was deleted.
    Deleted(Uuid),
    /// Everything that existed has been told; from here on it is live. Told once, whatever happens to the connection.
    CaughtUp,
}

/// Transfers as they change, for ever; made by [`WatchTransfers::into_stream`].
///
/// Whatever interrupts the connection is ridden out, a watcher that was too slow for the server included: the new
/// connection asks for everything that exists, and what was told already is left out. So nothing is missed but what
/// came and went unseen: a transfer that had ended, or that was never told, and was deleted during the interruption.
/// One that was last told as under way is accounted for: it is looked up, and told as it is now or as deleted.
///
/// No revision of a transfer is told twice, with two exceptions: an interruption before [`WatchUpdate::CaughtUp`], and
/// one during which more than 65,536 ended transfers of the last minute are to be remembered. Both can repeat ended
/// transfers. The times of change that this relies on are the server's; should its clock be set back by more than a
/// minute during an interruption, transfers that began and ended within it can be missed.
///
/// A watch that did not ask for what exists can, after an interruption, tell some of it: transfers that changed since
/// about a minute before the newest of all was created, as of when the watch began.
///
/// An `Err` is a final refusal, such as `INVALID_ARGUMENT` for the filter, and ends the stream.
#[must_use = "a watch connects when it is polled"]
pub struct TransfersWatch {
    updates: BoxStream<'static, Result<WatchUpdate, Error>>,
}

impl Client {
    /// Follows all transfers, or those that a filter means, over any interruption.
    pub fn watch_transfers(&self) -> WatchTransfers {
        WatchTransfers {
            client: self.clone(),
            filter: TransferFilter::default(),
            include_existing: false,
        }
    }
}

impl WatchTransfers {
    /// Only the transfers that the filter means. One whose change makes it leave the filter is told once more.
    pub fn filter(mut self, filter: TransferFilter) -> Self {
        self.filter = filter;
        self
    }

    /// Whether to tell what exists already, before [`WatchUpdate::CaughtUp`]; not by default.
    pub fn include_existing(mut self, include: bool) -> Self {
        self.include_existing = include;
        self
    }

    /// Begins the watch, which connects when first polled.
    pub fn into_stream(self) -> TransfersWatch {
        let follower = Follower {
            line: Line::new(self.client.clone()),
            memory: Memory::default(),
            missing: Vec::new(),
            phase: Phase::Fresh,
            catching_up: false,
            told_caught_up: false,
            done: false,
            request: self,
        };
        let updates = stream::unfold(follower, |mut follower| async {
            let next = follower.next().await?;
            Some((next, follower))
        });
        TransfersWatch {
            updates: updates.boxed(),
        }
    }

    /// The same as [`into_stream`](Self::into_stream).
    pub fn start(self) -> TransfersWatch {
        self.into_stream()
    }
}

impl Stream for TransfersWatch {
    type Item = Result<WatchUpdate, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.updates.poll_next_unpin(context)
    }
}

impl fmt::Debug for TransfersWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransfersWatch").finish_non_exhaustive()
    }
}

/// How far the watch as a whole has come, over all its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No connection has been made yet.
    Fresh,
    /// Connected before, but not everything that existed has been told.
    Begun,
    /// Everything that existed has been told once.
    CaughtUp,
}

struct Follower {
    request: WatchTransfers,
    line: Line<v1::WatchTransfersResponse>,
    memory: Memory,
    /// Transfers that a reconnection named nothing of; each is looked up before anything else is told.
    missing: Vec<Uuid>,
    phase: Phase,
    /// The present connection is still naming what exists.
    catching_up: bool,
    told_caught_up: bool,
    done: bool,
}

impl Follower {
    async fn next(&mut self) -> Option<Result<WatchUpdate, Error>> {
        if self.done {
            return None;
        }
        let next = self.news().await;
        self.done = next.is_err();
        Some(next)
    }

    async fn news(&mut self) -> Result<WatchUpdate, Error> {
        loop {
            if let Some(uuid) = self.missing.last().copied() {
                if let Some(update) = self.look_up(uuid).await? {
                    return Ok(update);
                }
            } else if !self.line.is_open() {
                let stream = self.open().await;
                let opened = stream.is_ok();
                self.line.opened(stream).await?;
                if opened {
                    self.memory.expect_all();
                    self.catching_up = true;
                }
            } else if let Some(message) = self.line.message().await?
                && let Some(update) = self.receive(message)?
            {
                self.line.was_useful();
                return Ok(update);
            }
        }
    }

    async fn open(&mut self) -> Result<Streaming<v1::WatchTransfersResponse>, Error> {
        let client = self.request.client.clone();
        let first = self.phase == Phase::Fresh;
        if first && !self.request.include_existing {
            // A later connection must tell what exists now from what comes: nothing here is newer than this.
            self.memory.begin_at(newest_creation(&client).await?);
        }
        let request = v1::WatchTransfersRequest {
            filter: Some(convert::to_filter(self.request.filter.clone())),
            include_existing: self.request.include_existing || !first,
        };
        let mut stubs = client.streams().clone();
        let stream = within(client.timeout(), stubs.transfers.watch_transfers(request)).await?;
        if first {
            self.phase = if self.request.include_existing {
                Phase::Begun
            } else {
                // What existed was not asked for, so it counts as told.
                Phase::CaughtUp
            };
        }
        Ok(stream)
    }

    fn receive(
        &mut self,
        message: v1::WatchTransfersResponse,
    ) -> Result<Option<WatchUpdate>, Error> {
        Ok(match message.update {
            Some(Update::Transfer(transfer)) => {
                let transfer = convert::present_transfer(transfer)?;
                self.told(transfer)
            }
            Some(Update::DeletedUuid(uuid)) => {
                let uuid = convert::deleted(&uuid)?;
                self.memory.forget(uuid);
                Some(WatchUpdate::Deleted(uuid))
            }
            Some(Update::CaughtUp(_)) => self.caught_up(),
            // A kind of update that this version does not know.
            None => None,
        })
    }

    fn told(&mut self, transfer: Transfer) -> Option<WatchUpdate> {
        let resumed = self.catching_up && self.phase == Phase::CaughtUp;
        self.memory
            .is_news(&transfer, &self.request.filter, resumed)
            .then(|| WatchUpdate::Transfer(Box::new(transfer)))
    }

    fn caught_up(&mut self) -> Option<WatchUpdate> {
        self.phase = Phase::CaughtUp;
        self.catching_up = false;
        self.missing = self.memory.take_unnamed();
        let first = !self.told_caught_up;
        self.told_caught_up = true;
        first.then_some(WatchUpdate::CaughtUp)
    }

    /// Finds out what became of a transfer that was under way when the connection broke and is not named any more: it
    /// left the filter meanwhile, or it ended and was deleted.
    async fn look_up(&mut self, uuid: Uuid) -> Result<Option<WatchUpdate>, Error> {
        let request = v1::GetTransferRequest {
            uuid: uuid.to_string(),
            preload: Vec::new(),
        };
        match self.request.client.call_once(request).await {
            Ok(answer) => {
                let transfer = convert::transfer(answer.transfer)?;
                self.missing.pop();
                Ok(self.told(transfer))
            }
            Err(error) if error.is_not_found() => {
                self.missing.pop();
                self.memory.forget(uuid);
                Ok(Some(WatchUpdate::Deleted(uuid)))
            }
            Err(error) => {
                self.line.pause(Some(error)).await?;
                Ok(None)
            }
        }
    }
}

/// When the newest transfer of all was created; long ago when there is none.
async fn newest_creation(client: &Client) -> Result<DateTime<Utc>, Error> {
    let request = v1::ListRecentTransfersRequest {
        limit: 1,
        preload: Vec::new(),
    };
    let answer = client.call_once(request).await?;
    match answer.transfers.into_iter().next() {
        Some(transfer) => Ok(convert::present_transfer(transfer)?.inserted_at),
        None => Ok(DateTime::UNIX_EPOCH),
    }
}
