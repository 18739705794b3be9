//! What is looked up when somebody asks.

use std::sync::{Arc, OnceLock};

use serde_json::{Value, json};

use super::{API, Metrics};
use crate::{feed::Feed, ledger::Ledger, rpc::Health};
use tidegate_store::{Capabilities, Store};

/// The metrics with what they are looked up from, once there is such a thing: a server can be asked while it still opens
/// its database.
#[derive(Default)]
pub struct Monitor {
    metrics: Arc<Metrics>,
    sources: OnceLock<Sources>,
}

/// Where to look.
pub struct Sources {
    /// For its queue.
    pub ledger: Ledger,
    /// For its watchers.
    pub feed: Feed,
    /// For its connections.
    pub store: Store,
    /// Whether callers can be served.
    pub health: Health,
}

impl Monitor {
    /// One that knows nothing but these metrics yet.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            metrics,
            sources: OnceLock::new(),
        }
    }

    /// From now on there is something to look at.
    pub fn watch(&self, sources: Sources) {
        _ = self.sources.set(sources);
    }

    /// All metrics as OpenMetrics text.
    pub(super) fn text(&self) -> String {
        if let Some(sources) = self.sources.get() {
            self.look(sources);
        }
        self.metrics.encode().unwrap_or_default()
    }

    fn look(&self, sources: &Sources) {
        let metrics = &self.metrics;
        metrics.queue.set(count(sources.ledger.queued()));
        let backlog = sources.feed.backlog();
        metrics.subscriptions.set(count(backlog.subscriptions));
        metrics.backlog.set(count(backlog.waiting));
        metrics.backlog_longest.set(count(backlog.longest));
        metrics.log_told.set(sources.feed.told_up_to());
        let connections = sources.store.connections_in_use();
        metrics
            .database_connections
            .set("idle", count(connections.idle));
        metrics
            .database_connections
            .set("used", count(connections.used));
        metrics
            .database_connections_limit
            .set(count(connections.limit));
        metrics.serving.set(i64::from(sources.health.is_serving()));
    }

    /// Whether callers can be served; `None` while the server starts.
    pub(super) fn is_serving(&self) -> Option<bool> {
        Some(self.sources.get()?.health.is_serving())
    }

    /// What PostgreSQL could do when it was opened, where it is one and was.
    pub(super) fn capabilities(&self) -> Option<&Capabilities> {
        self.sources.get()?.store.capabilities()
    }

    /// The versions of the server.
    pub(super) fn version() -> Value {
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "schema": tidegate_store::schema(),
            "api": API,
        })
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
