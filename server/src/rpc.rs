//! The wire: the only user of tonic and of the generated messages.
//!
//! A method here converts what comes in, asks the ledger or the store, and converts what goes out. No rule lives here.

use std::{sync::Arc, time::Duration};

use http::{HeaderValue, Request, header::AUTHORIZATION};
use prost::Message as _;
use prost_types::{FileDescriptorSet, MethodDescriptorProto};
use tidegate_proto::{
    FILE_DESCRIPTOR_SET,
    v1::{
        bulk_service_server::BulkServiceServer, connection_service_server::ConnectionServiceServer,
        credential_service_server::CredentialServiceServer,
        event_service_server::EventServiceServer, transfer_service_server::TransferServiceServer,
    },
};
use tokio::sync::watch::Receiver;
use tokio_util::sync::CancellationToken;
use tonic::service::{Routes, RoutesBuilder};
use tower::{ServiceBuilder, layer::layer_fn};
use tower_http::{sensitive_headers::SetSensitiveRequestHeadersLayer, trace::TraceLayer};
use tracing::field::Empty;

use crate::{
    auth::Authenticator,
    config::{Limits, Reflection},
    feed::Feed,
    ledger::{Ledger, sweeper::Sweeper},
    metrics::Metrics,
    net::origin::{OriginLayer, Proxies},
    time::Time,
    traces::Traces,
};
use tidegate_domain::token::Pepper;
use tidegate_store::Readers;

pub mod accept;
mod auth;
mod bulk;
mod caller;
mod connection;
mod cors;
mod credential;
mod deadline;
mod decode;
mod encode;
mod error_info;
mod event;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod health;
mod measured;
mod metadata;
mod page;
mod places;
mod plain_http;
mod progress;
mod status;
mod streams;
mod transfer;
pub mod transport;
mod unread;
mod unread_request;
mod watch;
mod wire_enum;

pub use health::Health;
use streams::Streams;

/// Largest request message, in bytes.
pub const MESSAGE_IN_MAX: usize = 64 * 1024;
/// Largest answer message, in bytes.
pub const MESSAGE_OUT_MAX: usize = 1024 * 1024;
/// Largest metadata of a call, in bytes.
pub const METADATA_MAX: usize = 8 * 1024;

/// What the services work with; cheap to clone.
#[derive(Clone)]
pub struct Backend {
    /// Where changes go.
    pub ledger: Ledger,
    /// Where questions go.
    pub readers: Readers,
    /// Where live changes come from.
    pub feed: Feed,
    /// What `ExpirePendingApprovals` runs.
    pub sweeper: Sweeper,
    /// The time that overdue approvals are left out by.
    pub time: Time,
    /// Cancelled when open streams have to end.
    pub stop: CancellationToken,
    /// How many streams may be open at once.
    pub limits: Receiver<Limits>,
    /// What lets callers in; absent where authentication is off.
    pub authenticator: Option<Authenticator>,
    /// The key of the digests of tokens.
    pub pepper: Pepper,
    /// The proxies that are believed when they say whom they speak for.
    pub proxies: Proxies,
    /// Who may ask for the contract.
    pub reflection: Reflection,
    /// The origins whose web pages may call.
    pub origins: Vec<HeaderValue>,
    /// Where calls and streams are counted.
    pub metrics: Arc<Metrics>,
    /// Where calls are traced, if anywhere.
    pub(crate) traces: Option<Traces>,
}

/// The services with everything that is served beside them: health, reflection, gRPC-Web.
///
/// # Errors
/// Only if the descriptors that were compiled in do not decode.
pub fn routes(backend: Backend) -> Result<(Routes, Health), tonic_reflection::server::Error> {
    let health = Health::new();
    let authenticator = backend.authenticator.clone();
    let proxies = backend.proxies.clone();
    let (reflection, cors) = (backend.reflection, cors::layer(backend.origins.clone()));
    let (metrics, traces) = (Arc::clone(&backend.metrics), backend.traces.clone());
    let streams = Streams::new(backend.limits.clone(), backend.stop.clone(), &metrics);
    let transfers =
        TransferServiceServer::new(transfer::TransferApi::new(backend.clone(), streams.clone()))
            .max_decoding_message_size(MESSAGE_IN_MAX)
            .max_encoding_message_size(MESSAGE_OUT_MAX);
    let events = EventServiceServer::new(event::EventApi::new(backend.clone(), streams))
        .max_decoding_message_size(MESSAGE_IN_MAX)
        .max_encoding_message_size(MESSAGE_OUT_MAX);
    let credentials = CredentialServiceServer::new(credential::CredentialApi::new(backend.clone()))
        .max_decoding_message_size(MESSAGE_IN_MAX)
        .max_encoding_message_size(MESSAGE_OUT_MAX);
    let bulk = BulkServiceServer::new(bulk::BulkApi::new(backend.clone()))
        .max_decoding_message_size(MESSAGE_IN_MAX)
        .max_encoding_message_size(MESSAGE_OUT_MAX);
    let connections = ConnectionServiceServer::new(connection::ConnectionApi::new(backend))
        .max_decoding_message_size(MESSAGE_IN_MAX)
        .max_encoding_message_size(MESSAGE_OUT_MAX);

    let mut services = Routes::builder();
    services
        .add_service(transfers)
        .add_service(events)
        .add_service(connections)
        .add_service(credentials)
        .add_service(bulk)
        .add_service(health.service());
    if reflection != Reflection::Off {
        add_reflection(&mut services)?;
    }
    // One layer made of all, the outermost first: the router boxes the calls and bodies of each that it is given.
    let layers = ServiceBuilder::new()
        // Before anything that could show a token.
        .layer(SetSensitiveRequestHeadersLayer::new([AUTHORIZATION]))
        .layer(
            TraceLayer::new_for_grpc()
                .make_span_with(|request: &Request<_>| {
                    let path = request.uri().path();
                    tracing::info_span!("rpc", method = %path, trace_id = Empty)
                })
                .on_request(())
                .on_response(log_answer)
                // A refusal is an answer; what is a failure of ours is logged where it is made.
                .on_failure(()),
        )
        // Before what answers: a page is to be told of refusals, too.
        .option_layer(cors)
        .layer(layer_fn(unread_request::UnreadRequest::new))
        .layer(layer_fn(plain_http::PlainHttp::new))
        // Inside the server rather than around it, so that it sees gRPC paths alone.
        .layer(tonic_web::GrpcWebLayer::new())
        // Where an answer has its status in the trailers, whatever the client speaks.
        .layer(layer_fn(move |inner| {
            measured::Measured::new(inner, Arc::clone(&metrics), traces.clone())
        }))
        .layer(layer_fn(unread::Unread::new))
        .layer(layer_fn(error_info::ErrorInfoService::new))
        .layer(layer_fn(deadline::Deadline::new))
        .layer(OriginLayer(proxies))
        .layer(auth::AuthLayer(authenticator, reflection));
    let router = services.routes().prepare().into_axum_router().layer(layers);
    Ok((Routes::from(router), health))
}

/// Every method that is served, such as `tidegate.v1.TransferService/GetTransfer`.
pub fn methods() -> Vec<String> {
    let descriptors = [
        FILE_DESCRIPTOR_SET,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    // They were compiled in, and are decoded once more for reflection, which fails where one does not.
    let sets = descriptors
        .iter()
        .filter_map(|set| FileDescriptorSet::decode(*set).ok());
    let mut methods = Vec::new();
    for file in sets.flat_map(|set| set.file) {
        for service in &file.service {
            let name = |method: &MethodDescriptorProto| {
                format!("{}.{}/{}", file.package(), service.name(), method.name())
            };
            methods.extend(service.method.iter().map(name));
        }
    }
    methods
}

fn log_answer<B>(response: &http::Response<B>, latency: Duration, _: &tracing::Span) {
    // Absent: the call goes well so far, and ends in the trailers.
    let code = response
        .headers()
        .get("grpc-status")
        .and_then(|code| code.to_str().ok());
    let latency_us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
    tracing::debug!(code = code.unwrap_or("0"), latency_us, "answered");
}

/// Tools in the field speak either version; most older ones only v1alpha.
fn add_reflection(services: &mut RoutesBuilder) -> Result<(), tonic_reflection::server::Error> {
    services
        .add_service(descriptors().build_v1()?)
        .add_service(descriptors().build_v1alpha()?);
    Ok(())
}

fn descriptors<'a>() -> tonic_reflection::server::Builder<'a> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        // So that tools can show the details of a refusal.
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
}
