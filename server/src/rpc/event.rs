//! `EventService`.

use std::pin::Pin;

use futures::Stream;
use tidegate_proto::v1::{self, event_service_server::EventService};
use tonic::{Request, Response, Status};

use super::{
    Backend, answer,
    caller::Caller,
    page,
    status::status,
    streams::{Kind, Streams},
};
use crate::{
    domain::{
        caller,
        query::{EventFilter, LogBounds},
        validate::Check,
    },
    error::Error,
};

mod watch;

use watch::Turns;

/// The service.
#[derive(Clone)]
pub(super) struct EventApi {
    backend: Backend,
    streams: Streams,
    turns: Turns,
}

type Updates = Pin<Box<dyn Stream<Item = Result<v1::WatchEventsResponse, Status>> + Send>>;

impl EventApi {
    pub(super) fn new(backend: Backend, streams: Streams) -> Self {
        Self {
            backend,
            streams,
            turns: Turns::default(),
        }
    }

    async fn list(
        &self,
        caller: &caller::Caller,
        request: v1::ListEventsRequest,
    ) -> Result<v1::ListEventsResponse, Error> {
        let mut check = Check::default();
        let filter = EventFilter {
            transfer_uuid: check.optional_uuid("transfer_uuid", &request.transfer_uuid),
            connection_uuid: caller
                .narrowed(check.optional_uuid("connection_uuid", &request.connection_uuid)),
            after_sequence: check.count("after_sequence", request.after_sequence),
        };
        let limit = check.page_size("page_size", request.page_size, 50);
        let (filter, limit) = check.finish((filter, limit))?;
        let rows = self.backend.store.events(&filter, limit).await?;
        // Read after the page: what is still kept now was kept then.
        place(
            filter.after_sequence,
            self.backend.store.log_bounds().await?,
        )?;
        let (events, _) = page::fit_messages(&rows, limit, answer::event);
        Ok(v1::ListEventsResponse { events })
    }

    async fn watch(&self, request: Request<v1::WatchEventsRequest>) -> Result<Updates, Error> {
        let place = self.streams.enter(Kind::Watch, &request);
        let caller = Caller::of(&request).who;
        let request = request.into_inner();
        let mut check = Check::default();
        let filter = EventFilter {
            transfer_uuid: check.optional_uuid("transfer_uuid", &request.transfer_uuid),
            connection_uuid: caller
                .narrowed(check.optional_uuid("connection_uuid", &request.connection_uuid)),
            after_sequence: check.count("after_sequence", request.after_sequence),
        };
        let filter = check.finish(filter)?;
        let watch = watch::events(&self.backend, place?, self.turns.clone(), filter);
        Ok(Box::pin(watch.await?))
    }
}

/// The position to read on from; 0 stands for the beginning of what is kept.
fn place(after_sequence: i64, bounds: LogBounds) -> Result<i64, Error> {
    if after_sequence == 0 {
        Ok(bounds.floor)
    } else {
        within(after_sequence, bounds)
    }
}

/// The position, if everything after it is in the log.
pub(super) fn within(after_sequence: i64, bounds: LogBounds) -> Result<i64, Error> {
    if after_sequence < bounds.floor {
        Err(Error::CursorExpired {
            after_sequence,
            oldest_sequence: bounds.floor + 1,
        })
    } else if after_sequence > bounds.last {
        Err(Error::CursorAhead {
            after_sequence,
            newest_sequence: bounds.last,
        })
    } else {
        Ok(after_sequence)
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

    type WatchEventsStream = Updates;

    async fn watch_events(
        &self,
        request: Request<v1::WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        self.watch(request).await.map(Response::new).map_err(status)
    }
}
