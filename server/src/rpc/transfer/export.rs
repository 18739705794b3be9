//! The stream of `ExportTransfers`: pages of the list of transfers, oldest first, one after the other.
//!
//! Pulled by the transport, it holds at most one piece, so a slow reader costs nothing but the place where it stands.

use std::sync::Arc;

use futures::{Stream, stream};
use tidegate_proto::v1;
use tokio::sync::Semaphore;
use tonic::{Request, Status};

use super::{
    super::{
        Backend,
        caller::Caller,
        decode, page,
        status::status,
        streams::{Kind, StreamPermit},
    },
    TransferApi,
};
use crate::error::Error;
use tidegate_domain::{
    page::Scope,
    query::{SortOrder, TransferFilter, Window},
    validate::Check,
};
use tidegate_store::ScopedReader;

/// Transfers of one piece; fewer where more would exceed the message limit.
const PIECE: u32 = 200;
/// Exports that read at the same time: calls need connections to the database, too.
const READERS: usize = 2;

/// Lets few exports read at a time, in the order in which they asked; cheap to clone.
#[derive(Clone)]
pub(super) struct ReadPermits(Arc<Semaphore>);

impl Default for ReadPermits {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(READERS)))
    }
}

struct Export {
    backend: Backend,
    permit: StreamPermit,
    read_permits: ReadPermits,
    reader: ScopedReader,
    filter: TransferFilter,
    scope: Scope,
    window: Window,
    preload: bool,
}

impl TransferApi {
    pub(super) fn export(
        &self,
        request: Request<v1::ExportTransfersRequest>,
    ) -> Result<impl Stream<Item = Result<v1::ExportTransfersResponse, Status>> + Send + use<>, Error>
    {
        let permit = self.streams.enter(Kind::Watch, &request);
        let reader = self.backend.readers.as_seen_by(&Caller::of(&request).who);
        let request = request.into_inner();
        let mut check = Check::default();
        let filter = decode::transfer_filter(&mut check, reader.scope(), request.filter);
        let preload = decode::preload(&mut check, &request.preload);
        let scope = Scope::new("export", "asc", &filter.fingerprint());
        let window = page::window(&mut check, &scope, 0, &request.page_token, 0);
        let window = Window {
            limit: PIECE,
            ..check.finish(window)?
        };
        let export = Export {
            backend: self.backend.clone(),
            permit: permit?,
            read_permits: self.export_permits.clone(),
            reader,
            filter,
            scope,
            window,
            preload,
        };
        Ok(stream::unfold(Some(export), |export| async move {
            let mut export = export?;
            match export.next().await {
                Ok(piece) => {
                    let rest = (!piece.next_page_token.is_empty()).then_some(export);
                    Some((Ok(piece), rest))
                }
                Err(error) => Some((Err(status(error)), None)),
            }
        }))
    }
}

impl Export {
    async fn next(&mut self) -> Result<v1::ExportTransfersResponse, Error> {
        let read = async {
            // Never closed.
            let _turn = self.read_permits.0.acquire().await;
            let order = SortOrder::Ascending;
            self.backend
                .list(
                    &self.reader,
                    &self.filter,
                    order,
                    self.window,
                    &self.scope,
                    self.preload,
                )
                .await
        };
        let (transfers, next_page_token) = self.permit.unless_stopped(read).await?;
        self.window.after = self.scope.open(&next_page_token);
        Ok(v1::ExportTransfersResponse {
            transfers,
            next_page_token,
        })
    }
}
