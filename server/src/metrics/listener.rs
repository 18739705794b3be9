//! The second listener: metrics, health and versions over plain HTTP, for those who look after the server.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::Monitor;

/// Connections that are served at once; more wait.
const CONNECTIONS: usize = 32;
/// Time for the head of a request, and that a connection may be idle.
const HEAD: Duration = Duration::from_secs(10);
const HEAD_MAX: usize = 16 * 1024;
/// How long a connection may live, whatever it does.
const AGE: Duration = Duration::from_secs(60);
/// Time that an answer has to be taken once a connection is to end.
const LEAVE: Duration = Duration::from_millis(500);
/// Pause after an accept that failed, most likely for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(50);

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PATHS: &str = "there are /metrics, /livez, /readyz and /version\n";

/// Answers until `stop` is cancelled, and then what was asked before.
pub async fn serve(listener: TcpListener, monitor: Arc<Monitor>, stop: CancellationToken) {
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get("ok\n"))
        .route("/readyz", get(ready))
        .route("/version", get(version))
        .fallback((StatusCode::NOT_FOUND, PATHS))
        .with_state(monitor);
    let gate = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &gate) => accepted,
            () = stop.cancelled() => break,
        };
        if let Some((stream, permit)) = accepted {
            let serving = serve_one(stream, router.clone(), stop.clone());
            connections.spawn(async move {
                serving.await;
                drop(permit);
            });
        }
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// The next connection that there is room for; `None` when it could not be had.
async fn accept(
    listener: &TcpListener,
    gate: &Arc<Semaphore>,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(gate).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, permit)),
        Err(error) => {
            tracing::warn!(%error, "a connection to --metrics-listen could not be accepted");
            tokio::time::sleep(PAUSE).await;
            None
        }
    }
}

async fn serve_one(stream: TcpStream, router: Router, stop: CancellationToken) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        // Whoever has asked for nothing or gone away has nothing to be told.
        _ = connection.as_mut() => return,
        () = tokio::time::sleep(AGE) => {}
        () = stop.cancelled() => {}
    }
    connection.as_mut().graceful_shutdown();
    _ = tokio::time::timeout(LEAVE, connection).await;
}

async fn metrics(State(monitor): State<Arc<Monitor>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, OPEN_METRICS)], monitor.text())
}

async fn ready(State(monitor): State<Arc<Monitor>>) -> (StatusCode, String) {
    let (status, word) = match monitor.is_serving() {
        Some(true) => (StatusCode::OK, "ok"),
        Some(false) => (StatusCode::SERVICE_UNAVAILABLE, "not serving"),
        None => (StatusCode::SERVICE_UNAVAILABLE, "starting"),
    };
    let found = monitor.capabilities();
    let found = found.map(|found| format!("{found}\n")).unwrap_or_default();
    (status, format!("{word}\n{found}"))
}

async fn version() -> impl IntoResponse {
    let body = format!("{}\n", Monitor::version());
    ([(CONTENT_TYPE, "application/json")], body)
}
