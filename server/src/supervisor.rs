//! Tasks that must live as long as the server. One that ends before it was told to is found at once, said in one line,
//! and ends the server.

use std::{
    any::Any,
    future::poll_fn,
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures::FutureExt as _;
use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use tidegate_store::failpoint;

/// The exit code after a task that died.
pub const DIED: u8 = 70;
/// The exit code when the database cannot be trusted any more.
pub const UNTRUSTED: u8 = 74;

/// Why the server cannot go on, in one line, and the code that the process ends with.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{line}")]
pub struct Fatal {
    line: String,
    code: u8,
}

impl Fatal {
    /// Nobody can say what is on disk until the database was closed, opened anew and recovered.
    pub fn untrusted(line: impl Into<String>) -> Self {
        Self {
            line: line.into(),
            code: UNTRUSTED,
        }
    }

    /// The server cannot do without something that has ended.
    pub fn died(line: impl Into<String>) -> Self {
        Self {
            line: line.into(),
            code: DIED,
        }
    }

    /// The code that the process ends with.
    pub const fn code(&self) -> u8 {
        self.code
    }
}

/// What a task may end with: nothing, or why the server cannot go on.
pub trait Ending: Send + 'static {
    /// As a result.
    ///
    /// # Errors
    /// Why the server cannot go on.
    fn result(self) -> Result<(), Fatal>;
}

impl Ending for () {
    fn result(self) -> Result<(), Fatal> {
        Ok(())
    }
}

impl Ending for Result<(), Fatal> {
    fn result(self) -> Self {
        self
    }
}

/// Runs tasks and watches their ends; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Supervisor(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    tasks: TaskTracker,
    /// Why the server cannot go on: the first reason, which the others may follow from.
    fatal: OnceLock<Fatal>,
    dead: CancellationToken,
}

impl Supervisor {
    /// Runs `work`, which may end well only after `stop` was cancelled. An abort through the handle is no death.
    pub fn spawn<T: Ending>(
        &self,
        name: &'static str,
        stop: &CancellationToken,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<()> {
        let (supervisor, stop) = (self.clone(), stop.clone());
        self.0.tasks.spawn(async move {
            let mut work = std::pin::pin!(work);
            let place = format!("task-{name}");
            let work = poll_fn(|context| {
                failpoint::pass(&place);
                work.as_mut().poll(context)
            });
            let end = match AssertUnwindSafe(work).catch_unwind().await {
                Ok(end) => end.result(),
                Err(panic) => Err(Fatal::died(format!("panicked: {}", message(&*panic)))),
            };
            match end {
                Ok(()) if stop.is_cancelled() => {}
                Ok(()) => supervisor.report(name, Fatal::died("nobody had told it to")),
                Err(fatal) => supervisor.report(name, fatal),
            }
        })
    }

    fn report(&self, name: &str, fatal: Fatal) {
        let Fatal { line, code } = fatal;
        let line = format!("task \"{name}\" ended: {line}");
        tracing::error!(exit_code = code, "{line}");
        _ = self.0.fatal.set(Fatal { line, code });
        self.0.dead.cancel();
    }

    /// Resolves when a task has died.
    pub async fn dead(&self) {
        self.0.dead.cancelled().await;
    }

    /// Why the server cannot go on, if a task has died.
    pub fn fatal(&self) -> Option<Fatal> {
        self.0.fatal.get().cloned()
    }

    /// Waits until all tasks have ended; false when that takes longer than `patience`.
    pub async fn wait(&self, patience: Duration) -> bool {
        self.0.tasks.close();
        let all = tokio::time::timeout(patience, self.0.tasks.wait()).await;
        all.is_ok()
    }
}

/// What a panic says.
pub fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a word")
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn end_of<T: Ending>(work: impl Future<Output = T> + Send + 'static) -> Option<Fatal> {
        let (supervisor, stop) = (Supervisor::default(), CancellationToken::new());
        _ = supervisor.spawn("test", &stop, work).await;
        supervisor.fatal()
    }

    #[tokio::test]
    async fn a_task_that_ends_early_is_fatal_however_it_ends() {
        let fatal = end_of(async {}).await.expect("it ended");
        assert_eq!(
            fatal.to_string(),
            "task \"test\" ended: nobody had told it to"
        );
        assert_eq!(fatal.code(), DIED);
        let fatal = end_of::<()>(async { panic!("no {}", 7) }).await;
        let fatal = fatal.expect("it panicked");
        assert_eq!(fatal.to_string(), "task \"test\" ended: panicked: no 7");
        assert_eq!(fatal.code(), DIED);
        let end = async { Err::<(), _>(Fatal::untrusted("a page was lost")) };
        let fatal = end_of(end).await.expect("it failed");
        assert_eq!(fatal.to_string(), "task \"test\" ended: a page was lost");
        assert_eq!(fatal.code(), UNTRUSTED);
    }

    #[tokio::test]
    async fn a_task_that_was_told_to_end_may_end_but_not_panic() {
        let (supervisor, stop) = (Supervisor::default(), CancellationToken::new());
        let told = stop.clone();
        supervisor.spawn("test", &stop, async move { told.cancelled().await });
        stop.cancel();
        assert!(supervisor.wait(Duration::from_secs(10)).await);
        assert!(supervisor.fatal().is_none());
        supervisor.spawn::<()>("test", &stop, async { panic!("late") });
        supervisor.dead().await;
        assert!(supervisor.fatal().is_some());
    }

    #[tokio::test]
    async fn the_first_death_is_the_one_that_is_told() {
        let (supervisor, stop) = (Supervisor::default(), CancellationToken::new());
        for name in ["first", "second"] {
            _ = supervisor.spawn(name, &stop, async {}).await;
        }
        let fatal = supervisor.fatal().expect("two ended");
        assert!(fatal.to_string().contains("first"), "{fatal}");
    }

    #[tokio::test]
    async fn a_task_that_is_cut_off_has_not_died() {
        let (supervisor, stop) = (Supervisor::default(), CancellationToken::new());
        let task = supervisor.spawn("test", &stop, std::future::pending::<()>());
        task.abort();
        assert!(supervisor.wait(Duration::from_secs(10)).await);
        assert!(supervisor.fatal().is_none());
    }
}
