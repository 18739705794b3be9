//! Reads for callers. Whoever holds nothing else can only read what the caller may see: an agent its own connection.

use crate::Store;
use tidegate_domain::{
    caller::{Caller, ConnectionScope},
    query::TransferFilter,
    transfer::Transfer,
};

/// Makes a reader for each caller; cheap to clone.
#[derive(Clone, Debug)]
pub struct Readers(pub(crate) Store);

/// What one caller may read.
#[derive(Clone, Debug)]
pub struct ScopedReader {
    pub(crate) store: Store,
    pub(crate) caller: Caller,
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
}

impl ScopedReader {
    /// Whose transfers and events the caller may see. Whatever a search is given, it finds these alone; live changes and page
    /// tokens have to be bound to the same.
    pub fn scope(&self) -> ConnectionScope {
        self.caller.scope()
    }

    pub(crate) fn narrowed(&self, asked: ConnectionScope) -> ConnectionScope {
        self.scope().and(asked)
    }

    pub(crate) fn filter(&self, filter: &TransferFilter) -> TransferFilter {
        TransferFilter {
            connections: self.narrowed(filter.connections),
            ..filter.clone()
        }
    }

    pub(crate) fn sees(&self, transfer: &Transfer) -> bool {
        self.caller.sees(transfer.declared.connection_uuid)
    }
}
