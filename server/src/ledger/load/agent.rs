//! Agents of a batch. Locked after sessions, by uuid.

use std::collections::{BTreeMap, HashMap};

use super::super::held::{Held, missing};
use tidegate_domain::{
    agent::KnownAgent,
    id::{AgentId, ConnectionId},
};
use tidegate_store::{StoreError, WriteTransaction};

/// What the commands of a batch name of them.
#[derive(Default)]
pub(super) struct WantedAgents {
    /// Each with the connection that it would be counted on if it were new.
    pub(super) agents: BTreeMap<AgentId, Option<Option<ConnectionId>>>,
}

/// What was found.
#[derive(Default)]
pub(super) struct Agents {
    pub(super) known: Vec<KnownAgent>,
    /// How many there are of the connections that get new ones.
    pub(super) counts: HashMap<Option<ConnectionId>, i64>,
}

impl WantedAgents {
    /// Loads and locks them.
    pub(super) async fn lock(
        &self,
        transaction: &WriteTransaction,
        held: &mut Held,
    ) -> Result<Agents, StoreError> {
        let uuids: Vec<_> = self.agents.keys().copied().collect();
        let known = transaction.lock_agents(&uuids).await?;
        let absent = missing(&uuids, known.iter().map(|it| it.uuid));
        let locked = transaction.existing_agents(&absent).await?;
        held.agents = locked.into_iter().collect();
        let mut counts = HashMap::new();
        for uuid in absent.iter().filter(|uuid| !held.agents.contains(*uuid)) {
            if let Some(Some(connection)) = self.agents.get(uuid)
                && !counts.contains_key(connection)
            {
                let count = transaction.count_agents(*connection).await?;
                counts.insert(*connection, count);
            }
        }
        Ok(Agents { known, counts })
    }
}
