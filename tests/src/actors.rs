//! Everybody who may or may not call a server that requires authentication.

use std::net::{IpAddr, Ipv4Addr};

use tidegate_proto::v1::{
    self, Role, connection_service_client::ConnectionServiceClient,
    credential_service_client::CredentialServiceClient,
};
use tonic::{
    Request, Status,
    transport::{Channel, Endpoint},
};

use tidegate_domain::token::{SECRET_BYTES, Token};

use crate::{World, raw::told};

/// One credential.
#[derive(Clone, Debug)]
pub struct Member {
    /// Which one.
    pub uuid: String,
    /// Its token.
    pub token: String,
}

impl Member {
    /// A request of theirs.
    pub fn asks<T>(&self, message: T) -> Request<T> {
        bearing(&self.token, message)
    }
}

/// One of each, and two connections with an agent each.
#[derive(Clone, Debug)]
pub struct Actors {
    /// The first admin's token.
    pub admin: String,
    /// A viewer.
    pub viewer: Member,
    /// An approver.
    pub approver: Member,
    /// The agent of `own`.
    pub agent: Member,
    /// The agent of `other`.
    pub stranger: Member,
    /// A connection.
    pub own: String,
    /// Another one.
    pub other: String,
}

/// A request that shows a token.
///
/// # Panics
/// When the token cannot be a value of metadata.
pub fn bearing<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("Bearer {token}").parse();
    request
        .metadata_mut()
        .insert("authorization", value.expect("a value of metadata"));
    request
}

/// A connection to `address`, an `http://` one, that comes from 127.0.0.`host`: bad tokens are counted by address.
///
/// # Panics
/// When it cannot connect.
pub async fn channel_from(address: &str, host: u8) -> Channel {
    let endpoint = Endpoint::from_shared(address.to_owned()).expect("a valid address");
    let local = IpAddr::V4(Ipv4Addr::new(127, 0, 0, host));
    let endpoint = endpoint.local_address(Some(local));
    endpoint.connect().await.expect("the server listens")
}

impl Actors {
    /// Everybody at the server of `world`.
    pub async fn of(world: &World) -> Self {
        let (channel, admin) = (world.channel().await, world.admin().to_owned());
        let own = connection(&channel, &admin, "own").await;
        let other = connection(&channel, &admin, "other").await;
        let member = |role, connection| issue(&channel, &admin, role, connection);
        Self {
            viewer: member(Role::Viewer, "").await,
            approver: member(Role::Approver, "").await,
            agent: member(Role::Agent, &own).await,
            stranger: member(Role::Agent, &other).await,
            own,
            other,
            admin,
        }
    }
}

/// A new connection's uuid.
///
/// # Panics
/// When it is refused.
pub async fn connection(channel: &Channel, admin: &str, name: &str) -> String {
    let request = v1::CreateConnectionRequest {
        name: name.to_owned(),
        direction: v1::ConnectionDirection::Sender.into(),
        site_url: "https://mirror.example".to_owned(),
        allow_duplicate: true,
        ..v1::CreateConnectionRequest::default()
    };
    let mut connections = ConnectionServiceClient::new(channel.clone());
    let answer = told(connections.create_connection(bearing(admin, request))).await;
    answer.connection.expect("the answer carries it").uuid
}

/// A new credential.
///
/// # Panics
/// When it is refused.
pub async fn issue(channel: &Channel, admin: &str, role: Role, connection: &str) -> Member {
    let request = v1::CreateCredentialRequest {
        name: role.as_str_name().to_owned(),
        role: role.into(),
        connection_uuid: connection.to_owned(),
        ..v1::CreateCredentialRequest::default()
    };
    let mut credentials = CredentialServiceClient::new(channel.clone());
    let answer = told(credentials.create_credential(bearing(admin, request))).await;
    Member {
        uuid: answer.credential.expect("the answer carries it").uuid,
        token: answer.token,
    }
}

/// Revokes a credential.
///
/// # Errors
/// As the server refuses.
pub async fn revoke(channel: &Channel, admin: &str, uuid: &str) -> Result<(), Status> {
    let request = v1::RevokeCredentialRequest {
        uuid: uuid.to_owned(),
        ..v1::RevokeCredentialRequest::default()
    };
    let mut credentials = CredentialServiceClient::new(channel.clone());
    let revoked = credentials.revoke_credential(bearing(admin, request)).await;
    revoked.map(drop)
}

/// A token with the id of `token` and another secret.
///
/// # Panics
/// When `token` is none.
pub fn with_wrong_secret(token: &str) -> String {
    let id = token.split('_').nth(1).expect("a token has an id");
    let mut bits = id.bytes().flat_map(|letter| {
        let value = match letter {
            b'a'..=b'z' => letter - b'a',
            digit => digit - b'2' + 26,
        };
        (0..5).rev().map(move |place| value >> place & 1)
    });
    let bytes =
        std::array::from_fn(|_| (0..8).fold(0, |byte, _| byte << 1 | bits.next().unwrap_or(0)));
    let wrong = Token::of(bytes, [7; SECRET_BYTES]);
    assert_eq!(wrong.id(), id);
    wrong.reveal()
}
