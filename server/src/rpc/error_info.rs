//! Gives every status that is not of our making the `ErrorInfo` that ours carry, wherever in an answer it stands.
//!
//! tonic refuses messages that are too large or do not decode, and methods that do not exist, before a handler is reached;
//! health and reflection have statuses of their own. Metadata that is too large and handlers that panic are answered here.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::{FutureExt as _, future::BoxFuture};
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use tidegate_proto::v1::ErrorReason;
use tonic::{Code, Status};
use tower::Service;

use super::{
    MESSAGE_IN_MAX, METADATA_MAX,
    status::{refusal, status},
};
use crate::error::Error;
use tidegate_store::failpoint;

/// The service around all others.
#[derive(Clone)]
pub(super) struct ErrorInfoService<S> {
    inner: S,
}

impl<S> ErrorInfoService<S> {
    pub(super) const fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S, B, R> Service<Request<B>> for ErrorInfoService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    R: Default + Send + 'static,
{
    type Response = Response<WithErrorInfo<R>>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if size(&request) > METADATA_MAX {
            let refused = metadata_too_large().into_http();
            return Box::pin(std::future::ready(Ok(refused.map(WithErrorInfo::of))));
        }
        let answered = self.inner.call(request);
        let answered = AssertUnwindSafe(async {
            failpoint::pass("call");
            answered.await
        });
        Box::pin(async move {
            let mut response = match answered.catch_unwind().await {
                Ok(answer) => answer?,
                Err(panic) => panicked(panic.as_ref()).into_http(),
            };
            add_error_info(response.headers_mut());
            Ok(response.map(WithErrorInfo::of))
        })
    }
}

/// The size of a request's head, as HTTP/2 counts it, but for what every request has.
fn size<B>(request: &Request<B>) -> usize {
    let headers = request.headers().iter();
    let sizes = headers.map(|(name, value)| name.as_str().len() + value.len() + 32);
    sizes.sum::<usize>() + request.uri().path().len()
}

fn metadata_too_large() -> Status {
    refusal(
        Code::ResourceExhausted,
        ErrorReason::MetadataTooLarge,
        &format!("the metadata of a call may have at most {METADATA_MAX} bytes"),
        [("limit", METADATA_MAX.to_string())],
    )
}

/// The status of a call that has panicked.
pub(super) fn panicked(panic: &(dyn Any + Send)) -> Status {
    status(Error::panicked(panic))
}

/// Marks the status in `headers`, if one other than OK is there.
fn add_error_info(headers: &mut HeaderMap) {
    let refused = headers.get("grpc-status").is_some_and(|value| value != "0");
    if refused && let Some(status) = Status::from_header_map(headers) {
        put(&with_error_info(status), headers);
    }
}

fn put(status: &Status, headers: &mut HeaderMap) {
    // It fails for a text that is no header; such a text is encoded.
    _ = status.add_header(headers);
}

/// The body of an answer, whose trailers are marked.
pub(super) struct WithErrorInfo<B> {
    /// Gone after a panic.
    body: Option<B>,
}

impl<B: Default> Default for WithErrorInfo<B> {
    fn default() -> Self {
        Self::of(B::default())
    }
}

impl<B> WithErrorInfo<B> {
    const fn of(body: B) -> Self {
        Self { body: Some(body) }
    }
}

impl<B: Body + Unpin> Body for WithErrorInfo<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let polled = catch_unwind(AssertUnwindSafe(|| {
            failpoint::pass("answer");
            Pin::new(body).poll_frame(context)
        }));
        let frame = match polled {
            Ok(frame) => ready!(frame),
            Err(panic) => {
                self.body = None;
                let mut trailers = HeaderMap::new();
                put(&panicked(panic.as_ref()), &mut trailers);
                Some(Ok(Frame::trailers(trailers)))
            }
        };
        Poll::Ready(frame.map(|frame| {
            frame.map(|mut frame| {
                if let Some(trailers) = frame.trailers_mut() {
                    add_error_info(trailers);
                }
                frame
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(SizeHint::default, Body::size_hint)
    }
}

/// The status with an `ErrorInfo`; one that has details already stays as it is.
pub(super) fn with_error_info(status: Status) -> Status {
    if !status.details().is_empty() {
        return status;
    }
    let message = status.message();
    let (code, reason) = match status.code() {
        Code::OutOfRange if message.contains("decoded") => {
            (Code::InvalidArgument, ErrorReason::MessageTooLarge)
        }
        // tonic calls a body that it cannot read an internal error; it is the caller's. Ours have details.
        Code::Internal => (Code::InvalidArgument, ErrorReason::MalformedMessage),
        Code::Unimplemented if message.contains("compressed") => {
            (Code::Unimplemented, ErrorReason::UnsupportedEncoding)
        }
        Code::Unimplemented => (Code::Unimplemented, ErrorReason::UnknownMethod),
        Code::Cancelled => (Code::Cancelled, ErrorReason::Cancelled),
        Code::DeadlineExceeded => (Code::DeadlineExceeded, ErrorReason::DeadlineExceeded),
        other => (other, ErrorReason::Transport),
    };
    let text = match reason {
        ErrorReason::MessageTooLarge => {
            format!("a request message may have at most {MESSAGE_IN_MAX} bytes")
        }
        ErrorReason::UnknownMethod if message.is_empty() => "there is no such method".to_owned(),
        _ => message.to_owned(),
    };
    let too_large = reason == ErrorReason::MessageTooLarge;
    let limit = too_large.then(|| ("limit", MESSAGE_IN_MAX.to_string()));
    refusal(code, reason, &text, limit)
}

#[cfg(test)]
mod tests {
    use tonic::body::Body as TonicBody;
    use tonic_types::StatusExt as _;
    use tower::service_fn;

    use super::*;

    #[tokio::test]
    async fn a_handler_that_panics_is_an_incident() {
        let handler = service_fn(|_: Request<()>| async {
            assert!(std::hint::black_box(false), "it cannot be");
            Ok::<_, std::convert::Infallible>(Response::new(TonicBody::empty()))
        });
        let mut with_error_info = ErrorInfoService::new(handler);
        let answer = with_error_info
            .call(Request::new(()))
            .await
            .expect("an answer");
        let status = Status::from_header_map(answer.headers()).expect("a status");
        assert_eq!(status.code(), Code::Internal);
        let details = status.get_error_details();
        assert_eq!(
            details.error_info().map(|info| info.reason.as_str()),
            Some("INTERNAL")
        );
        assert!(details.request_info().is_some(), "{status:?}");
    }
}
