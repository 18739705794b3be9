//! Reads the log after what this replica knows, and tells its watchers what it finds: what other replicas have
//! committed, and what a commit of this one has left when its outcome was lost.
//!
//! Polls, always; whatever else wakes it only makes it faster.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::Notify, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::{Feed, FeedChange, Gone, notify};
use crate::{error::Error, ledger::chain, metrics::Metrics, supervisor::Supervisor, time::Time};
use tidegate_store::{Store, StoreError};

mod progress;

use progress::Progress;
use tidegate_domain::{
    chain::Head,
    event::{Event, EventType},
    id::TransferId,
    query::EventFilter,
    transfer::Transfer,
};

/// Time between two looks at the log when nothing else wakes the reader.
const POLL: Duration = Duration::from_secs(1);
/// Events that are read at a time.
const PAGE: u32 = 500;

/// Times that a transfer is read again because this replica was changing it.
const READS: u32 = 10;
/// Longest wait for the database.
const PATIENCE: Duration = Duration::from_secs(5);

/// The reader of the log for one replica.
pub struct LogFollower {
    store: Store,
    feed: Feed,
    progress: Progress,
    metrics: Arc<Metrics>,
}

/// Whether the log goes on from what was read of it.
enum Continuation {
    /// It does.
    Sound,
    /// What was read at two moments does not fit together; the next look will tell.
    Unclear,
    /// It does not.
    Broken(Error),
}

/// Says when the log cannot be read any more, and when it can again.
fn say(failed: Option<&str>, was_blind: bool) {
    match (failed, was_blind) {
        (Some(error), false) => {
            tracing::warn!(
                error,
                "the log cannot be read: watchers miss what other replicas change until it can"
            );
        }
        (Some(error), true) => tracing::debug!(error, "the log could not be read again"),
        (None, true) => tracing::warn!("the log can be read again"),
        (None, false) => {}
    }
}

impl LogFollower {
    /// A reader that goes on from the present end of the log. To be made before the first watcher comes.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn begin(
        store: Store,
        feed: Feed,
        time: Time,
        metrics: Arc<Metrics>,
    ) -> Result<Self, StoreError> {
        let bounds = store.log_bounds().await?;
        feed.has_read(bounds.last);
        feed.advance(bounds.last);
        let progress = Progress::new(store.clone(), feed.clone(), time);
        Ok(Self {
            store,
            feed,
            progress,
            metrics,
        })
    }

    /// Reads on, under `supervisor`, until `stop` is cancelled. Tells other replicas of what this one commits, and listens to them.
    pub fn start(self, supervisor: &Supervisor, stop: &CancellationToken) {
        let heard = Arc::<Notify>::default();
        if self.store.is_shared() {
            let (store, feed) = (self.store.clone(), self.feed.clone());
            supervisor.spawn(
                "notification-sender",
                stop,
                notify::send(store.clone(), feed, stop.clone()),
            );
            supervisor.spawn(
                "notification-listener",
                stop,
                notify::listen(store, Arc::clone(&heard), stop.clone()),
            );
        }
        supervisor.spawn("log-follower", stop, self.run(heard, stop.clone()));
    }

    async fn run(mut self, heard: Arc<Notify>, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(POLL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let shared = self.store.is_shared();
        // Other replicas may have reported since the last look at progress.
        let (mut moved, mut is_blind) = (false, false);
        loop {
            tokio::select! {
                _ = ticks.tick() => moved = shared,
                () = heard.notified() => moved = shared,
                () = self.feed.suspected() => {}
                () = tokio::time::sleep_until(self.progress.due()), if moved || self.progress.is_under_way() => {}
                () = stop.cancelled() => return,
            }
            let look = async {
                self.catch_up().await?;
                self.progress.look(&mut moved).await
            };
            let looked = tokio::select! {
                looked = tokio::time::timeout(PATIENCE, look) => looked,
                () = stop.cancelled() => return,
            };
            let failed = match &looked {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(chain(error)),
                Err(_) => Some(format!("it took longer than {PATIENCE:?}")),
            };
            say(failed.as_deref(), is_blind);
            is_blind = failed.is_some();
        }
    }

    /// Tells everything after what is known.
    async fn catch_up(&mut self) -> Result<(), StoreError> {
        loop {
            let known = self.feed.registry().position.begin_page();
            // The last event that is known, too: in the same statement, so that the page is of the same log.
            let filter = EventFilter {
                after_sequence: (known.sequence - 1).max(0),
                ..EventFilter::default()
            };
            let mut events = self.store.events(&filter, PAGE + 1).await?;
            match self.compare(known, &events).await? {
                Continuation::Sound => {}
                Continuation::Unclear => return Ok(()),
                Continuation::Broken(why) => return self.begin_anew(why).await,
            }
            events.retain(|event| event.sequence > known.sequence);
            let Some(last) = events.last() else {
                return Ok(());
            };
            let last = Head::from(last);
            // Those who watch the log read it themselves and need not wait for the transfers.
            self.feed.advance(last);
            self.feed.tell_rights(&events);
            self.tell(&events, last).await?;
            if events.len() < PAGE as usize {
                return Ok(());
            }
        }
    }

    /// Whether a page, which was to begin with the event `known`, continues what was read and written here.
    async fn compare(&self, known: Head, page: &[Event]) -> Result<Continuation, StoreError> {
        if let Some(divergence) = self.feed.registry().position.contradicted_by(page) {
            return Ok(Continuation::Broken(Error::LogDiverged { divergence }));
        }
        let first = page.first().map_or(known, Head::from);
        if first == known && (known.sequence == 0 || !page.is_empty()) {
            return Ok(Continuation::Sound);
        }
        if known.sequence == 0 && first.sequence == 1 {
            return Ok(Continuation::Sound);
        }
        // Retention may have removed it: the floor knows its hash.
        let view = self.store.look(known.sequence).await?;
        let floor = view.bounds.floor;
        Ok(if known.sequence < floor.sequence {
            Continuation::Broken(Error::CursorExpired {
                after_sequence: known.sequence,
                oldest_sequence: floor.sequence + 1,
            })
        } else if let Some(divergence) = view.divergence(known) {
            Continuation::Broken(Error::LogDiverged { divergence })
        } else if known == floor && first.sequence != known.sequence {
            Continuation::Sound
        } else {
            Continuation::Unclear
        })
    }

    /// What was told is not what the log says, or the log does not have everything after it any more. Ends every watch and
    /// goes on from the present end.
    async fn begin_anew(&mut self, why: Error) -> Result<(), StoreError> {
        let end = self.store.log_bounds().await?.last;
        tracing::error!("{why}; every watch is ended, and this server goes on from {end}");
        self.progress.forget();
        self.store.clear_cache();
        self.feed.begin_anew(end, why);
        Ok(())
    }

    /// Tells a page of events that ends with `last`.
    async fn tell(&self, events: &[Event], last: Head) -> Result<(), StoreError> {
        let mut foreign: Vec<&Event> = {
            let registry = self.feed.registry();
            let is_news = |event: &&Event| !registry.position.is_told(event.sequence);
            events.iter().filter(is_news).collect()
        };
        self.metrics.events_read.inc_by(foreign.len() as u64);
        for _ in 0..READS {
            let (concerning, others, audience) = self.feed.concerning(foreign);
            self.tell_events(concerning).await?;
            if self.feed.has_read_for(last, audience) {
                return Ok(());
            }
            foreign = others;
        }
        // Somebody joins all the time.
        self.tell_events(foreign).await?;
        self.feed.has_read(last);
        Ok(())
    }

    /// Reads the transfers that events of others are about, and tells them as they are now.
    async fn tell_events(&self, mut foreign: Vec<&Event>) -> Result<(), StoreError> {
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
        let uuids: BTreeSet<TransferId> = foreign
            .iter()
            .filter_map(|event| event.transfer_uuid)
            .collect();
        let uuids: Vec<TransferId> = uuids.into_iter().collect();
        let rows = self.store.existing_transfers(&uuids).await?;
        let rows: HashMap<TransferId, Arc<Transfer>> = rows
            .into_iter()
            .map(|transfer| (transfer.uuid, transfer))
            .collect();
        let beside = beside(foreign.iter().copied(), &rows);
        let beside = self.store.existing_transfers(&beside).await?;
        // Read after the rows, so none of them is of a later event.
        self.feed
            .rests_on(self.store.log_bounds().await?.last.sequence);
        for row in beside {
            self.feed.publish_newest(FeedChange {
                uuid: row.uuid,
                before: Some(Arc::clone(&row)),
                after: Some(row),
            });
        }
        let mut overtaken = Vec::new();
        for event in foreign {
            // What is not about a transfer's status is in the log alone.
            let (Some(uuid), Some(status)) = (event.transfer_uuid, event.body.to_status) else {
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

/// Whether it may have changed the other side of the movement, too.
pub(super) fn changes_beside(event: &Event) -> bool {
    let kinds = [EventType::Created, EventType::ReceiptSubmitted];
    kinds.contains(&event.body.event_type)
}

/// What creations and receipts among `events` have changed beside their transfers, of which `rows` has those that exist: no
/// event tells of the other side of the movement.
pub fn beside<'a>(
    events: impl Iterator<Item = &'a Event>,
    rows: &HashMap<TransferId, Arc<Transfer>>,
) -> Vec<TransferId> {
    let meant = events.filter(|event| changes_beside(event));
    let meant = meant.filter_map(|event| rows.get(&event.transfer_uuid?));
    let beside: BTreeSet<TransferId> = meant.filter_map(|row| row.counterpart_uuid).collect();
    let is_untold = |uuid: &TransferId| !rows.contains_key(uuid);
    beside.into_iter().filter(is_untold).collect()
}

/// The change that an event stands for. What a filter can ask for never changes, but for the status, which the event
/// knows, and the need for an approval, which asking for one brings about.
pub fn change(event: &Event, row: &Arc<Transfer>) -> FeedChange {
    let before = event.body.from_status.map(|status| {
        let mut before = Transfer::clone(row);
        before.status = status;
        if event.body.event_type == EventType::ApprovalRequested {
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
