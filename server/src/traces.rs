//! Traces: from the span of a caller through the queue and the batch to the commit that made the change durable.
//!
//! Off unless the environment names a collector. The span of a call travels with its commands, so that the ledger can
//! say of each what it waited for; a batch is told once for each call that it carries, in the trace of that call.
//! Without the feature `otlp` nothing of this exists but its names.

use std::sync::Arc;

use tokio::time::Instant;

use tidegate_domain::id::TransferId;

#[cfg(feature = "otlp")]
mod collector;
#[cfg(not(feature = "otlp"))]
#[path = "traces/off.rs"]
mod otlp;
#[cfg(feature = "otlp")]
mod otlp;
mod variables;

use otlp::Span;
pub(crate) use otlp::Traces;
pub use variables::faults;

/// What a call that its caller has called off ends with.
#[cfg(feature = "otlp")]
const CANCELLED: usize = 1;

tokio::task_local! {
    /// The span of the call that is being answered.
    static CALL: Arc<Span>;
}

/// The span of a call under way. Dropped before its end, the call was called off by its caller.
pub(crate) struct CallSpan {
    span: Arc<Span>,
    code: usize,
}

impl CallSpan {
    #[cfg(feature = "otlp")]
    fn new(span: Span) -> Self {
        Self {
            span: Arc::new(span),
            code: CANCELLED,
        }
    }

    /// The trace that it belongs to, as the log names it.
    pub(crate) fn trace_id(&self) -> String {
        self.span.trace_id()
    }

    /// It has ended with the code of this number.
    pub(crate) fn end(mut self, code: usize) {
        self.code = code;
    }
}

impl Drop for CallSpan {
    fn drop(&mut self) {
        self.span.end(self.code);
    }
}

/// Does a part of the work of a call: what is asked of the ledger meanwhile belongs to its span.
pub(crate) fn within<T>(call: Option<&CallSpan>, work: impl FnOnce() -> T) -> T {
    match call {
        Some(call) => CALL.sync_scope(Arc::clone(&call.span), work),
        None => work(),
    }
}

/// Says which transfer the call is about.
pub(crate) fn about(transfer: TransferId) {
    _ = CALL.try_with(|span| span.set("tidegate.transfer.uuid", transfer.to_string()));
}

/// What a command takes along of the call that it is of; nothing where that is not traced.
#[derive(Clone)]
pub(crate) struct CommandSpan(Arc<Span>);

impl CommandSpan {
    /// Of the call that is being answered.
    pub(crate) fn current() -> Option<Self> {
        CALL.try_with(Arc::clone).ok().map(Self)
    }

    pub(crate) fn request(&self, id: &str) {
        self.0.set("tidegate.request_id", id.to_owned());
    }

    pub(crate) fn transfer(&self, uuid: TransferId) {
        self.0.set("tidegate.transfer.uuid", uuid.to_string());
    }

    /// Tells what became of a command that was queued at `since`.
    pub(crate) fn tell(&self, since: Instant, batch: &BatchTimes, failed: bool) {
        self.0.tell(since, batch, failed);
    }
}

/// When a batch was at what, for the traces of the calls that it carries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchTimes {
    #[cfg_attr(not(feature = "otlp"), expect(dead_code, reason = "nothing is told"))]
    pub(crate) commands: usize,
    pub(crate) tries: u32,
    pub(crate) began: Instant,
    /// The last try to make it durable, from when to when.
    pub(crate) commit: Option<(Instant, Instant)>,
}

impl BatchTimes {
    /// A batch of so many commands that begins now.
    pub(crate) fn begin(commands: usize) -> Self {
        Self {
            commands,
            tries: 0,
            began: Instant::now(),
            commit: None,
        }
    }
}
