//! The trace of whoever calls, in the form of W3C's trace context.

use tonic::{Request, metadata::AsciiMetadataValue};

use crate::Error;

/// What is sent with each call of a client that works within a trace.
#[derive(Clone, Debug, Default)]
pub(crate) struct TraceContext {
    parent: Option<AsciiMetadataValue>,
    state: Option<AsciiMetadataValue>,
}

impl TraceContext {
    pub(crate) fn new(parent: &str, state: Option<&str>) -> Result<Self, Error> {
        if !is_parent(parent) {
            return Err(Error::invalid(format!(
                "traceparent {parent:?}: must be such as 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
            )));
        }
        let value = |name: &str, text: &str| {
            let value = AsciiMetadataValue::try_from(text);
            value.map_err(|_| Error::invalid(format!("{name} {text:?}: is no valid header value")))
        };
        Ok(Self {
            parent: Some(value("traceparent", parent)?),
            state: match state {
                Some(state) => Some(value("tracestate", state)?),
                None => None,
            },
        })
    }

    pub(crate) fn add_to<T>(&self, request: &mut Request<T>) {
        for (name, value) in [("traceparent", &self.parent), ("tracestate", &self.state)] {
            if let Some(value) = value {
                request.metadata_mut().insert(name, value.clone());
            }
        }
    }
}

/// Whether it has the form of version 00: the version, a trace, a span of it, and flags.
fn is_parent(text: &str) -> bool {
    let is_hex = |part: &str| part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let parts: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    let is_none = |part: &str| part.bytes().all(|b| b == b'0');
    lengths == [2, 32, 16, 2]
        && parts.iter().all(|part| is_hex(part))
        && parts[0] == "00"
        && !is_none(parts[1])
        && !is_none(parts[2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_that_is_none_is_refused() {
        let (trace, span) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
        assert!(TraceContext::new(&format!("00-{trace}-{span}-01"), Some("a=b")).is_ok());
        for wrong in [
            String::new(),
            format!("01-{trace}-{span}-01"),
            format!("00-{trace}-{span}"),
            format!("00-{trace}-{span}-01-02"),
            format!("00-{}-{span}-01", trace.to_uppercase()),
            format!("00-{}-{span}-01", "0".repeat(32)),
            format!("00-{trace}-{}-01", "0".repeat(16)),
            format!("00-{span}-{trace}-01"),
        ] {
            let refused = TraceContext::new(&wrong, None).expect_err(&wrong);
            assert!(refused.to_string().contains("traceparent"), "{refused}");
        }
        let wrong = TraceContext::new(&format!("00-{trace}-{span}-01"), Some("a\n=b"));
        let refused = wrong.expect_err("a line break");
        assert!(refused.to_string().contains("tracestate"), "{refused}");
    }
}
