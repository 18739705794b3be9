//! Reads the log after what this replica knows, and tells its watchers what it finds: what other replicas have
//! committed, and what a commit of this one has left when its outcome was lost.
//!
//! Polls, always; whatever else wakes it only makes it faster.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Feed, FeedChange, Gone, hints};
use crate::{
    domain::{
        event::{Event, EventAction},
        query::EventFilter,
        status::TransferStatus,
        time::Timestamp,
        transfer::Transfer,
    },
    ledger::time::Time,
    store::{Store, StoreError},
    supervisor::Supervisor,
};

/// Time between two looks at the log when nothing else wakes the reader.
const POLL: Duration = Duration::from_secs(1);
/// Events that are read at a time.
const PAGE: u32 = 500;

/// Time between two looks at how far the transfers are that other replicas may be reporting progress of.
const REFRESH: Duration = Duration::from_millis(500);
/// Transfers whose progress is looked at for watchers of filters.
const MOVING: u32 = 10_000;
/// How much later than its time of change a report may become visible: longer than any transaction takes.
const SLACK: Duration = Duration::from_secs(10);
/// Times that a transfer is read again because this replica was changing it.
const READS: u32 = 10;
/// Longest wait for the database.
const PATIENCE: Duration = Duration::from_secs(5);

/// The reader of the log for one replica.
pub struct Tail {
    store: Store,
    feed: Feed,
    time: Time,
    /// Revisions of transfers whose progress was looked at.
    seen: HashMap<Uuid, i64>,
    /// When that was.
    refreshed: Instant,
    /// And as the database's clock tells it, when it last succeeded.
    refreshed_at: Option<Timestamp>,
}

impl Tail {
    /// A reader that goes on from the present end of the log. To be made before the first watcher comes.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn begin(store: Store, feed: Feed, time: Time) -> Result<Self, StoreError> {
        let bounds = store.log_bounds().await?;
        feed.has_read(bounds.last);
        feed.advance(bounds.last);
        Ok(Self {
            store,
            feed,
            time,
            seen: HashMap::new(),
            refreshed: Instant::now(),
            refreshed_at: None,
        })
    }

    /// Reads on, under `supervisor`, until `stop` is cancelled. Tells other replicas of what this one commits, and listens to them.
    pub fn start(self, supervisor: &Supervisor, stop: &CancellationToken) {
        let heard = Arc::<Notify>::default();
        if self.store.is_shared() {
            let (store, feed) = (self.store.clone(), self.feed.clone());
            supervisor.spawn(
                "hints-sender",
                stop,
                hints::send(store.clone(), feed, stop.clone()),
            );
            supervisor.spawn(
                "hints-listener",
                stop,
                hints::listen(store, Arc::clone(&heard), stop.clone()),
            );
        }
        supervisor.spawn("log-follower", stop, self.run(heard, stop.clone()));
    }

    async fn run(mut self, heard: Arc<Notify>, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(POLL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let shared = self.store.is_shared();
        // Other replicas may have reported since the last look at progress.
        let mut moved = false;
        loop {
            tokio::select! {
                _ = ticks.tick() => moved = shared,
                () = heard.notified() => moved = shared,
                () = tokio::time::sleep_until(self.refreshed + REFRESH), if moved => {}
                () = stop.cancelled() => return,
            }
            let look = async {
                self.catch_up().await?;
                if moved && self.refreshed.elapsed() >= REFRESH {
                    self.refreshed = Instant::now();
                    moved = false;
                    self.refresh().await?;
                }
                Ok::<(), StoreError>(())
            };
            tokio::select! {
                looked = tokio::time::timeout(PATIENCE, look) => match looked {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => {
                        tracing::debug!(%error, "the log could not be read; the next look tries again");
                    }
                    Err(_) => tracing::debug!("the log could not be read in time"),
                },
                () = stop.cancelled() => return,
            }
        }
    }

    /// Tells how far the transfers are that are watched here and reported elsewhere: progress is no event.
    async fn refresh(&mut self) -> Result<(), StoreError> {
        let followed = self.feed.followed();
        let filters = self.feed.has_filters();
        if followed.is_empty() && !filters {
            self.seen.clear();
            return Ok(());
        }
        let mut revisions = self.store.revisions(&followed).await?;
        if filters {
            let now = self.time.now().await?;
            let since = self.refreshed_at.unwrap_or(now).before(SLACK);
            revisions.extend(self.store.moved_since(since, MOVING).await?);
            self.refreshed_at = Some(now);
        } else {
            self.refreshed_at = None;
        }
        let revisions: HashMap<Uuid, i64> = revisions.into_iter().collect();
        let is_news = |(uuid, revision): &(&Uuid, &i64)| {
            let known = self.seen.get(uuid).copied().max(self.feed.told(**uuid));
            known.is_none_or(|known| known < **revision)
        };
        let news: Vec<Uuid> = revisions
            .iter()
            .filter(is_news)
            .map(|(uuid, _)| *uuid)
            .collect();
        let mut rows = self.store.existing_transfers(&news).await?;
        // What has ended meanwhile is in the log, and told from there.
        rows.retain(|row| row.status == TransferStatus::InProgress);
        let changes = rows.into_iter().map(|transfer| {
            let row = Arc::new(transfer);
            FeedChange {
                uuid: row.uuid,
                before: Some(Arc::clone(&row)),
                after: Some(row),
            }
        });
        let changes: Vec<FeedChange> = changes.collect();
        self.feed.publish(&changes);
        self.seen = revisions;
        Ok(())
    }

    /// Tells everything after what is known.
    async fn catch_up(&self) -> Result<(), StoreError> {
        loop {
            let filter = EventFilter {
                after_sequence: self.feed.registry().position.begin_page(),
                ..EventFilter::default()
            };
            let events = self.store.events(&filter, PAGE).await?;
            let Some(last) = events.last() else {
                return Ok(());
            };
            // Those who watch the log read it themselves and need not wait for the transfers.
            self.feed.advance(last.sequence);
            self.feed.tell_rights(&events);
            self.tell(&events).await?;
            self.feed.has_read(last.sequence);
            if events.len() < PAGE as usize {
                return Ok(());
            }
        }
    }

    /// Reads the transfers that events of others are about, and tells them as they are now.
    async fn tell(&self, events: &[Event]) -> Result<(), StoreError> {
        let mut foreign: Vec<&Event> = {
            let registry = self.feed.registry();
            let is_news = |event: &&Event| !registry.position.is_told(event.sequence);
            events.iter().filter(is_news).collect()
        };
        for _ in 0..READS {
            if foreign.is_empty() {
                break;
            }
            foreign = self.tell_rows(foreign).await?;
        }
        Ok(())
    }

    /// Answers with the events whose transfers this replica has changed and told since it has read them: a filter that
    /// meant one before the event has not been told by that.
    async fn tell_rows<'a>(&self, foreign: Vec<&'a Event>) -> Result<Vec<&'a Event>, StoreError> {
        let uuids: BTreeSet<Uuid> = foreign
            .iter()
            .filter_map(|event| event.transfer_uuid)
            .collect();
        let uuids: Vec<Uuid> = uuids.into_iter().collect();
        let rows = self.store.existing_transfers(&uuids).await?;
        let rows: HashMap<Uuid, Arc<Transfer>> = rows
            .into_iter()
            .map(|transfer| (transfer.uuid, Arc::new(transfer)))
            .collect();
        // Read after the rows, so none of them is of a later event.
        self.feed.rests_on(self.store.log_bounds().await?.last);
        let mut overtaken = Vec::new();
        for event in foreign {
            // What is not about a transfer's status is in the log alone.
            let (Some(uuid), Some(status)) = (event.transfer_uuid, event.occurrence.to_status)
            else {
                continue;
            };
            match rows.get(&uuid) {
                Some(row) => {
                    if !self.feed.publish_newest(change(event, row)) {
                        overtaken.push(event);
                    }
                }
                None => self.feed.publish_gone(&Gone {
                    uuid,
                    connection_uuid: event.connection_uuid,
                    status,
                }),
            }
        }
        Ok(overtaken)
    }
}

/// The change that an event stands for. What a filter can ask for never changes, but for the status, which the event
/// knows, and the need for an approval, which asking for one brings about.
pub fn change(event: &Event, row: &Arc<Transfer>) -> FeedChange {
    let before = event.occurrence.from_status.map(|status| {
        let mut before = Transfer::clone(row);
        before.status = status;
        if event.occurrence.action == EventAction::ApprovalRequested {
            before.requires_approval = false;
        }
        Arc::new(before)
    });
    FeedChange {
        uuid: row.uuid,
        before,
        after: Some(Arc::clone(row)),
    }
}
