//! Accepting connections within limits (P7, P8, P9).
//!
//! How many in all, how many from one address, how long one may take for its handshake and for its first request, and how
//! many frames without content it may send.

mod connection;
mod traffic;

use std::{
    collections::HashMap,
    io,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{Stream, stream};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;

pub use self::connection::Connection;
use super::tls::Tls;

/// Pause after an accept that failed, most likely for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(50);

/// How many connections, and how patient.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections in all; more wait in the listener's backlog.
    pub connections: usize,
    /// Connections from one address; more are closed at once.
    pub per_address: usize,
    /// Time that a TLS handshake may take; it counts against the limits above from the beginning.
    pub handshake: Duration,
    /// Time, after the handshake if there is one, until the head of the first request must be there, whole.
    pub request: Duration,
}

type Counts = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// Accepts from `listener` for ever. Connections that are still silent end when `stop` is cancelled.
pub fn incoming(
    listener: TcpListener,
    limits: Limits,
    tls: Option<Tls>,
    stop: CancellationToken,
) -> impl Stream<Item = io::Result<Connection>> {
    let gate = Arc::new(Semaphore::new(limits.connections));
    let counts = Counts::default();
    stream::unfold(
        (listener, gate, counts, tls, stop),
        move |(listener, gate, counts, tls, stop)| async move {
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
                let claims = (permit, share);
                let connection =
                    Connection::new(stream, tls.as_ref(), limits, stop.clone(), claims);
                return Some((Ok(connection), (listener, gate, counts, tls, stop)));
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
