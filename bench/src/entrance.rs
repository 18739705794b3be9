//! The ways in to a server: plain, or by TLS and with a token.

use anyhow::Context as _;
use tidegate_proto::v1::{
    self, connection_service_client::ConnectionServiceClient,
    transfer_service_client::TransferServiceClient,
};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};

pub(crate) type Transfers = TransferServiceClient<Line>;

/// One connection to a server.
type Line = InterceptedService<Channel, Token>;

/// Calls that share one connection: the server allows 128.
const CALLS_PER_CONNECTION: usize = 64;

/// Shows the token, if there is one.
#[derive(Clone)]
pub(crate) struct Token(Option<MetadataValue<Ascii>>);

impl Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            let metadata = request.metadata_mut();
            metadata.insert("authorization", token.clone());
        }
        Ok(request)
    }
}

/// Where a server is and what it wants to see.
#[derive(Clone)]
pub(crate) struct Entrance {
    endpoint: Endpoint,
    token: Token,
}

impl Entrance {
    /// A server that takes whoever comes.
    pub(crate) fn plain(address: &str) -> anyhow::Result<Self> {
        Ok(Self {
            endpoint: Endpoint::from_shared(address.to_owned())?,
            token: Token(None),
        })
    }

    /// A server with a certificate of this authority.
    pub(crate) fn secured(address: &str, authority: &str, token: &str) -> anyhow::Result<Self> {
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority));
        Ok(Self {
            endpoint: Endpoint::from_shared(address.to_owned())?.tls_config(tls)?,
            token: Token(Some(format!("Bearer {token}").parse()?)),
        })
    }

    /// A connection that shows no token by itself.
    pub(crate) async fn channel(&self) -> anyhow::Result<Channel> {
        Ok(self.endpoint.connect().await?)
    }

    /// Enough connections for so many calls at once.
    pub(crate) async fn channels(&self, calls: usize) -> anyhow::Result<Vec<Transfers>> {
        let mut clients = Vec::new();
        for _ in 0..calls.div_ceil(CALLS_PER_CONNECTION) {
            let line = InterceptedService::new(self.channel().await?, self.token.clone());
            clients.push(Transfers::new(line));
        }
        Ok((0..calls)
            .map(|call| clients[call % clients.len()].clone())
            .collect())
    }
}

/// Makes a connection of the ledger, at a server that takes whoever comes.
pub(crate) async fn connect(channel: Channel) -> anyhow::Result<String> {
    let request = v1::CreateConnectionRequest {
        name: "a site of the bench".to_owned(),
        direction: v1::ConnectionDirection::Sender.into(),
        site_url: "https://site.example".to_owned(),
        request_id: uuid::Uuid::new_v4().to_string(),
        allow_duplicate: true,
        ..v1::CreateConnectionRequest::default()
    };
    let mut connections = ConnectionServiceClient::new(channel);
    let created = connections.create_connection(request).await?.into_inner();
    let connection = created.connection;
    Ok(connection.context("no connection in the answer")?.uuid)
}
