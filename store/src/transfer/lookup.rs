//! Reads of single transfers: those that come while others are under way share a statement.
//!
//! No timer gathers them. A read that finds a free turn has a statement of its own; whoever comes when none is free is
//! served by the next statement, which begins after they came, so that nobody is told what was true before they asked.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    runtime::Handle,
    sync::oneshot,
    time::{Instant, timeout_at},
};

use crate::{READ, Store, error::StoreError};
use tidegate_domain::{id::TransferId, transfer::Transfer};

/// Statements that may run at the same time.
const TURNS: usize = 2;
/// Transfers of one statement.
const SHARED: usize = 128;

type Answer = Result<Option<Arc<Transfer>>, StoreError>;
type Waiting = (TransferId, oneshot::Sender<Answer>);

/// Who waits for a transfer, and how many statements run.
#[derive(Debug, Default)]
pub(crate) struct Lookups(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    running: usize,
    waiting: Vec<Waiting>,
}

impl Lookups {
    /// How many wait for a turn.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.state().waiting.len()
    }

    /// All turns, as reads have them that do not end.
    #[cfg(test)]
    pub(crate) fn occupied(&self, store: &Store) -> Vec<impl Sized + use<>> {
        self.state().running = TURNS;
        (0..TURNS).map(|_| Turn(store.clone())).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to run a statement. Goes on to those who wait, however it ends.
struct Turn(Store);

impl Drop for Turn {
    fn drop(&mut self) {
        let next = {
            let mut state = self.0.lookups.state();
            // Whoever has gone needs no answer, and would pile up while the database has none.
            state.waiting.retain(|(_, answer)| !answer.is_closed());
            let count = state.waiting.len().min(SHARED);
            if count == 0 {
                state.running -= 1;
                return;
            }
            state.waiting.drain(..count).collect()
        };
        let turn = Self(self.0.clone());
        // Where nothing runs any more, whoever waits is told so by the end of their channels.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(serve(turn, next));
        }
    }
}

/// The transfer, if it exists.
pub(super) async fn find(store: &Store, uuid: TransferId) -> Answer {
    let end = Instant::now() + READ;
    let answer = {
        let mut state = store.lookups.state();
        if state.running < TURNS {
            state.running += 1;
            None
        } else {
            let (answer, answered) = oneshot::channel();
            state.waiting.push((uuid, answer));
            Some(answered)
        }
    };
    let Some(answer) = answer else {
        let _turn = Turn(store.clone());
        return alone(store, uuid).await;
    };
    match timeout_at(end, answer).await {
        Ok(Ok(answer)) => answer,
        _ => Err(StoreError::late()),
    }
}

async fn alone(store: &Store, uuid: TransferId) -> Answer {
    Ok(store.existing_transfers(&[uuid]).await?.pop())
}

/// Serves some of those who wait.
async fn serve(turn: Turn, waiting: Vec<Waiting>) {
    let store = &turn.0;
    let mut uuids: Vec<TransferId> = waiting.iter().map(|(uuid, _)| *uuid).collect();
    uuids.sort_unstable();
    uuids.dedup();
    match store.existing_transfers(&uuids).await {
        Ok(found) => {
            let found: HashMap<TransferId, Arc<Transfer>> =
                found.into_iter().map(|each| (each.uuid, each)).collect();
            for (uuid, answer) in waiting {
                _ = answer.send(Ok(found.get(&uuid).cloned()));
            }
        }
        // A row without a meaning must not take its neighbours along.
        Err(StoreError::Internal(_)) if uuids.len() > 1 => {
            for (uuid, answer) in waiting {
                if !answer.is_closed() {
                    _ = answer.send(alone(store, uuid).await);
                }
            }
        }
        Err(error) => {
            for (_, answer) in waiting {
                _ = answer.send(Err(error.clone()));
            }
        }
    }
}
