//! Measures and traces every call until its last word: of a stream, the status in the trailers.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use tower::Service;

use crate::{
    metrics::{Call, Metrics},
    traces::{self, CallSpan, Traces},
};

/// The code of a call that has ended without one.
const UNKNOWN: usize = 2;

/// The service around all others.
#[derive(Clone)]
pub(super) struct Measured<S> {
    inner: S,
    metrics: Arc<Metrics>,
    traces: Option<Traces>,
}

impl<S> Measured<S> {
    pub(super) const fn new(inner: S, metrics: Arc<Metrics>, traces: Option<Traces>) -> Self {
        Self {
            inner,
            metrics,
            traces,
        }
    }

    /// Begins to measure a call, and to trace it where that is wanted.
    fn begin<B>(&self, request: &Request<B>) -> Ongoing {
        let (calls, path) = (&self.metrics.calls, request.uri().path());
        let span = self.traces.as_ref();
        let span = span.and_then(|traces| traces.begin(calls.method(path), request.headers()));
        if let Some(span) = &span {
            tracing::Span::current().record("trace_id", span.trace_id());
        }
        Ongoing {
            call: calls.begin(path),
            span,
        }
    }
}

/// A call that has not ended.
struct Ongoing {
    call: Call,
    span: Option<CallSpan>,
}

impl Ongoing {
    /// It has ended with the code of this number; `None`: without a word about how.
    fn end(self, code: Option<usize>) {
        let code = code.unwrap_or(UNKNOWN);
        self.call.end(code);
        if let Some(span) = self.span {
            span.end(code);
        }
    }
}

impl<S, B, R> Service<Request<B>> for Measured<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Unpin,
{
    type Response = Response<MeasuredBody<R>>;
    type Error = S::Error;
    type Future = Answering<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        Answering {
            call: Some(self.begin(&request)),
            answered: self.inner.call(request),
        }
    }
}

/// A call until its answer begins.
pub(super) struct Answering<F> {
    call: Option<Ongoing>,
    answered: F,
}

impl<F, R, E> Future for Answering<F>
where
    F: Future<Output = Result<Response<R>, E>> + Unpin,
{
    type Output = Result<Response<MeasuredBody<R>>, E>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { call, answered } = &mut *self;
        let span = call.as_ref().and_then(|call| call.span.as_ref());
        let answer = traces::within(span, || Pin::new(answered).poll(context));
        let response = ready!(answer)?;
        let mut call = self.call.take();
        end(&mut call, response.headers());
        Poll::Ready(Ok(response.map(|body| MeasuredBody { body, call })))
    }
}

/// Ends the call if its status is in `headers`.
fn end(call: &mut Option<Ongoing>, headers: &HeaderMap) {
    let Some(code) = headers.get("grpc-status") else {
        return;
    };
    if let Some(call) = call.take() {
        let code = code.to_str().ok().and_then(|code| code.parse().ok());
        call.end(code);
    }
}

/// The body of an answer, whose end is the call's.
pub(super) struct MeasuredBody<B> {
    body: B,
    /// Gone once it has ended.
    call: Option<Ongoing>,
}

impl<B: Body + Unpin> Body for MeasuredBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_ref() {
                    end(&mut self.call, trailers);
                }
            }
            Some(Err(_)) | None => {
                if let Some(call) = self.call.take() {
                    call.end(None);
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
