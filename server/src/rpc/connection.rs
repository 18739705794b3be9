//! `ConnectionService`.

use tidegate_proto::v1::{self, connection_service_server::ConnectionService};
use tonic::{Request, Response, Status};

use super::{Backend, answer, incoming, page, status::status};
use crate::{
    domain::{
        connection::Connection,
        page::{Position, Scope},
        refusal::Refusal,
        validate::Check,
    },
    error::Error,
    ledger::Outcome,
};

/// The service.
#[derive(Clone)]
pub(super) struct ConnectionApi {
    backend: Backend,
}

impl ConnectionApi {
    pub(super) const fn new(backend: Backend) -> Self {
        Self { backend }
    }

    async fn create(
        &self,
        request: Request<v1::CreateConnectionRequest>,
    ) -> Result<v1::CreateConnectionResponse, Error> {
        match self
            .backend
            .ledger
            .submit(incoming::order(request)?)
            .await?
        {
            Outcome::Connection(connection) => Ok(v1::CreateConnectionResponse {
                connection: Some(answer::connection(&connection)),
            }),
            Outcome::Transfer(_) | Outcome::Deleted => {
                Err(super::transfer::unexpected("a connection was expected"))
            }
        }
    }

    async fn get(
        &self,
        request: v1::GetConnectionRequest,
    ) -> Result<v1::GetConnectionResponse, Error> {
        let mut check = Check::default();
        let uuid = check.uuid("uuid", &request.uuid);
        let uuid = check.finish(uuid)?;
        let found = self.backend.store.connection(uuid).await?;
        let connection = found.ok_or(Refusal::ConnectionNotFound { uuid })?;
        Ok(v1::GetConnectionResponse {
            connection: Some(answer::connection(&connection)),
        })
    }

    async fn list(
        &self,
        request: v1::ListConnectionsRequest,
    ) -> Result<v1::ListConnectionsResponse, Error> {
        let mut check = Check::default();
        let direction = incoming::connection_direction(&mut check, request.direction);
        let name = direction.map_or("", |direction| direction.name());
        let scope = Scope::new("connections", "desc", name);
        let window = page::window(
            &mut check,
            &scope,
            request.page_size,
            &request.page_token,
            0,
        );
        let window = check.finish(window)?;
        let rows = self
            .backend
            .store
            .connections(direction, page::one_more(window))
            .await?;
        let place = |row: &Connection| Position {
            micros: row.inserted_at.as_micros(),
            uuid: row.uuid,
        };
        let (connections, next_page_token) =
            page::fit(&rows, window.limit, &scope, place, answer::connection);
        Ok(v1::ListConnectionsResponse {
            connections,
            next_page_token,
        })
    }
}

#[tonic::async_trait]
impl ConnectionService for ConnectionApi {
    async fn create_connection(
        &self,
        request: Request<v1::CreateConnectionRequest>,
    ) -> Result<Response<v1::CreateConnectionResponse>, Status> {
        self.create(request)
            .await
            .map(Response::new)
            .map_err(status)
    }

    async fn get_connection(
        &self,
        request: Request<v1::GetConnectionRequest>,
    ) -> Result<Response<v1::GetConnectionResponse>, Status> {
        self.get(request.into_inner())
            .await
            .map(Response::new)
            .map_err(status)
    }

    async fn list_connections(
        &self,
        request: Request<v1::ListConnectionsRequest>,
    ) -> Result<Response<v1::ListConnectionsResponse>, Status> {
        self.list(request.into_inner())
            .await
            .map(Response::new)
            .map_err(status)
    }
}
