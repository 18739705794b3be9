//! Calls by method and code, in the form that OpenTelemetry's conventions for RPC have in Prometheus.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, OnceLock},
    time::Instant,
};

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder},
    metrics::{MetricType, TypedMetric},
};

use super::{Histogram, SECONDS};

/// What the conventions call a method that is not of the contract.
const OTHER: &str = "_OTHER";

/// The codes of gRPC, by their numbers.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];
const CANCELLED: usize = 1;
const UNKNOWN: usize = 2;

/// How long calls took; cheap to clone.
#[derive(Clone, Debug)]
pub struct Calls {
    methods: Arc<BTreeMap<String, Arc<Method>>>,
    other: Arc<Method>,
}

/// A histogram for each code that a call of the method has ended with.
#[derive(Debug, Default)]
struct Method([OnceLock<Histogram>; CODES.len()]);

impl Calls {
    pub(super) fn of(methods: impl IntoIterator<Item = String>) -> Self {
        let methods = methods.into_iter().map(|method| (method, Arc::default()));
        Self {
            methods: Arc::new(methods.collect()),
            other: Arc::default(),
        }
    }

    /// The method that the path of a request names, if there is such a method.
    pub fn method(&self, path: &str) -> Option<&str> {
        let name = path.strip_prefix('/').unwrap_or(path);
        self.methods
            .get_key_value(name)
            .map(|(name, _)| name.as_str())
    }

    /// A call that begins now, by the path of its request.
    pub fn begin(&self, path: &str) -> Call {
        let method = self.methods.get(path.strip_prefix('/').unwrap_or(path));
        Call {
            method: Arc::clone(method.unwrap_or(&self.other)),
            began: Instant::now(),
            code: CANCELLED,
        }
    }
}

/// A call under way. Dropped before its end, it was called off by its caller.
#[derive(Debug)]
pub struct Call {
    method: Arc<Method>,
    began: Instant,
    code: usize,
}

impl Call {
    /// It has ended with the code of this number.
    pub fn end(mut self, code: usize) {
        self.code = code;
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let Method(codes) = &*self.method;
        if let Some(histogram) = codes.get(self.code).or_else(|| codes.get(UNKNOWN)) {
            let histogram = histogram.get_or_init(|| Histogram::new(SECONDS));
            histogram.observe(self.began.elapsed());
        }
    }
}

impl EncodeMetric for Calls {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let methods = self.methods.iter();
        let methods = methods.map(|(name, method)| (name.as_str(), method));
        for (name, method) in methods.chain([(OTHER, &self.other)]) {
            for (code, histogram) in CODES.iter().zip(&method.0) {
                if let Some(histogram) = histogram.get() {
                    let labels = [
                        ("rpc_system_name", "grpc"),
                        ("rpc_method", name),
                        ("rpc_response_status_code", code),
                    ];
                    histogram.encode(encoder.encode_family(&labels)?)?;
                }
            }
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        Histogram::TYPE
    }
}
