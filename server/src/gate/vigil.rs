//! Open streams end when their caller may no longer call: one task for each token that holds streams open asks again
//! and again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{Gate, Known, No, cache::Key};

/// Time between two questions. With the age of an answer it makes less than two seconds.
const PACE: Duration = Duration::from_millis(500);

/// Those that are kept, by token.
#[derive(Default)]
pub(super) struct Vigils(Mutex<HashMap<Key, Weak<Vigil>>>);

/// A watch over one token; lasts as long as a stream holds it.
pub struct Vigil {
    known: Arc<Known>,
    over: CancellationToken,
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
        let mut vigils = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = vigils.get(&known.shown.key).and_then(Weak::upgrade);
        let fitting = kept
            .as_ref()
            .is_some_and(|kept| !kept.over.is_cancelled() && kept.known.identity == known.identity);
        if let Some(kept) = kept.filter(|_| fitting) {
            return kept;
        }
        let over = CancellationToken::new();
        let task = tokio::spawn(watch(gate.clone(), Arc::clone(known), over.clone()));
        let vigil = Arc::new(Vigil {
            known: Arc::clone(known),
            over,
            gate: gate.clone(),
            _task: AbortOnDropHandle::new(task),
        });
        vigils.insert(known.shown.key, Arc::downgrade(&vigil));
        vigil
    }
}

async fn watch(gate: Gate, known: Arc<Known>, over: CancellationToken) {
    let mut ends = known.ends;
    loop {
        sleep_until(ends.min(Instant::now() + PACE)).await;
        match gate.look_again(&known.shown).await {
            Ok(again) if again.identity == known.identity => ends = again.ends,
            // A database that is away takes nobody's rights; an end that is known comes all the same.
            Err(No::Failed(_)) if Instant::now() < ends => {}
            _ => break,
        }
    }
    over.cancel();
}
