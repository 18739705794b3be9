//! The end of the log as this replica knows it, and what happens when it is another log all of a sudden.

use std::{collections::HashMap, sync::Arc};

use tokio::sync::watch;

use super::{Feed, Mailbox, position::Position, revisions::Revisions};
use crate::error::Error;
use tidegate_domain::chain::Head;

/// How far the log is known to be committed. Goes back only when it had to be read anew.
#[derive(Clone, Debug, Default)]
pub struct LogEnd {
    /// The newest event.
    pub head: Head,
    /// How often this replica had to begin anew, and why it did last.
    anew: (u64, Option<Error>),
}

impl LogEnd {
    /// Why whoever began to read at `earlier` cannot go on, if so.
    pub fn interrupted_since(&self, earlier: &Self) -> Option<Error> {
        let (count, why) = &self.anew;
        why.clone().filter(|_| *count != earlier.anew.0)
    }
}

impl Feed {
    /// The end of the log; changes as it moves on.
    pub fn end(&self) -> watch::Receiver<LogEnd> {
        self.0.end.subscribe()
    }

    /// Notes that the log is committed up to `head`.
    pub(super) fn advance(&self, head: Head) {
        self.0.end.send_if_modified(|end| {
            let further = head.sequence > end.head.sequence;
            if further {
                end.head = head;
            }
            further
        });
    }

    /// Asks the reader of the log to look whether it is still the one that it knows.
    pub fn suspect(&self) {
        self.0.suspicion.notify_one();
    }

    /// Resolves when somebody suspects that the log is another one.
    pub(super) async fn suspected(&self) {
        self.0.suspicion.notified().await;
    }

    /// Forgets all that was told, ends every watch with `why` and goes on from `end`, the present end of the log.
    pub(super) fn begin_anew(&self, end: Head, why: Error) {
        let mut registry = self.registry();
        registry.position = Position::at(end);
        registry.newest = end.sequence;
        registry.revisions = Revisions::default();
        let of_one = registry.by_uuid.values().flat_map(HashMap::values);
        let of_many = registry.by_filter.iter().map(|(_, it)| &it.mailbox);
        let all: Vec<Arc<Mailbox>> = of_one.chain(of_many).cloned().collect();
        for mailbox in all {
            mailbox.end(&why);
        }
        self.0.rights.doubt();
        self.0.told.send_replace(end.sequence);
        self.0.end.send_modify(|state| {
            state.head = end;
            state.anew = (state.anew.0 + 1, Some(why));
        });
    }
}
