//! Sends and hears the word between replicas that something was committed. It only makes things faster: whoever never
//! hears it polls.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::Notify,
    time::{Instant, interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::Feed;
use tidegate_store::{Listener, Store, StoreError};

#[cfg(test)]
mod tests;

/// Least time between two words of one replica.
const QUIET: Duration = Duration::from_millis(20);
/// Longest wait for the database to take a word, or to let us listen.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time between two words to oneself, to find out whether the connection still hears: the driver sets no keepalive.
const PROBE: Duration = Duration::from_secs(10);
/// A connection that heard nothing for so long, not even a probe, is dead.
const DEAF: Duration = Duration::from_secs(30);
/// Pauses before a connection is made anew: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Tells the other replicas of commits until `stop` is cancelled.
pub(super) async fn send(store: Store, feed: Feed, stop: CancellationToken) {
    let work = async {
        loop {
            feed.next_commit().await;
            match timeout(PATIENCE, store.send_notification()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "the other replicas were not told"),
                Err(_) => tracing::debug!("the database did not pass a word on in time"),
            }
            sleep(QUIET).await;
        }
    };
    _ = stop.run_until_cancelled_owned(work).await;
}

/// Passes what is heard on to `heard` until `stop` is cancelled.
pub(super) async fn listen(store: Store, heard: Arc<Notify>, stop: CancellationToken) {
    let work = async {
        keep_listening(|| store.listen(), || store.send_notification(), &heard).await;
        // There is nobody to listen to: the reader of the log polls.
        std::future::pending::<()>().await;
    };
    _ = stop.run_until_cancelled(work).await;
}

/// Listens on one connection after the other. `probe` is to say a word that each of them should hear.
async fn keep_listening<C, P>(connect: impl Fn() -> C, probe: impl Fn() -> P, heard: &Notify)
where
    C: Future<Output = Result<Option<Listener>, StoreError>>,
    P: Future<Output = Result<(), StoreError>>,
{
    let mut pause = PAUSES.0;
    loop {
        match timeout(PATIENCE, connect()).await {
            // On this database there is nobody to listen to.
            Ok(Ok(None)) => return,
            Ok(Ok(Some(listener))) => {
                // What was said before nobody has heard.
                heard.notify_one();
                let began = Instant::now();
                let end = hear(listener, &probe, heard).await;
                tracing::warn!(error = %end, "replicas are not heard; listening anew");
                if began.elapsed() > PROBE {
                    pause = PAUSES.0;
                }
            }
            Ok(Err(error)) => tracing::debug!(%error, "no connection to listen on"),
            Err(_) => tracing::debug!("no connection to listen on in time"),
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// Listens until the connection ends or goes deaf; says why.
async fn hear<P>(mut listener: Listener, probe: impl Fn() -> P, heard: &Notify) -> Deaf
where
    P: Future<Output = Result<(), StoreError>>,
{
    let mut probes = interval(PROBE);
    let mut last = Instant::now();
    loop {
        tokio::select! {
            notification = listener.next() => match notification {
                Ok(()) => {
                    last = Instant::now();
                    heard.notify_one();
                }
                Err(error) => return Deaf::Lost(error),
            },
            _ = probes.tick() => {
                if last.elapsed() >= DEAF {
                    return Deaf::Silent;
                }
                // Whether it can be sent does not matter: whether it comes back does.
                _ = timeout(PATIENCE, probe()).await;
            }
        }
    }
}

/// Why listening ended.
#[derive(Debug, thiserror::Error)]
enum Deaf {
    #[error(transparent)]
    Lost(StoreError),
    #[error("nothing was heard for {DEAF:?}, not even by oneself")]
    Silent,
}
