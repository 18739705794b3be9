//! The watch of all transfers that a filter means.

use std::{
    fmt, mem,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::{
    Stream, StreamExt as _,
    stream::{self, BoxStream},
};
use tidegate_proto::v1::{self, watch_transfers_response::Update};
use uuid::Uuid;

use super::{
    reconnect::{Interruption, ReconnectingStream},
    seen::SeenRevisions,
};
use crate::{Client, Error, LogPosition, Reason, Transfer, TransferFilter, Transfers, convert};

/// Asks to follow transfers; made by [`Transfers::watch_all`].
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
    /// Everything that existed has been told; from here on it is live. Told once, whatever happens to the connection, and
    /// once more after each [`Restarted`](Self::Restarted).
    CaughtUp,
    /// The ledger's log went back or has other events than before, as when a backup was restored or a standby took over
    /// that lacked the last commits. What was told so far may not have happened. All that exists follows, whatever the
    /// watch asked for, at lower revisions too, then [`CaughtUp`](Self::CaughtUp): what was not told in between is gone.
    Restarted,
}

/// Transfers as they change, for ever; made by [`WatchTransfers::into_stream`].
///
/// Whatever interrupts the connection is ridden out, a watcher that was too slow for the server included: the watch goes
/// on, on any replica, from the last position of the log that the server has named. So nothing is missed, and what was told
/// already is left out: no revision of a transfer is told twice, and no lower one after a higher one. Changes that follow
/// each other quickly are conflated, and one that came and went unseen may be told as deleted only, or not at all when it
/// was never told and the log does not tell of it any more. What is remembered for this is bounded: each transfer under way,
/// and what ended within the last seconds.
///
/// Where there is no position to go on from, a new connection asks for everything that exists, and ended transfers are told
/// again unless they are among the last 60,000 or so that were told. That is so when the interruption comes before
/// [`WatchUpdate::CaughtUp`]; when the server has deleted events since the last position, or is an older one that names no
/// positions; and when more transfers than that ended within a few seconds. A watch that did not ask for what exists is
/// then told it, too. What was last told as under way is accounted for even so: it is looked up, and told as it is now
/// or as deleted.
///
/// When the ledger was restored to an earlier state, or a standby took over that lacked the last commits, that is told as
/// [`WatchUpdate::Restarted`], and then everything as it is, lower revisions included.
///
/// An `Err` is a final refusal, such as `INVALID_ARGUMENT` for the filter, and ends the stream.
#[must_use = "a watch connects when it is polled"]
pub struct TransfersWatch {
    updates: BoxStream<'static, Result<WatchUpdate, Error>>,
    interruption: Interruption,
}

impl TransfersWatch {
    /// Why the watch has no connection at present and tries again; `None` while it has one, and before it was polled.
    #[must_use]
    pub fn interruption(&self) -> Option<Error> {
        self.interruption.get()
    }
}

impl Transfers {
    /// Follows all transfers, or those that a filter means, over any interruption.
    pub fn watch_all(&self) -> WatchTransfers {
        WatchTransfers {
            client: self.client.clone(),
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
            connection: ReconnectingStream::new(self.client.clone()),
            seen: SeenRevisions::default(),
            missing: Vec::new(),
            position: None,
            resumes: false,
            told_caught_up: false,
            restarted: false,
            everything: false,
            done: false,
            request: self,
        };
        let interruption = follower.connection.interruption();
        let updates = stream::unfold(follower, |mut follower| async {
            let next = follower.next().await?;
            Some((next, follower))
        });
        TransfersWatch {
            updates: updates.boxed(),
            interruption,
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

struct Follower {
    request: WatchTransfers,
    connection: ReconnectingStream<v1::WatchTransfersResponse>,
    seen: SeenRevisions,
    /// Transfers that a reconnection named nothing of; each is looked up before anything else is told.
    missing: Vec<Uuid>,
    /// The position of the log from which the watch can be resumed.
    position: Option<LogPosition>,
    /// The present connection was asked to go on from there.
    resumes: bool,
    told_caught_up: bool,
    /// What was told may not have happened, which is to be said before anything else.
    restarted: bool,
    /// Everything that exists is told, whatever was asked for.
    everything: bool,
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
            if mem::take(&mut self.restarted) {
                return Ok(WatchUpdate::Restarted);
            }
            if let Some(uuid) = self.missing.last().copied() {
                if let Some(update) = self.look_up(uuid).await? {
                    return Ok(update);
                }
            } else if !self.connection.is_open() {
                self.open().await?;
            } else if let Some(message) = self.message().await?
                && let Some(update) = self.receive(message)?
            {
                return Ok(update);
            }
        }
    }

    async fn open(&mut self) -> Result<(), Error> {
        let client = self.request.client.clone();
        let request = v1::WatchTransfersRequest {
            filter: Some(convert::to_filter(self.request.filter.clone())),
            // A server that cannot resume names everything.
            include_existing: self.request.include_existing || self.everything,
            after_sequence: self.position.as_ref().map(|position| position.sequence),
            positions: true,
            after_hash: self
                .position
                .as_ref()
                .map(LogPosition::to_wire)
                .unwrap_or_default(),
        };
        let opening = client.open(request, |mut stubs, request| async move {
            stubs.transfers.watch_transfers(request).await
        });
        let stream = opening.await;
        match stream {
            Err(error) if self.begins_over(&error) => return Ok(()),
            Ok(_) => {
                self.seen.expect_all();
                self.resumes = self.position.is_some();
            }
            Err(_) => {}
        }
        self.connection.opened(stream).await
    }

    async fn message(&mut self) -> Result<Option<v1::WatchTransfersResponse>, Error> {
        match self.connection.message().await {
            Err(error) if self.begins_over(&error) => Ok(None),
            message => message,
        }
    }

    /// Whether the server cannot go on from what was told; the next connection asks for everything then.
    fn begins_over(&mut self, error: &Error) -> bool {
        match error.reason() {
            Some(Reason::LogDiverged) => self.restart(),
            Some(Reason::CursorAhead) if self.position.is_some() => self.restart(),
            Some(Reason::CursorExpired) if self.position.is_some() => {}
            _ => return false,
        }
        self.position = None;
        true
    }

    /// Nothing that was told needs to be true.
    fn restart(&mut self) {
        self.seen.forget();
        self.missing.clear();
        self.told_caught_up = false;
        self.everything = true;
        self.restarted = true;
    }

    fn receive(
        &mut self,
        message: v1::WatchTransfersResponse,
    ) -> Result<Option<WatchUpdate>, Error> {
        self.connection.was_useful();
        let position = message.position;
        if let Some(position) = &position {
            self.position = Some(convert::position(position.sequence, &position.hash));
            self.seen
                .reached(position.sequence, position.newest_sequence);
        }
        Ok(match message.update {
            Some(Update::Transfer(transfer)) => {
                let transfer = convert::present_transfer(transfer)?;
                self.told(transfer)
            }
            Some(Update::DeletedUuid(uuid)) => {
                let uuid = convert::deleted(&uuid)?;
                let news = self.seen.is_gone(uuid);
                news.then_some(WatchUpdate::Deleted(uuid))
            }
            Some(Update::CaughtUp(_)) => self.caught_up(position.is_some()),
            // Only a position, or a kind of update that this version does not know.
            None => None,
        })
    }

    fn told(&mut self, transfer: Transfer) -> Option<WatchUpdate> {
        self.seen
            .is_news(&transfer, &self.request.filter)
            .then(|| WatchUpdate::Transfer(Box::new(transfer)))
    }

    fn caught_up(&mut self, knows_positions: bool) -> Option<WatchUpdate> {
        if self.resumes && knows_positions {
            self.seen.expect_none();
        } else {
            self.missing = self.seen.take_unnamed();
        }
        let first = !self.told_caught_up;
        self.told_caught_up = true;
        self.everything = true;
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
                self.connection.was_useful();
                self.missing.pop();
                Ok(self.told(transfer))
            }
            Err(error) if error.is_not_found() => {
                self.connection.was_useful();
                self.missing.pop();
                let news = self.seen.is_gone(uuid);
                Ok(news.then_some(WatchUpdate::Deleted(uuid)))
            }
            Err(error) => {
                self.connection.pause(Some(error)).await?;
                Ok(None)
            }
        }
    }
}
