//! Keeps health in step with what callers would meet: a database that cannot be read, or cannot take changes.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    feed::Feed,
    ledger::{Ledger, chain},
    metrics::Metrics,
    rpc::Health,
};
use tidegate_domain::log::LogBounds;
use tidegate_store::{Store, StoreError};

/// Time between two probes, and until one must have succeeded.
const PAUSE: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(2);

/// Probes the database until `stop` is cancelled, so that balancers send calls to replicas that can answer them.
///
/// A probe takes the lock that every change takes. Once a change has failed for the database's sake, only one that was
/// made durable shows that changes can be made again: a full disk lets locks be taken.
///
/// After the log has diverged the server does not serve for one pause: callers had better look anew whom they talk to.
pub async fn watch(
    store: Store,
    ledger: Ledger,
    feed: Feed,
    health: Health,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let work = async {
        let (mut serving, mut in_doubt) = (true, false);
        let log = feed.end();
        let mut known = log.borrow().clone();
        loop {
            let able = tell_if_late(store.probe(in_doubt), &health, &mut serving).await;
            match &able {
                Ok(bounds) => {
                    in_doubt = false;
                    metrics.log_last.set(bounds.last.sequence);
                    metrics.log_floor.set(bounds.floor.sequence);
                }
                Err(error) => {
                    in_doubt = true;
                    if serving {
                        tracing::warn!(error = %chain(error), "not serving: the database takes no changes");
                    }
                }
            }
            if able.is_ok() && !serving {
                tracing::warn!("serving again: the database takes changes");
            }
            serving = able.is_ok();
            let end = log.borrow().clone();
            health.set(serving && end.interrupted_since(&known).is_none());
            known = end;
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = ledger.next_failure() => in_doubt = true,
            }
        }
    };
    _ = stop.run_until_cancelled(work).await;
}

/// Waits for `probe`, however long that takes: to give it up would leave its transaction to somebody else.
async fn tell_if_late(
    probe: impl Future<Output = Result<LogBounds, StoreError>>,
    health: &Health,
    serving: &mut bool,
) -> Result<LogBounds, StoreError> {
    let mut probe = std::pin::pin!(probe);
    tokio::select! {
        able = &mut probe => return able,
        () = tokio::time::sleep(PATIENCE) => {}
    }
    if *serving {
        tracing::warn!("not serving: the database did not take a change in time");
    }
    *serving = false;
    health.set(false);
    probe.await
}
