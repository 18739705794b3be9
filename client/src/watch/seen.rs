//! What a watch of many transfers has told, so that a reconnection tells nothing twice and misses nothing.
//!
//! Transfers under way are remembered until they end. Ended ones would grow without bound, but need to be remembered only
//! until the position from which the watch would be resumed covers them: the server does not name them again then.

use std::collections::{HashMap, HashSet, VecDeque};

use uuid::Uuid;

use crate::{Transfer, TransferFilter};

/// Transfers that are remembered though they are not under way. It takes a server that names no positions to reach it, or
/// one whose log grows by so many events while it reads on; the oldest can be told again then.
const ENDED: usize = 65_536;
/// The oldest are forgotten by so many at a time.
const SEGMENT: usize = ENDED / 16;

#[derive(Debug, Default)]
pub(super) struct SeenRevisions {
    /// Revisions told of transfers that may still change.
    under_way: HashMap<Uuid, i64>,
    /// What else was told, oldest first; the last one is being filled.
    ended: VecDeque<Segment>,
    /// Of those under way, the ones that the present connection has not named yet; until it has caught up.
    unnamed: HashSet<Uuid>,
}

/// Transfers that ended, left the filter or were deleted between two positions.
#[derive(Debug)]
struct Segment {
    /// The last revision told; the greatest number for a deletion.
    revisions: HashMap<Uuid, i64>,
    /// They rest on no event after this one; unknown until a position says so.
    newest: Option<i64>,
}

impl SeenRevisions {
    /// A new connection is about to name what exists.
    pub(super) fn expect_all(&mut self) {
        self.unnamed = self.under_way.keys().copied().collect();
    }

    /// What the connection named nothing of, now that it has caught up.
    pub(super) fn take_unnamed(&mut self) -> Vec<Uuid> {
        self.unnamed.drain().collect()
    }

    /// The connection names only what is new, so that nothing is missing.
    pub(super) fn expect_none(&mut self) {
        self.unnamed.clear();
    }

    /// Whether this state is news; it is remembered as told if so.
    pub(super) fn is_news(&mut self, transfer: &Transfer, filter: &TransferFilter) -> bool {
        let uuid = transfer.uuid;
        self.unnamed.remove(&uuid);
        if self
            .told(uuid)
            .is_some_and(|told| transfer.revision <= told)
        {
            return false;
        }
        // One that left the filter is told of again only when it comes back, which is a newer change.
        if !transfer.status.is_terminal() && filter.still_means(transfer) {
            self.under_way.insert(uuid, transfer.revision);
        } else {
            self.end(uuid, transfer.revision);
        }
        true
    }

    /// Whether a deletion is news; it is remembered as told if so.
    pub(super) fn is_gone(&mut self, uuid: Uuid) -> bool {
        self.unnamed.remove(&uuid);
        let news = self.told(uuid) != Some(i64::MAX);
        if news {
            self.end(uuid, i64::MAX);
        }
        news
    }

    /// From now on the watch would be resumed after `sequence`, and nothing told so far rests on an event after `newest`,
    /// but for what is in progress.
    pub(super) fn reached(&mut self, sequence: i64, newest: i64) {
        for segment in &mut self.ended {
            segment.newest = segment.newest.or(Some(newest));
        }
        let covered = |segment: &mut Segment| segment.newest.is_some_and(|it| it <= sequence);
        while self.ended.pop_front_if(covered).is_some() {}
    }

    /// Nothing was told that needs to be true: every state is news, lower revisions included.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// The last revision told, as far as it is remembered.
    fn told(&self, uuid: Uuid) -> Option<i64> {
        let ended = || {
            let mut segments = self.ended.iter().rev();
            segments.find_map(|segment| segment.revisions.get(&uuid))
        };
        self.under_way.get(&uuid).or_else(ended).copied()
    }

    fn end(&mut self, uuid: Uuid, revision: i64) {
        self.under_way.remove(&uuid);
        let is_open =
            |segment: &&mut Segment| segment.newest.is_none() && segment.revisions.len() < SEGMENT;
        if let Some(segment) = self.ended.back_mut().filter(is_open) {
            segment.revisions.insert(uuid, revision);
            return;
        }
        self.ended.push_back(Segment {
            revisions: HashMap::from([(uuid, revision)]),
            newest: None,
        });
        let mut count: usize = self.ended.iter().map(|it| it.revisions.len()).sum();
        while count > ENDED - SEGMENT {
            let oldest = self.ended.pop_front();
            count -= oldest.map_or(count, |oldest| oldest.revisions.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use tidegate_proto::v1::{self, TransferStatus as Wire};

    use super::*;
    use crate::{TransferStatus, convert};

    fn transfer(uuid: u128, revision: i64, status: Wire) -> Transfer {
        let at = Some(prost_types::Timestamp::default());
        convert::present_transfer(v1::Transfer {
            uuid: Uuid::from_u128(uuid).to_string(),
            status: status.into(),
            revision,
            inserted_at: at,
            updated_at: at,
            ..v1::Transfer::default()
        })
        .expect("it is complete")
    }

    fn any() -> TransferFilter {
        TransferFilter::default()
    }

    fn remembered(seen: &SeenRevisions) -> usize {
        seen.ended.iter().map(|it| it.revisions.len()).sum()
    }

    #[test]
    fn what_ended_is_remembered_until_a_position_covers_it() {
        let mut seen = SeenRevisions::default();
        let ended = transfer(1, 3, Wire::Completed);
        assert!(seen.is_news(&ended, &any()));
        // The log was told up to 7 only, and what was told may rest on 9.
        seen.reached(7, 9);
        assert!(!seen.is_news(&ended, &any()));
        let later = transfer(2, 3, Wire::Failed);
        assert!(seen.is_news(&later, &any()));
        seen.reached(9, 12);
        assert_eq!((seen.told(ended.uuid), remembered(&seen)), (None, 1));
        assert!(!seen.is_news(&later, &any()));
        seen.reached(12, 12);
        assert!(seen.ended.is_empty());
    }

    #[test]
    fn what_is_under_way_is_remembered_whatever_the_position() {
        let mut seen = SeenRevisions::default();
        let running = transfer(1, 3, Wire::InProgress);
        assert!(seen.is_news(&running, &any()));
        for sequence in 1..100 {
            seen.reached(sequence, sequence);
        }
        assert!(!seen.is_news(&running, &any()));
        assert!(seen.is_news(&transfer(1, 4, Wire::InProgress), &any()));
        assert!(seen.is_news(&transfer(1, 5, Wire::Completed), &any()));
        assert!(!seen.is_news(&transfer(1, 4, Wire::InProgress), &any()));
        assert!(seen.under_way.is_empty());
    }

    #[test]
    fn a_deletion_is_told_once_and_is_the_last_word() {
        let mut seen = SeenRevisions::default();
        let pending = transfer(1, 1, Wire::Pending);
        seen.is_news(&pending, &any());
        assert!(seen.is_gone(pending.uuid));
        assert!(!seen.is_gone(pending.uuid));
        assert!(!seen.is_news(&transfer(1, 2, Wire::Cancelled), &any()));
        seen.reached(5, 5);
        assert!(seen.ended.is_empty());
    }

    #[test]
    fn without_positions_the_oldest_are_pushed_out() {
        let mut seen = SeenRevisions::default();
        let count = u128::try_from(2 * ENDED).expect("small");
        for uuid in 0..count {
            seen.is_news(&transfer(uuid, 3, Wire::Completed), &any());
            assert!(remembered(&seen) <= ENDED);
        }
        assert!(remembered(&seen) >= ENDED - 2 * SEGMENT);
        assert!(!seen.is_news(&transfer(count - 1, 3, Wire::Completed), &any()));
        assert!(seen.is_news(&transfer(0, 3, Wire::Completed), &any()));
    }

    #[test]
    fn one_that_left_the_filter_is_not_missed() {
        let mut seen = SeenRevisions::default();
        let pending = TransferFilter {
            status: vec![TransferStatus::Pending],
            ..TransferFilter::default()
        };
        seen.is_news(&transfer(1, 1, Wire::Pending), &pending);
        seen.is_news(&transfer(2, 1, Wire::Pending), &pending);
        seen.is_news(&transfer(2, 2, Wire::InProgress), &pending);
        seen.expect_all();
        assert_eq!(seen.take_unnamed(), [Uuid::from_u128(1)]);
        // And it may come back.
        assert!(seen.is_news(&transfer(2, 3, Wire::Pending), &pending));
        assert!(seen.is_news(&transfer(2, 4, Wire::Cancelled), &pending));
    }

    #[test]
    fn what_is_forgotten_is_news_again_and_not_missed() {
        let mut seen = SeenRevisions::default();
        seen.is_news(&transfer(1, 5, Wire::InProgress), &any());
        seen.is_news(&transfer(2, 5, Wire::Completed), &any());
        seen.forget();
        seen.expect_all();
        assert!(seen.is_news(&transfer(2, 4, Wire::InProgress), &any()));
        assert!(seen.take_unnamed().is_empty());
        assert!(seen.is_news(&transfer(1, 1, Wire::Pending), &any()));
    }
}
