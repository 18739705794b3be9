//! Lets web pages of the origins that the operator has named call the server.

use std::time::Duration;

use http::{
    HeaderName, HeaderValue, Method,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use tower_http::cors::CorsLayer;

/// What gRPC-Web clients send beside what every page may.
const ASKED: [HeaderName; 7] = [
    AUTHORIZATION,
    CONTENT_TYPE,
    HeaderName::from_static("grpc-timeout"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("x-grpc-web"),
    HeaderName::from_static("x-user-agent"),
];
/// Where a refusal is told in the head of an answer.
const ANSWERED: [HeaderName; 3] = [
    HeaderName::from_static("grpc-status"),
    HeaderName::from_static("grpc-message"),
    HeaderName::from_static("grpc-status-details-bin"),
];
/// How long a browser need not ask again; none takes more than a day, some no more than this.
const MAX_AGE: Duration = Duration::from_secs(2 * 3_600);

/// What answers browsers that ask first; nothing where no origin was named.
pub(super) fn layer(origins: Vec<HeaderValue>) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let layer = CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::POST])
        .allow_headers(ASKED)
        .expose_headers(ANSWERED)
        .max_age(MAX_AGE);
    Some(layer)
}
