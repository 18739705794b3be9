//! How far along the log a watcher of transfers has been told.
//!
//! Changes are conflated by transfer and come from two sides, so none of them says by itself how far the log was told. A
//! mark does: it notes how far the feed has told the log, and is reached once everything that waited then was taken.

use super::{Feed, Registry, Subscription, mailbox::Waiting, raise};
use tidegate_domain::{chain::Head, id::TransferId};

/// A place in a mailbox.
#[derive(Debug)]
pub(super) struct Watermark {
    /// So many changes are to be taken before it.
    ahead: usize,
    /// What stands for this event and for everything before it is among them, or was taken earlier.
    head: Head,
}

impl Waiting {
    /// Notes that the first of those that wait was taken.
    pub(super) fn step_towards_watermark(&mut self) {
        if let Some(watermark) = &mut self.watermark {
            watermark.ahead = watermark.ahead.saturating_sub(1);
        }
    }

    /// Takes a transfer out of the order.
    pub(super) fn strike(&mut self, uuid: TransferId) {
        if let Some(place) = self.order.iter().position(|each| *each == uuid) {
            self.order.remove(place);
            if let Some(watermark) = &mut self.watermark
                && place < watermark.ahead
            {
                watermark.ahead -= 1;
            }
        }
    }
}

impl Feed {
    /// Waits until everything up to this position of the log has been told.
    pub async fn has_told(&self, sequence: i64) {
        let mut told = self.0.told.subscribe();
        // The sender lives as long as the feed, which is ours.
        _ = told.wait_for(|told| *told >= sequence).await;
    }

    /// No state that was told so far rests on an event after this one, but for that of a transfer in progress.
    pub fn newest(&self) -> i64 {
        self.registry().newest
    }

    /// Notes that the states about to be told may rest on events up to this one.
    pub(super) fn rests_on(&self, sequence: i64) {
        let mut registry = self.registry();
        registry.newest = registry.newest.max(sequence);
    }

    /// Notes that the log was told up to `last`, but for what this replica is about to tell.
    pub(super) fn has_read(&self, last: Head) {
        self.note_read(&mut self.registry(), last);
    }

    /// The same, where the registry is locked already.
    pub(super) fn note_read(&self, registry: &mut Registry, last: Head) {
        registry.position.read(last);
        raise(&self.0.told, registry.position.told().sequence);
    }
}

impl Subscription {
    /// The position of the log from which on everything that concerns it has come, or will come, through it.
    pub const fn since(&self) -> Head {
        self.since
    }

    /// Sets a mark behind what waits now, unless one is set.
    pub fn watermark(&self) {
        // The registry stays locked, so that nothing is told in between.
        let registry = self.feed.registry();
        let head = registry.position.told();
        let mut waiting = self.mailbox.waiting();
        if waiting.watermark.is_none() && waiting.over.is_none() {
            let ahead = waiting.order.len();
            waiting.watermark = Some(Watermark { ahead, head });
        }
        drop(waiting);
        drop(registry);
    }

    /// The position of the mark, once everything before it was taken; that removes it.
    pub fn reached(&self) -> Option<Head> {
        let mut waiting = self.mailbox.waiting();
        let watermark = waiting
            .watermark
            .take_if(|watermark| watermark.ahead == 0)?;
        Some(watermark.head)
    }
}
