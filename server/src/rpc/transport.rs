//! Serves connections: HTTP/2, and HTTP/1.1 for gRPC-Web. Each has an age of its own at which it is asked to end.

use std::{io, pin::pin, sync::Arc, time::Duration};

use futures::{Stream, StreamExt as _};
use http::Request;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{service::Routes, transport::server::Connected as _};
use tower::Service as _;

use super::{accept::Connection, unread::Calls};

/// Calls that one connection may have open at once.
const STREAMS: u32 = 128;
/// Time between pings on a quiet connection, and until one must be answered.
const PING: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(10));
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 2 * 1024 * 1024;
/// The largest head that is read, so that a call whose metadata is too large can be answered. Beyond it the answer is HTTP
/// status 431, and beyond four times as much the connection ends. What proxies let through by default is less.
const HEADERS_READ: u32 = 64 * 1024;
/// The same for HTTP/1.1, in bytes and in number.
const HTTP1_HEAD: usize = 64 * 1024;
const HTTP1_HEADERS: usize = 256;
/// Bytes of one answer that the transport takes before the peer has room for them.
const SEND_BUFFER: usize = 64 * 1024;

/// Serves what is `incoming` until `stop` is cancelled, and then until every connection has ended.
///
/// A connection is asked to end when it is about as old as its limits say, so that load spreads over replicas; how old exactly is drawn for
/// each, so that those which began together do not come back together.
pub async fn serve(
    incoming: impl Stream<Item = io::Result<Connection>>,
    routes: Routes,
    stop: CancellationToken,
) {
    let connections = TaskTracker::new();
    {
        // Dropped before the others end, so that the port is free.
        let mut incoming = pin!(incoming.take_until(stop.cancelled()));
        while let Some(accepted) = incoming.next().await {
            if let Ok(connection) = accepted {
                let serving = serve_one(connection, routes.clone(), stop.clone());
                connections.spawn(serving);
            }
        }
    }
    connections.close();
    connections.wait().await;
}

/// An age within a tenth of `age`.
fn drawn(age: Duration) -> Duration {
    age.mul_f64(rand::random_range(0.9..=1.1))
}

async fn serve_one(connection: Connection, routes: Routes, stop: CancellationToken) {
    let info = connection.connect_info();
    let room = connection.room();
    let patience = connection.limits().answer_timeout;
    let age = drawn(connection.limits().max_connection_age);
    let counted = Arc::clone(&room);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(info.clone());
        request.extensions_mut().insert(Arc::clone(&counted));
        routes.clone().call(request)
    });
    let builder = builder(Calls { patience });
    let mut serving = pin!(builder.serve_connection(TokioIo::new(connection), service));
    let mut stalled = pin!(room.stalled(patience));
    let mut leave = pin!(async {
        tokio::select! {
            () = tokio::time::sleep(age) => {}
            () = stop.cancelled() => {}
        }
    });
    let mut leaving = false;
    let ended = loop {
        tokio::select! {
            ended = serving.as_mut() => break ended,
            // Calls that are open go on; there is no limit to that, as one would cut streams without a word.
            () = leave.as_mut(), if !leaving => {
                leaving = true;
                serving.as_mut().graceful_shutdown();
            }
            () = stalled.as_mut() => {
                tracing::debug!("a connection was closed: nobody takes the rest of its answers");
                return;
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended badly");
    }
}

fn builder(calls: Calls) -> Builder<Calls> {
    let mut builder = Builder::new(calls);
    builder
        .http1()
        .timer(TokioTimer::new())
        .max_buf_size(HTTP1_HEAD)
        .max_headers(HTTP1_HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(HEADERS_READ)
        .max_send_buf_size(SEND_BUFFER)
        // Left alone, both are unlimited: rapid reset and its kin.
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(1_024)
        .keep_alive_interval(PING.0)
        .keep_alive_timeout(PING.1);
    builder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_spread() {
        let age = Duration::from_secs(30 * 60);
        let mut ages: Vec<Duration> = (0..100).map(|_| drawn(age)).collect();
        ages.sort_unstable();
        let (first, last) = (ages[0], ages[99]);
        assert!(first >= Duration::from_secs(27 * 60) && last <= Duration::from_secs(33 * 60));
        assert!(
            last - first > Duration::from_secs(4 * 60),
            "{first:?}, {last:?}"
        );
    }
}
