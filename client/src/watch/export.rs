//! All transfers that a filter means, read once from the oldest to the newest.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::{
    Stream, StreamExt as _,
    stream::{self, BoxStream},
};
use tidegate_proto::v1;

use super::reconnect::{Interruption, ReconnectingStream};
use crate::{Client, Error, Transfer, TransferFilter, Transfers, convert};

/// Asks to export transfers; made by [`Transfers::export`].
#[derive(Clone, Debug)]
#[must_use = "an export begins with `into_stream`"]
pub struct ExportTransfers {
    client: Client,
    message: v1::ExportTransfersRequest,
}

/// Some of the transfers of an export.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ExportedTransfers {
    /// The transfers, oldest first; none where none match.
    pub transfers: Vec<Transfer>,
    /// Where another export goes on after them, by [`ExportTransfers::after`]; `None` for the last.
    pub next: Option<String>,
}

/// All transfers that match, oldest first, some at a time; made by [`ExportTransfers::into_stream`].
///
/// Whatever interrupts the connection is ridden out: the export goes on after what it has given, on any replica, so that
/// none is skipped or repeated. An `Err` is a final refusal and ends the stream.
#[must_use = "an export connects when it is polled"]
pub struct TransfersExport {
    pieces: BoxStream<'static, Result<ExportedTransfers, Error>>,
    interruption: Interruption,
}

impl Transfers {
    /// Reads all transfers, over any interruption. Each is told as it is when its turn comes.
    pub fn export(&self) -> ExportTransfers {
        ExportTransfers {
            client: self.client.clone(),
            message: v1::ExportTransfersRequest::default(),
        }
    }
}

impl ExportTransfers {
    /// Only the transfers that the filter means.
    pub fn filter(mut self, filter: TransferFilter) -> Self {
        self.message.filter = Some(convert::to_filter(filter));
        self
    }

    /// Goes on where an earlier export of the same filter has come to: [`ExportedTransfers::next`].
    pub fn after(mut self, next: impl Into<String>) -> Self {
        self.message.page_token = next.into();
        self
    }

    /// Brings the connection of each transfer along.
    pub fn with_connections(mut self) -> Self {
        self.message.preload = vec![v1::Preload::Connection.into()];
        self
    }

    /// Begins the export, which connects when first polled.
    pub fn into_stream(self) -> TransfersExport {
        let reader = Reader {
            connection: ReconnectingStream::new(self.client.clone()),
            request: self,
            done: false,
        };
        let interruption = reader.connection.interruption();
        let pieces = stream::unfold(reader, |mut reader| async {
            let next = reader.next().await?;
            Some((next, reader))
        });
        TransfersExport {
            pieces: pieces.boxed(),
            interruption,
        }
    }
}

impl TransfersExport {
    /// Why the export has no connection at present and tries again; `None` while it has one, and before it was polled.
    #[must_use]
    pub fn interruption(&self) -> Option<Error> {
        self.interruption.get()
    }
}

impl Stream for TransfersExport {
    type Item = Result<ExportedTransfers, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.pieces.poll_next_unpin(context)
    }
}

impl fmt::Debug for TransfersExport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransfersExport").finish_non_exhaustive()
    }
}

struct Reader {
    request: ExportTransfers,
    connection: ReconnectingStream<v1::ExportTransfersResponse>,
    done: bool,
}

impl Reader {
    async fn next(&mut self) -> Option<Result<ExportedTransfers, Error>> {
        if self.done {
            return None;
        }
        let piece = self.next_piece().await;
        self.done = piece.as_ref().map_or(true, |piece| piece.next.is_none());
        Some(piece)
    }

    async fn next_piece(&mut self) -> Result<ExportedTransfers, Error> {
        loop {
            if !self.connection.is_open() {
                let request = self.request.message.clone();
                let client = &self.request.client;
                let opening = client.open(request, |mut stubs, request| async move {
                    stubs.transfers.export_transfers(request).await
                });
                let stream = opening.await;
                self.connection.opened(stream).await?;
                continue;
            }
            let Some(message) = self.connection.message().await? else {
                continue;
            };
            self.connection.was_useful();
            let transfers = message.transfers.into_iter();
            let transfers = transfers.map(|transfer| convert::transfer(Some(transfer)));
            let transfers = transfers.collect::<Result<_, _>>()?;
            let next = Some(message.next_page_token).filter(|token| !token.is_empty());
            if let Some(token) = &next {
                self.request.message.page_token.clone_from(token);
            }
            return Ok(ExportedTransfers { transfers, next });
        }
    }
}
