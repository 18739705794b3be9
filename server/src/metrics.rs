//! What an operator can measure: every metric is named and described in the table of this file, and nowhere else.
//!
//! What happens often is counted in atomics that are found without a lock. What merely is, such as the length of a queue, is
//! looked up when somebody asks ([`Monitor`]). Labels have values that are known beforehand, so that no caller can make
//! the number of series grow.

use std::{collections::BTreeMap, fmt, sync::Arc};

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder, text},
    metrics::{MetricType, TypedMetric, counter::Counter, gauge::Gauge, info::Info},
    registry::Registry,
};

use crate::error::Error;
use tidegate_domain::{event::EventType, refusal::Refusal, status::TransferStatus};

mod calls;
mod histogram;
pub mod listener;
mod monitor;
pub mod sampler;

pub use calls::{Call, Calls};
pub use histogram::Histogram;
pub use monitor::{Monitor, Sources};

/// Times from a millisecond to ten seconds: those that the conventions of OpenTelemetry name, and below.
const SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];
/// Numbers of commands, up to a whole batch.
const COMMANDS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// The statuses that a transfer leaves again.
const OPEN: [TransferStatus; 4] = [
    TransferStatus::Pending,
    TransferStatus::PendingApproval,
    TransferStatus::Approved,
    TransferStatus::InProgress,
];

/// Declares the metrics: the field, its type, its name without the suffix of its type, what it says, and how it is made.
macro_rules! metrics {
    ($($field:ident: $type:ty = $name:literal, $help:literal, $new:expr;)+) => {
        /// The metrics of one server.
        #[derive(Debug)]
        pub struct Metrics {
            registry: Registry,
            described: Vec<Described>,
            /// Calls by method and code.
            pub calls: Calls,
            $(#[doc = $help] pub $field: $type,)+
        }

        impl Metrics {
            fn with(calls: Calls) -> Self {
                let (mut registry, mut described) = (Registry::default(), Vec::new());
                register(&mut registry, &mut described, CALLS, calls.clone());
                $(
                    let $field: $type = $new;
                    register(&mut registry, &mut described, ($name, $help), $field.clone());
                )+
                register(&mut registry, &mut described, BUILD, build());
                Self { registry, described, calls, $($field,)+ }
            }
        }
    };
}

/// Those that are made elsewhere.
const CALLS: (&str, &str) = (
    "rpc_server_call_duration_seconds",
    "Calls by method and gRPC code, and how long they took; a stream until its end",
);
const BUILD: (&str, &str) = (
    "tidegate_build",
    "Always 1; the versions of the server, of its schema and of its contract",
);

metrics! {
    streams_open: ByLabel<Gauge> = "tidegate_streams_open",
        "Streams that are open", ByLabel::of("kind", ["watch", "progress", "claim"]);
    streams_limit: Gauge = "tidegate_streams_limit",
        "Streams that may be open (--max-streams)", Gauge::default();
    subscriptions: Gauge = "tidegate_watch_subscriptions",
        "Streams that follow transfers, progress streams among them", Gauge::default();
    backlog: Gauge = "tidegate_watch_backlog_transfers",
        "Transfers with a change that a watcher has not taken yet, over all watchers", Gauge::default();
    backlog_longest: Gauge = "tidegate_watch_backlog_longest_transfers",
        "The same of the watcher that is furthest behind; beyond 10000 a watch is ended", Gauge::default();
    queue: Gauge = "tidegate_ledger_queue_commands",
        "Commands that wait for a writer", Gauge::default();
    batch_commands: Histogram = "tidegate_ledger_batch_commands",
        "Commands of each batch that was carried out", Histogram::new(COMMANDS);
    batch_duration: Histogram = "tidegate_ledger_batch_duration_seconds",
        "Time that a batch took to load, decide and commit, with all its tries", Histogram::new(SECONDS);
    commit_duration: Histogram = "tidegate_ledger_commit_duration_seconds",
        "Time that the database took to make a batch durable", Histogram::new(SECONDS);
    conflicts: Counter = "tidegate_ledger_conflicts",
        "Batches that were tried again because another writer or a lock was in the way", Counter::default();
    failures: Counter = "tidegate_ledger_failures",
        "Batches that the database did not take", Counter::default();
    refused: ByLabel<Counter> = "tidegate_ledger_commands_refused",
        "Commands that the ledger refused, by reason (docs/errors.md)",
        ByLabel::of("reason", Refusal::REASONS.iter().chain(Error::REASONS).map(|(reason, _)| *reason));
    events: ByLabel<Counter> = "tidegate_log_events_written",
        "Events that this server has appended to the log, by type",
        ByLabel::of("type", EventType::ALL.iter().map(|it| it.name()));
    events_read: Counter = "tidegate_log_events_read",
        "Events of other replicas that this server has read from the log", Counter::default();
    log_last: Gauge = "tidegate_log_last_sequence",
        "The newest event of the log, as the database had it a second ago", Gauge::default();
    log_told: Gauge = "tidegate_log_told_sequence",
        "Every event up to this one was told to the watchers of this server", Gauge::default();
    log_floor: Gauge = "tidegate_log_floor_sequence",
        "Every event up to this one was removed by retention; 0: none", Gauge::default();
    open: ByLabel<Gauge> = "tidegate_transfers_open",
        "Transfers of the whole ledger that have not ended, by status; counted every 15 s",
        ByLabel::of("status", OPEN.map(TransferStatus::name));
    approval_age: Gauge = "tidegate_approval_oldest_age_seconds",
        "Age, since it was declared, of the oldest transfer that waits for an approval; 0: none waits", Gauge::default();
    approval_next_expiry: Gauge = "tidegate_approval_next_expiry_timestamp_seconds",
        "When the next approval that is waited for expires, as Unix time; 0: none is waited for", Gauge::default();
    sweeps: ByLabel<Counter> = "tidegate_sweeps",
        "Looks for what is overdue, by how they ended", ByLabel::of("outcome", ["ok", "failed"]);
    swept: ByLabel<Counter> = "tidegate_swept",
        "What the sweeps of this server have ended, tried again, or deleted since it ended",
        ByLabel::of("what", ["approval", "start", "heartbeat", "retry", "connection", "agent", "credential", "session", "transfer"]);
    refusals_dropped: Counter = "tidegate_refusals_dropped",
        "Refused changes that were too many for an event each; the caller's next one has their number", Counter::default();
    tokens_rejected: ByLabel<Counter> = "tidegate_tokens_rejected",
        "Calls that were not let in, by what was wrong with their token",
        ByLabel::of("cause", ["missing", "malformed", "unknown", "wrong_secret", "too_many"]);
    database_connections: ByLabel<Gauge> = "tidegate_database_connections",
        "Connections to the database, by state", ByLabel::of("state", ["idle", "used"]);
    database_connections_limit: Gauge = "tidegate_database_connections_limit",
        "Connections to the database that there may be", Gauge::default();
    reloads: ByLabel<Counter> = "tidegate_reloads",
        "Times that settings were read again on SIGHUP, by how they ended", ByLabel::of("outcome", ["ok", "failed"]);
    checkpoints: ByLabel<Counter> = "tidegate_checkpoints",
        "Signed checkpoints of the log, by whether they were written", ByLabel::of("outcome", ["ok", "failed"]);
    spans: ByLabel<Counter> = "tidegate_trace_spans",
        "Spans of traces, by whether the collector has taken them", ByLabel::of("outcome", ["sent", "dropped"]);
    certificate_expiry: Gauge = "tidegate_tls_certificate_expiry_timestamp_seconds",
        "When the first of the certificates that the server shows expires, as Unix time; 0: no TLS", Gauge::default();
    serving: Gauge = "tidegate_serving",
        "1 while health says SERVING, otherwise 0", Gauge::default();
}

/// A metric as it is documented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Described {
    /// Its name, as its samples have it; a histogram's have a suffix more.
    pub name: &'static str,
    /// The suffix that its type adds.
    pub suffix: &'static str,
    /// What it says.
    pub help: &'static str,
}

fn register(
    registry: &mut Registry,
    described: &mut Vec<Described>,
    (name, help): (&'static str, &'static str),
    metric: impl EncodeMetric + fmt::Debug + Send + Sync + 'static,
) {
    let suffix = match metric.metric_type() {
        MetricType::Counter => "_total",
        MetricType::Info => "_info",
        _ => "",
    };
    described.push(Described { name, suffix, help });
    registry.register(name, help, metric);
}

impl Metrics {
    /// Metrics of a server with these methods, such as `tidegate.v1.TransferService/GetTransfer`.
    pub fn new(methods: impl IntoIterator<Item = String>) -> Self {
        Self::with(Calls::of(methods))
    }

    /// Every metric, in the order of the table.
    pub fn described(&self) -> &[Described] {
        &self.described
    }

    /// All of them as OpenMetrics text.
    ///
    /// # Errors
    /// Never: a text takes whatever is written to it.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut encoded = String::new();
        text::encode(&mut encoded, &self.registry)?;
        Ok(encoded)
    }
}

impl Default for Metrics {
    /// Those of work that no call asks for.
    fn default() -> Self {
        Self::new([])
    }
}

/// One metric for each value of a label. The values are known, so that finding one takes no lock; cheap to clone.
#[derive(Debug)]
pub struct ByLabel<M> {
    label: &'static str,
    each: Arc<BTreeMap<&'static str, M>>,
}

impl<M> Clone for ByLabel<M> {
    fn clone(&self) -> Self {
        Self {
            label: self.label,
            each: Arc::clone(&self.each),
        }
    }
}

impl<M: Default> ByLabel<M> {
    fn of(label: &'static str, values: impl IntoIterator<Item = &'static str>) -> Self {
        let each = values.into_iter().map(|value| (value, M::default()));
        Self {
            label,
            each: Arc::new(each.collect()),
        }
    }
}

impl<M> ByLabel<M> {
    /// The metric of one of the values. Nothing is measured for what is none.
    pub fn get(&self, value: &str) -> Option<&M> {
        let found = self.each.get(value);
        debug_assert!(found.is_some(), "{value} is no value of {}", self.label);
        found
    }
}

impl ByLabel<Counter> {
    /// Counts one more.
    pub fn inc(&self, value: &str) {
        self.inc_by(value, 1);
    }

    /// Counts so many more.
    pub fn inc_by(&self, value: &str, count: u64) {
        if let Some(counter) = self.get(value) {
            counter.inc_by(count);
        }
    }
}

impl ByLabel<Gauge> {
    /// Says how many there are.
    pub fn set(&self, value: &str, count: i64) {
        if let Some(gauge) = self.get(value) {
            gauge.set(count);
        }
    }
}

impl<M: EncodeMetric + TypedMetric> EncodeMetric for ByLabel<M> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (value, metric) in self.each.iter() {
            metric.encode(encoder.encode_family(&[(self.label, *value)])?)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        M::TYPE
    }
}

/// The version of the contract.
pub const API: &str = "tidegate.v1";

/// What the server was built from and for.
fn build() -> Info<Vec<(&'static str, String)>> {
    Info::new(vec![
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("schema", tidegate_store::schema()),
        ("api", API.to_owned()),
    ])
}

#[cfg(test)]
mod tests;
