//! The other sites.

use std::future::IntoFuture;

use futures_util::{Stream, future::BoxFuture};
use serde_json::{Map, Value};
use tidegate_proto::v1;
use uuid::Uuid;

use super::{Call, Page, paged, pages, request};
use crate::{
    Client, Connection, ConnectionDirection, ConnectionPolicy, ConnectionStatus, Connections,
    Error, convert, model::Wire as _, transport::Stubs,
};

mod update;

pub use update::UpdateConnection;

request! {
    /// Creates a connection; made by [`Connections::create`].
    change CreateConnection(CreateConnectionRequest) by connections.create_connection,
    CreateConnectionResponse => Connection { |answer| convert::connection(answer.connection) }
}

request! {
    /// Puts into use a connection; made by [`Connections::approve`].
    change ApproveConnection(ApproveConnectionRequest) by connections.approve_connection,
    ApproveConnectionResponse => Connection { |answer| convert::connection(answer.connection) }
}

request! {
    /// Pauses a connection; made by [`Connections::suspend`].
    change SuspendConnection(SuspendConnectionRequest) by connections.suspend_connection,
    SuspendConnectionResponse => Connection { |answer| convert::connection(answer.connection) }
}

request! {
    /// Puts into use again a connection; made by [`Connections::reactivate`].
    change ReactivateConnection(ReactivateConnectionRequest) by connections.reactivate_connection,
    ReactivateConnectionResponse => Connection { |answer| convert::connection(answer.connection) }
}

request! {
    /// Ends a connection; made by [`Connections::revoke`].
    change RevokeConnection(RevokeConnectionRequest) by connections.revoke_connection,
    RevokeConnectionResponse => Connection { |answer| convert::connection(answer.connection) }
}

request! {
    /// Deletes a connection; made by [`Connections::delete`].
    change DeleteConnection(DeleteConnectionRequest) by connections.delete_connection,
    DeleteConnectionResponse => () { |_| Ok(()) }
}

request! {
    /// Asks for one connection; made by [`Connections::get`].
    read GetConnection(GetConnectionRequest) by connections.get_connection,
    GetConnectionResponse => Connection { |answer| convert::connection(answer.connection) }
}

request! {
    /// Lists connections; made by [`Connections::list`].
    read ListConnections(ListConnectionsRequest) by connections.list_connections,
    ListConnectionsResponse => Page<Connection> {
        |answer| convert::page(answer.connections, answer.next_page_token, convert::present_connection)
    }
}

pages!(ListConnections of Connection {});

impl Connections {
    /// Creates a connection, active at once unless it is to be pending, to the site at `site_url`, an http or https URL. Name and URL have at most
    /// 255 characters; names need not be unique.
    pub fn create(
        &self,
        name: impl Into<String>,
        direction: ConnectionDirection,
        site_url: impl Into<String>,
    ) -> CreateConnection {
        CreateConnection {
            client: self.client.clone(),
            message: v1::CreateConnectionRequest {
                name: name.into(),
                direction: direction.to_wire(),
                site_url: site_url.into(),
                request_id: String::new(),
                ..Default::default()
            },
        }
    }

    /// Changes fields of a connection, in any status but `Revoked`: those that are set on the request, and no others.
    ///
    /// ```no_run
    /// # async fn limit(client: tidegate_client::Client, uuid: uuid::Uuid) -> Result<(), tidegate_client::Error> {
    /// client.connections().update(uuid).allowed_tables(["public.orders"]).max_transfers(10).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn update(&self, uuid: Uuid) -> UpdateConnection {
        UpdateConnection::new(self.client.clone(), uuid)
    }

    /// Puts a connection that is `Pending` into use.
    pub fn approve(&self, uuid: Uuid) -> ApproveConnection {
        ApproveConnection {
            client: self.client.clone(),
            message: v1::ApproveConnectionRequest {
                uuid: uuid.to_string(),
                request_id: String::new(),
            },
        }
    }

    /// Pauses a connection that is `Active`: its transfers are neither created nor started. Those in progress may end.
    pub fn suspend(&self, uuid: Uuid) -> SuspendConnection {
        SuspendConnection {
            client: self.client.clone(),
            message: v1::SuspendConnectionRequest {
                uuid: uuid.to_string(),
                ..Default::default()
            },
        }
    }

    /// Puts a connection that is `Suspended` or `Expired` into use again. Past its end it is refused with
    /// `CONNECTION_EXPIRED`.
    pub fn reactivate(&self, uuid: Uuid) -> ReactivateConnection {
        ReactivateConnection {
            client: self.client.clone(),
            message: v1::ReactivateConnectionRequest {
                uuid: uuid.to_string(),
                request_id: String::new(),
            },
        }
    }

    /// Ends a connection for good, with the credentials of its agents.
    pub fn revoke(&self, uuid: Uuid) -> RevokeConnection {
        RevokeConnection {
            client: self.client.clone(),
            message: v1::RevokeConnectionRequest {
                uuid: uuid.to_string(),
                ..Default::default()
            },
        }
    }

    /// Deletes a connection that is `Pending`, `Revoked` or `Expired` and has no transfer that could still change. Its
    /// transfers and events stay.
    pub fn delete(&self, uuid: Uuid) -> DeleteConnection {
        DeleteConnection {
            client: self.client.clone(),
            message: v1::DeleteConnectionRequest {
                uuid: uuid.to_string(),
                request_id: String::new(),
            },
        }
    }

    /// Asks for one connection. Refused with `NOT_FOUND` when there is none.
    pub fn get(&self, uuid: Uuid) -> GetConnection {
        GetConnection {
            client: self.client.clone(),
            message: v1::GetConnectionRequest {
                uuid: uuid.to_string(),
            },
        }
    }

    /// Lists connections, newest first.
    pub fn list(&self) -> ListConnections {
        ListConnections {
            client: self.client.clone(),
            message: v1::ListConnectionsRequest::default(),
        }
    }
}

impl CreateConnection {
    /// What its transfers may do; everything by default.
    pub fn policy(mut self, policy: ConnectionPolicy) -> Self {
        self.message.policy = Some(convert::to_policy(policy));
        self
    }

    /// The operators' notes, at most 16 KiB as JSON. Numbers go through a double.
    pub fn metadata(mut self, metadata: Map<String, Value>) -> Self {
        self.message.metadata = Some(convert::to_struct(metadata));
        self
    }

    /// Whether there may be another connection to the same site in the same direction; otherwise it is refused.
    pub fn allow_duplicate(mut self, allowed: bool) -> Self {
        self.message.allow_duplicate = allowed;
        self
    }

    /// Whether nothing runs before it is approved.
    pub fn pending(mut self, pending: bool) -> Self {
        self.message.pending = pending;
        self
    }
}

impl SuspendConnection {
    /// Why, in at most 255 characters.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.message.reason = reason.into();
        self
    }
}

impl RevokeConnection {
    /// Why, in at most 255 characters.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.message.reason = reason.into();
        self
    }
}

impl ListConnections {
    /// Only connections in one of these statuses; none is any.
    pub fn status(mut self, status: impl IntoIterator<Item = ConnectionStatus>) -> Self {
        self.message.status = status.into_iter().map(ConnectionStatus::to_wire).collect();
        self
    }

    /// Only connections of this direction.
    pub fn direction(mut self, direction: ConnectionDirection) -> Self {
        self.message.direction = direction.to_wire();
        self
    }
}
