//! `EventService`.

use tidegate_proto::v1::{self, event_service_server::EventService};
use tonic::{Request, Response, Status};

use super::{Backend, answer, page, status::status};
use crate::{
    domain::{query::EventFilter, validate::Check},
    error::Error,
};

/// The service.
#[derive(Clone)]
pub(super) struct EventApi {
    backend: Backend,
}

impl EventApi {
    pub(super) const fn new(backend: Backend) -> Self {
        Self { backend }
    }

    async fn list(&self, request: v1::ListEventsRequest) -> Result<v1::ListEventsResponse, Error> {
        let mut check = Check::default();
        let filter = EventFilter {
            transfer_uuid: check.optional_uuid("transfer_uuid", &request.transfer_uuid),
            connection_uuid: check.optional_uuid("connection_uuid", &request.connection_uuid),
            after_sequence: check.count("after_sequence", request.after_sequence),
        };
        let limit = check.page_size("page_size", request.page_size, 50);
        let (filter, limit) = check.finish((filter, limit))?;
        let rows = self.backend.store.events(&filter, limit).await?;
        let (events, _) = page::fit_messages(&rows, limit, answer::event);
        Ok(v1::ListEventsResponse { events })
    }
}

#[tonic::async_trait]
impl EventService for EventApi {
    async fn list_events(
        &self,
        request: Request<v1::ListEventsRequest>,
    ) -> Result<Response<v1::ListEventsResponse>, Status> {
        self.list(request.into_inner())
            .await
            .map(Response::new)
            .map_err(status)
    }
}
