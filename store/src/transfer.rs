//! Transfers: rows, reads and changes.

use std::sync::Arc;

use sea_orm::{ConnectionTrait, QueryFilter, Select, sea_query::Expr};

use crate::{ScopedReader, Store, WriteTransaction, error::StoreError, sql::chunk, value::ids};
use tidegate_domain::{
    claim::{ClaimFilter, ClaimPosition},
    id::{ConnectionId, TransferId},
    page::Position,
    query::{ApprovalFilter, SortOrder, TransferFilter, Window},
    time::Timestamp,
    transfer::{Agent, Transfer},
};
use tidegate_entity::{
    by_place::Placed,
    transfer::{Column, Entity, Model},
};
use uuid::Uuid;

pub(crate) mod cache;
pub(crate) mod lookup;
pub(crate) mod movement;
pub(crate) mod rows;
pub(crate) mod select;

use cache::Lock;

/// What a report of progress changes. No index holds any of them.
pub(crate) const PROGRESS: [Column; 11] = [
    Column::RecordsTransferred,
    Column::RecordsCreated,
    Column::RecordsUpdated,
    Column::RecordsSkipped,
    Column::RecordsFailed,
    Column::BytesTransferred,
    Column::Pace,
    Column::Checkpoint,
    Column::HeartbeatExpiresAt,
    Column::UpdatedAt,
    Column::Revision,
];

/// What a transition changes: everything but what was declared and when.
pub(crate) const CHANGING: [Column; 44] = [
    Column::Status,
    Column::RequiresApproval,
    Column::RecordsTransferred,
    Column::RecordsCreated,
    Column::RecordsUpdated,
    Column::RecordsSkipped,
    Column::RecordsFailed,
    Column::BytesTransferred,
    Column::ApprovedAt,
    Column::ApprovedByUuid,
    Column::DeniedAt,
    Column::DeniedByUuid,
    Column::DenialReason,
    Column::ApprovalExpiresAt,
    Column::StartExpiresAt,
    Column::FinishExpiresAt,
    Column::ErrorMessage,
    Column::FailureCode,
    Column::FailureRetryable,
    Column::Phases,
    Column::Problems,
    Column::Pace,
    Column::CancelReason,
    Column::StartedAt,
    Column::CompletedAt,
    Column::UpdatedAt,
    Column::Checkpoint,
    Column::HeartbeatTimeout,
    Column::HeartbeatExpiresAt,
    Column::LeaseEpoch,
    Column::LeaseOwnerUuid,
    Column::AgentInstance,
    Column::Stop,
    Column::StopGrace,
    Column::StopExpiresAt,
    Column::Pauses,
    Column::RetriedByUuid,
    Column::RetryAt,
    Column::CounterpartUuid,
    Column::Superseded,
    Column::Receipt,
    Column::Reconciliation,
    Column::Diverged,
    Column::Revision,
];

impl Store {
    /// One transfer, if it exists.
    pub async fn transfer(&self, uuid: TransferId) -> Result<Option<Arc<Transfer>>, StoreError> {
        lookup::find(self, uuid).await
    }

    /// The transfers among `uuids` that exist, in no particular order.
    pub async fn existing_transfers(
        &self,
        uuids: &[TransferId],
    ) -> Result<Vec<Arc<Transfer>>, StoreError> {
        let cache = &self.inner.transfers;
        cache::read(&self.reads(), cache, uuids, Lock::None).await
    }

    /// The revisions of those among `uuids` that exist, in no particular order.
    pub async fn revisions(
        &self,
        uuids: &[TransferId],
    ) -> Result<Vec<(TransferId, i64)>, StoreError> {
        let mut revisions = Vec::with_capacity(uuids.len());
        let reads = self.reads();
        for among in chunk::one_of_ids(reads.get_database_backend(), Column::Uuid, uuids) {
            let select = select::revisions().filter(among);
            let found: Vec<(Uuid, i64)> = select.into_tuple().all(&reads).await?;
            let found = found.into_iter();
            revisions.extend(found.map(|(uuid, revision)| (uuid.into(), revision)));
        }
        Ok(revisions)
    }

    /// Transfers in progress that changed at `since` or later, with their places and revisions, in the order of their
    /// creation after `after`.
    pub async fn moved_since(
        &self,
        since: Timestamp,
        after: Option<Position>,
        limit: u32,
    ) -> Result<Vec<(Position, i64)>, StoreError> {
        let select = select::moved(since, after, limit);
        let found: Vec<(Uuid, i64, i64)> = select.into_tuple().all(&self.reads()).await?;
        let moved = found.into_iter().map(|(uuid, revision, micros)| {
            let place = Position { micros, uuid };
            (place, revision)
        });
        Ok(moved.collect())
    }

    /// Transfers by creation time, then uuid.
    pub async fn transfers(
        &self,
        filter: &TransferFilter,
        order: SortOrder,
        window: Window,
    ) -> Result<Vec<Transfer>, StoreError> {
        load(&self.reads(), select::list(filter, order, window)).await
    }

    /// Transfers that wait for a decision and are not overdue at `now`, nearest deadline first, then uuid. The
    /// micros of the window's position are those of `approval_expires_at`.
    pub async fn pending_approvals(
        &self,
        filter: &ApprovalFilter,
        now: Timestamp,
        window: Window,
    ) -> Result<Vec<Transfer>, StoreError> {
        load(
            &self.reads(),
            select::pending_approvals(filter, now, window),
        )
        .await
    }

    /// Transfers whose time to be decided on has passed at `now`, longest overdue first.
    pub async fn overdue_approvals(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<TransferId>, StoreError> {
        let select = select::overdue_approvals(now, limit);
        ids(select, &self.reads()).await
    }

    /// Transfers whose time to be started has passed at `now`, longest overdue first.
    pub async fn overdue_starts(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<TransferId>, StoreError> {
        ids(select::overdue_starts(now, limit), &self.reads()).await
    }

    /// Failed transfers that the server is to try again at `now`; the one that is due longest first.
    pub async fn due_retries(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<TransferId>, StoreError> {
        ids(select::due_retries(now, limit), &self.reads()).await
    }

    /// Transfers that had ended before a time and are not to be tried again by the server, those that were created first.
    pub async fn ended_transfers(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<TransferId>, StoreError> {
        ids(select::ended(before, limit), &self.reads()).await
    }

    /// Transfers that may be started at `now` as far as their own state goes: highest priority first, then oldest, then by
    /// uuid.
    pub async fn startable(
        &self,
        filter: &ClaimFilter,
        now: Timestamp,
        after: Option<ClaimPosition>,
        limit: u32,
    ) -> Result<Vec<Transfer>, StoreError> {
        let reads = self.reads();
        let tables = among_tables(&reads, filter);
        load(&reads, select::startable(filter, tables, now, after, limit)).await
    }

    /// When the next of those that wait for their time may be started, after `now`; `None` when none waits.
    pub async fn next_start(
        &self,
        filter: &ClaimFilter,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let reads = self.reads();
        let tables = among_tables(&reads, filter);
        let select = select::next_start(filter, tables, now);
        let next: Option<Option<i64>> = select.into_tuple().one(&reads).await?;
        Ok(next.flatten().map(Timestamp::from_micros))
    }

    /// How many transfers of a connection run, by the agents that run them.
    pub async fn running(
        &self,
        connection_uuid: ConnectionId,
    ) -> Result<Vec<(Agent, i64)>, StoreError> {
        running(&self.reads(), connection_uuid).await
    }

    /// Transfers in progress whose time is over at `now` and that nobody has asked to stop, or whose heartbeat, or the grace
    /// of a stop, has run out though their agents could have reported since `since`; oldest transfer first.
    pub async fn overdue_runs(
        &self,
        now: Timestamp,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<TransferId>, StoreError> {
        let select = select::overdue_runs(now, since, limit);
        ids(select, &self.reads()).await
    }
}

impl ScopedReader {
    /// One transfer.
    pub async fn transfer(&self, uuid: TransferId) -> Result<Option<Arc<Transfer>>, StoreError> {
        let found = self.store.transfer(uuid).await?;
        Ok(found.filter(|transfer| self.sees(transfer)))
    }

    /// The transfers among `uuids`, in no particular order.
    pub async fn existing_transfers(
        &self,
        uuids: &[TransferId],
    ) -> Result<Vec<Arc<Transfer>>, StoreError> {
        let mut found = self.store.existing_transfers(uuids).await?;
        found.retain(|transfer| self.sees(transfer));
        Ok(found)
    }

    /// Transfers by creation time, then uuid.
    pub async fn transfers(
        &self,
        filter: &TransferFilter,
        order: SortOrder,
        window: Window,
    ) -> Result<Vec<Transfer>, StoreError> {
        let filter = self.filter(filter);
        self.store.transfers(&filter, order, window).await
    }

    /// See [`Store::pending_approvals`].
    pub async fn pending_approvals(
        &self,
        filter: &ApprovalFilter,
        now: Timestamp,
        window: Window,
    ) -> Result<Vec<Transfer>, StoreError> {
        let filter = ApprovalFilter {
            connections: self.narrowed(filter.connections),
            ..filter.clone()
        };
        self.store.pending_approvals(&filter, now, window).await
    }

    /// See [`Store::startable`].
    pub async fn startable(
        &self,
        filter: &ClaimFilter,
        now: Timestamp,
        after: Option<ClaimPosition>,
        limit: u32,
    ) -> Result<Vec<Transfer>, StoreError> {
        if !self.caller.sees(filter.connection_uuid) {
            return Ok(Vec::new());
        }
        self.store.startable(filter, now, after, limit).await
    }

    /// See [`Store::running`].
    pub async fn running(
        &self,
        connection_uuid: ConnectionId,
    ) -> Result<Vec<(Agent, i64)>, StoreError> {
        if !self.caller.sees(Some(connection_uuid)) {
            return Ok(Vec::new());
        }
        self.store.running(connection_uuid).await
    }

    /// See [`Store::next_start`].
    pub async fn next_start(
        &self,
        filter: &ClaimFilter,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        if !self.caller.sees(filter.connection_uuid) {
            return Ok(None);
        }
        self.store.next_start(filter, now).await
    }
}

impl WriteTransaction {
    /// Loads transfers for a change, in the order of their uuids, and keeps other writers away from them. `uuids` must
    /// be sorted; those that do not exist, or that somebody else has locked, are left out.
    pub async fn lock_transfers(
        &self,
        uuids: &[TransferId],
    ) -> Result<Vec<Arc<Transfer>>, StoreError> {
        self.read_transfers(uuids, Lock::Exclusive).await
    }

    /// The transfers among `uuids` that exist, without a lock.
    pub async fn existing_transfers(
        &self,
        uuids: &[TransferId],
    ) -> Result<Vec<Arc<Transfer>>, StoreError> {
        self.read_transfers(uuids, Lock::None).await
    }

    /// Inserts transfers.
    pub async fn insert_transfers(&self, transfers: &[Arc<Transfer>]) -> Result<(), StoreError> {
        self.insert(transfers, |each| rows::to_row(each)).await?;
        self.has_written(transfers);
        Ok(())
    }

    /// Stores all that can change about transfers, which is all but what was declared and the time of creation.
    pub async fn update_transfers(&self, transfers: &[Arc<Transfer>]) -> Result<(), StoreError> {
        self.update_columns(&CHANGING, transfers).await
    }

    /// Stores totals, pace, checkpoint, heartbeat, time and number of the change, and nothing else: the rest must be as it
    /// was.
    pub async fn update_progress(&self, transfers: &[Arc<Transfer>]) -> Result<(), StoreError> {
        self.update_columns(&PROGRESS, transfers).await
    }

    /// Deletes transfers that were locked before, and their attempts.
    pub async fn delete_transfers(&self, uuids: &[TransferId]) -> Result<(), StoreError> {
        self.delete::<Entity>(Column::Uuid, uuids).await?;
        self.delete_attempts(uuids).await
    }

    /// As [`Store::running`], within the transaction.
    pub async fn running(
        &self,
        connection_uuid: ConnectionId,
    ) -> Result<Vec<(Agent, i64)>, StoreError> {
        running(&self.transaction, connection_uuid).await
    }

    /// Transfers of a connection that could still change, at most `limit` of them.
    pub async fn open_transfers(
        &self,
        connection_uuid: ConnectionId,
        limit: u32,
    ) -> Result<Vec<TransferId>, StoreError> {
        let select = select::open(connection_uuid, limit);
        ids(select, &self.transaction).await
    }

    async fn read_transfers(
        &self,
        uuids: &[TransferId],
        lock: Lock,
    ) -> Result<Vec<Arc<Transfer>>, StoreError> {
        let inner = self.transaction.owner();
        cache::read(&self.transaction, &inner.transfers, uuids, lock).await
    }

    async fn update_columns(
        &self,
        columns: &[Column],
        transfers: &[Arc<Transfer>],
    ) -> Result<(), StoreError> {
        let to_row = |each: &Arc<Transfer>| rows::to_row(each);
        self.update::<Entity, _>(Column::Uuid, columns, transfers, to_row)
            .await?;
        self.has_written(transfers);
        Ok(())
    }
}

async fn running<C: ConnectionTrait>(
    db: &C,
    connection_uuid: ConnectionId,
) -> Result<Vec<(Agent, i64)>, StoreError> {
    let select = select::running(connection_uuid);
    let found: Vec<(Option<Uuid>, Option<String>, i64)> = select.into_tuple().all(db).await?;
    let found = found.into_iter().map(|(owner, instance, count)| {
        let agent = Agent {
            owner_uuid: owner.map(Into::into),
            instance: instance.unwrap_or_default(),
        };
        (agent, count)
    });
    Ok(found.collect())
}

/// The tables that a claim names; `None` for any. There are few enough for one condition.
fn among_tables<C: ConnectionTrait>(db: &C, filter: &ClaimFilter) -> Option<Expr> {
    let names: Vec<&str> = filter.table_names.iter().map(String::as_str).collect();
    chunk::one_of_texts(db.get_database_backend(), Column::TableName, &names).pop()
}

async fn load<C: ConnectionTrait>(
    db: &C,
    select: Select<Entity>,
) -> Result<Vec<Transfer>, StoreError> {
    let found = select.into_model::<Placed<Model>>().all(db).await?;
    found.into_iter().map(|row| rows::from_row(row.0)).collect()
}
