//! A request of whatever is no client of gRPC is read to its end before it is answered: a refusal that does not need the
//! message comes before it. Over HTTP/1.1 hyper then closes the connection, and the next call of whoever keeps connections
//! would break. Over HTTP/2 it resets the stream, which the protocol allows and older versions of curl take for a failure.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Buf as _;
use futures::future::{BoxFuture, Either};
use http::{
    HeaderValue, Request, Response, Version,
    header::{CONNECTION, CONTENT_TYPE},
};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use tower::Service;

use super::MESSAGE_IN_MAX;

/// Bytes that are still read: the largest message in the text form of gRPC-Web, and some more.
const REST_MAX: usize = 2 * MESSAGE_IN_MAX;
/// How long they may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// The service around all that answers.
#[derive(Clone)]
pub(super) struct UnreadRequest<S> {
    inner: S,
}

impl<S> UnreadRequest<S> {
    pub(super) const fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S, B, R> Service<Request<B>> for UnreadRequest<S>
where
    S: Service<Request<Lent<B>>, Response = Response<R>>,
    S::Future: Send + 'static,
    B: Body + Unpin + Send + 'static,
    B::Data: Send,
    R: Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<S::Future, BoxFuture<'static, Result<S::Response, S::Error>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let version = request.version();
        // Its streams last as long as the caller wants, and its clients know an early answer.
        if version >= Version::HTTP_2 && is_grpc(&request) {
            return Either::Left(self.inner.call(request.map(|body| Lent::new(body, None))));
        }
        let back = Back::default();
        let lent = request.map(|body| Lent::new(body, Some(Arc::clone(&back))));
        let answered = self.inner.call(lent);
        Either::Right(Box::pin(async move {
            let mut answer = answered.await?;
            let rest = back.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(rest) = rest
                && !has_ended(rest).await
                && version < Version::HTTP_2
            {
                let headers = answer.headers_mut();
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(answer)
        }))
    }
}

fn is_grpc<B>(request: &Request<B>) -> bool {
    let content_type = request.headers().get(CONTENT_TYPE);
    content_type
        .and_then(|it| it.as_bytes().strip_prefix(b"application/grpc"))
        .is_some_and(|rest| !rest.starts_with(b"-web"))
}

/// Reads what is left, and says whether that was all.
async fn has_ended<B: Body + Unpin>(mut body: B) -> bool {
    let reading = async {
        let mut left = REST_MAX;
        while let Some(frame) = body.frame().await {
            let length = frame.ok()?.data_ref().map_or(0, |data| data.remaining());
            left = left.checked_sub(length)?;
        }
        Some(())
    };
    matches!(tokio::time::timeout(PATIENCE, reading).await, Ok(Some(())))
}

/// Where a body goes that nobody has read to its end.
type Back<B> = Arc<Mutex<Option<B>>>;

/// The body of a request, which comes back when it is dropped early.
pub(super) struct Lent<B> {
    /// Gone once it has ended or come back.
    body: Option<B>,
    back: Option<Back<B>>,
}

impl<B> Lent<B> {
    const fn new(body: B, back: Option<Back<B>>) -> Self {
        Self {
            body: Some(body),
            back,
        }
    }
}

impl<B> Drop for Lent<B> {
    fn drop(&mut self) {
        if let Some(back) = &self.back {
            *back.lock().unwrap_or_else(PoisonError::into_inner) = self.body.take();
        }
    }
}

impl<B: Body + Unpin> Body for Lent<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(body).poll_frame(context);
        if let Poll::Ready(None | Some(Err(_))) = &polled {
            self.body = None;
        }
        polled
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bytes::Bytes;
    use futures::stream::{self, BoxStream, StreamExt as _};
    use http_body_util::StreamBody;
    use tokio::time::Instant;
    use tower::{ServiceExt as _, service_fn};

    use super::*;

    type Parts = StreamBody<BoxStream<'static, Result<Frame<Bytes>, Infallible>>>;

    fn parts(count: usize) -> BoxStream<'static, Result<Frame<Bytes>, Infallible>> {
        let part = || Ok(Frame::data(Bytes::from_static(&[0; 1024])));
        stream::repeat_with(part).take(count).boxed()
    }

    /// What a refusal says of the connection to whoever sends that, and how long it takes.
    async fn refused(
        version: Version,
        content_type: &'static str,
        body: Parts,
    ) -> (Option<HeaderValue>, Duration) {
        let refusing =
            service_fn(|_: Request<Lent<Parts>>| async { Ok::<_, Infallible>(Response::new(())) });
        let mut request = Request::new(body);
        *request.version_mut() = version;
        let content_type = HeaderValue::from_static(content_type);
        request.headers_mut().insert(CONTENT_TYPE, content_type);
        let begun = Instant::now();
        let answer = UnreadRequest::new(refusing).oneshot(request).await;
        let connection = answer.expect("an answer").headers_mut().remove(CONNECTION);
        (connection, begun.elapsed())
    }

    fn stuck() -> Parts {
        StreamBody::new(parts(1).chain(stream::pending()).boxed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_ends_with_a_request_that_does_not() {
        let refused = async |body| refused(Version::HTTP_11, "application/grpc-web", body).await;
        let kib = |count| StreamBody::new(parts(count));
        let most = REST_MAX / 1024;
        let close = Some(HeaderValue::from_static("close"));
        assert_eq!(refused(kib(most)).await, (None, Duration::ZERO));
        let more = refused(kib(most + 1)).await;
        assert_eq!(more, (close.clone(), Duration::ZERO));
        assert_eq!(refused(stuck()).await, (close, PATIENCE));
    }

    #[tokio::test(start_paused = true)]
    async fn over_http2_only_a_call_of_grpc_is_answered_before_it_ends() {
        for (content_type, wait) in [
            ("application/grpc", Duration::ZERO),
            ("application/grpc+proto", Duration::ZERO),
            ("application/grpc-web+proto", PATIENCE),
            ("application/json", PATIENCE),
        ] {
            let answer = refused(Version::HTTP_2, content_type, stuck()).await;
            assert_eq!(answer, (None, wait), "{content_type}");
        }
    }
}
