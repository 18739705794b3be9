//! Reads for callers. Whoever holds nothing else can only read what the caller may see: an agent its own connection.

use std::collections::HashMap;

use uuid::Uuid;

use crate::{Store, StoreError};
use tidegate_domain::{
    caller::Caller,
    connection::Connection,
    credential::Credential,
    event::Event,
    log::{LogBounds, LogView},
    query::{
        ApprovalFilter, ConnectionFilter, ConnectionStats, CredentialFilter, EventFilter,
        SortOrder, TableStats, TableStatsFilter, TransferFilter, Window,
    },
    time::Timestamp,
    transfer::Transfer,
};

/// Makes a reader for each caller; cheap to clone.
#[derive(Clone, Debug)]
pub struct Readers(Store);

/// What one caller may read.
#[derive(Clone, Debug)]
pub struct ScopedReader {
    store: Store,
    caller: Caller,
}

impl Readers {
    /// Readers of `store`.
    pub const fn new(store: Store) -> Self {
        Self(store)
    }

    /// What `caller` may read.
    pub fn as_seen_by(&self, caller: &Caller) -> ScopedReader {
        ScopedReader {
            store: self.0.clone(),
            caller: caller.clone(),
        }
    }

    /// One credential, if it exists. Who may ask is settled by the method that is called: no agent may.
    pub async fn credential(&self, uuid: Uuid) -> Result<Option<Credential>, StoreError> {
        self.0.credential(uuid).await
    }

    /// Credentials, newest first, then by uuid downwards. As for [`credential`](Self::credential), no agent may ask.
    pub async fn credentials(
        &self,
        filter: &CredentialFilter,
        window: Window,
    ) -> Result<Vec<Credential>, StoreError> {
        self.0.credentials(filter, window).await
    }
}

impl ScopedReader {
    /// The connection that a search is about when the caller asks for `connection_uuid`. Whatever a search is given, this is
    /// what it looks for; live changes and page tokens have to be bound to the same.
    pub fn narrowed(&self, connection_uuid: Option<Uuid>) -> Option<Uuid> {
        self.caller.narrowed(connection_uuid)
    }

    /// One transfer.
    pub async fn transfer(&self, uuid: Uuid) -> Result<Option<Transfer>, StoreError> {
        let found = self.store.transfer(uuid).await?;
        Ok(found.filter(|transfer| self.sees(transfer)))
    }

    /// The transfers among `uuids`, in no particular order.
    pub async fn existing_transfers(&self, uuids: &[Uuid]) -> Result<Vec<Transfer>, StoreError> {
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

    /// How many transfers are meant by `filter`.
    pub async fn count_transfers(&self, filter: &TransferFilter) -> Result<i64, StoreError> {
        self.store.count_transfers(&self.filter(filter)).await
    }

    /// See [`Store::pending_approvals`].
    pub async fn pending_approvals(
        &self,
        filter: &ApprovalFilter,
        now: Timestamp,
        window: Window,
    ) -> Result<Vec<Transfer>, StoreError> {
        let filter = ApprovalFilter {
            connection_uuid: self.narrowed(filter.connection_uuid),
            ..filter.clone()
        };
        self.store.pending_approvals(&filter, now, window).await
    }

    /// The sums of one connection; statuses in the order of the wire's enum.
    pub async fn connection_stats(&self, uuid: Uuid) -> Result<ConnectionStats, StoreError> {
        let uuid = self.narrowed(Some(uuid)).unwrap_or(uuid);
        self.store.connection_stats(uuid).await
    }

    /// The sums of completed transfers by table, most transfers first, then by name.
    pub async fn table_stats(
        &self,
        filter: &TableStatsFilter,
        limit: u32,
    ) -> Result<Vec<TableStats>, StoreError> {
        let filter = TableStatsFilter {
            connection_uuid: self.narrowed(filter.connection_uuid),
            ..filter.clone()
        };
        self.store.table_stats(&filter, limit).await
    }

    /// Events in the order of the log.
    pub async fn events(&self, filter: &EventFilter, limit: u32) -> Result<Vec<Event>, StoreError> {
        let filter = EventFilter {
            connection_uuid: self.narrowed(filter.connection_uuid),
            ..*filter
        };
        self.store.events(&filter, limit).await
    }

    /// Both ends of the log, which are nobody's secret.
    pub async fn log_bounds(&self) -> Result<LogBounds, StoreError> {
        self.store.log_bounds().await
    }

    /// As [`log_bounds`](Self::log_bounds), with the hash of the event at `sequence`.
    pub async fn look(&self, sequence: i64) -> Result<LogView, StoreError> {
        self.store.look(sequence).await
    }

    /// One connection.
    pub async fn connection(&self, uuid: Uuid) -> Result<Option<Connection>, StoreError> {
        if self.caller.sees(Some(uuid)) {
            self.store.connection(uuid).await
        } else {
            Ok(None)
        }
    }

    /// Connections, newest first, then by uuid downwards.
    pub async fn connections(
        &self,
        filter: &ConnectionFilter,
        window: Window,
    ) -> Result<Vec<Connection>, StoreError> {
        let Some(own) = self.caller.confined_to() else {
            return self.store.connections(filter, window).await;
        };
        // All that it sees is on the first page.
        let own = self.store.connection(own).await?.into_iter();
        let first = window.after.is_none();
        Ok(own.filter(|own| first && filter.matches(own)).collect())
    }

    /// The connections that `transfers` belong to, as far as they exist.
    pub async fn connections_of(
        &self,
        transfers: &[Transfer],
    ) -> Result<HashMap<Uuid, Connection>, StoreError> {
        let mut found = self.store.connections_of(transfers).await?;
        found.retain(|uuid, _| self.caller.sees(Some(*uuid)));
        Ok(found)
    }

    fn filter(&self, filter: &TransferFilter) -> TransferFilter {
        TransferFilter {
            connection_uuid: self.narrowed(filter.connection_uuid),
            ..filter.clone()
        }
    }

    fn sees(&self, transfer: &Transfer) -> bool {
        self.caller.sees(transfer.declared.connection_uuid)
    }
}
