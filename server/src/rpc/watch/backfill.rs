//! What a watcher of transfers is told before it is live.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

use crate::{
    error::Error,
    feed::{Feed, Gone, log_follower},
    rpc::event,
};
use tidegate_domain::{
    chain::Head,
    event::Event,
    id::TransferId,
    log::Cursor,
    page::Position,
    query::{EventFilter, SortOrder, TransferFilter, Window},
    status::TransferStatus,
    transfer::Transfer,
};
use tidegate_store::ScopedReader;

/// What a watcher is told before it is live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rpc) enum StartFrom {
    /// Nothing.
    Live,
    /// All that exist.
    Existing,
    /// What happened after this place in the log, and what is in progress.
    After(Cursor),
}

/// Transfers, or events, that are read at a time.
const STRIDE: u32 = 200;

/// One thing to tell.
pub(super) enum BackfillItem {
    /// A transfer as it is now.
    Row(Arc<Transfer>),
    /// A transfer that is gone.
    Gone(TransferId),
    /// The log was told up to this place; nothing told so far rests on an event after that position.
    Position(Head, i64),
}

/// How far the transfers that exist already have been sent.
pub(super) struct Backfill {
    feed: Feed,
    reader: ScopedReader,
    filter: TransferFilter,
    stage: Stage,
    read: VecDeque<BackfillItem>,
    /// Whoever is told everything else has been told the log up to here.
    at: Head,
    /// What was read rests on no later event.
    newest: i64,
    positions: bool,
}

/// What is read next.
enum Stage {
    /// The log after this place, to the end and at least to the second.
    Log(Head, Head),
    /// The transfers that this filter means, after this place.
    Rows(Box<TransferFilter>, Option<Position>),
    /// Nothing.
    Done,
}

impl Backfill {
    /// Everything that has happened from the first place, for one that resumes, up to the second is to be told by this.
    pub(super) fn new(
        feed: &Feed,
        reader: ScopedReader,
        filter: TransferFilter,
        start_from: StartFrom,
        (from, since): (Head, Head),
    ) -> Self {
        let (stage, at) = match start_from {
            StartFrom::Live => (Stage::Done, since),
            StartFrom::Existing => (Stage::Rows(Box::new(filter.clone()), None), since),
            StartFrom::After(_) => (Stage::Log(from, since.later(from)), from),
        };
        Self {
            feed: feed.clone(),
            reader,
            filter,
            stage,
            read: VecDeque::new(),
            at,
            newest: since.sequence,
            positions: false,
        }
    }

    /// Also finds out what it rests on, which takes a look at the end of the log.
    pub(super) const fn with_positions(mut self) -> Self {
        self.positions = true;
        self
    }

    /// The place that is reached when all was told.
    pub(super) const fn at(&self) -> Head {
        self.at
    }

    /// The newest event that any of it can rest on, but for progress.
    pub(super) const fn newest(&self) -> i64 {
        self.newest
    }

    /// The next thing to tell; `None` once all was told. Keeps what it has read when it is dropped.
    pub(super) async fn next(&mut self) -> Result<Option<BackfillItem>, Error> {
        loop {
            if let Some(item) = self.read.pop_front() {
                return Ok(Some(item));
            }
            // Boxed, since a watcher that is live would keep the room that they take.
            match &self.stage {
                Stage::Log(after, until) => Box::pin(self.read_log(*after, *until)).await?,
                Stage::Rows(filter, after) => {
                    Box::pin(self.read_rows(TransferFilter::clone(filter), *after)).await?;
                }
                Stage::Done => return Ok(None),
            }
        }
    }

    /// Oldest first, so that transfers which are created meanwhile are met at the end rather than missed.
    async fn read_rows(
        &mut self,
        filter: TransferFilter,
        after: Option<Position>,
    ) -> Result<(), Error> {
        let window = Window {
            after,
            skip: 0,
            limit: STRIDE,
        };
        let rows = self.reader.transfers(&filter, SortOrder::Ascending, window);
        let rows = rows.await?;
        if self.positions {
            // Read after the rows, so none of them is of a later event.
            self.newest = self
                .reader
                .log_bounds()
                .await?
                .last
                .sequence
                .max(self.newest);
        }
        let last = rows.last().map(|last| Position {
            micros: last.inserted_at.as_micros(),
            uuid: last.uuid.into(),
        });
        self.stage = if rows.len() < STRIDE as usize {
            Stage::Done
        } else {
            Stage::Rows(Box::new(filter), last)
        };
        let rows = rows.into_iter().map(Arc::new).map(BackfillItem::Row);
        self.read = rows.collect();
        Ok(())
    }

    async fn read_log(&mut self, after: Head, until: Head) -> Result<(), Error> {
        let filter = EventFilter {
            transfer_uuid: None,
            // A transfer's connection never changes.
            connections: self.filter.connections,
            after_sequence: after.sequence,
        };
        let events = self.reader.events(&filter, STRIDE).await?;
        let uuids: HashSet<TransferId> = events.iter().filter_map(|it| it.transfer_uuid).collect();
        let uuids: Vec<TransferId> = uuids.into_iter().collect();
        let rows = by_uuid(self.reader.existing_transfers(&uuids).await?);
        let beside = log_follower::beside(events.iter(), &rows);
        let beside = by_uuid(self.reader.existing_transfers(&beside).await?);
        // Read after the page and the rows: if nothing after the position has been deleted by now, the page has no gap; if
        // the event there is still the same, it is of the same log; and no row is of a later event.
        let view = self.reader.look(after.sequence).await?;
        event::still(after, &view).inspect_err(|_| self.feed.suspect())?;
        self.newest = view.bounds.last.sequence.max(self.newest);
        self.read = concerned(&events, &rows, &self.filter);
        let beside = beside.into_values().filter(|row| self.filter.matches(row));
        self.read.extend(beside.map(BackfillItem::Row));
        let last = events.last().map_or(after, Head::from);
        if events.len() < STRIDE as usize {
            self.at = last.later(until);
            self.stage = in_progress(&self.filter);
        } else {
            self.at = last;
            self.stage = Stage::Log(last, until);
        }
        // An interruption from here on need not begin over: what is in progress is told whatever the position.
        self.read
            .push_back(BackfillItem::Position(self.at, self.newest));
        Ok(())
    }
}

/// What `filter` means among that which is in progress: progress is not in the log.
fn in_progress(filter: &TransferFilter) -> Stage {
    let status = TransferStatus::InProgress;
    if filter.status.is_empty() || filter.status.contains(&status) {
        let filter = TransferFilter {
            status: vec![status],
            ..filter.clone()
        };
        Stage::Rows(Box::new(filter), None)
    } else {
        Stage::Done
    }
}

fn by_uuid(rows: Vec<Arc<Transfer>>) -> HashMap<TransferId, Arc<Transfer>> {
    rows.into_iter().map(|row| (row.uuid, row)).collect()
}

/// The transfers that `filter` means now, or meant before one of these events; each once.
fn concerned(
    events: &[Event],
    rows: &HashMap<TransferId, Arc<Transfer>>,
    filter: &TransferFilter,
) -> VecDeque<BackfillItem> {
    let mut told = HashSet::new();
    let mut concerned = VecDeque::new();
    for event in events {
        // What is not about a transfer's status has changed no transfer.
        let (Some(uuid), Some(_)) = (event.transfer_uuid, event.body.to_status) else {
            continue;
        };
        let row = rows.get(&uuid);
        let concerns = match row {
            Some(row) => log_follower::change(event, row).concerns(filter),
            None => gone(event, uuid).any(|gone| gone.may_concern(filter)),
        };
        if concerns && told.insert(uuid) {
            concerned.push_back(match row {
                Some(row) => BackfillItem::Row(Arc::clone(row)),
                None => BackfillItem::Gone(uuid),
            });
        }
    }
    concerned
}

/// What is known of a transfer that is gone: what it was before and after the event.
fn gone(event: &Event, uuid: TransferId) -> impl Iterator<Item = Gone> {
    let body = &event.body;
    let statuses = [body.from_status, body.to_status];
    let connection_uuid = event.connection_uuid;
    statuses.into_iter().flatten().map(move |status| Gone {
        uuid,
        connection_uuid,
        status,
    })
}
