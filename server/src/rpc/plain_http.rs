//! Tells whoever comes with a browser or curl what this port is.

use std::{
    future::{Ready, ready},
    task::{Context, Poll},
};

use futures::future::Either;
use http::{
    HeaderValue, Request, Response, StatusCode,
    header::{ALLOW, CONTENT_TYPE},
};
use http_body_util::Full;
use tonic::body::Body;
use tower::Service;

const WHAT: &str = "This is Tidegate's port for gRPC and gRPC-Web: use tidegate or grpcurl; metrics and health \
                    over HTTP are at --metrics-listen.\n";

/// The service around those of gRPC.
#[derive(Clone)]
pub(super) struct PlainHttp<S> {
    inner: S,
}

impl<S> PlainHttp<S> {
    pub(super) const fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S, B> Service<Request<B>> for PlainHttp<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<Response<Body>, S::Error>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let content_type = request.headers().get(CONTENT_TYPE);
        let is_call = content_type.is_some_and(|it| it.as_bytes().starts_with(b"application/grpc"));
        if is_call {
            return Either::Left(self.inner.call(request));
        }
        Either::Right(ready(Ok(what_it_is())))
    }
}

/// What the protocol of gRPC asks for: no status of gRPC, since nothing of it was asked.
fn what_it_is() -> Response<Body> {
    let mut answer = Response::new(Body::new(Full::from(WHAT)));
    *answer.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    let headers = answer.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(ALLOW, HeaderValue::from_static("POST"));
    answer
}
