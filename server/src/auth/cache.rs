//! What was found out about tokens, for a moment. However many calls show the same token at once, one asks.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{FutureExt as _, future::BoxFuture, future::Shared};
use tokio::time::Instant;

use super::{AuthFailure, VerifiedToken};
use crate::error::Error;

/// SHA-256 of a token's text.
pub(super) type Key = [u8; 32];
/// What a check found, or why there is nobody to let in.
pub(super) type Found = Result<Arc<VerifiedToken>, AuthFailure>;
/// A check on its way.
type Check = Shared<BoxFuture<'static, Found>>;

/// How long a token that was found good is believed by calls.
const FRESH: Duration = Duration::from_secs(1);
/// Tokens that are kept; more are looked up by every call.
const MOST: usize = 16_384;

/// The cache. Of a token that was found bad nothing is kept.
#[derive(Default)]
pub(super) struct Cache(Mutex<Slots>);

#[derive(Default)]
struct Slots {
    by_key: HashMap<Key, Slot>,
    /// How often everything was to be looked up again; what began before that is not believed after it.
    era: u64,
}

#[derive(Default)]
struct Slot {
    /// What it was when it was found good last, and in which era.
    verified: Option<(u64, Arc<VerifiedToken>)>,
    /// The check that is on its way, and in which era it began.
    checking: Option<(u64, Check)>,
}

/// How a token stands.
pub(super) enum CacheHit {
    /// It was found good a moment ago.
    Fresh(Arc<VerifiedToken>),
    /// It was found good when it was looked up last.
    Stale,
    /// It was never found good, or that is long ago.
    Miss,
}

impl Cache {
    /// How a token stands.
    pub(super) fn hit(&self, key: &Key) -> CacheHit {
        let slots = self.slots();
        match slots.by_key.get(key) {
            Some(slot) => match slot.good(slots.era) {
                Some(verified) => CacheHit::Fresh(verified),
                None if slot.verified.is_some() => CacheHit::Stale,
                None => CacheHit::Miss,
            },
            None => CacheHit::Miss,
        }
    }

    /// The check of a token that is on its way, or else the one that `begin` makes. It goes on without whoever waits
    /// for it.
    pub(super) async fn check(
        self: &Arc<Self>,
        key: Key,
        begin: impl FnOnce() -> BoxFuture<'static, Found>,
    ) -> Found {
        let check = {
            let mut slots = self.slots();
            let era = slots.era;
            let slot = slots.by_key.get(&key);
            // Whoever came before may have found it meanwhile.
            if let Some(verified) = slot.and_then(|slot| slot.good(era)) {
                return Ok(verified);
            }
            let on_its_way = slot.and_then(|slot| slot.checking.clone());
            match on_its_way.filter(|(began, _)| *began == era) {
                Some((_, check)) => check,
                None => {
                    let check = self.start(key, era, begin());
                    if slots.has_room(&key) {
                        slots.by_key.entry(key).or_default().checking = Some((era, check.clone()));
                    }
                    check
                }
            }
        };
        check.await
    }

    /// Runs a check as a task of its own: a caller who goes away must not take a statement down half-way.
    fn start(self: &Arc<Self>, key: Key, era: u64, check: BoxFuture<'static, Found>) -> Check {
        let cache = Arc::clone(self);
        let task = tokio::spawn(async move {
            let found = AssertUnwindSafe(check).catch_unwind().await;
            let found =
                found.unwrap_or_else(|panic| Err(AuthFailure::Failed(Error::panicked(&*panic))));
            cache.settle(key, era, &found);
            found
        });
        let found = async move {
            task.await.unwrap_or_else(|gone| {
                let cause: Arc<dyn std::error::Error + Send + Sync> = Arc::new(gone);
                Err(AuthFailure::Failed(Error::Internal(cause)))
            })
        };
        found.boxed().shared()
    }

    fn settle(&self, key: Key, era: u64, found: &Found) {
        let mut slots = self.slots();
        let Some(slot) = slots.by_key.get_mut(&key) else {
            return;
        };
        if slot
            .checking
            .as_ref()
            .is_some_and(|(began, _)| *began == era)
        {
            slot.checking = None;
        }
        match found {
            Ok(verified) => slot.verified = Some((era, Arc::clone(verified))),
            Err(AuthFailure::Failed(_)) => {}
            Err(AuthFailure::WrongSecret | AuthFailure::Unknown) => slot.verified = None,
        }
        if slot.verified.is_none() && slot.checking.is_none() {
            slots.by_key.remove(&key);
        }
    }

    /// Takes in that a token was found bad elsewhere.
    pub(super) fn evict(&self, key: &Key) {
        let mut slots = self.slots();
        if let Some(slot) = slots.by_key.get_mut(key) {
            slot.verified = None;
            if slot.checking.is_none() {
                slots.by_key.remove(key);
            }
        }
    }

    /// Has everything looked up again: somebody may have lost their rights.
    pub(super) fn forget(&self) {
        self.slots().era += 1;
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// What is known, if that is still to be believed.
    fn good(&self, era: u64) -> Option<Arc<VerifiedToken>> {
        let (found, verified) = self.verified.as_ref()?;
        let now = Instant::now();
        let is_fresh = *found == era && now < verified.checked + FRESH && now < verified.ends;
        is_fresh.then(|| Arc::clone(verified))
    }
}

impl Slots {
    /// Whether a token may be kept, after forgetting old ones where that is needed.
    fn has_room(&mut self, key: &Key) -> bool {
        if self.by_key.len() < MOST || self.by_key.contains_key(key) {
            return true;
        }
        let era = self.era;
        self.by_key
            .retain(|_, slot| slot.checking.is_some() || slot.good(era).is_some());
        self.by_key.len() < MOST
    }
}

#[cfg(test)]
mod tests;
