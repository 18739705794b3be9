//! The way of spans to the collector: bounded, and nobody waits for it. What it does not take is dropped and counted.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use opentelemetry::Context;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanExporter, SpanProcessor},
};

use crate::metrics::Metrics;

/// Least time between two words on spans that were dropped.
const QUIET: Duration = Duration::from_secs(60);

/// Spans that have ended and were not taken yet.
pub(super) struct Waiting {
    count: AtomicUsize,
    limit: usize,
    metrics: Arc<Metrics>,
    told: Mutex<Option<Instant>>,
}

impl Waiting {
    pub(super) fn new(limit: usize, metrics: Arc<Metrics>) -> Self {
        Self {
            count: AtomicUsize::new(0),
            limit,
            metrics,
            told: Mutex::default(),
        }
    }

    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether there is room for one more.
    fn enter(&self) -> bool {
        let enters = self.count.fetch_add(1, Ordering::Relaxed) < self.limit;
        if !enters {
            self.leave(1);
        }
        enters
    }

    fn leave(&self, spans: usize) {
        self.count.fetch_sub(spans, Ordering::Relaxed);
    }

    fn dropped(&self, spans: usize, why: &dyn fmt::Display) {
        self.metrics.spans.inc_by("dropped", spans as u64);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|told| told.elapsed() > QUIET) {
            *told = Some(Instant::now());
            tracing::warn!(%why, "spans are dropped; tidegate_trace_spans_total counts them");
        }
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} spans", self.count(), self.limit)
    }
}

/// Lets spans pass to `inner` as long as there is room for them.
#[derive(Debug)]
pub(super) struct Bounded<P> {
    inner: P,
    waiting: Arc<Waiting>,
}

impl<P> Bounded<P> {
    pub(super) const fn new(inner: P, waiting: Arc<Waiting>) -> Self {
        Self { inner, waiting }
    }
}

impl<P: SpanProcessor> SpanProcessor for Bounded<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.inner.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        if self.waiting.enter() {
            self.inner.on_end(span);
        } else {
            let limit = self.waiting.limit;
            let why = format_args!("{limit} spans wait for the collector");
            self.waiting.dropped(1, &why);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// Sends what has gathered, and counts what became of it.
#[derive(Debug)]
pub(super) struct Collector<E> {
    inner: E,
    waiting: Arc<Waiting>,
}

impl<E> Collector<E> {
    pub(super) const fn new(inner: E, waiting: Arc<Waiting>) -> Self {
        Self { inner, waiting }
    }
}

impl<E: SpanExporter> SpanExporter for Collector<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let taken = self.inner.export(batch).await;
        self.waiting.leave(spans);
        match &taken {
            Ok(()) => self.waiting.metrics.spans.inc_by("sent", spans as u64),
            Err(error) => self.waiting.dropped(spans, error),
        }
        taken
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn shutdown(&self) -> OTelSdkResult {
        self.inner.shutdown()
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
