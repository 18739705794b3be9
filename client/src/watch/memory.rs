//! What a watch of many transfers has told, so that a reconnection tells nothing twice and misses nothing.
//!
//! Transfers under way are remembered one by one. Ended ones would grow without bound; since times of change are the
//! server's own, one that changed well before the newest change seen is known to have been told, or to have been left
//! out on purpose. Only those of the last moments are remembered one by one.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::{Transfer, TransferFilter};

/// How far the times of change may lie apart from the order in which changes are seen: several writers and replicas
/// commit side by side, each of them within seconds.
const SLACK: TimeDelta = TimeDelta::seconds(60);
/// Ended transfers that are remembered one by one. Only an older one, within the slack, could be told again.
const ENDED: usize = 65_536;

#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Revisions told of transfers that may still change.
    under_way: HashMap<Uuid, i64>,
    /// Transfers that ended or left the filter in the last moments, oldest change first, and the same by name.
    ended: BTreeSet<(DateTime<Utc>, Uuid)>,
    ended_revisions: HashMap<Uuid, (i64, DateTime<Utc>)>,
    /// The newest time of change seen.
    newest: Option<DateTime<Utc>>,
    /// Of those under way, the ones that the present connection has not named yet; until it has caught up.
    unnamed: HashSet<Uuid>,
}

impl Memory {
    /// Nothing that changed before `time` needs telling unless it is remembered as under way.
    pub(super) fn begin_at(&mut self, time: DateTime<Utc>) {
        self.newest = self.newest.max(Some(time));
    }

    /// A new connection is about to name what exists.
    pub(super) fn expect_all(&mut self) {
        self.unnamed = self.under_way.keys().copied().collect();
    }

    /// What the connection named nothing of, now that it has caught up.
    pub(super) fn take_unnamed(&mut self) -> Vec<Uuid> {
        self.unnamed.drain().collect()
    }

    /// Whether this state is news; it is remembered as told if so. `resumed` says that it comes from the part of a new
    /// connection that repeats what exists, after everything that existed had been told once.
    pub(super) fn is_news(
        &mut self,
        transfer: &Transfer,
        filter: &TransferFilter,
        resumed: bool,
    ) -> bool {
        self.unnamed.remove(&transfer.uuid);
        let told = self
            .under_way
            .get(&transfer.uuid)
            .copied()
            .or_else(|| Some(self.ended_revisions.get(&transfer.uuid)?.0));
        let news = match told {
            Some(revision) => transfer.revision > revision,
            None => !(resumed && self.is_long_known(transfer.updated_at)),
        };
        if news {
            self.remember(transfer, filter);
        }
        news
    }

    pub(super) fn forget(&mut self, uuid: Uuid) {
        self.under_way.remove(&uuid);
        self.unnamed.remove(&uuid);
        if let Some((_, changed_at)) = self.ended_revisions.remove(&uuid) {
            self.ended.remove(&(changed_at, uuid));
        }
    }

    fn is_long_known(&self, changed_at: DateTime<Utc>) -> bool {
        self.newest
            .and_then(|newest| newest.checked_sub_signed(SLACK))
            .is_some_and(|settled| changed_at < settled)
    }

    fn remember(&mut self, transfer: &Transfer, filter: &TransferFilter) {
        self.forget(transfer.uuid);
        self.newest = self.newest.max(Some(transfer.updated_at));
        // One that left the filter is told of again only when it comes back, which is a newer change.
        if !transfer.status.is_terminal() && filter.still_means(transfer) {
            self.under_way.insert(transfer.uuid, transfer.revision);
            return;
        }
        self.ended.insert((transfer.updated_at, transfer.uuid));
        self.ended_revisions
            .insert(transfer.uuid, (transfer.revision, transfer.updated_at));
        while let Some(&(changed_at, uuid)) = self.ended.first() {
            if self.ended.len() <= ENDED && !self.is_long_known(changed_at) {
                break;
            }
            self.ended.pop_first();
            self.ended_revisions.remove(&uuid);
        }
    }
}

#[cfg(test)]
mod tests {
    use tidegate_proto::v1;

    use super::*;
    use crate::{TransferStatus, convert};

    fn transfer(uuid: u128, revision: i64, status: v1::TransferStatus, second: i64) -> Transfer {
        let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        convert::present_transfer(v1::Transfer {
            uuid: Uuid::from_u128(uuid).to_string(),
            status: status.into(),
            revision,
            inserted_at: at(0),
            updated_at: at(second),
            ..v1::Transfer::default()
        })
        .expect("it is complete")
    }

    #[test]
    fn ended_transfers_are_forgotten_after_a_while_and_not_told_again() {
        let (mut memory, any) = (Memory::default(), TransferFilter::default());
        for second in 0..600 {
            let uuid = u128::try_from(second).unwrap();
            let ended = transfer(uuid, 3, v1::TransferStatus::Completed, second);
            assert!(memory.is_news(&ended, &any, false));
        }
        assert!(memory.ended.len() <= 61, "{}", memory.ended.len());
        assert_eq!(memory.ended.len(), memory.ended_revisions.len());
        for second in 0..600 {
            let uuid = u128::try_from(second).unwrap();
            let ended = transfer(uuid, 3, v1::TransferStatus::Completed, second);
            assert!(!memory.is_news(&ended, &any, true), "{second}");
        }
        let unseen = transfer(9_999, 3, v1::TransferStatus::Completed, 545);
        assert!(
            memory.is_news(&unseen, &any, true),
            "it may have been missed"
        );
    }

    #[test]
    fn more_ended_transfers_than_fit_push_out_the_oldest() {
        let (mut memory, any) = (Memory::default(), TransferFilter::default());
        let count = u128::try_from(ENDED).unwrap() + 100;
        for uuid in 0..count {
            let ended = transfer(uuid, 3, v1::TransferStatus::Completed, 0);
            memory.is_news(&ended, &any, false);
        }
        assert_eq!(
            (memory.ended.len(), memory.ended_revisions.len()),
            (ENDED, ENDED)
        );
    }

    #[test]
    fn one_that_left_the_filter_is_not_missed() {
        let mut memory = Memory::default();
        let pending = TransferFilter {
            status: vec![TransferStatus::Pending],
            ..TransferFilter::default()
        };
        memory.is_news(
            &transfer(1, 1, v1::TransferStatus::Pending, 1),
            &pending,
            false,
        );
        memory.is_news(
            &transfer(2, 1, v1::TransferStatus::Pending, 1),
            &pending,
            false,
        );
        memory.is_news(
            &transfer(2, 2, v1::TransferStatus::InProgress, 2),
            &pending,
            false,
        );
        memory.expect_all();
        assert_eq!(memory.take_unnamed(), [Uuid::from_u128(1)]);
    }
}
