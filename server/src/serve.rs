//! Puts the parts together, serves until told to stop, and takes them apart in order.

use std::time::Duration;

use anyhow::Context as _;
use futures::future::BoxFuture;
use tokio::{
    net::TcpListener,
    signal::unix::{self, SignalKind},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    clock::Clock,
    config::{Auth, Config},
    failpoint,
    feed::{Feed, tail::Tail},
    gate::{Gate, Means},
    ledger::{Ledger, retention::Retention, sweeper::Sweeper, time::Time},
    rpc::{self, Backend, Health, accept, tls::Tls, transport},
    store::Store,
};

/// Time that open calls have to end once streams were told to.
const DRAIN: Duration = Duration::from_secs(6);
/// Time that the ledger has to write what was queued.
const SETTLE: Duration = Duration::from_secs(2);
/// Time between two looks at the database, and until one must be answered.
const PULSE: Duration = Duration::from_millis(500);
const PULSE_PATIENCE: Duration = Duration::from_secs(2);
/// Time that a connection may take for its TLS handshake, and then for the head of its first request.
const HANDSHAKE: Duration = Duration::from_secs(10);
const REQUEST: Duration = Duration::from_secs(10);

/// Serves on `listener` until `shutdown` resolves, then drains: at most 10 s, whoever holds a stream open.
///
/// # Errors
/// When the database cannot be opened or the transport fails. What was acknowledged is on disk in any case.
pub async fn serve(
    listener: TcpListener,
    config: &Config,
    clock: Clock,
    shutdown: impl Future<Output = ()> + Send,
) -> anyhow::Result<()> {
    let tls = secured(config).await?;
    let options = config.database.options(config.migrate);
    let store = Store::open(&config.database.url, &options).await?;
    let crew = Crew::default();
    let backend = put_together(config, clock, &store, &crew).await?;
    let tls = tls.map(|(tls, follow)| {
        crew.tasks.spawn(follow(crew.streams_end.clone()));
        tls
    });
    let (routes, health) = rpc::routes(backend).await?;
    crew.tasks.spawn(watch_database(
        store.clone(),
        health.clone(),
        crew.streams_end.clone(),
    ));
    let limits = accept::Limits {
        connections: config.max_connections,
        per_address: config.max_connections_per_address,
        handshake: HANDSHAKE,
        request: REQUEST,
    };
    let address = listener.local_addr()?;
    let incoming = accept::incoming(listener, limits, tls, crew.streams_end.clone());
    let stop = crew.streams_end.clone();
    let server = transport::serve(incoming, routes, config.max_connection_age, stop);
    tracing::info!(%address, version = env!("CARGO_PKG_VERSION"), "serving");

    let mut server = std::pin::pin!(server);
    tokio::select! {
        () = &mut server => {}
        () = shutdown => {
            tracing::info!("draining");
            health.set(false).await;
            tokio::time::sleep(config.drain_delay).await;
            crew.streams_end.cancel();
            failpoint::pass("mid-drain");
            health.end().await;
            if tokio::time::timeout(DRAIN, server).await.is_err() {
                tracing::warn!("calls that would not end were cut off");
            }
        }
    }
    crew.settle().await;
    store.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// The tasks beside the transport, and what ends them: first those that calls do not need, then the ledger's.
#[derive(Default)]
struct Crew {
    tasks: TaskTracker,
    streams_end: CancellationToken,
    writer_ends: CancellationToken,
}

impl Crew {
    /// Ends them; the ledger writes what was queued.
    async fn settle(&self) {
        self.streams_end.cancel();
        self.writer_ends.cancel();
        self.tasks.close();
        if tokio::time::timeout(SETTLE, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                "the ledger did not settle in time; unanswered commands may or may not stand"
            );
        }
    }
}

/// What the services work with, at work.
async fn put_together(
    config: &Config,
    clock: Clock,
    store: &Store,
    crew: &Crew,
) -> anyhow::Result<Backend> {
    let pepper = config.pepper.read()?;
    if let Some(latest) = store.latest_time().await? {
        clock.not_before(latest);
    }
    let (tasks, stop) = (&crew.tasks, &crew.streams_end);
    let feed = Feed::default();
    let time = Time::new(clock, store.clone());
    let tail = Tail::begin(store.clone(), feed.clone(), time.clone()).await?;
    tail.start(tasks, stop);
    let ledger = Ledger::start(store, &time, &feed, tasks, &crew.writer_ends);
    let sweeper = Sweeper::new(ledger.clone(), store.clone(), time.clone());
    tasks.spawn(sweeper.clone().run(config.sweep_interval, stop.clone()));
    if let Some(keep) = config.event_retention {
        let retention = Retention::new(store.clone(), time.clone(), keep);
        tasks.spawn(retention.run(config.sweep_interval, stop.clone()));
    }
    let gate = (config.auth() == Auth::Required).then(|| {
        Gate::new(Means {
            store: store.clone(),
            time: time.clone(),
            ledger: ledger.clone(),
            pepper: pepper.clone(),
            requests_per_minute: config.requests_per_minute,
        })
    });
    if let Some(gate) = &gate {
        tasks.spawn(gate.clone().follow(feed.rights(), stop.clone()));
    }
    Ok(Backend {
        ledger,
        store: store.clone(),
        feed,
        sweeper,
        time,
        stop: stop.clone(),
        max_streams: config.max_streams,
        gate,
        pepper,
    })
}

/// TLS if it was asked for, and what keeps it in step with its files.
async fn secured(
    config: &Config,
) -> anyhow::Result<
    Option<(
        Tls,
        impl FnOnce(CancellationToken) -> BoxFuture<'static, ()>,
    )>,
> {
    let Some(files) = config.transport.files() else {
        return Ok(None);
    };
    let (tls, watch) = Tls::load(files).await.context("TLS cannot be used")?;
    let hangup = unix::signal(SignalKind::hangup()).context("signals cannot be received")?;
    let follow = |stop| -> BoxFuture<'static, ()> { Box::pin(watch.run(hangup, stop)) };
    Ok(Some((tls, follow)))
}

/// Keeps health in step with the database, so that balancers send calls to replicas that can answer them.
async fn watch_database(store: Store, health: Health, stop: CancellationToken) {
    let mut serving = true;
    loop {
        let answers = tokio::time::timeout(PULSE_PATIENCE, store.ping());
        let answered = tokio::select! {
            () = stop.cancelled() => return,
            answered = answers => matches!(answered, Ok(Ok(()))),
        };
        if answered != serving {
            serving = answered;
            tracing::warn!(serving, "the database was lost or has come back");
            health.set(serving).await;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PULSE) => {}
        }
    }
}

/// Resolves on SIGTERM or SIGINT.
///
/// # Errors
/// When the process may not listen for signals.
pub fn signal() -> std::io::Result<impl Future<Output = ()> + Send> {
    let mut terminate = unix::signal(SignalKind::terminate())?;
    let mut interrupt = unix::signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
