//! Rows that somebody else has locked.

use std::collections::BTreeSet;

use tidegate_domain::id::{AgentId, BulkOperationId, ConnectionId, CredentialId, TransferId};

/// What exists and could not be locked.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) transfers: BTreeSet<TransferId>,
    pub(super) connections: BTreeSet<ConnectionId>,
    pub(super) credentials: BTreeSet<CredentialId>,
    /// Sessions, by the digests of their codes.
    pub(super) sessions: BTreeSet<Vec<u8>>,
    pub(super) bulk_operations: BTreeSet<BulkOperationId>,
    pub(super) agents: BTreeSet<AgentId>,
}

impl Held {
    pub(super) fn is_empty(&self) -> bool {
        self.transfers.is_empty()
            && self.connections.is_empty()
            && self.credentials.is_empty()
            && self.sessions.is_empty()
            && self.bulk_operations.is_empty()
            && self.agents.is_empty()
    }

    /// Whether a connection is among them.
    pub(super) fn has_connection(&self, uuid: Option<ConnectionId>) -> bool {
        uuid.is_some_and(|uuid| self.connections.contains(&uuid))
    }
}

/// Those of `plan` that are not among `found`.
pub(super) fn missing<T: Ord + Clone>(plan: &[T], found: impl IntoIterator<Item = T>) -> Vec<T> {
    let found: BTreeSet<T> = found.into_iter().collect();
    let is_missing = |each: &&T| !found.contains(*each);
    plan.iter().filter(is_missing).cloned().collect()
}
