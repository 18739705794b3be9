//! Tells how far the transfers are that are watched here and reported elsewhere: progress leaves no event, so their rows are
//! looked at.
//!
//! A sweep goes through all of them, in pages and in slices of time between which the log is read, so that neither many
//! transfers nor large ones hold up anything else. One that was interrupted goes on where it was.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use super::{super::FeedChange, Feed};
use crate::time::Time;
use tidegate_domain::{id::TransferId, page::Position, status::TransferStatus, time::Timestamp};
use tidegate_store::{Store, StoreError};

/// Time between the beginnings of two sweeps: so many times what the last one took, within these bounds. Where there is
/// little to look at, changes are seen soon; where there is much, no later than every half second and a sweep.
const REFRESH: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));
const TIMES: u32 = 10;
/// Transfers that are looked at at a time.
const PAGE: u32 = 500;
/// Time after which a sweep lets the log be read.
const SLICE: Duration = Duration::from_millis(200);
/// How much later than its time of change a report may become visible: longer than any transaction takes.
const SLACK: Duration = Duration::from_secs(10);

/// What is known of how far transfers are.
pub(super) struct Progress {
    store: Store,
    feed: Feed,
    time: Time,
    /// Revisions that were found, with the number of the last sweep that found the transfer: one entry for each
    /// transfer that has moved within the last moments.
    seen: HashMap<TransferId, (i64, u64)>,
    /// The number of the sweep.
    number: u64,
    sweep: Option<Sweep>,
    /// When the last one began.
    began: Instant,
    /// When the next one may begin, or this one go on.
    due: Instant,
    /// When the last whole one began, as the database's clock tells it, if it looked for whatever has moved.
    covered: Option<Timestamp>,
}

/// One look at all of them.
struct Sweep {
    /// Those that are followed one by one and not looked at yet.
    followed: VecDeque<TransferId>,
    /// Whatever has moved, for those who follow filters.
    moved: Option<Moved>,
}

/// What is left of those that have moved.
struct Moved {
    /// When the sweep began.
    began: Timestamp,
    /// Whatever has moved since then.
    since: Timestamp,
    /// What comes after this place, in the order of their creation.
    after: Option<Position>,
}

impl Progress {
    pub(super) fn new(store: Store, feed: Feed, time: Time) -> Self {
        Self {
            store,
            feed,
            time,
            seen: HashMap::new(),
            number: 0,
            sweep: None,
            began: Instant::now(),
            due: Instant::now(),
            covered: None,
        }
    }

    /// When the next sweep may begin, or the present one go on.
    pub(super) const fn due(&self) -> Instant {
        self.due
    }

    /// Whether a sweep was interrupted.
    pub(super) const fn is_under_way(&self) -> bool {
        self.sweep.is_some()
    }

    /// The log is another one: no revision that was found means anything.
    pub(super) fn forget(&mut self) {
        self.seen.clear();
        self.sweep = None;
    }

    /// Goes on with the sweep, or begins one, when it is time and something has `moved`.
    pub(super) async fn look(&mut self, moved: &mut bool) -> Result<(), StoreError> {
        let now = Instant::now();
        if now < self.due || !(*moved || self.is_under_way()) {
            return Ok(());
        }
        // As long as that also when the database fails.
        self.due = now + REFRESH.1;
        if !self.is_under_way() {
            *moved = false;
            self.began = now;
            self.sweep = self.begin().await?;
        }
        while self.step().await? {
            if now.elapsed() > SLICE {
                self.due = Instant::now();
                return Ok(());
            }
        }
        self.due = now + (TIMES * self.began.elapsed()).clamp(REFRESH.0, REFRESH.1);
        Ok(())
    }

    async fn begin(&mut self) -> Result<Option<Sweep>, StoreError> {
        let followed = self.feed.followed();
        let filters = self.feed.has_filters();
        if followed.is_empty() && !filters {
            self.seen.clear();
            return Ok(None);
        }
        let moved = if filters {
            let began = self.time.now().await?;
            Some(Moved {
                began,
                since: self.covered.unwrap_or(began).before(SLACK),
                after: None,
            })
        } else {
            self.covered = None;
            None
        };
        self.number += 1;
        Ok(Some(Sweep {
            followed: followed.into(),
            moved,
        }))
    }

    /// Looks at the next few; whether there are more. Nothing is passed by when it is interrupted.
    async fn step(&mut self) -> Result<bool, StoreError> {
        let Some(sweep) = &self.sweep else {
            return Ok(false);
        };
        if !sweep.followed.is_empty() {
            let page: Vec<TransferId> =
                sweep.followed.iter().take(PAGE as usize).copied().collect();
            let found = self.store.revisions(&page).await?;
            self.tell(&found).await?;
            if let Some(sweep) = &mut self.sweep {
                sweep.followed.drain(..page.len());
            }
            return Ok(true);
        }
        if let Some(moved) = &sweep.moved {
            let page = self.store.moved_since(moved.since, moved.after, PAGE);
            let page = page.await?;
            let found: Vec<_> = page
                .iter()
                .map(|(place, it)| (place.uuid.into(), *it))
                .collect();
            self.tell(&found).await?;
            if page.len() >= PAGE as usize {
                if let Some(moved) = self.sweep.as_mut().and_then(|it| it.moved.as_mut()) {
                    moved.after = page.last().map(|(place, _)| *place);
                }
                return Ok(true);
            }
        }
        self.end();
        Ok(false)
    }

    /// All were looked at.
    fn end(&mut self) {
        if let Some(moved) = self.sweep.take().and_then(|sweep| sweep.moved) {
            self.covered = Some(moved.began);
        }
        self.seen.retain(|_, (_, number)| *number == self.number);
    }

    /// Reads those of which this is news, and tells them as they are now.
    async fn tell(&mut self, found: &[(TransferId, i64)]) -> Result<(), StoreError> {
        let is_news = |(uuid, revision): &&(TransferId, i64)| {
            let seen = self.seen.get(uuid).map(|(revision, _)| *revision);
            let known = seen.max(self.feed.told(*uuid));
            known.is_none_or(|known| known < *revision)
        };
        let news: Vec<TransferId> = found
            .iter()
            .filter(is_news)
            .map(|(uuid, _)| *uuid)
            .collect();
        let mut rows = self.store.existing_transfers(&news).await?;
        // What has ended meanwhile is in the log, and told from there.
        rows.retain(|row| row.status == TransferStatus::InProgress);
        let changes = rows.into_iter().map(|row| FeedChange {
            uuid: row.uuid,
            before: Some(Arc::clone(&row)),
            after: Some(row),
        });
        let changes: Vec<FeedChange> = changes.collect();
        self.feed.publish(&changes);
        for (uuid, revision) in found {
            self.seen.insert(*uuid, (*revision, self.number));
        }
        Ok(())
    }
}
