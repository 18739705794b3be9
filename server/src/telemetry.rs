//! Logs: readable lines on a terminal, one JSON object a line otherwise, unless told.
//!
//! A log is best effort. Lines are written by a thread of their own; while stderr takes none, and when it is gone, they
//! are dropped and counted. Nothing else ever waits for it, or ends because of it.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    fs::File,
    io::{self, IsTerminal as _, Write as _},
    os::fd::AsFd as _,
    panic::{self, PanicHookInfo},
    sync::{OnceLock, mpsc},
    thread,
    time::Duration,
};

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    EnvFilter, Layer as _, Registry,
    fmt::{self, MakeWriter},
    layer::SubscriberExt as _,
    reload,
    util::SubscriberInitExt as _,
};

use crate::{config::LogFormat, supervisor};

mod sink;

use sink::Sink;

/// Lines that may wait to be written.
const WAITING: usize = 8_192;
/// Longest wait for stderr at the end of the process.
const PATIENCE: Duration = Duration::from_millis(500);

/// Writes log lines until it is dropped.
#[must_use]
#[derive(Debug)]
pub struct Log {
    worker: Option<WorkerGuard>,
}

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// Text with colours.
    Coloured,
    /// Text.
    Plain,
    /// A JSON object.
    Json,
}

/// What is logged at present; the process has one log.
static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Reads a filter.
///
/// # Errors
/// When it is none.
pub fn filter(text: &str) -> Result<EnvFilter, String> {
    EnvFilter::try_new(text).map_err(|error| {
        format!("must be a filter, such as info or tidegate_server=debug: {error}")
    })
}

/// Logs what passes `filter` from now on, if anything is logged at all.
///
/// # Errors
/// When it is none.
pub fn refilter(filter: &str) -> Result<(), String> {
    let filter = self::filter(filter)?;
    let changed = FILTER.get().map_or(Ok(()), |handle| handle.reload(filter));
    changed.map_err(|error| error.to_string())
}

/// Starts logging to stderr for the whole process.
///
/// # Errors
/// When the filter does not parse, or something logs already.
pub fn start(filter: &str, format: LogFormat) -> anyhow::Result<Log> {
    let filter = self::filter(filter).map_err(|error| anyhow::anyhow!("--log: {error}"))?;
    let is_terminal = io::stderr().is_terminal();
    let look = match format {
        LogFormat::Auto if is_terminal => Look::Coloured,
        LogFormat::Text if is_terminal => Look::Coloured,
        LogFormat::Text => Look::Plain,
        LogFormat::Auto | LogFormat::Json => Look::Json,
    };
    // Not behind the lock of `io::stderr`, so that whoever else uses that never waits for a line.
    let stderr = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    let (sink, dropped) = Sink::new(stderr, look);
    let (lines, worker) = NonBlockingBuilder::default()
        .buffered_lines_limit(WAITING)
        .lossy(true)
        .thread_name("log")
        .finish(sink);
    _ = dropped.set(lines.error_counter());
    subscribe(filter, lines, look)?;
    panic::set_hook(Box::new(log_panic));
    Ok(Log {
        worker: Some(worker),
    })
}

fn subscribe<W>(filter: EnvFilter, lines: W, look: Look) -> anyhow::Result<()>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = fmt::layer().log_internal_errors(false).with_writer(lines);
    let layer = match look {
        Look::Coloured => layer.with_target(false).boxed(),
        Look::Plain => layer.with_target(false).with_ansi(false).boxed(),
        Look::Json => layer.json().flatten_event(true).boxed(),
    };
    let (filter, handle) = reload::Layer::new(filter);
    let started = tracing_subscriber::registry()
        .with(filter)
        .with(layer)
        .try_init();
    _ = FILTER.set(handle);
    started.map_err(|error| anyhow::anyhow!("logging could not be started: {error}"))
}

impl Drop for Log {
    fn drop(&mut self) {
        let worker = self.worker.take();
        // In a thread of its own: the guard may print, and could wait for stdout.
        within(PATIENCE, move || drop(worker));
    }
}

/// Writes one line about the end of the process to stderr, if it takes it.
pub fn say(text: &str) {
    let line = format!("tidegate-server: {}\n", text.replace('\n', " "));
    within(PATIENCE, move || {
        _ = io::stderr().write_all(line.as_bytes());
    });
}

/// Runs `work` elsewhere, and waits for it no longer than `patience`.
fn within(patience: Duration, work: impl FnOnce() + Send + 'static) {
    let (done, ended) = mpsc::channel::<()>();
    let worker = thread::Builder::new().spawn(move || {
        work();
        drop(done);
    });
    if worker.is_ok() {
        _ = ended.recv_timeout(patience);
    }
}

fn log_panic(info: &PanicHookInfo<'_>) {
    let message = supervisor::message(info.payload());
    let thread = thread::current();
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then_some(backtrace);
    tracing::error!(
        location = info.location().map(tracing::field::display),
        thread = thread.name(),
        backtrace = backtrace.map(tracing::field::display),
        "panicked: {message}"
    );
}
