//! Puts the parts together, serves until told to stop, and takes them apart in order.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use sd_notify::NotifyState;
use tokio::{
    net::TcpListener,
    signal::unix::{self, SignalKind},
    sync::watch,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::{
    auth::{AuthDeps, Authenticator},
    checkpoint::Signer,
    clock::Clock,
    config::{Auth, Config, Limits, Settings},
    feed::{Feed, log_follower::LogFollower},
    health,
    ledger::{Ledger, bulk::BulkDriver, retention::Retention, sweeper::Sweeper},
    metrics::{self, Metrics, Monitor, Sources, listener, sampler},
    net::tls::Tls,
    reload::Reload,
    rpc::{self, Backend, Health, accept, transport},
    supervisor::{Ending, Fatal, Supervisor},
    time::Time,
    traces::Traces,
};
use tidegate_domain::authorize::RunDefaults;
use tidegate_store::{Readers, Store, failpoint};

/// Time that open calls have to end once streams were told to.
const DRAIN: Duration = Duration::from_secs(5);
/// Time that the ledger has to write what was queued.
const SETTLE: Duration = Duration::from_millis(1_500);
/// Time that connections to the database have to close.
const CLOSE: Duration = Duration::from_millis(500);

/// Where the server is reached.
#[derive(Debug)]
pub struct Listeners {
    /// For calls.
    pub calls: TcpListener,
    /// For those who look after the server, where that was asked for.
    pub metrics: Option<TcpListener>,
}

impl Listeners {
    /// Those that `config` asks for.
    ///
    /// # Errors
    /// When one of the addresses cannot be had; says which.
    pub async fn bind(config: &Config) -> anyhow::Result<Self> {
        Ok(Self {
            calls: bind("--listen", config.listen).await?,
            metrics: match config.metrics_listen {
                Some(address) => Some(bind("--metrics-listen", address).await?),
                None => None,
            },
        })
    }
}

async fn bind(flag: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).await;
    listener.with_context(|| format!("cannot listen on {address} ({flag})"))
}

/// Serves on `listeners` until `shutdown` resolves, then drains: at most 10 s, whoever holds a stream open. `settings` are
/// read again on SIGHUP.
///
/// # Errors
/// When the database cannot be opened, and a [`Fatal`] when a task has died that the server
/// cannot do without. What was acknowledged is on disk in any case.
pub async fn serve(
    listeners: Listeners,
    config: &Config,
    settings: Option<Settings>,
    clock: Clock,
    shutdown: impl Future<Output = ()> + Send,
) -> anyhow::Result<()> {
    // Before anything else: without a handler SIGHUP ends the process.
    let hangup = || unix::signal(SignalKind::hangup()).context("signals cannot be received");
    let (renew, reread) = (hangup()?, hangup()?);
    let metrics = Arc::new(Metrics::new(rpc::methods()));
    let tls = match config.transport.files() {
        Some(files) => {
            let loaded = Tls::load(files, metrics.certificate_expiry.clone()).await;
            Some(loaded.context("TLS cannot be used")?)
        }
        None => None,
    };
    let options = config.database.options(config.migrate.into());
    let mut shutdown = std::pin::pin!(shutdown);
    let tasks = Tasks::default();
    let traces = Traces::start(&metrics)?;
    let monitor = tasks.monitor(listeners.metrics, &metrics);
    let store = tokio::select! {
        opened = Store::open(&config.database.url, &options) => opened?,
        () = &mut shutdown => return Ok(()),
    };
    log_capabilities(&store);
    let (reload, limits) = Reload::new(settings, config.limits, Arc::clone(&metrics));
    tasks.spawn("reload", reload.run(reread, tasks.streams_end.clone()));
    let mut backend = build(config, clock, &store, limits.clone(), &metrics, &tasks).await?;
    backend.traces.clone_from(&traces);
    let tls = tls.map(|(tls, watch)| {
        tasks.spawn("tls", watch.run(renew, tasks.streams_end.clone()));
        tls
    });
    // Kept to the end: writers end when they are told to, not for want of callers.
    let ledger = backend.ledger.clone();
    let feed = backend.feed.clone();
    let time = backend.time.clone();
    let (routes, health) = rpc::routes(backend)?;
    tasks.spawn(
        "health",
        health::watch(
            store.clone(),
            ledger.clone(),
            feed.clone(),
            health.clone(),
            Arc::clone(&metrics),
            tasks.streams_end.clone(),
        ),
    );
    if let Some(monitor) = monitor {
        monitor.watch(Sources {
            ledger: ledger.clone(),
            feed,
            store: store.clone(),
            health: health.clone(),
        });
        let stop = tasks.streams_end.clone();
        tasks.spawn("sampler", sampler::run(store.clone(), time, metrics, stop));
    }
    let server = tasks.listen(listeners.calls, config, limits.clone(), &store, tls, routes)?;
    tell_systemd(NotifyState::Ready);
    tokio::select! {
        () = tasks.supervisor.dead() => health.stop_serving(),
        () = shutdown => {
            tracing::info!("draining");
            tell_systemd(NotifyState::Stopping);
            health.stop_serving();
            let delay = limits.borrow().drain_delay;
            tokio::time::sleep(delay).await;
        }
    }
    let ended = tasks.end(server, health, &store).await;
    if let Some(traces) = traces {
        traces.end().await;
    }
    ended?;
    drop(ledger);
    tracing::info!("stopped");
    Ok(())
}

/// The tasks of the server, and what ends them: first those that calls do not need, then the ledger's.
#[derive(Default)]
struct Tasks {
    supervisor: Supervisor,
    streams_end: CancellationToken,
    writer_ends: CancellationToken,
}

impl Tasks {
    /// Runs what ends with the streams.
    fn spawn(
        &self,
        name: &'static str,
        work: impl Future<Output = impl Ending> + Send + 'static,
    ) -> JoinHandle<()> {
        self.supervisor.spawn(name, &self.streams_end, work)
    }

    /// Answers those who look after the server, from now until the ledger has settled.
    fn monitor(
        &self,
        listener: Option<TcpListener>,
        metrics: &Arc<Metrics>,
    ) -> Option<Arc<Monitor>> {
        let listener = listener?;
        if let Ok(address) = listener.local_addr() {
            tracing::info!(%address, "metrics and health over HTTP");
        }
        let monitor = Arc::new(Monitor::new(Arc::clone(metrics)));
        let stop = self.writer_ends.clone();
        let serving = listener::serve(listener, Arc::clone(&monitor), stop.clone());
        self.supervisor.spawn("metrics-listener", &stop, serving);
        Some(monitor)
    }

    /// Serves calls.
    fn listen(
        &self,
        listener: TcpListener,
        config: &Config,
        limits: watch::Receiver<Limits>,
        store: &Store,
        tls: Option<Tls>,
        routes: Routes,
    ) -> anyhow::Result<JoinHandle<()>> {
        let address = listener.local_addr()?;
        let is_secured = tls.is_some();
        let incoming = accept::incoming(
            listener,
            limits,
            config.transport.proxies(),
            tls,
            self.streams_end.clone(),
        );
        let stop = self.streams_end.clone();
        let server = transport::serve(incoming, routes, stop);
        let server = self.spawn("listener", server);
        tracing::info!(
            %address,
            version = env!("CARGO_PKG_VERSION"),
            database = if store.is_shared() { "postgresql" } else { "sqlite" },
            replicas = if store.is_shared() { "any" } else { "one" },
            tls = is_secured,
            auth = config.auth().name(),
            schema = tidegate_store::schema(),
            api = metrics::API,
            "serving"
        );
        Ok(server)
    }

    /// Ends calls, then the tasks; the ledger writes what was queued.
    async fn end(
        &self,
        mut server: JoinHandle<()>,
        health: Health,
        store: &Store,
    ) -> Result<(), Fatal> {
        self.streams_end.cancel();
        failpoint::pass("mid-drain");
        health.end();
        if tokio::time::timeout(DRAIN, &mut server).await.is_err() {
            tracing::warn!("calls that would not end were cut off");
            server.abort();
        }
        self.writer_ends.cancel();
        if !self.supervisor.wait(SETTLE).await {
            tracing::warn!(
                "the ledger did not settle in time; unanswered commands may or may not stand"
            );
        }
        if tokio::time::timeout(CLOSE, store.close()).await.is_err() {
            tracing::warn!("connections to the database were left open: it does not answer");
        }
        self.supervisor.fatal().map_or(Ok(()), Err)
    }
}

/// What the services work with, at work.
async fn build(
    config: &Config,
    clock: Clock,
    store: &Store,
    limits: watch::Receiver<Limits>,
    metrics: &Arc<Metrics>,
    tasks: &Tasks,
) -> anyhow::Result<Backend> {
    let pepper = config.pepper.read()?;
    if let Some(latest) = store.latest_time().await? {
        clock.not_before(latest);
    }
    let stop = &tasks.streams_end;
    let feed = Feed::default();
    let time = Time::new(clock, store.clone());
    let follower = LogFollower::begin(
        store.clone(),
        feed.clone(),
        time.clone(),
        Arc::clone(metrics),
    )
    .await?;
    follower.start(&tasks.supervisor, stop);
    let ledger = Ledger::start(
        store,
        &time,
        &feed,
        RunDefaults {
            heartbeat_timeout: config.heartbeat_timeout,
            stop_grace: config.stop_grace,
        },
        metrics,
        &tasks.supervisor,
        &tasks.writer_ends,
    );
    let sweeper = Sweeper::new(
        ledger.clone(),
        store.clone(),
        time.clone(),
        Arc::clone(metrics),
        config.access_retention,
    );
    tasks.spawn(
        "sweeper",
        sweeper.clone().run(config.sweep_interval, stop.clone()),
    );
    if let Some(keep) = config.transfer_retention {
        tasks.spawn(
            "transfer-retention",
            sweeper
                .clone()
                .run_transfer_retention(keep, config.sweep_interval, stop.clone()),
        );
    }
    let driver = BulkDriver::new(ledger.clone(), store.clone());
    tasks.spawn("bulk-operations", driver.run(stop.clone()));
    if let Some(keep) = config.event_retention {
        let retention = Retention::new(store.clone(), time.clone(), keep);
        tasks.spawn(
            "retention",
            retention.run(config.sweep_interval, stop.clone()),
        );
    }
    let checkpoints = &config.checkpoints;
    let signer = Signer::new(
        checkpoints,
        store.clone(),
        time.clone(),
        Arc::clone(metrics),
    )?;
    if let Some(signer) = signer {
        tasks.spawn(
            "checkpoints",
            signer.run(checkpoints.interval, stop.clone()),
        );
    }
    let authenticator = (config.auth() == Auth::Required).then(|| {
        Authenticator::new(AuthDeps {
            store: store.clone(),
            time: time.clone(),
            ledger: ledger.clone(),
            pepper: pepper.clone(),
            limits: limits.clone(),
            metrics: Arc::clone(metrics),
        })
    });
    if let Some(authenticator) = &authenticator {
        tasks.spawn(
            "authentication",
            authenticator.clone().follow(feed.rights(), stop.clone()),
        );
    }
    Ok(Backend {
        ledger,
        readers: Readers::new(store.clone()),
        feed,
        sweeper,
        time,
        stop: stop.clone(),
        limits,
        authenticator,
        pepper,
        proxies: config.transport.proxies(),
        reflection: config.transport.reflection,
        origins: config.transport.cors_origin.clone(),
        metrics: Arc::clone(metrics),
        traces: None,
    })
}

fn log_capabilities(store: &Store) {
    if let Some(found) = store.capabilities() {
        tracing::info!(
            version = found.version,
            listen = %found.listen,
            advisory_lock = %found.advisory_lock,
            prepared_statements = %found.prepared_statements,
            "what PostgreSQL can do"
        );
    }
}

/// Tells systemd how far the server is, where it was started by systemd (`NOTIFY_SOCKET`).
fn tell_systemd(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!(%error, "systemd was not told");
    }
}

/// Resolves on SIGTERM or SIGINT. From here on SIGHUP no longer ends the process.
///
/// # Errors
/// When the process may not listen for signals.
pub fn signal() -> std::io::Result<impl Future<Output = ()> + Send> {
    let mut terminate = unix::signal(SignalKind::terminate())?;
    let mut interrupt = unix::signal(SignalKind::interrupt())?;
    // A handler that was installed once stays.
    _ = unix::signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
