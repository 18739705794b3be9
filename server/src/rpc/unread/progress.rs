//! How an answer gets on: a call whose answer nobody takes is ended.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use hyper::rt::Executor;
use tokio::time::{Instant, Sleep};

tokio::task_local! {
    /// The call that is being answered; HTTP/1.1 has one at a time and none of these.
    static CALL: Arc<Progress>;
}

/// How the answer to one call gets on.
#[derive(Debug, Default)]
pub(in crate::rpc) struct Progress {
    waiting: AtomicUsize,
    taken: AtomicUsize,
}

impl Progress {
    /// That of the call whose task this is.
    pub(super) fn of_call() -> Arc<Self> {
        CALL.try_with(Arc::clone).unwrap_or_default()
    }

    pub(super) fn begun(&self, bytes: usize) {
        self.waiting.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn taken(&self, bytes: usize) {
        self.waiting.fetch_sub(bytes, Ordering::Relaxed);
        self.taken.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Runs the calls of HTTP/2, and resets those whose answers wait and are not taken.
#[derive(Clone, Copy, Debug)]
pub(in crate::rpc) struct Calls {
    /// How long an answer may wait for its peer to take more of it.
    pub(in crate::rpc) patience: Duration,
}

impl<F> Executor<F> for Calls
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, call: F) {
        let progress = Arc::<Progress>::default();
        let mut stall = Stall {
            progress: Arc::clone(&progress),
            patience: self.patience,
            seen: 0,
            until: None,
        };
        tokio::spawn(CALL.scope(progress, async move {
            let mut call = std::pin::pin!(call);
            let ended = std::future::poll_fn(|context| {
                if call.as_mut().poll(context).is_ready() {
                    return Poll::Ready(true);
                }
                stall.poll(context).map(|()| false)
            });
            // Dropped, the call's stream is reset, and what was buffered for it is forgotten.
            if !ended.await {
                tracing::debug!("a call was ended: nobody took its answer");
            }
        }));
    }
}

/// Whether an answer gets on. Looked at whenever its call is, so that a call that is answered at once costs no timer.
struct Stall {
    progress: Arc<Progress>,
    patience: Duration,
    seen: usize,
    until: Option<Pin<Box<Sleep>>>,
}

impl Stall {
    /// Ready when something waits and nothing of it was taken for as long as the patience.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.progress.waiting.load(Ordering::Relaxed) == 0 {
            self.until = None;
            return Poll::Pending;
        }
        loop {
            let taken = self.progress.taken.load(Ordering::Relaxed);
            let until = match &mut self.until {
                Some(until) if self.seen == taken => until,
                until => {
                    self.seen = taken;
                    let time = Instant::now() + self.patience;
                    until.insert(Box::pin(tokio::time::sleep_until(time)))
                }
            };
            if until.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            if self.progress.taken.load(Ordering::Relaxed) == self.seen {
                return Poll::Ready(());
            }
        }
    }
}
