//! Accepting connections within limits, since the transport has none for peers that are silent or many.
//!
//! How many in all, how many from one address, how long one may take for its handshake and for its first request, and how
//! many frames without content it may send.

mod announced;
mod connection;
mod traffic;

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError, atomic::AtomicUsize},
    time::Duration,
};

use futures::{Stream, StreamExt as _, future, stream};
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_util::sync::CancellationToken;

pub use self::connection::Connection;
use super::{
    places::{Place, Places},
    unread::Room,
};
use crate::{
    config::Limits,
    net::{origin::Proxies, tls::Tls},
};

/// Pause after an accept that failed, most likely for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(50);

/// Time that a TLS handshake may take; it counts against the limits from the beginning.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Time, after the handshake if there is one, until the head of the first request must be there, whole.
const REQUEST: Duration = Duration::from_secs(10);

type Counts = Arc<Mutex<HashMap<IpAddr, Held>>>;

/// What one address has.
#[derive(Default)]
struct Held {
    connections: usize,
    /// Bytes of answers that it has not taken.
    unread: Arc<AtomicUsize>,
}

/// Accepts from `listener` for ever. Connections that are still silent end when `stop` is cancelled. What `limits` say
/// when a connection comes holds for it as long as it lives.
pub fn incoming(
    listener: TcpListener,
    limits: watch::Receiver<Limits>,
    proxies: Proxies,
    tls: Option<Tls>,
    stop: CancellationToken,
) -> impl Stream<Item = io::Result<Connection>> {
    let door = Door {
        listener,
        limits,
        places: Arc::default(),
    };
    let accepted = stream::unfold(door, |mut door| async move {
        let accepted = door.accept().await;
        Some((accepted, door))
    });
    let counts = Counts::default();
    // One that waits for a proxy's word keeps nobody waiting.
    let connections = accepted.map(
        move |Accepted {
                  stream,
                  peer,
                  place,
                  limits,
              }| {
            let (proxies, counts) = (proxies.clone(), Arc::clone(&counts));
            let (tls, stop) = (tls.clone(), stop.clone());
            async move {
                let (stream, client) = introduced(stream, peer, &proxies).await?;
                // A proxy's connections are those of many.
                let most = match proxies.trust(client.ip()) {
                    true => limits.max_connections,
                    false => limits.max_connections_per_address,
                };
                let Some(share) = Share::claim(&counts, client.ip(), most) else {
                    tracing::debug!(%client, "closed: too many connections from one address");
                    return None;
                };
                prepare(&stream, limits.answer_timeout);
                let claims = (place, share);
                Some(Ok(Connection::new(
                    stream,
                    client,
                    tls.as_ref(),
                    limits,
                    stop,
                    claims,
                )))
            }
        },
    );
    // Those that have a place are bounded.
    connections
        .buffer_unordered(usize::MAX)
        .filter_map(future::ready)
}

/// Where connections come in.
struct Door {
    listener: TcpListener,
    limits: watch::Receiver<Limits>,
    places: Arc<Places>,
}

struct Accepted {
    stream: TcpStream,
    peer: SocketAddr,
    place: Place,
    limits: Limits,
}

impl Door {
    /// The next connection, once there is room for it.
    async fn accept(&mut self) -> Accepted {
        let place = self.place().await;
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    let limits = *self.limits.borrow();
                    return Accepted {
                        stream,
                        peer,
                        place,
                        limits,
                    };
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn place(&mut self) -> Place {
        loop {
            let most = self.limits.borrow_and_update().max_connections;
            if let Some(place) = self.places.take(most) {
                return place;
            }
            tokio::select! {
                () = self.places.freed() => {}
                Ok(()) = self.limits.changed() => {}
            }
        }
    }
}

/// The connection with the address of its client, which a proxy tells first where it is to; `None` when it does not.
async fn introduced(
    mut stream: TcpStream,
    peer: SocketAddr,
    proxies: &Proxies,
) -> Option<(TcpStream, SocketAddr)> {
    if !proxies.announce(peer.ip()) {
        return Some((stream, peer));
    }
    let announced = tokio::time::timeout(REQUEST, announced::client(&mut stream)).await;
    match announced.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(client) => Some((stream, client.unwrap_or(peer))),
        Err(error) => {
            tracing::debug!(%peer, %error, "closed: a proxy did not say whom it speaks for");
            None
        }
    }
}

/// Small messages must not wait for company, and a peer that is gone without a word must be noticed: HTTP/1.1 has no pings.
fn prepare(stream: &TcpStream, patience: Duration) {
    let socket = SockRef::from(stream);
    let second = Duration::from_secs(1);
    let keepalive = TcpKeepalive::new()
        .with_time((patience * 2 / 3).max(second))
        .with_interval((patience / 6).max(second))
        .with_retries(2);
    // None of them fails for a socket of TCP.
    _ = socket.set_tcp_nodelay(true);
    _ = socket.set_tcp_keepalive(&keepalive);
    _ = socket.set_tcp_user_timeout(Some(patience));
}

/// One address's claim on its limit.
struct Share {
    counts: Counts,
    address: IpAddr,
    room: Arc<Room>,
}

impl Share {
    fn claim(counts: &Counts, address: IpAddr, limit: usize) -> Option<Self> {
        let mut held = counts.lock().unwrap_or_else(PoisonError::into_inner);
        let own = held.entry(address).or_default();
        if own.connections >= limit {
            return None;
        }
        own.connections += 1;
        let room = Room::new(Arc::clone(&own.unread), limit);
        Some(Self {
            counts: Arc::clone(counts),
            address,
            room: Arc::new(room),
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = held.get_mut(&self.address) {
            own.connections -= 1;
            if own.connections == 0 {
                held.remove(&self.address);
            }
        }
    }
}
