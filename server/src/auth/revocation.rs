//! Open streams end when their caller may no longer call. One task looks at the tokens of all of them: at once at those
//! whose rights may have ended, as the log says; at new ones, whose end may have been told just before; at those whose
//! time is over; and at all of them now and then, for what was changed behind the log's back.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt as _, stream::FuturesUnordered};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{AuthFailure, Authenticator, VerifiedToken, cache::Key};
use crate::feed::{Concern, RightsNews};
use tidegate_domain::time::Timestamp;

/// Time between two looks at what is due. What is over is so within a second then; the rest of two is for a database
/// that is slow.
const PACE: Duration = Duration::from_millis(500);
/// Time between two looks at everybody.
const EVERYBODY: Duration = Duration::from_secs(15);
/// Looks at the same time.
const LOOKS: usize = 4;

/// Those that are kept, by token.
#[derive(Default)]
pub(super) struct RevocationWatches(Mutex<HashMap<Key, Weak<RevocationWatch>>>);

/// A watch over one token; lasts as long as a stream holds it.
pub struct RevocationWatch {
    verified: Arc<VerifiedToken>,
    end: Mutex<End>,
    over: CancellationToken,
    /// The token is to be looked at.
    is_due: AtomicBool,
    /// The last look could not be had; the next pace brings another.
    has_failed: AtomicBool,
    authenticator: Authenticator,
}

/// When a token ends, by the machine's time and by the ledger's.
#[derive(Clone, Copy)]
struct End {
    machine: Instant,
    ledger: Timestamp,
}

impl End {
    fn of(verified: &VerifiedToken) -> Self {
        let left = verified.ends.saturating_duration_since(verified.checked);
        Self {
            machine: verified.ends,
            ledger: verified.checked_at.after(left),
        }
    }

    fn has_come(&self, now: Option<Timestamp>) -> bool {
        Instant::now() >= self.machine || now.is_some_and(|now| now >= self.ledger)
    }
}

impl RevocationWatch {
    /// Resolves when the caller may no longer call.
    pub async fn over(&self) {
        self.over.cancelled().await;
    }

    fn end(&self) -> MutexGuard<'_, End> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn concerns(&self, concern: Concern) -> bool {
        let identity = &self.verified.identity;
        match concern {
            Concern::Credential(uuid) => identity.credential_uuid == uuid,
            Concern::Connection(uuid) => identity.connection_uuid == Some(uuid),
            Concern::Anybody => true,
        }
    }

    /// Takes in what a look has found.
    fn settle(&self, found: Result<Arc<VerifiedToken>, AuthFailure>, now: Option<Timestamp>) {
        match found {
            Ok(again) if again.identity == self.verified.identity => *self.end() = End::of(&again),
            // A database that is away takes nobody's rights; an end that is known comes all the same.
            Err(AuthFailure::Failed(_)) if !self.end().has_come(now) => {
                self.has_failed.store(true, Ordering::Relaxed);
            }
            _ => {
                self.authenticator
                    .0
                    .cache
                    .evict(&self.verified.presented.key);
                self.over.cancel();
            }
        }
    }
}

impl Drop for RevocationWatch {
    fn drop(&mut self) {
        let mut watches = self.authenticator.0.watches.kept();
        let key = &self.verified.presented.key;
        // Another may have taken the place of one that was over.
        if watches
            .get(key)
            .is_some_and(|kept| kept.strong_count() == 0)
        {
            watches.remove(key);
        }
    }
}

impl RevocationWatches {
    /// The watch over whoever was let in so.
    pub(super) fn keep(
        &self,
        authenticator: &Authenticator,
        verified: &Arc<VerifiedToken>,
    ) -> Arc<RevocationWatch> {
        // Outlives the lock, which the last one to let go of a watch takes.
        let before;
        let mut watches = self.kept();
        before = watches.get(&verified.presented.key).and_then(Weak::upgrade);
        if let Some(kept) = &before
            && !kept.over.is_cancelled()
            && kept.verified.identity == verified.identity
        {
            return Arc::clone(kept);
        }
        let watch = Arc::new(RevocationWatch {
            verified: Arc::clone(verified),
            end: Mutex::new(End::of(verified)),
            over: CancellationToken::new(),
            // What was known is from before it was kept.
            is_due: AtomicBool::new(true),
            has_failed: AtomicBool::new(false),
            authenticator: authenticator.clone(),
        });
        watches.insert(verified.presented.key, Arc::downgrade(&watch));
        watch
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<Key, Weak<RevocationWatch>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everybody, to be let go of outside the lock: the last one to do so takes it.
    fn all(&self) -> Vec<Arc<RevocationWatch>> {
        self.kept().values().filter_map(Weak::upgrade).collect()
    }

    fn take_due(&self) -> Vec<Arc<RevocationWatch>> {
        let mut due = self.all();
        due.retain(|watch| {
            watch.is_due.swap(false, Ordering::Relaxed) && !watch.over.is_cancelled()
        });
        due
    }

    fn mark(&self, is_due: impl Fn(&RevocationWatch) -> bool) {
        for watch in self.all() {
            if is_due(&watch) {
                watch.is_due.store(true, Ordering::Relaxed);
            }
        }
    }
}

/// Keeps looking.
pub(super) async fn keep_looking(authenticator: &Authenticator, mut news: RightsNews) {
    let watches = &authenticator.0.watches;
    let mut pace = interval(PACE);
    let mut everybody = interval(EVERYBODY);
    for ticks in [&mut pace, &mut everybody] {
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    }
    let mut looks = FuturesUnordered::new();
    loop {
        tokio::select! {
            word = news.next() => match word {
                Some(concern) => watches.mark(|watch| watch.concerns(concern)),
                None => return,
            },
            _ = pace.tick() => {
                let now = authenticator.0.deps.time.own();
                watches.mark(|watch| {
                    watch.has_failed.swap(false, Ordering::Relaxed) || watch.end().has_come(now)
                });
            }
            _ = everybody.tick() => watches.mark(|_| true),
            Some(()) = looks.next() => {}
        }
        // A word that comes during a look does not wait for its end.
        if looks.len() < LOOKS {
            let due = watches.take_due();
            if !due.is_empty() {
                looks.push(look(authenticator, due));
            }
        }
    }
}

/// Looks at those that are due, together.
async fn look(authenticator: &Authenticator, due: Vec<Arc<RevocationWatch>>) {
    let presented: Vec<_> = due
        .iter()
        .map(|watch| Arc::clone(&watch.verified.presented))
        .collect();
    let found = authenticator.look_up_all(&presented).await;
    let now = authenticator.0.deps.time.own();
    for (watch, found) in due.iter().zip(found) {
        watch.settle(found, now);
    }
}
