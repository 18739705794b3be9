//! Agents in a batch: who they are and that they are there, and that they are gone.

use std::sync::Arc;

use uuid::Uuid;

use super::{BatchState, Cause, ChangeSet, EventRefs, Row, credential::happened};
use crate::ledger::{
    execute::{Execute, Identities},
    load::LockPlan,
};
use tidegate_domain::{
    agent::{AGENTS_MAX, KnownAgent, RegisterAgent, RemoveAgent},
    command::{Submission, Target},
    event::EventType,
    refusal::Refusal,
};
use tidegate_store::{Effect, StoreError, WriteTransaction};

impl Execute for RegisterAgent {
    /// Those of one connection come one after the other, since its agents are counted.
    fn subject(&self) -> Option<Uuid> {
        let connection = self.0.connection_uuid;
        Some(connection.map_or(Uuid::nil(), Uuid::from))
    }

    fn plan<'a>(&'a self, plan: &mut LockPlan<'a>) {
        plan.agent(self.0.uuid(), Some(self.0.connection_uuid));
        // That it exists is enough: one that is deleted meanwhile leaves an agent that is soon gone.
        if let Some(uuid) = self.0.connection_uuid {
            plan.name(uuid);
        }
    }

    fn is_held(&self, state: &BatchState) -> bool {
        state.held.agents.contains(&self.0.uuid())
    }

    fn decide(
        submission: &Submission<Self>,
        state: &mut BatchState,
        _: Identities<'_>,
    ) -> Result<Self::Answer, Refusal> {
        let RegisterAgent(told) = &submission.command;
        told.is_for(&submission.caller)?;
        if let Some(uuid) = told.connection_uuid {
            let name = state.connection_name(uuid);
            name.ok_or(Refusal::ConnectionNotFound { uuid })?;
        }
        let before = state.agents.get(&told.uuid());
        let before = before.and_then(|row| row.after.clone());
        if before.is_none() {
            let count = state.agent_counts.entry(told.connection_uuid).or_default();
            if *count >= AGENTS_MAX {
                return Err(Refusal::TooManyAgents { limit: AGENTS_MAX });
            }
            *count += 1;
        }
        let (after, event) = KnownAgent::hear(before.as_deref(), told, state.now);
        let after = Arc::new(after);
        match state.agents.get_mut(&after.uuid) {
            Some(row) => row.after = Some(Arc::clone(&after)),
            None => {
                let row = Row::created(Arc::clone(&after));
                state.agents.insert(after.uuid, row);
            }
        }
        if let Some(event) = event {
            state.log_agent(&after, event, Cause::of(submission));
        }
        Ok(after)
    }

    fn target(&self, state: &BatchState) -> Target {
        let connection = self.0.connection_uuid;
        Target {
            named: connection.map(Uuid::from),
            connection_uuid: connection.filter(|uuid| state.connection_name(*uuid).is_some()),
            ..Target::default()
        }
    }

    fn repeated(_: &BatchState, _: &Effect) -> Option<Result<Self::Answer, Refusal>> {
        None
    }
}

impl Execute for RemoveAgent {
    fn subject(&self) -> Option<Uuid> {
        Some(self.uuid.into())
    }

    fn plan<'a>(&'a self, plan: &mut LockPlan<'a>) {
        plan.agent(self.uuid, None);
    }

    fn is_held(&self, state: &BatchState) -> bool {
        state.held.agents.contains(&self.uuid)
    }

    fn decide(
        submission: &Submission<Self>,
        state: &mut BatchState,
        _: Identities<'_>,
    ) -> Result<Self::Answer, Refusal> {
        let command = &submission.command;
        let row = state.agents.get_mut(&command.uuid);
        let gone = row.and_then(|row| {
            let is_gone = |it: &&Arc<KnownAgent>| it.was_gone(command.gone_before);
            row.after.as_ref().filter(is_gone)?;
            row.after.take()
        });
        if let Some(agent) = &gone {
            state.log_agent(agent, EventType::AgentRemoved, Cause::of(submission));
        }
        Ok(gone.is_some())
    }

    fn repeated(_: &BatchState, _: &Effect) -> Option<Result<Self::Answer, Refusal>> {
        None
    }
}

impl BatchState {
    fn log_agent(&mut self, agent: &KnownAgent, event_type: EventType, cause: Cause<'_>) {
        let refs = EventRefs {
            connection_uuid: agent.told.connection_uuid,
            subject_uuid: Some(agent.uuid.into()),
            ..EventRefs::default()
        };
        let body = happened(event_type, Some(agent.told.detail()));
        self.log(refs, body, Some(cause));
    }

    pub(super) async fn write_agents(
        &self,
        transaction: &WriteTransaction,
    ) -> Result<(), StoreError> {
        let agents = ChangeSet::of(&self.agents);
        if !agents.created.is_empty() {
            transaction.insert_agents(&agents.created).await?;
        }
        if !agents.touched.is_empty() {
            transaction.update_agents(&agents.touched).await?;
        }
        if !agents.deleted.is_empty() {
            transaction.delete_agents(&agents.deleted).await?;
        }
        Ok(())
    }
}
