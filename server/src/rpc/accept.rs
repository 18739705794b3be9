//! Accepting connections within limits: how many in all, how many from one address, and how long one may stay silent
//! before its first bytes (P7, P9).

use std::{
    collections::HashMap,
    io,
    net::IpAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use futures::{Stream, future::BoxFuture, stream};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::{Connected, TcpConnectInfo};

/// An HTTP/2 preface has so many bytes; a useful HTTP/1.1 request has more.
const PREFACE: usize = 24;
/// Pause after an accept that failed, most likely for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(50);

/// How many connections, and how patient.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections in all; more wait in the listener's backlog.
    pub connections: usize,
    /// Connections from one address; more are closed at once.
    pub per_address: usize,
    /// Time until a connection must have sent its first bytes.
    pub preface: Duration,
}

type Counts = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// Accepts from `listener` for ever. Connections that are still silent end when `stop` is cancelled.
pub fn incoming(
    listener: TcpListener,
    limits: Limits,
    stop: CancellationToken,
) -> impl Stream<Item = io::Result<Connection>> {
    let gate = Arc::new(Semaphore::new(limits.connections));
    let counts = Counts::default();
    stream::unfold(
        (listener, gate, counts, stop),
        move |(listener, gate, counts, stop)| async move {
            loop {
                let permit = Arc::clone(&gate).acquire_owned().await.ok()?;
                let (stream, address) = match listener.accept().await {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    }
                };
                let Some(share) = Share::claim(&counts, address.ip(), limits.per_address) else {
                    tracing::debug!(%address, "closed: too many connections from one address");
                    continue;
                };
                // Small messages must not wait for company.
                _ = stream.set_nodelay(true);
                let connection = Connection {
                    stream,
                    preface: Some(Preface::new(limits.preface, stop.clone())),
                    _permit: permit,
                    _share: share,
                };
                return Some((Ok(connection), (listener, gate, counts, stop)));
            }
        },
    )
}

/// One address's claim on its limit.
struct Share {
    counts: Counts,
    address: IpAddr,
}

impl Share {
    fn claim(counts: &Counts, address: IpAddr, limit: usize) -> Option<Self> {
        let mut held = counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(address).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(Self {
            counts: Arc::clone(counts),
            address,
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.address);
            }
        }
    }
}

/// Waits for the first bytes of a connection, but not for ever.
struct Preface {
    missing: usize,
    patience: BoxFuture<'static, ()>,
}

impl Preface {
    fn new(wait: Duration, stop: CancellationToken) -> Self {
        let patience = Box::pin(async move {
            _ = tokio::time::timeout(wait, stop.cancelled()).await;
        });
        Self {
            missing: PREFACE,
            patience,
        }
    }
}

/// An accepted connection.
pub struct Connection {
    stream: TcpStream,
    preface: Option<Preface>,
    _permit: OwnedSemaphorePermit,
    _share: Share,
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let Some(preface) = &mut self.preface else {
            return read;
        };
        preface.missing = preface
            .missing
            .saturating_sub(buffer.filled().len() - before);
        if preface.missing == 0 {
            self.preface = None;
        } else if preface.patience.as_mut().poll(context).is_ready() {
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
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
