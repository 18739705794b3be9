//! `ConnectionService`.

use tidegate_proto::v1::{self, connection_service_server::ConnectionService};
use tonic::{Request, Response, Status};

use super::{
    Backend,
    caller::Caller,
    credential,
    decode::{self, Mutation},
    encode, page,
    status::status,
};
use crate::error::Error;
use tidegate_domain::{
    caller,
    command::ConnectionCommand,
    connection::Connection,
    page::{Position, Scope},
    refusal::Refusal,
    validate::Check,
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

    /// Carries out a change and answers with the connection as it is now.
    async fn change<M>(&self, request: Request<M>) -> Result<Option<v1::Connection>, Error>
    where
        M: Mutation<Command = ConnectionCommand, Made = ()>,
    {
        let submission = decode::submission(request)?;
        let connection = self.backend.ledger.submit(submission).await?;
        Ok(connection.map(|connection| encode::connection(&connection)))
    }

    async fn get(
        &self,
        caller: &caller::Caller,
        request: v1::GetConnectionRequest,
    ) -> Result<v1::GetConnectionResponse, Error> {
        let mut check = Check::default();
        let uuid = check.uuid("uuid", &request.uuid);
        let uuid = check.finish(uuid)?;
        let reader = self.backend.readers.as_seen_by(caller);
        let found = reader.connection(uuid).await?;
        let connection = found.ok_or(Refusal::ConnectionNotFound { uuid })?;
        Ok(v1::GetConnectionResponse {
            connection: Some(encode::connection(&connection)),
        })
    }

    async fn list(
        &self,
        caller: &caller::Caller,
        request: v1::ListConnectionsRequest,
    ) -> Result<v1::ListConnectionsResponse, Error> {
        let mut check = Check::default();
        let filter = decode::connection_filter(&mut check, &request);
        let mut fingerprint = filter.fingerprint();
        if let Some(own) = caller.scope().fingerprint() {
            fingerprint = format!("{fingerprint};{own}");
        }
        let scope = Scope::new("connections", "desc", &fingerprint);
        let window = page::window(
            &mut check,
            &scope,
            request.page_size,
            &request.page_token,
            0,
        );
        let window = check.finish(window)?;
        let reader = self.backend.readers.as_seen_by(caller);
        let rows = reader.connections(&filter, page::one_more(window)).await?;
        let place = |row: &Connection| Position {
            micros: row.inserted_at.as_micros(),
            uuid: row.uuid.into(),
        };
        let (connections, next_page_token) =
            page::fit(&rows, window.limit, &scope, place, encode::connection);
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
        let connection = self.change(request).await.map_err(status)?;
        Ok(Response::new(v1::CreateConnectionResponse { connection }))
    }

    async fn get_connection(
        &self,
        request: Request<v1::GetConnectionRequest>,
    ) -> Result<Response<v1::GetConnectionResponse>, Status> {
        let caller = Caller::of(&request).who;
        self.get(&caller, request.into_inner())
            .await
            .map(Response::new)
            .map_err(status)
    }

    async fn list_connections(
        &self,
        request: Request<v1::ListConnectionsRequest>,
    ) -> Result<Response<v1::ListConnectionsResponse>, Status> {
        let caller = Caller::of(&request).who;
        self.list(&caller, request.into_inner())
            .await
            .map(Response::new)
            .map_err(status)
    }

    async fn update_connection(
        &self,
        request: Request<v1::UpdateConnectionRequest>,
    ) -> Result<Response<v1::UpdateConnectionResponse>, Status> {
        let connection = self.change(request).await.map_err(status)?;
        Ok(Response::new(v1::UpdateConnectionResponse { connection }))
    }

    async fn approve_connection(
        &self,
        request: Request<v1::ApproveConnectionRequest>,
    ) -> Result<Response<v1::ApproveConnectionResponse>, Status> {
        let connection = self.change(request).await.map_err(status)?;
        Ok(Response::new(v1::ApproveConnectionResponse { connection }))
    }

    async fn suspend_connection(
        &self,
        request: Request<v1::SuspendConnectionRequest>,
    ) -> Result<Response<v1::SuspendConnectionResponse>, Status> {
        let connection = self.change(request).await.map_err(status)?;
        Ok(Response::new(v1::SuspendConnectionResponse { connection }))
    }

    async fn reactivate_connection(
        &self,
        request: Request<v1::ReactivateConnectionRequest>,
    ) -> Result<Response<v1::ReactivateConnectionResponse>, Status> {
        let connection = self.change(request).await.map_err(status)?;
        Ok(Response::new(v1::ReactivateConnectionResponse {
            connection,
        }))
    }

    async fn revoke_connection(
        &self,
        request: Request<v1::RevokeConnectionRequest>,
    ) -> Result<Response<v1::RevokeConnectionResponse>, Status> {
        let connection = self.change(request).await.map_err(status)?;
        Ok(Response::new(v1::RevokeConnectionResponse { connection }))
    }

    async fn delete_connection(
        &self,
        request: Request<v1::DeleteConnectionRequest>,
    ) -> Result<Response<v1::DeleteConnectionResponse>, Status> {
        self.change(request).await.map_err(status)?;
        Ok(Response::new(v1::DeleteConnectionResponse {}))
    }

    async fn rotate_connection_token(
        &self,
        request: Request<v1::RotateConnectionTokenRequest>,
    ) -> Result<Response<v1::RotateConnectionTokenResponse>, Status> {
        let (credential, token) = credential::issue(&self.backend, request)
            .await
            .map_err(status)?;
        Ok(Response::new(v1::RotateConnectionTokenResponse {
            credential: Some(credential),
            token,
        }))
    }
}
