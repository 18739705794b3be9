//! A call's own deadline: when it passes, the caller is told so. It ends the wait, never the work that was begun.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};
use tonic::Status;
use tower::Service;

/// When a call's own deadline passes, for methods that wait.
#[derive(Clone, Copy)]
pub(super) struct CallDeadline(pub(super) Instant);

/// The service around all others.
#[derive(Clone)]
pub(super) struct Deadline<S> {
    inner: S,
}

impl<S> Deadline<S> {
    pub(super) const fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S, B, R> Service<Request<B>> for Deadline<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
    R: Default + Send + 'static,
{
    type Response = Response<Timed<R>>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let deadline = timeout(request.headers()).map(|timeout| Instant::now() + timeout);
        if let Some(deadline) = deadline {
            request.extensions_mut().insert(CallDeadline(deadline));
        }
        let answered = self.inner.call(request);
        Box::pin(async move {
            let Some(deadline) = deadline else {
                return Ok(answered.await?.map(Timed::unlimited));
            };
            // One that has passed already begins nothing.
            if deadline > Instant::now()
                && let Ok(answer) = tokio::time::timeout_at(deadline, answered).await
            {
                let until = Box::pin(tokio::time::sleep_until(deadline));
                return Ok(answer?.map(|body| Timed {
                    body: Some(body),
                    until: Some(until),
                }));
            }
            Ok(passed().into_http::<R>().map(Timed::unlimited))
        })
    }
}

fn passed() -> Status {
    Status::deadline_exceeded("the deadline of the call has passed")
}

/// The time that the caller gives, from now; none when it names none or what it names is none.
fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let is_number = (1..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    let number: u64 = is_number.then(|| digits.parse().ok())??;
    Some(match unit {
        "H" => Duration::from_secs(number * 3_600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

/// The body of an answer, which ends at the call's deadline.
pub(super) struct Timed<B> {
    /// Gone after the deadline.
    body: Option<B>,
    until: Option<Pin<Box<Sleep>>>,
}

impl<B: Default> Default for Timed<B> {
    fn default() -> Self {
        Self::unlimited(B::default())
    }
}

impl<B> Timed<B> {
    const fn unlimited(body: B) -> Self {
        Self {
            body: Some(body),
            until: None,
        }
    }
}

impl<B: Body + Unpin> Body for Timed<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        if let Poll::Ready(frame) = Pin::new(body).poll_frame(context) {
            return Poll::Ready(frame);
        }
        let Some(until) = &mut self.until else {
            return Poll::Pending;
        };
        if until.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        self.body = None;
        let mut trailers = HeaderMap::new();
        // The only way for it to fail is a text that is no header.
        _ = passed().add_header(&mut trailers);
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.body, &self.until) {
            (Some(body), None) => body.size_hint(),
            _ => SizeHint::default(),
        }
    }
}
