//! What the commands of a batch name, each once and sorted.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use super::{agent::WantedAgents, credential::WantedAccess};
use tidegate_domain::{
    connection::{Connection, ConnectionField},
    id::{AgentId, BulkOperationId, ConnectionId, CredentialId, TransferId},
    movement::Movement,
    policy::Policy,
    transfer::Transfer,
};
use tidegate_store::StoreError;

/// What a batch is to lock and to load.
#[derive(Default)]
pub(crate) struct LockPlan<'a> {
    pub(super) transfers: BTreeSet<TransferId>,
    /// Those of the transfers whose connection has a say in what is to be done.
    pub(super) governed: BTreeSet<TransferId>,
    /// The movements that transfers are to join.
    pub(super) movements: BTreeSet<Movement>,
    /// Transfers whose movements others are to join.
    pub(super) movements_of: BTreeSet<TransferId>,
    /// Whether each is changed or counted on; the others are only looked at.
    pub(super) connections: BTreeMap<ConnectionId, bool>,
    pub(super) access: WantedAccess,
    pub(super) bulk_operations: BTreeSet<BulkOperationId>,
    /// Whether a bulk operation is to be started.
    pub(super) starts_bulk: bool,
    pub(super) agents: WantedAgents,
    pub(super) request_ids: BTreeSet<&'a str>,
    /// Those of them that must not be under way anywhere else.
    pub(super) alone: BTreeSet<&'a str>,
    /// Whether the log may tell what becomes of a credential.
    pub(super) tells_access: bool,
    /// Connections that are named in the log and nothing else.
    pub(super) named: BTreeSet<ConnectionId>,
    /// Whether a command may add a second way to one site.
    pub(super) seeks_duplicates: bool,
    /// What policies are to become, by connection.
    pub(super) updates: HashMap<ConnectionId, Vec<(&'a [ConnectionField], &'a Policy)>>,
    /// Whether anything is to be started.
    pub(super) starts: bool,
    /// Connections that are to be deleted.
    pub(super) deletions: BTreeSet<ConnectionId>,
}

impl<'a> LockPlan<'a> {
    /// Whether a request with this id was carried out already.
    pub(crate) fn request(&mut self, id: &'a str) {
        self.request_ids.insert(id);
    }

    /// That no other replica is carrying out the request with this id.
    pub(crate) fn alone(&mut self, id: &'a str) {
        self.alone.insert(id);
    }

    /// A transfer, exclusively.
    pub(crate) fn transfer(&mut self, uuid: TransferId) {
        self.transfers.insert(uuid);
    }

    /// The connection of a transfer, exclusively if something is counted on it.
    pub(crate) fn connection_of(&mut self, transfer: TransferId) {
        self.governed.insert(transfer);
    }

    /// The newest transfers of a movement, and that nobody adds another one.
    pub(crate) fn movement(&mut self, movement: Movement) {
        self.movements.insert(movement);
    }

    /// As [`movement`](Self::movement), of the one that a transfer is of.
    pub(crate) fn movement_of(&mut self, transfer: TransferId) {
        self.movements_of.insert(transfer);
    }

    /// A connection, exclusively or only so that it stays as it is.
    pub(crate) fn connection(&mut self, uuid: ConnectionId, exclusive: bool) {
        *self.connections.entry(uuid).or_default() |= exclusive;
    }

    /// All connections that lead to a site, so that nobody adds another one.
    pub(crate) const fn duplicates(&mut self) {
        self.seeks_duplicates = true;
    }

    /// What counts against a limit that a connection gets.
    pub(crate) fn update(
        &mut self,
        uuid: ConnectionId,
        fields: &'a [ConnectionField],
        to: &'a Policy,
    ) {
        self.updates.entry(uuid).or_default().push((fields, to));
    }

    /// The transfers that keep a connection from being deleted.
    pub(crate) fn deletion(&mut self, uuid: ConnectionId) {
        self.deletions.insert(uuid);
    }

    /// How many transfers run, where a connection limits that.
    pub(crate) const fn start(&mut self) {
        self.starts = true;
    }

    /// A credential, exclusively.
    pub(crate) fn credential(&mut self, uuid: CredentialId) {
        self.access.credentials.insert(uuid);
    }

    /// What the connections of credentials are called.
    pub(crate) const fn tells_access(&mut self) {
        self.tells_access = true;
    }

    /// What a connection is called, and nothing else of it.
    pub(crate) fn name(&mut self, uuid: ConnectionId) {
        self.named.insert(uuid);
    }

    /// The own agents of a connection, and the connection exclusively, so that two do not both make the first agent.
    pub(crate) fn agents_of(&mut self, connection: ConnectionId) {
        self.access.agents_of.insert(connection);
        self.connection(connection, true);
    }

    /// A bulk operation, exclusively.
    pub(crate) fn bulk_operation(&mut self, uuid: BulkOperationId) {
        self.bulk_operations.insert(uuid);
    }

    /// How many bulk operations run, and that nobody else starts one.
    pub(crate) const fn start_bulk(&mut self) {
        self.starts_bulk = true;
    }

    /// That no session has this digest of a code.
    pub(crate) fn free_code(&mut self, digest: Vec<u8>) {
        self.access.opened.insert(digest);
    }

    /// The session with this digest of a code, and its connection.
    pub(crate) fn session(&mut self, digest: Vec<u8>) {
        self.access.redeemed.insert(digest);
    }

    /// An agent, exclusively, and how many its connection has if it is new there.
    pub(crate) fn agent(&mut self, uuid: AgentId, counted_on: Option<Option<ConnectionId>>) {
        let place = self.agents.agents.entry(uuid).or_default();
        *place = counted_on.or(*place);
    }

    /// Whether the right connections were locked in the right way; between that look and the locks, a transfer may have
    /// come into being, or a connection may have got a limit.
    pub(super) fn still_holds(
        &self,
        connections: &[Connection],
        transfers: &[Arc<Transfer>],
    ) -> Result<(), StoreError> {
        let counting: BTreeSet<ConnectionId> = connections
            .iter()
            .filter(|connection| connection.policy().has_budget())
            .map(|connection| connection.uuid)
            .collect();
        let is_as_seen = |uuid: ConnectionId| match self.connections.get(&uuid) {
            Some(exclusive) => *exclusive || !counting.contains(&uuid),
            None => false,
        };
        let mut governed = transfers
            .iter()
            .filter(|transfer| self.governed.contains(&transfer.uuid))
            .filter_map(|transfer| transfer.declared.connection_uuid);
        if governed.all(is_as_seen) {
            Ok(())
        } else {
            Err(StoreError::conflict("a connection changed meanwhile"))
        }
    }
}
