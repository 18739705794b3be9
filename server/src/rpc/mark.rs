//! Gives the transport's own refusals the `ErrorInfo` that every status of ours carries.
//!
//! tonic refuses messages that are too large or do not decode, and methods that do not exist, before a handler is reached.

use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::{Request, Response};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tower::{Layer, Service};

use super::{MESSAGE_IN_MAX, status::info};

/// The layer.
#[derive(Clone, Copy)]
pub(super) struct MarkLayer;

/// The service that it makes.
#[derive(Clone)]
pub(super) struct Mark<S> {
    inner: S,
}

impl<S> Layer<S> for MarkLayer {
    type Service = Mark<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Mark { inner }
    }
}

impl<S, B, R> Service<Request<B>> for Mark<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
    R: Send + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let answered = self.inner.call(request);
        Box::pin(async move {
            let mut response = answered.await?;
            // A refusal before the first message is in the headers; later ones are made by our own handlers.
            let refused = response
                .headers()
                .get("grpc-status")
                .is_some_and(|value| value != "0");
            if refused && let Some(status) = Status::from_header_map(response.headers()) {
                _ = marked(status).add_header(response.headers_mut());
            }
            Ok(response)
        })
    }
}

/// The status with an `ErrorInfo`; one that has details already stays as it is.
pub(super) fn marked(status: Status) -> Status {
    if !status.details().is_empty() {
        return status;
    }
    let message = status.message();
    let (code, reason) = match status.code() {
        Code::OutOfRange => (Code::InvalidArgument, "MESSAGE_TOO_LARGE"),
        // tonic calls a body that it cannot read an internal error; it is the caller's. Ours have details.
        Code::Internal => (Code::InvalidArgument, "MALFORMED_MESSAGE"),
        Code::Unimplemented if message.contains("compressed") => {
            (Code::Unimplemented, "UNSUPPORTED_ENCODING")
        }
        Code::Unimplemented => (Code::Unimplemented, "UNKNOWN_METHOD"),
        Code::Cancelled => (Code::Cancelled, "CANCELLED"),
        other => (other, "TRANSPORT"),
    };
    let text = match reason {
        "MESSAGE_TOO_LARGE" => format!("a request message may have at most {MESSAGE_IN_MAX} bytes"),
        "UNKNOWN_METHOD" if message.is_empty() => "there is no such method".to_owned(),
        _ => message.to_owned(),
    };
    let limit = (reason == "MESSAGE_TOO_LARGE").then(|| ("limit", MESSAGE_IN_MAX.to_string()));
    Status::with_error_details(code, text, info(reason, limit))
}
