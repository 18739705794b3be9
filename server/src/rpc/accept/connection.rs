//! One accepted connection: its bytes, in the clear or through TLS, and how long it may take to ask for something.

use std::{
    io, mem,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::future::BoxFuture;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep},
};
use tokio_rustls::{FallibleAccept, server::TlsStream};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::{Connected, TcpConnectInfo};

use super::{
    HANDSHAKE, REQUEST, Share,
    traffic::{Stage, Traffic},
};
use crate::{
    config::Limits,
    net::tls::Tls,
    rpc::{places::Place, unread::Room},
};

/// Time that a peer has to see why its handshake failed.
const LINGER: Duration = Duration::from_secs(1);

/// An accepted connection.
pub struct Connection {
    io: Io,
    info: TcpConnectInfo,
    limits: Limits,
    /// What is left of it until the first request has arrived.
    patience: Option<Patience>,
    traffic: Traffic,
    _place: Place,
    share: Share,
}

enum Io {
    Clear(TcpStream),
    Shaking(Box<FallibleAccept<TcpStream>>),
    Secret(Box<TlsStream<TcpStream>>),
    /// The handshake failed, and whoever tried it is being told so.
    Leaving(Box<Leaving>),
    Gone,
}

/// Closes a connection whose handshake failed. What the peer has sent meanwhile is read and forgotten: left unread, it
/// would have the system reset the connection, and the peer would not see the alert that says why.
struct Leaving {
    stream: TcpStream,
    error: io::Error,
    until: Pin<Box<Sleep>>,
}

impl Leaving {
    /// Ready when nobody is there any more, or time is up.
    fn poll_gone(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.until.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        let mut stream = Pin::new(&mut self.stream);
        if ready!(stream.as_mut().poll_shutdown(context)).is_err() {
            return Poll::Ready(());
        }
        let mut forgotten = [0; 1_024];
        loop {
            let mut buffer = ReadBuf::new(&mut forgotten);
            let read = ready!(stream.as_mut().poll_read(context, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                return Poll::Ready(());
            }
        }
    }
}

struct Patience {
    until: Pin<Box<Sleep>>,
    /// Ends connections that have said nothing when the server does; others are told.
    stop: Option<BoxFuture<'static, ()>>,
}

impl Connection {
    pub(super) fn new(
        stream: TcpStream,
        client: SocketAddr,
        tls: Option<&Tls>,
        limits: Limits,
        stop: CancellationToken,
        (place, share): (Place, Share),
    ) -> Self {
        let now = Instant::now();
        let info = TcpConnectInfo {
            local_addr: stream.local_addr().ok(),
            remote_addr: Some(client),
        };
        let (io, wait) = match tls {
            Some(tls) => {
                let accept = tls.acceptor().accept(stream).into_fallible();
                (Io::Shaking(Box::new(accept)), HANDSHAKE)
            }
            None => (Io::Clear(stream), REQUEST),
        };
        Self {
            io,
            info,
            limits,
            patience: Some(Patience {
                until: Box::pin(tokio::time::sleep_until(now + wait)),
                stop: Some(Box::pin(stop.cancelled_owned())),
            }),
            traffic: Traffic::new(now),
            _place: place,
            share,
        }
    }

    /// Where the answers to it are counted until they are taken.
    pub(in crate::rpc) fn room(&self) -> Arc<Room> {
        Arc::clone(&self.share.room)
    }

    /// What held when it came.
    pub(in crate::rpc) const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The bytes in the clear, once there are some.
    fn poll_clear(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Clear<'_>>> {
        if let Io::Shaking(accept) = &mut self.io {
            match ready!(Pin::new(accept).poll(context)) {
                Ok(stream) => {
                    self.io = Io::Secret(Box::new(stream));
                    if let Some(patience) = &mut self.patience {
                        let until = Instant::now() + REQUEST;
                        patience.until.as_mut().reset(until);
                    }
                }
                Err((error, stream)) => {
                    tracing::debug!(address = ?self.info.remote_addr(), %error, "a TLS handshake failed");
                    self.io = Io::Leaving(Box::new(Leaving {
                        stream,
                        error,
                        until: Box::pin(tokio::time::sleep(LINGER)),
                    }));
                }
            }
        }
        if let Io::Leaving(leaving) = &mut self.io {
            ready!(leaving.poll_gone(context));
            let left = mem::replace(&mut self.io, Io::Gone);
            if let Io::Leaving(leaving) = left {
                return Poll::Ready(Err(leaving.error));
            }
        }
        Poll::Ready(match &mut self.io {
            Io::Clear(stream) => Ok(Clear::Tcp(Pin::new(stream))),
            Io::Secret(stream) => Ok(Clear::Tls(Pin::new(&mut **stream))),
            Io::Shaking(_) | Io::Leaving(_) | Io::Gone => Err(io::ErrorKind::NotConnected.into()),
        })
    }

    /// Reads, and takes in what was read.
    fn poll_receive(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match ready!(self.poll_clear(context))? {
            Clear::Tcp(stream) => ready!(stream.poll_read(context, buffer))?,
            Clear::Tls(stream) => ready!(stream.poll_read(context, buffer))?,
        }
        if self.traffic.receive(&buffer.filled()[before..]).is_err() {
            tracing::debug!(address = ?self.info.remote_addr(), "closed: a flood of control frames");
            let flood = "too many frames that carry nothing";
            return Poll::Ready(Err(io::Error::other(flood)));
        }
        match (self.traffic.stage(), &mut self.patience) {
            (Stage::Asked, patience) => *patience = None,
            (Stage::Greeted, Some(patience)) => patience.stop = None,
            (Stage::Greeted, None) | (Stage::Silent, _) => {}
        }
        Poll::Ready(Ok(()))
    }

    /// Ready when the first request has not arrived in time.
    fn poll_impatient(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(patience) = &mut self.patience else {
            return Poll::Pending;
        };
        if let Some(stop) = &mut patience.stop
            && stop.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(());
        }
        patience.until.as_mut().poll(context)
    }

    fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        send: impl FnOnce(Clear<'_>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let clear = ready!(self.poll_clear(context))?;
        let sent = ready!(send(clear, context))?;
        self.traffic.sent(sent);
        Poll::Ready(Ok(sent))
    }
}

/// Where bytes in the clear are read and written.
enum Clear<'a> {
    Tcp(Pin<&'a mut TcpStream>),
    Tls(Pin<&'a mut TlsStream<TcpStream>>),
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.info.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = self.poll_receive(context, buffer);
        if matches!(read, Poll::Ready(Err(_))) {
            return read;
        }
        // Asked whatever was read: a byte now and then must not put it off.
        if self.poll_impatient(context).is_ready() {
            let silence = "no request arrived in time";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, silence)));
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(context, |clear, context| match clear {
            Clear::Tcp(stream) => stream.poll_write(context, bytes),
            Clear::Tls(stream) => stream.poll_write(context, bytes),
        })
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(self.poll_clear(context))? {
            Clear::Tcp(stream) => stream.poll_flush(context),
            Clear::Tls(stream) => stream.poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Clear(stream) => Pin::new(stream).poll_shutdown(context),
            Io::Secret(stream) => Pin::new(&mut **stream).poll_shutdown(context),
            // There is nobody to say goodbye to yet, or no longer.
            Io::Shaking(_) | Io::Leaving(_) | Io::Gone => Poll::Ready(Ok(())),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(context, |clear, context| match clear {
            Clear::Tcp(stream) => stream.poll_write_vectored(context, slices),
            Clear::Tls(stream) => stream.poll_write_vectored(context, slices),
        })
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Clear(stream) => stream.is_write_vectored(),
            Io::Secret(stream) => stream.is_write_vectored(),
            Io::Shaking(_) | Io::Leaving(_) | Io::Gone => true,
        }
    }
}
