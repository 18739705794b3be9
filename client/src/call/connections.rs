//! The other sites.

use std::future::IntoFuture;

use futures::{Stream, future::BoxFuture};
use tidegate_proto::v1;
use uuid::Uuid;

use super::{Call, Page, paged, pages, request};
use crate::{
    Client, Connection, ConnectionDirection, Error, convert, model::Wire as _, transport::Stubs,
};

request! {
    /// Creates a connection; made by [`Client::create_connection`].
    change CreateConnection(CreateConnectionRequest) by connections.create_connection,
    CreateConnectionResponse => Connection { |answer| convert::connection(answer.connection) }
}

request! {
    /// Asks for one connection; made by [`Client::get_connection`].
    read GetConnection(GetConnectionRequest) by connections.get_connection,
    GetConnectionResponse => Connection { |answer| convert::connection(answer.connection) }
}

request! {
    /// Lists connections; made by [`Client::list_connections`].
    read ListConnections(ListConnectionsRequest) by connections.list_connections,
    ListConnectionsResponse => Page<Connection> {
        |answer| convert::page(answer.connections, answer.next_page_token, convert::present_connection)
    }
}

pages!(ListConnections of Connection {});

impl Client {
    /// Creates a connection, active at once, to the site at `site_url`, an http or https URL. Name and URL have at most
    /// 255 characters; names need not be unique.
    pub fn create_connection(
        &self,
        name: impl Into<String>,
        direction: ConnectionDirection,
        site_url: impl Into<String>,
    ) -> CreateConnection {
        CreateConnection {
            client: self.clone(),
            message: v1::CreateConnectionRequest {
                name: name.into(),
                direction: direction.to_wire(),
                site_url: site_url.into(),
                request_id: String::new(),
            },
        }
    }

    /// Asks for one connection. Refused with `NOT_FOUND` when there is none.
    pub fn get_connection(&self, uuid: Uuid) -> GetConnection {
        GetConnection {
            client: self.clone(),
            message: v1::GetConnectionRequest {
                uuid: uuid.to_string(),
            },
        }
    }

    /// Lists connections, newest first.
    pub fn list_connections(&self) -> ListConnections {
        ListConnections {
            client: self.clone(),
            message: v1::ListConnectionsRequest::default(),
        }
    }
}

impl ListConnections {
    /// Only connections of this direction.
    pub fn direction(mut self, direction: ConnectionDirection) -> Self {
        self.message.direction = direction.to_wire();
        self
    }
}
