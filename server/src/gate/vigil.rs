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

use super::{Gate, Known, No, cache::Key};
use crate::{
    domain::time::Timestamp,
    feed::{Concern, RightsNews},
};

/// Time between two looks at what is due. What is over is so within a second then; the rest of two is for a database
/// that is slow.
const PACE: Duration = Duration::from_millis(500);
/// Time between two looks at everybody.
const EVERYBODY: Duration = Duration::from_secs(15);
/// Looks at the same time.
const LOOKS: usize = 4;

/// Those that are kept, by token.
#[derive(Default)]
pub(super) struct Vigils(Mutex<HashMap<Key, Weak<Vigil>>>);

/// A watch over one token; lasts as long as a stream holds it.
pub struct Vigil {
    known: Arc<Known>,
    end: Mutex<End>,
    over: CancellationToken,
    /// The token is to be looked at.
    is_due: AtomicBool,
    /// The last look could not be had; the next pace brings another.
    has_failed: AtomicBool,
    gate: Gate,
}

/// When a token ends, by the machine's time and by the ledger's.
#[derive(Clone, Copy)]
struct End {
    machine: Instant,
    ledger: Timestamp,
}

impl End {
    fn of(known: &Known) -> Self {
        let left = known.ends.saturating_duration_since(known.checked);
        Self {
            machine: known.ends,
            ledger: known.checked_at.after(left),
        }
    }

    fn has_come(&self, now: Option<Timestamp>) -> bool {
        Instant::now() >= self.machine || now.is_some_and(|now| now >= self.ledger)
    }
}

impl Vigil {
    /// Resolves when the caller may no longer call.
    pub async fn over(&self) {
        self.over.cancelled().await;
    }

    fn end(&self) -> MutexGuard<'_, End> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn concerns(&self, concern: Concern) -> bool {
        let identity = &self.known.identity;
        match concern {
            Concern::Credential(uuid) => identity.credential_uuid == uuid,
            Concern::Connection(uuid) => identity.connection_uuid == Some(uuid),
            Concern::Anybody => true,
        }
    }

    /// Takes in what a look has found.
    fn settle(&self, found: Result<Arc<Known>, No>, now: Option<Timestamp>) {
        match found {
            Ok(again) if again.identity == self.known.identity => *self.end() = End::of(&again),
            // A database that is away takes nobody's rights; an end that is known comes all the same.
            Err(No::Failed(_)) if !self.end().has_come(now) => {
                self.has_failed.store(true, Ordering::Relaxed);
            }
            _ => {
                self.gate.0.cache.evict(&self.known.shown.key);
                self.over.cancel();
            }
        }
    }
}

impl Drop for Vigil {
    fn drop(&mut self) {
        let mut vigils = self.gate.0.vigils.kept();
        let key = &self.known.shown.key;
        // Another may have taken the place of one that was over.
        if vigils.get(key).is_some_and(|kept| kept.strong_count() == 0) {
            vigils.remove(key);
        }
    }
}

impl Vigils {
    /// The vigil over whoever was let in so.
    pub(super) fn keep(&self, gate: &Gate, known: &Arc<Known>) -> Arc<Vigil> {
        // Outlives the lock, which the last one to let go of a vigil takes.
        let before;
        let mut vigils = self.kept();
        before = vigils.get(&known.shown.key).and_then(Weak::upgrade);
        if let Some(kept) = &before
            && !kept.over.is_cancelled()
            && kept.known.identity == known.identity
        {
            return Arc::clone(kept);
        }
        let vigil = Arc::new(Vigil {
            known: Arc::clone(known),
            end: Mutex::new(End::of(known)),
            over: CancellationToken::new(),
            // What was known is from before it was kept.
            is_due: AtomicBool::new(true),
            has_failed: AtomicBool::new(false),
            gate: gate.clone(),
        });
        vigils.insert(known.shown.key, Arc::downgrade(&vigil));
        vigil
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<Key, Weak<Vigil>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everybody, to be let go of outside the lock: the last one to do so takes it.
    fn all(&self) -> Vec<Arc<Vigil>> {
        self.kept().values().filter_map(Weak::upgrade).collect()
    }

    fn take_due(&self) -> Vec<Arc<Vigil>> {
        let mut due = self.all();
        due.retain(|vigil| {
            vigil.is_due.swap(false, Ordering::Relaxed) && !vigil.over.is_cancelled()
        });
        due
    }

    fn mark(&self, is_due: impl Fn(&Vigil) -> bool) {
        for vigil in self.all() {
            if is_due(&vigil) {
                vigil.is_due.store(true, Ordering::Relaxed);
            }
        }
    }
}

/// Keeps looking.
pub(super) async fn keep_looking(gate: &Gate, mut news: RightsNews) {
    let vigils = &gate.0.vigils;
    let mut pace = interval(PACE);
    let mut everybody = interval(EVERYBODY);
    for ticks in [&mut pace, &mut everybody] {
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    }
    let mut looks = FuturesUnordered::new();
    loop {
        tokio::select! {
            word = news.next() => match word {
                Some(concern) => vigils.mark(|vigil| vigil.concerns(concern)),
                None => return,
            },
            _ = pace.tick() => {
                let now = gate.0.means.time.own();
                vigils.mark(|vigil| {
                    vigil.has_failed.swap(false, Ordering::Relaxed) || vigil.end().has_come(now)
                });
            }
            _ = everybody.tick() => vigils.mark(|_| true),
            Some(()) = looks.next() => {}
        }
        // A word that comes during a look does not wait for its end.
        if looks.len() < LOOKS {
            let due = vigils.take_due();
            if !due.is_empty() {
                looks.push(look(gate, due));
            }
        }
    }
}

/// Looks at those that are due, together.
async fn look(gate: &Gate, due: Vec<Arc<Vigil>>) {
    let shown: Vec<_> = due
        .iter()
        .map(|vigil| Arc::clone(&vigil.known.shown))
        .collect();
    let found = gate.look_up_all(&shown).await;
    let now = gate.0.means.time.own();
    for (vigil, found) in due.iter().zip(found) {
        vigil.settle(found, now);
    }
}
