//! What waits for one watcher: of each transfer the newest change.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::{Update, watermark::Watermark};
use crate::error::Error;
use tidegate_domain::id::TransferId;

/// Transfers with an undelivered change that one subscription may hold.
pub const BACKLOG: usize = 10_000;

#[derive(Default)]
pub(super) struct Mailbox {
    waiting: Mutex<Waiting>,
    pub notify: Notify,
}

#[derive(Default)]
pub(super) struct Waiting {
    pub order: VecDeque<TransferId>,
    pub newest: HashMap<TransferId, Update>,
    /// Why nothing more comes.
    pub over: Option<Error>,
    pub watermark: Option<Watermark>,
}

impl Mailbox {
    pub(super) fn put(&self, update: Update) {
        let mut waiting = self.waiting();
        if waiting.over.is_some() {
            return;
        }
        let uuid = update.uuid();
        match waiting.newest.entry(uuid) {
            Entry::Occupied(mut newest) => {
                if newest.get().revision() <= update.revision() {
                    newest.insert(update);
                }
            }
            Entry::Vacant(place) => {
                place.insert(update);
                waiting.order.push_back(uuid);
            }
        }
        if waiting.order.len() > BACKLOG {
            *waiting = Waiting {
                over: Some(Error::WatchTooSlow { limit: BACKLOG }),
                ..Waiting::default()
            };
        }
        drop(waiting);
        self.notify.notify_one();
    }

    /// Ends the watch; what waited is not told any more.
    pub(super) fn end(&self, why: &Error) {
        *self.waiting() = Waiting {
            over: Some(why.clone()),
            ..Waiting::default()
        };
        self.notify.notify_one();
    }

    pub(super) fn take(&self) -> Option<Result<Update, Error>> {
        let mut waiting = self.waiting();
        if let Some(error) = &waiting.over {
            return Some(Err(error.clone()));
        }
        let uuid = waiting.order.pop_front()?;
        waiting.step_towards_watermark();
        waiting.newest.remove(&uuid).map(Ok)
    }

    pub(super) fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
