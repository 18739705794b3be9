//! Open streams end when their caller may no longer call: one task for each token that holds streams open asks again
//! and again, and at once when there is word that its caller's rights may have ended.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{Gate, Known, No, cache::Key};
use crate::feed::Concern;

/// Time between two questions, and the age of an answer that is good enough: nobody is lost to a word that never came.
/// What is over is so within a second then; the rest of two is for a database that is slow.
const PACE: Duration = Duration::from_millis(500);
const AGE: Duration = Duration::from_millis(250);

/// Those that are kept, by token.
#[derive(Default)]
pub(super) struct Vigils(Mutex<HashMap<Key, Weak<Vigil>>>);

/// A watch over one token; lasts as long as a stream holds it.
pub struct Vigil {
    known: Arc<Known>,
    over: CancellationToken,
    /// There is word about the caller's rights.
    word: Arc<Notify>,
    gate: Gate,
    _task: AbortOnDropHandle<()>,
}

impl Vigil {
    /// Resolves when the caller may no longer call.
    pub async fn over(&self) {
        self.over.cancelled().await;
    }
}

impl Drop for Vigil {
    fn drop(&mut self) {
        let vigils = &self.gate.0.vigils.0;
        let mut vigils = vigils.lock().unwrap_or_else(PoisonError::into_inner);
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
        let mut vigils = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        before = vigils.get(&known.shown.key).and_then(Weak::upgrade);
        if let Some(kept) = &before
            && !kept.over.is_cancelled()
            && kept.known.identity == known.identity
        {
            return Arc::clone(kept);
        }
        let over = CancellationToken::new();
        let word = Arc::<Notify>::default();
        let watch = watch(
            gate.clone(),
            Arc::clone(known),
            over.clone(),
            Arc::clone(&word),
        );
        let task = tokio::spawn(watch);
        let vigil = Arc::new(Vigil {
            known: Arc::clone(known),
            over,
            word,
            gate: gate.clone(),
            _task: AbortOnDropHandle::new(task),
        });
        vigils.insert(known.shown.key, Arc::downgrade(&vigil));
        vigil
    }

    /// Has those look at once whom a word concerns.
    pub(super) fn wake(&self, concern: Concern) {
        let kept: Vec<Arc<Vigil>> = {
            let vigils = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            vigils.values().filter_map(Weak::upgrade).collect()
        };
        // Let go of outside the lock: the last one to do so takes it.
        for vigil in kept {
            let identity = &vigil.known.identity;
            let concerns = match concern {
                Concern::Credential(uuid) => identity.credential_uuid == uuid,
                Concern::Connection(uuid) => identity.connection_uuid == Some(uuid),
                Concern::Anybody => true,
            };
            if concerns {
                vigil.word.notify_one();
            }
        }
    }
}

async fn watch(gate: Gate, known: Arc<Known>, over: CancellationToken, word: Arc<Notify>) {
    let mut ends = known.ends;
    loop {
        let age = tokio::select! {
            () = sleep_until(ends.min(Instant::now() + PACE)) => AGE,
            () = word.notified() => Duration::ZERO,
        };
        match gate.look_again(&known.shown, age).await {
            Ok(again) if again.identity == known.identity => ends = again.ends,
            // A database that is away takes nobody's rights; an end that is known comes all the same.
            Err(No::Failed(_)) if Instant::now() < ends => {}
            _ => break,
        }
    }
    over.cancel();
}
