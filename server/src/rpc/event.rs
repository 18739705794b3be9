//! `EventService`.

use std::pin::Pin;

use futures::Stream;
use tidegate_proto::v1::{self, event_service_server::EventService};
use tonic::{Request, Response, Status};

use super::{
    Backend,
    caller::Caller,
    encode, page,
    status::status,
    streams::{Kind, Streams},
};
use crate::error::Error;

mod recent;
mod verify;
mod watch;

use recent::RecentEvents;
use tidegate_domain::{
    caller::{self, ConnectionScope},
    chain::Head,
    log::{Cursor, LogView, Lost},
    query::EventFilter,
    validate::Check,
};
use verify::VerifyPermits;
use watch::{ReadPermits, Sources};

/// The service.
#[derive(Clone)]
pub(super) struct EventApi {
    backend: Backend,
    streams: Streams,
    read_permits: ReadPermits,
    recent: RecentEvents,
    verify_permits: VerifyPermits,
}

type Updates = Pin<Box<dyn Stream<Item = Result<v1::WatchEventsResponse, Status>> + Send>>;

impl EventApi {
    pub(super) fn new(backend: Backend, streams: Streams) -> Self {
        Self {
            recent: RecentEvents::new(&backend.readers),
            backend,
            streams,
            read_permits: ReadPermits::default(),
            verify_permits: VerifyPermits::default(),
        }
    }

    async fn list(
        &self,
        caller: &caller::Caller,
        request: v1::ListEventsRequest,
    ) -> Result<v1::ListEventsResponse, Error> {
        let reader = self.backend.readers.as_seen_by(caller);
        let mut check = Check::default();
        let filter = EventFilter {
            transfer_uuid: check.optional_uuid("transfer_uuid", &request.transfer_uuid),
            connections: ConnectionScope::from(
                check.optional_uuid("connection_uuid", &request.connection_uuid),
            ),
            after_sequence: request.after_sequence,
        };
        let cursor = cursor(&mut check, request.after_sequence, &request.after_hash);
        let limit = check.page_size("page_size", request.page_size, 50);
        let (filter, limit) = check.finish((filter, limit))?;
        let rows = reader.events(&filter, limit).await?;
        // Read after the page: what is still kept now was kept then.
        place(cursor, &reader.look(cursor.sequence).await?)?;
        let (events, _) = page::fit_messages(&rows, limit, encode::event);
        Ok(v1::ListEventsResponse { events })
    }

    async fn verify(
        &self,
        caller: &caller::Caller,
        request: v1::VerifyLogRequest,
    ) -> Result<v1::VerifyLogResponse, Error> {
        let reader = self.backend.readers.as_seen_by(caller);
        let mut check = Check::default();
        let cursor = cursor(&mut check, request.after_sequence, &request.after_hash);
        let cursor = check.finish(cursor)?;
        let _turn = self.verify_permits.turn().await?;
        let verdict = verify::verify(&reader, cursor).await?;
        Ok(verdict.to_wire())
    }

    async fn watch(&self, request: Request<v1::WatchEventsRequest>) -> Result<Updates, Error> {
        let place = self.streams.enter(Kind::Watch, &request);
        let reader = self.backend.readers.as_seen_by(&Caller::of(&request).who);
        let request = request.into_inner();
        let mut check = Check::default();
        let filter = EventFilter {
            transfer_uuid: check.optional_uuid("transfer_uuid", &request.transfer_uuid),
            connections: ConnectionScope::from(
                check.optional_uuid("connection_uuid", &request.connection_uuid),
            ),
            after_sequence: request.after_sequence,
        };
        let cursor = cursor(&mut check, request.after_sequence, &request.after_hash);
        let filter = check.finish(filter)?;
        let sources = Sources {
            reader,
            read_permits: self.read_permits.clone(),
            recent: self.recent.clone(),
        };
        let watch = watch::events(&self.backend, sources, place?, filter, cursor);
        Ok(Box::pin(watch.await?))
    }
}

/// Where a caller wants to go on.
pub(super) fn cursor(check: &mut Check, after_sequence: i64, after_hash: &[u8]) -> Cursor {
    let sequence = check.count("after_sequence", after_sequence);
    let hash = match after_hash {
        [] => None,
        bytes => {
            let hash = bytes.try_into().ok();
            if hash.is_none() {
                check.add(
                    "after_hash",
                    "must be the 32 bytes of an event's hash, or empty",
                );
            }
            hash
        }
    };
    Cursor { sequence, hash }
}

/// The place to read on from; position 0 stands for the beginning of what is kept.
fn place(cursor: Cursor, view: &LogView) -> Result<Head, Error> {
    if cursor.sequence == 0 {
        Ok(view.bounds.floor)
    } else {
        within(cursor, view)
    }
}

/// The place of a caller's cursor, if everything after it is in the log.
pub(super) fn within(cursor: Cursor, view: &LogView) -> Result<Head, Error> {
    let after_sequence = cursor.sequence;
    view.find(cursor).map_err(|lost| match lost {
        Lost::Removed => Error::CursorExpired {
            after_sequence,
            oldest_sequence: view.bounds.floor.sequence + 1,
        },
        Lost::Ahead => Error::CursorAhead {
            after_sequence,
            newest_sequence: view.bounds.last.sequence,
        },
        Lost::Diverged(divergence) => Error::LogDiverged { divergence },
    })
}

/// Whether everything after what was read of the log is in it, and the log is the same.
pub(super) fn still(read: Head, view: &LogView) -> Result<(), Error> {
    match view.divergence(read) {
        Some(divergence) => Err(Error::LogDiverged { divergence }),
        None => within(read.into(), view).map(drop),
    }
}

#[tonic::async_trait]
impl EventService for EventApi {
    async fn list_events(
        &self,
        request: Request<v1::ListEventsRequest>,
    ) -> Result<Response<v1::ListEventsResponse>, Status> {
        let caller = Caller::of(&request).who;
        self.list(&caller, request.into_inner())
            .await
            .map(Response::new)
            .map_err(status)
    }

    async fn verify_log(
        &self,
        request: Request<v1::VerifyLogRequest>,
    ) -> Result<Response<v1::VerifyLogResponse>, Status> {
        let caller = Caller::of(&request).who;
        self.verify(&caller, request.into_inner())
            .await
            .map(Response::new)
            .map_err(status)
    }

    type WatchEventsStream = Updates;

    async fn watch_events(
        &self,
        request: Request<v1::WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        self.watch(request).await.map(Response::new).map_err(status)
    }
}
