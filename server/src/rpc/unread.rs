//! Answers that were made and not yet taken: bounded in bytes for each connection and each address, and in time.
//!
//! The bytes of an answer count from the moment it is encoded until the last of them has gone to the socket. An answer for
//! which there is no room is replaced by a refusal; those of changes and of health, which are small, are given in any case.

mod progress;

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use tidegate_proto::v1::ErrorReason;
use tonic::{Code, Status};
use tower::Service;

pub(super) use self::progress::{Calls, Progress};
use super::{
    MESSAGE_OUT_MAX,
    auth::access::{Effect, access},
    status::refusal_for_now,
};

/// Bytes of answers that one connection may leave untaken.
const CONNECTION_MAX: usize = 16 * MESSAGE_OUT_MAX;
/// What an address may leave for each connection that it may have, beyond that.
const ADDRESS_SHARE: usize = MESSAGE_OUT_MAX;
/// Bytes that are handed to the transport at a time: as far as it buffers beyond what the peer has asked for. Divisible by
/// three, as each piece is padded in the text form of gRPC-Web.
const PIECE: usize = 15 * 1024;

/// What one connection and its address have left untaken.
#[derive(Debug)]
pub(super) struct Room {
    own: AtomicUsize,
    address: Arc<AtomicUsize>,
    address_max: usize,
    /// Bytes that were taken so far.
    taken: AtomicUsize,
}

impl Room {
    /// Room for a connection of an address that may have so many, and whose untaken bytes are counted in `address`.
    pub(super) fn new(address: Arc<AtomicUsize>, connections: usize) -> Self {
        Self {
            own: AtomicUsize::new(0),
            address,
            address_max: ADDRESS_SHARE
                .saturating_mul(connections)
                .saturating_add(CONNECTION_MAX),
            taken: AtomicUsize::new(0),
        }
    }

    fn has(&self, bytes: usize) -> bool {
        self.own.load(Ordering::Relaxed) + bytes <= CONNECTION_MAX
            && self.address.load(Ordering::Relaxed) + bytes <= self.address_max
    }

    fn hold(self: &Arc<Self>, bytes: usize) -> Held {
        self.own.fetch_add(bytes, Ordering::Relaxed);
        self.address.fetch_add(bytes, Ordering::Relaxed);
        Held {
            room: Arc::clone(self),
            bytes,
        }
    }

    /// Resolves when something is left untaken and nothing of it was taken for twice the `patience`: calls that are open were
    /// reset by then, so it is the rest of answers that were given in whole.
    pub(super) async fn stalled(&self, patience: Duration) {
        loop {
            if self.own.load(Ordering::Relaxed) == 0 {
                tokio::time::sleep(patience).await;
                continue;
            }
            let before = self.taken.load(Ordering::Relaxed);
            tokio::time::sleep(2 * patience).await;
            let stands = self.taken.load(Ordering::Relaxed) == before;
            if stands && self.own.load(Ordering::Relaxed) > 0 {
                return;
            }
        }
    }
}

/// Bytes that count until it is dropped.
#[derive(Debug)]
struct Held {
    room: Arc<Room>,
    bytes: usize,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.room.own.fetch_sub(self.bytes, Ordering::Relaxed);
        self.room.address.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A part of an encoded answer. The whole of it is freed with its last part.
struct Piece {
    bytes: Bytes,
    whole: Arc<Held>,
    progress: Arc<Progress>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let bytes = self.bytes.len();
        self.progress.taken(bytes);
        self.whole.room.taken.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// The service around all others.
#[derive(Clone)]
pub(super) struct Unread<S> {
    inner: S,
}

impl<S> Unread<S> {
    pub(super) const fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S, B, R> Service<Request<B>> for Unread<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    R: Body<Data = Bytes> + Default + Unpin + Send + 'static,
    R::Error: Send + Unpin,
{
    type Response = Response<Counted<R>>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let room = request.extensions().get::<Arc<Room>>().cloned();
        let path = request.uri().path();
        // Whoever looks after the server is told how it is, whatever its neighbours do.
        let is_health = path.starts_with("/grpc.health.");
        let is_given = is_health || access(path).effect != Effect::Reads;
        // Nobody works for an answer that there will be no room for.
        let needed = if is_given { 1 } else { MESSAGE_OUT_MAX };
        if !is_health && room.as_ref().is_some_and(|room| !room.has(needed)) {
            let refused = unread().into_http();
            return Box::pin(std::future::ready(Ok(
                refused.map(|body| Counted::new(body, None, false))
            )));
        }
        let answered = self.inner.call(request);
        Box::pin(async move {
            let answer = answered.await?;
            let mut counted = answer.map(|body| Counted::new(body, room, is_given));
            // Encoded now, an answer counts from the beginning, however long nobody asks for it.
            std::future::poll_fn(|context| {
                Poll::Ready(counted.body_mut().encode(context).is_ready())
            })
            .await;
            Ok(counted)
        })
    }
}

fn unread() -> Status {
    refusal_for_now(
        Code::ResourceExhausted,
        ErrorReason::AnswersUnread,
        "too many answers to this connection or address were not read yet; read them and try again",
    )
}

/// The body of an answer, whose bytes are counted until they are taken.
pub(super) struct Counted<B: Body> {
    /// Gone when there was no room for more of it.
    body: Option<B>,
    room: Option<Arc<Room>>,
    progress: Arc<Progress>,
    /// Whether it is given in any case.
    is_given: bool,
    /// Counted already, in pieces.
    pieces: VecDeque<Bytes>,
    trailers: Option<HeaderMap>,
    failure: Option<B::Error>,
}

impl<B: Body<Data = Bytes> + Unpin> Counted<B> {
    fn new(body: B, room: Option<Arc<Room>>, is_given: bool) -> Self {
        Self {
            body: Some(body),
            room,
            progress: Progress::of_call(),
            is_given,
            pieces: VecDeque::new(),
            trailers: None,
            failure: None,
        }
    }

    /// Takes in the next frame, if it is there.
    fn encode(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(());
        };
        match ready!(Pin::new(body).poll_frame(context)) {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => self.take_in(data),
                Err(other) => self.trailers = other.into_trailers().ok(),
            },
            Some(Err(error)) => {
                self.body = None;
                self.failure = Some(error);
            }
            None => self.body = None,
        }
        Poll::Ready(())
    }

    fn take_in(&mut self, data: Bytes) {
        let Some(room) = &self.room else {
            self.pieces.push_back(data);
            return;
        };
        if !self.is_given && !room.has(data.len()) {
            self.body = None;
            let mut trailers = HeaderMap::new();
            // The only way for it to fail is a text that is no header.
            _ = unread().add_header(&mut trailers);
            self.trailers = Some(trailers);
            return;
        }
        let whole = Arc::new(room.hold(data.len()));
        self.progress.begun(data.len());
        let mut rest = data;
        while !rest.is_empty() {
            self.pieces.push_back(Bytes::from_owner(Piece {
                bytes: rest.split_to(PIECE.min(rest.len())),
                whole: Arc::clone(&whole),
                progress: Arc::clone(&self.progress),
            }));
        }
    }
}

impl<B> Body for Counted<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        loop {
            if let Some(piece) = self.pieces.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            if let Some(trailers) = self.trailers.take() {
                return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
            }
            if let Some(failure) = self.failure.take() {
                return Poll::Ready(Some(Err(failure)));
            }
            if self.body.is_none() {
                return Poll::Ready(None);
            }
            ready!(self.encode(context));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
            && self.trailers.is_none()
            && self.failure.is_none()
            && self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
