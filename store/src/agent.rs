//! Agents that have told who they are, and what they run.

use std::{collections::HashMap, sync::Arc};

use sea_orm::{
    ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{LockBehavior, LockType},
};
use uuid::Uuid;

use crate::{ScopedReader, Store, WriteTransaction, error::StoreError, sql::chunk, value::ids};
use tidegate_domain::{
    agent::{AgentRuns, KnownAgent, RUNS_TOLD, Registration},
    id::{AgentId, ConnectionId},
    query::{AgentFilter, Window},
    time::Timestamp,
};
use tidegate_entity::{
    agent::{Column, Entity},
    stored::StoredId,
    transfer,
};

mod rows;
pub(crate) mod select;

/// What a beat changes: everything but who it is and since when it is known.
const CHANGING: [Column; 7] = {
    use Column::*;
    [
        Version,
        Host,
        Engines,
        Slots,
        Labels,
        RegisteredAt,
        LastBeatAt,
    ]
};

/// A connection, a credential, a name, how many runs, and the newest heartbeat.
type Counted = (Option<Uuid>, Option<Uuid>, Option<String>, i64, Option<i64>);

impl Store {
    /// Agents that have said nothing since that time, at most `limit`.
    pub async fn gone_agents(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<AgentId>, StoreError> {
        ids(select::gone(before, limit), &self.reads()).await
    }
}

impl ScopedReader {
    /// One agent.
    pub async fn agent(&self, uuid: AgentId) -> Result<Option<KnownAgent>, StoreError> {
        let found = Entity::find_by_id(StoredId(uuid));
        let found = found.one(&self.store.reads()).await?;
        let found = found.map(rows::from_row);
        Ok(found.filter(|agent| self.caller.sees(agent.told.connection_uuid)))
    }

    /// Agents, those that came last first, then by uuid downwards; where that is asked for, only those that were seen since
    /// `seen_since`.
    pub async fn agents(
        &self,
        filter: &AgentFilter,
        seen_since: Option<Timestamp>,
        window: Window,
    ) -> Result<Vec<KnownAgent>, StoreError> {
        let connections = self.narrowed(filter.connections);
        let select = select::list(connections, seen_since, window);
        let found = select.all(&self.store.reads()).await?;
        Ok(found.into_iter().map(rows::from_row).collect())
    }

    /// What each of these agents runs, without the names of the runs. Those that run nothing are left out.
    pub async fn runs_of(
        &self,
        agents: &[KnownAgent],
    ) -> Result<HashMap<AgentId, AgentRuns>, StoreError> {
        let (reads, mut runs) = (self.store.reads(), HashMap::new());
        let names: Vec<_> = agents.iter().map(|it| it.told.instance.as_str()).collect();
        let column = transfer::Column::AgentInstance;
        for among in chunk::one_of_texts(reads.get_database_backend(), column, &names) {
            let counted: Vec<Counted> = select::counted(among).into_tuple().all(&reads).await?;
            for (connection, owner, instance, count, heard_at) in counted {
                let told = Registration {
                    connection_uuid: connection.map(ConnectionId),
                    owner_uuid: owner.map(Into::into),
                    instance: instance.unwrap_or_default(),
                    ..Registration::default()
                };
                let heard_at = heard_at.map(Timestamp::from_micros);
                let found = AgentRuns {
                    count,
                    heard_at,
                    uuids: Vec::new(),
                };
                runs.insert(told.uuid(), found);
            }
        }
        Ok(runs)
    }

    /// What one agent runs, the oldest [`RUNS_TOLD`] runs by name.
    pub async fn runs_of_one(&self, agent: &KnownAgent) -> Result<AgentRuns, StoreError> {
        let counted = self.runs_of(std::slice::from_ref(agent)).await?;
        let mut runs = counted.get(&agent.uuid).cloned().unwrap_or_default();
        if runs.count > 0 {
            let named = select::runs(&agent.told, RUNS_TOLD);
            runs.uuids = ids(named, &self.store.reads()).await?;
        }
        Ok(runs)
    }
}

impl WriteTransaction {
    /// Loads agents for a change, in the order of their uuids, and keeps other writers away from them. `uuids` must be
    /// sorted; those that do not exist, or that somebody else has locked, are left out.
    pub async fn lock_agents(&self, uuids: &[AgentId]) -> Result<Vec<KnownAgent>, StoreError> {
        let (db, mut agents) = (&self.transaction, Vec::new());
        for among in chunk::one_of_ids(db.get_database_backend(), Column::Uuid, uuids) {
            let select = Entity::find()
                .filter(among)
                .order_by_asc(Column::Uuid)
                .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
            let found = select.all(db).await?;
            agents.extend(found.into_iter().map(rows::from_row));
        }
        Ok(agents)
    }

    /// The agents among `uuids` that exist, without a lock.
    pub async fn existing_agents(&self, uuids: &[AgentId]) -> Result<Vec<AgentId>, StoreError> {
        let (db, mut agents) = (&self.transaction, Vec::new());
        for among in chunk::one_of_ids(db.get_database_backend(), Column::Uuid, uuids) {
            let select = Entity::find().select_only().column(Column::Uuid);
            agents.extend(ids::<_, AgentId, _>(select.filter(among), db).await?);
        }
        Ok(agents)
    }

    /// How many agents a connection has; `None` is those without one.
    pub async fn count_agents(
        &self,
        connection_uuid: Option<ConnectionId>,
    ) -> Result<i64, StoreError> {
        let count = select::of_connection(connection_uuid);
        let count = count.count(&self.transaction).await?;
        Ok(i64::try_from(count).unwrap_or(i64::MAX))
    }

    /// Inserts agents.
    pub async fn insert_agents(&self, agents: &[Arc<KnownAgent>]) -> Result<(), StoreError> {
        self.insert(agents, |each| rows::to_row(each)).await
    }

    /// Stores what agents that were locked before have told.
    pub async fn update_agents(&self, agents: &[Arc<KnownAgent>]) -> Result<(), StoreError> {
        let to_row = |each: &Arc<KnownAgent>| rows::to_row(each);
        self.update::<Entity, _>(Column::Uuid, &CHANGING, agents, to_row)
            .await
    }

    /// Deletes agents that were locked before.
    pub async fn delete_agents(&self, uuids: &[AgentId]) -> Result<(), StoreError> {
        self.delete::<Entity>(Column::Uuid, uuids).await
    }
}
