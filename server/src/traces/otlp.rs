//! Spans of calls and of what the ledger does for them, by OpenTelemetry's conventions for RPC.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use http::HeaderMap;
use opentelemetry::{
    Context, KeyValue,
    propagation::{Extractor, TextMapPropagator as _},
    trace::{Span as _, SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _},
};
use opentelemetry_otlp::{
    WithTonicConfig as _,
    tonic_types::transport::{Certificate, ClientTlsConfig},
};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{BatchSpanProcessor, SdkTracer, SdkTracerProvider},
};
use tokio::time::Instant;

use super::{
    BatchTimes, CallSpan,
    collector::{Bounded, Collector, Waiting},
    variables,
};
use crate::metrics::Metrics;

/// Time that the spans of the last calls have to be taken at the end of the process.
const FLUSH: Duration = Duration::from_millis(1_500);
/// What the conventions call a method that is not of the contract.
const OTHER: &str = "_OTHER";
/// Codes that are a fault of the server: UNKNOWN, `DEADLINE_EXCEEDED`, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, `DATA_LOSS`.
const FAULTS: [usize; 6] = [2, 4, 12, 13, 14, 15];

/// Where spans begin and where they go; cheap to clone.
#[derive(Clone)]
pub(crate) struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    waiting: Arc<Waiting>,
}

impl Traces {
    /// As the environment says; `None` where it names no collector.
    pub(crate) fn start(metrics: &Arc<Metrics>) -> anyhow::Result<Option<Self>> {
        if !variables::read()? {
            return Ok(None);
        }
        let mut exporter = opentelemetry_otlp::SpanExporter::builder().with_tonic();
        if let Some(authorities) = variables::tls()? {
            exporter = exporter.with_tls_config(tls(authorities));
        }
        let exporter = exporter.build().context("traces cannot be sent")?;
        let waiting = Arc::new(Waiting::new(variables::queue(), Arc::clone(metrics)));
        let collector = Collector::new(exporter, Arc::clone(&waiting));
        let processor = BatchSpanProcessor::builder(collector).build();
        let provider = SdkTracerProvider::builder()
            .with_resource(resource())
            .with_span_processor(Bounded::new(processor, Arc::clone(&waiting)))
            .build();
        tracing::info!("traces are sent to a collector");
        Ok(Some(Self {
            tracer: provider.tracer("tidegate-server"),
            provider,
            waiting,
        }))
    }

    /// The span of a call that begins now, as a child of the caller's; `None` when it is not to be recorded. `method` is
    /// such as `tidegate.v1.TransferService/GetTransfer`.
    pub(crate) fn begin(&self, method: Option<&str>, headers: &HeaderMap) -> Option<CallSpan> {
        let caller =
            TraceContextPropagator::new().extract_with_context(&Context::new(), &Metadata(headers));
        let name = method.unwrap_or(OTHER);
        let (service, method) = name.rsplit_once('/').unwrap_or((OTHER, OTHER));
        let span = self
            .tracer
            .span_builder(name.to_owned())
            .with_kind(SpanKind::Server)
            .with_attributes([
                KeyValue::new("rpc.system", "grpc"),
                KeyValue::new("rpc.service", service.to_owned()),
                KeyValue::new("rpc.method", method.to_owned()),
            ])
            .start_with_context(&self.tracer, &caller);
        span.is_recording().then(|| {
            CallSpan::new(Span {
                tracer: self.tracer.clone(),
                context: Context::new().with_span(span),
            })
        })
    }

    /// Has the last spans sent, within bounded time.
    pub(crate) async fn end(self) {
        let Self {
            provider, waiting, ..
        } = self;
        let ended = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH));
        if !matches!(ended.await, Ok(Ok(()))) {
            let spans = waiting.count();
            tracing::warn!(
                spans,
                "the last spans were dropped: the collector did not take them"
            );
        }
    }
}

/// The exporter by itself would trust nobody.
fn tls(authorities: Option<Vec<u8>>) -> ClientTlsConfig {
    match authorities {
        Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
        None => ClientTlsConfig::new().with_native_roots(),
    }
}

/// Who sends the spans, by the standard variables, or by the name of the program.
fn resource() -> Resource {
    let named = Resource::builder().build();
    let name = named.get(&"service.name".into());
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let builder = Resource::builder().with_attribute(version);
    match name {
        Some(name) if !name.as_str().starts_with("unknown_service") => builder.build(),
        _ => builder.with_service_name("tidegate-server").build(),
    }
}

/// The metadata of a call, to read W3C's trace context from.
struct Metadata<'a>(&'a HeaderMap);

impl Extractor for Metadata<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

/// The span of one call, and what makes spans below it.
pub(super) struct Span {
    tracer: SdkTracer,
    context: Context,
}

impl Span {
    pub(super) fn trace_id(&self) -> String {
        self.context.span().span_context().trace_id().to_string()
    }

    pub(super) fn set(&self, name: &'static str, value: String) {
        self.context
            .span()
            .set_attribute(KeyValue::new(name, value));
    }

    /// Tells how long a command waited, and what was done for it: its batch and, within that, the commit.
    pub(super) fn tell(&self, since: Instant, batch: &BatchTimes, failed: bool) {
        let wall = Wall::now();
        let (began, ended) = (wall.at(batch.began), wall.at(Instant::now()));
        self.tracer
            .span_builder("ledger queue")
            .with_start_time(wall.at(since))
            .start_with_context(&self.tracer, &self.context)
            .end_with_timestamp(began);
        let commands = i64::try_from(batch.commands).unwrap_or(i64::MAX);
        let mut span = self
            .tracer
            .span_builder("ledger batch")
            .with_start_time(began)
            .with_attributes([
                KeyValue::new("tidegate.batch.commands", commands),
                KeyValue::new("tidegate.batch.tries", i64::from(batch.tries)),
            ])
            .start_with_context(&self.tracer, &self.context);
        if failed {
            span.set_status(Status::error("the batch could not be committed"));
        }
        if let Some((began, ended)) = batch.commit {
            let context = Context::new().with_remote_span_context(span.span_context().clone());
            self.tracer
                .span_builder("ledger commit")
                .with_start_time(wall.at(began))
                .start_with_context(&self.tracer, &context)
                .end_with_timestamp(wall.at(ended));
        }
        span.end_with_timestamp(ended);
    }

    pub(super) fn end(&self, code: usize) {
        let span = self.context.span();
        let number = i64::try_from(code).unwrap_or(i64::MAX);
        span.set_attribute(KeyValue::new("rpc.grpc.status_code", number));
        if FAULTS.contains(&code) {
            span.set_status(Status::error(""));
        }
        span.end();
    }
}

/// Turns times of the steady clock into those that spans have.
struct Wall(SystemTime, Instant);

impl Wall {
    fn now() -> Self {
        Self(SystemTime::now(), Instant::now())
    }

    fn at(&self, instant: Instant) -> SystemTime {
        self.0 - self.1.saturating_duration_since(instant)
    }
}
