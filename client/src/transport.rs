//! The two connections of a client, and one try of one call on them.
//!
//! Both connect when first used and again whenever they broke. Long-lived streams have a connection of their own, so
//! that whatever ends it (its age, a limit on resets) never touches a call.

use std::{future::Future, time::Duration};

use tidegate_proto::v1::{
    bulk_service_client::BulkServiceClient, connection_service_client::ConnectionServiceClient,
    credential_service_client::CredentialServiceClient, event_service_client::EventServiceClient,
    transfer_service_client::TransferServiceClient,
};
use tokio::time::{Instant, timeout_at};
use tonic::{
    Response, Status,
    transport::{Channel, Endpoint, Uri},
};

use crate::{Error, error::Code, security};

/// A silent peer is noticed after this time and the next.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Small messages that wait to be read are charged against half of this window; the transport's default of 64 KiB
/// would have a busy stream cut by its own client.
const CONNECTION_WINDOW_BYTES: u32 = 2 * 1024 * 1024;
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
/// The server's answers are at most 1 MiB; this leaves room for later ones.
const ANSWER_LIMIT_BYTES: usize = 4 * 1024 * 1024;
/// The longest timeout that every gRPC implementation can represent exactly is far longer; nobody waits that long.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// The stubs of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Stubs {
    pub(crate) transfers: TransferServiceClient<Channel>,
    pub(crate) events: EventServiceClient<Channel>,
    pub(crate) connections: ConnectionServiceClient<Channel>,
    pub(crate) credentials: CredentialServiceClient<Channel>,
    pub(crate) bulks: BulkServiceClient<Channel>,
}

impl Stubs {
    pub(crate) fn new(channel: Channel) -> Self {
        Self {
            transfers: TransferServiceClient::new(channel.clone())
                .max_decoding_message_size(ANSWER_LIMIT_BYTES),
            events: EventServiceClient::new(channel.clone())
                .max_decoding_message_size(ANSWER_LIMIT_BYTES),
            connections: ConnectionServiceClient::new(channel.clone())
                .max_decoding_message_size(ANSWER_LIMIT_BYTES),
            credentials: CredentialServiceClient::new(channel.clone())
                .max_decoding_message_size(ANSWER_LIMIT_BYTES),
            bulks: BulkServiceClient::new(channel).max_decoding_message_size(ANSWER_LIMIT_BYTES),
        }
    }
}

/// An address without a scheme gets one: TLS is for what others could read.
pub(crate) fn with_scheme(address: String) -> String {
    if address.contains("://") {
        return address;
    }
    let clear = format!("http://{address}");
    match clear.parse::<Uri>().ok().as_ref().and_then(Uri::host) {
        Some(host) if security::is_loopback(host) => clear,
        Some(_) => format!("https://{address}"),
        None => address,
    }
}

pub(crate) fn endpoint(
    address: &str,
    connect_timeout: Duration,
    user_agent: &str,
) -> Result<Endpoint, Error> {
    let refuse = |why: &str| {
        Error::local(
            Code::InvalidArgument,
            format!("the server address {address:?} {why}"),
        )
    };
    let endpoint = Endpoint::from_shared(address.to_owned())
        .map_err(|_| refuse("is no URL; it looks like http://host:port or https://host:port"))?;
    match endpoint.uri().scheme_str() {
        Some("http" | "https") => {}
        Some(_) | None => return Err(refuse("must begin with http:// or https://")),
    }
    Ok(endpoint
        .user_agent(user_agent)
        .map_err(|_| {
            let text = format!("the user agent {user_agent:?} is no valid header value");
            Error::local(Code::InvalidArgument, text)
        })?
        .connect_timeout(connect_timeout)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .keep_alive_while_idle(true)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .initial_stream_window_size(STREAM_WINDOW_BYTES))
}

/// A try ends then, whatever was asked for.
pub(crate) fn deadline(timeout: Duration) -> Instant {
    Instant::now() + timeout.min(LONGEST_TIMEOUT)
}

/// A request that tells the server how long its answer is awaited.
pub(crate) fn timed<T>(message: T, timeout: Duration) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(timeout.min(LONGEST_TIMEOUT));
    request
}

/// Awaits the answer until then, the making of the connection included, which the transport leaves out of its timeout.
pub(crate) async fn before<T>(
    deadline: Instant,
    answer: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, Error> {
    match timeout_at(deadline, answer).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(Error::from_status(status)),
        Err(_elapsed) => Err(Error::no_answer()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_scheme_gets_one() {
        for (given, wanted) in [
            ("127.0.0.1:50051", "http://127.0.0.1:50051"),
            ("localhost:1", "http://localhost:1"),
            ("[::1]:1", "http://[::1]:1"),
            ("gate.example", "https://gate.example"),
            ("10.0.0.1:50051", "https://10.0.0.1:50051"),
            ("localhost.example:1", "https://localhost.example:1"),
            ("http://gate.example", "http://gate.example"),
            ("gopher://gate.example", "gopher://gate.example"),
            ("not an address", "not an address"),
        ] {
            assert_eq!(with_scheme(given.to_owned()), wanted);
        }
    }
}
