//! What health checks are told: whether callers can be served just now, for the server and for each service by name.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::{StreamExt as _, future, stream, stream::BoxStream};
use tidegate_proto::v1::{
    bulk_service_server, connection_service_server, credential_service_server,
    event_service_server, transfer_service_server,
};
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;
use tonic::{Request, Response, Status};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse,
    health_check_response::ServingStatus,
    health_server::{self, HealthServer},
};

/// The server as a whole, then its services. All of them need a database that takes changes.
const NAMES: [&str; 6] = [
    "",
    transfer_service_server::SERVICE_NAME,
    event_service_server::SERVICE_NAME,
    connection_service_server::SERVICE_NAME,
    credential_service_server::SERVICE_NAME,
    bulk_service_server::SERVICE_NAME,
];

/// The server's own word on its health; cheap to clone.
#[derive(Clone, Debug)]
pub struct Health(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// Absent once watches have ended.
    serving: Option<watch::Sender<bool>>,
    /// Nobody is served any more, whatever is found out from now on.
    is_over: bool,
}

impl Health {
    /// A server that serves.
    pub(super) fn new() -> Self {
        let (serving, _) = watch::channel(true);
        Self(Arc::new(Mutex::new(State {
            serving: Some(serving),
            is_over: false,
        })))
    }

    pub(super) fn service(&self) -> HealthServer<impl health_server::Health> {
        HealthServer::new(self.clone())
    }

    /// Tells whether callers can be served.
    pub fn set(&self, serving: bool) {
        let state = self.state();
        if let (Some(told), false) = (&state.serving, state.is_over) {
            told.send_if_modified(|told| std::mem::replace(told, serving) != serving);
        }
    }

    /// Tells that nobody will be served any more.
    pub fn stop_serving(&self) {
        let mut state = self.state();
        state.is_over = true;
        if let Some(told) = &state.serving {
            told.send_replace(false);
        }
    }

    /// Ends every watch, after its last word: they would hold up the end of the server otherwise.
    pub fn end(&self) {
        self.stop_serving();
        self.state().serving = None;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether callers are told that they can be served.
    pub fn is_serving(&self) -> bool {
        let state = self.state();
        state.serving.as_ref().is_some_and(|told| *told.borrow())
    }
}

#[tonic::async_trait]
impl health_server::Health for Health {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        if !is_known(&request) {
            return Err(Status::not_found("there is no such service"));
        }
        Ok(Response::new(answer(status(self.is_serving()))))
    }

    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let told = self.state().serving.as_ref().map(watch::Sender::subscribe);
        let words = match told {
            Some(told) => WatchStream::new(told).map(status).boxed(),
            None => stream::iter([ServingStatus::NotServing]).boxed(),
        };
        let words = if is_known(&request) {
            words
        } else {
            // It may be known one day, says the protocol: the watch stays open for as long as the server lives.
            let nothing = words.filter(|_| future::ready(false));
            stream::iter([ServingStatus::ServiceUnknown])
                .chain(nothing)
                .boxed()
        };
        Ok(Response::new(words.map(|word| Ok(answer(word))).boxed()))
    }
}

fn is_known(request: &Request<HealthCheckRequest>) -> bool {
    NAMES.contains(&request.get_ref().service.as_str())
}

const fn status(serving: bool) -> ServingStatus {
    if serving {
        ServingStatus::Serving
    } else {
        ServingStatus::NotServing
    }
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status.into(),
    }
}

#[cfg(test)]
mod tests {
    use tonic_health::pb::health_server::Health as _;

    use super::*;

    async fn watch(health: &Health, service: &str) -> Vec<ServingStatus> {
        let service = service.to_owned();
        let watch = health.watch(Request::new(HealthCheckRequest { service }));
        let words = watch.await.expect("it opens").into_inner();
        health.end();
        words
            .map(|word| word.expect("a word").status())
            .collect()
            .await
    }

    #[tokio::test]
    async fn a_watch_hears_the_last_word_before_it_ends() {
        for name in NAMES {
            assert_eq!(
                watch(&Health::new(), name).await,
                [ServingStatus::NotServing]
            );
        }
        let unknown = watch(&Health::new(), "tidegate.v2.Nothing").await;
        assert_eq!(unknown, [ServingStatus::ServiceUnknown]);
    }

    #[tokio::test]
    async fn a_server_that_ends_serves_nobody_whatever_the_database_says() {
        let health = Health::new();
        health.set(false);
        health.set(true);
        assert!(health.is_serving());
        health.stop_serving();
        health.set(true);
        assert!(!health.is_serving());
        health.end();
        assert_eq!(watch(&health, "").await, [ServingStatus::NotServing]);
    }
}
