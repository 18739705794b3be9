//! Agents that have told who they are, and whether they are heard.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use sha2::{Digest as _, Sha256};
use uuid::{Builder, Uuid};

use super::{
    command::Command,
    event::EventDetail,
    id::{AgentId, ConnectionId, CredentialId, TransferId},
    refusal::Refusal,
    status::named,
    time::Timestamp,
    transfer::Agent,
};
use crate::{caller::Caller, event::EventType};

/// How often an agent is to say that it is there.
pub const BEAT: Duration = Duration::from_secs(30);
/// An agent that was not seen for so long is silent: it has missed three beats.
pub const SILENT_AFTER: Duration = Duration::from_secs(90);
/// How long an agent is known after its last beat.
pub const KEPT: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Most agents of one connection, since names may be made up anew with every start. Replicas that add agents at the same
/// moment may exceed it by what they have under way.
pub const AGENTS_MAX: i64 = 1_000;
/// Most transfers that an agent may say it runs at once.
pub const SLOTS_MAX: i64 = 1_000;
/// Most runs of an agent that are told by name.
pub const RUNS_TOLD: u32 = 100;

named! {
    /// Whether an agent is heard.
    AgentState {
        /// It was seen lately.
        Alive = "ALIVE",
        /// It was not.
        Silent = "SILENT",
    }
}

/// What an agent tells about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registration {
    /// The connection whose transfers it runs; `None` is those without one.
    pub connection_uuid: Option<ConnectionId>,
    /// The credential that it calls with; `None` where callers need none.
    pub owner_uuid: Option<CredentialId>,
    /// What it calls itself; never empty.
    pub instance: String,
    /// Its version; may be empty.
    pub version: String,
    /// The machine that it runs on; may be empty.
    pub host: String,
    /// What it can copy between, with versions.
    pub engines: BTreeMap<String, String>,
    /// The most transfers that it runs at once; `None` when not said.
    pub slots: Option<i64>,
    /// What else operators want to know.
    pub labels: BTreeMap<String, String>,
}

impl Registration {
    /// Which agent it is: always the same for one name under one credential and connection.
    pub fn uuid(&self) -> AgentId {
        let mut hash = Sha256::new();
        for part in [
            self.connection_uuid.map(Uuid::from),
            self.owner_uuid.map(Uuid::from),
        ] {
            hash.update([u8::from(part.is_some())]);
            hash.update(part.unwrap_or_default());
        }
        hash.update(&self.instance);
        let digest: [u8; 32] = hash.finalize().into();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        AgentId(Builder::from_custom_bytes(bytes).into_uuid())
    }

    /// Whose leases are its.
    pub fn agent(&self) -> Agent {
        Agent {
            owner_uuid: self.owner_uuid,
            instance: self.instance.clone(),
        }
    }

    /// What events tell of it.
    pub fn detail(&self) -> EventDetail {
        EventDetail::Agent {
            agent_instance: self.instance.clone(),
            version: self.version.clone(),
            host: self.host.clone(),
        }
    }

    /// Whether the caller may say so.
    ///
    /// # Errors
    /// [`Refusal::ConnectionNotFound`] when the connection does not exist for them.
    pub fn is_for(&self, caller: &Caller) -> Result<(), Refusal> {
        match self.connection_uuid {
            Some(uuid) if !caller.sees(Some(uuid)) => Err(Refusal::ConnectionNotFound { uuid }),
            _ => Ok(()),
        }
    }
}

/// An agent, as it was told last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownAgent {
    /// Identity.
    pub uuid: AgentId,
    /// What it has told.
    pub told: Registration,
    /// When it was first heard of.
    pub registered_at: Timestamp,
    /// When it last said that it is there.
    pub last_beat_at: Timestamp,
}

/// What an agent runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentRuns {
    /// How many.
    pub count: i64,
    /// The newest heartbeat among them, where they have any.
    pub heard_at: Option<Timestamp>,
    /// The oldest of them, where they are wanted.
    pub uuids: Vec<TransferId>,
}

impl KnownAgent {
    /// What the ledger knows once `told` was heard, and the event that this is worth: beats are too many for the log.
    pub fn hear(
        before: Option<&Self>,
        told: &Registration,
        now: Timestamp,
    ) -> (Self, Option<EventType>) {
        let after = Self {
            uuid: told.uuid(),
            told: told.clone(),
            registered_at: before.map_or(now, |it| it.registered_at),
            last_beat_at: now,
        };
        let is_news = before.is_none_or(|it| it.told.version != told.version);
        (after, is_news.then_some(EventType::AgentRegistered))
    }

    /// Whether it has said nothing since that time.
    pub fn was_gone(&self, before: Timestamp) -> bool {
        self.last_beat_at < before
    }

    /// When it was last heard of, by itself or by what it runs.
    pub fn last_seen_at(&self, runs: &AgentRuns) -> Timestamp {
        runs.heard_at
            .map_or(self.last_beat_at, |it| it.max(self.last_beat_at))
    }

    /// Whether it is heard.
    pub fn state(&self, runs: &AgentRuns, now: Timestamp) -> AgentState {
        if self.last_seen_at(runs) < alive_since(now) {
            AgentState::Silent
        } else {
            AgentState::Alive
        }
    }

    /// How many more transfers it says it could run.
    pub fn free_slots(&self, runs: &AgentRuns) -> Option<i64> {
        Some((self.told.slots? - runs.count).max(0))
    }
}

/// Who was seen since then is alive.
pub fn alive_since(now: Timestamp) -> Timestamp {
    now.before(SILENT_AFTER)
}

/// Note who an agent is, and that it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterAgent(pub Registration);

impl Command for RegisterAgent {
    /// The agent as it is now.
    type Answer = Arc<KnownAgent>;
}

/// Remove an agent that has said nothing since a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoveAgent {
    /// Which one.
    pub uuid: AgentId,
    /// Since when.
    pub gone_before: Timestamp,
}

impl Command for RemoveAgent {
    /// Whether it was removed.
    type Answer = bool;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        caller::Role,
        fixtures::{caller, id, registration},
    };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn each_name_of_each_credential_and_connection_is_another_agent() {
        let one = registration("a");
        let mut all = vec![one.clone()];
        for change in [
            |it: &mut Registration| it.instance = "b".to_owned(),
            |it: &mut Registration| it.owner_uuid = Some(id(1)),
            |it: &mut Registration| it.owner_uuid = Some(id(0)),
            |it: &mut Registration| it.connection_uuid = Some(id(1)),
        ] {
            let mut other = one.clone();
            change(&mut other);
            all.push(other);
        }
        let mut uuids: Vec<_> = all.iter().map(Registration::uuid).collect();
        uuids.sort_unstable();
        uuids.dedup();
        assert_eq!(uuids.len(), all.len());
        let mut newer = one.clone();
        (newer.version, newer.slots) = ("2".to_owned(), None);
        assert_eq!(newer.uuid(), one.uuid(), "what it tells is not who it is");
    }

    #[test]
    fn a_beat_is_no_event_but_another_version_is() {
        let told = registration("a");
        let (first, event) = KnownAgent::hear(None, &told, at(1));
        assert_eq!(event, Some(EventType::AgentRegistered));
        let mut moved = told.clone();
        moved.host = "elsewhere".to_owned();
        let (second, event) = KnownAgent::hear(Some(&first), &moved, at(2));
        assert_eq!(event, None);
        assert_eq!((second.registered_at, second.last_beat_at), (at(1), at(2)));
        assert_eq!(second.told, moved);
        moved.version = "2".to_owned();
        let (_, event) = KnownAgent::hear(Some(&second), &moved, at(3));
        assert_eq!(event, Some(EventType::AgentRegistered));
    }

    #[test]
    fn an_agent_is_alive_while_it_or_a_run_of_it_is_heard() {
        let (agent, _) = KnownAgent::hear(None, &registration("a"), at(0));
        let idle = AgentRuns::default();
        assert_eq!(agent.state(&idle, at(90)), AgentState::Alive);
        assert_eq!(agent.state(&idle, at(91)), AgentState::Silent);
        let busy = AgentRuns {
            count: 1,
            heard_at: Some(at(60)),
            uuids: Vec::new(),
        };
        assert_eq!(agent.state(&busy, at(150)), AgentState::Alive);
        assert_eq!(agent.state(&busy, at(151)), AgentState::Silent);
        assert_eq!(agent.last_seen_at(&busy), at(60));
        let (agent, _) = KnownAgent::hear(Some(&agent), &registration("a"), at(70));
        assert_eq!(agent.last_seen_at(&busy), at(70));
        assert!(agent.was_gone(at(71)) && !agent.was_gone(at(70)));
    }

    #[test]
    fn free_slots_are_those_that_nothing_runs_in() {
        let (mut agent, _) = KnownAgent::hear(None, &registration("a"), at(0));
        let running = |count| AgentRuns {
            count,
            ..AgentRuns::default()
        };
        agent.told.slots = Some(3);
        assert_eq!(agent.free_slots(&running(1)), Some(2));
        assert_eq!(agent.free_slots(&running(4)), Some(0));
        agent.told.slots = None;
        assert_eq!(agent.free_slots(&running(1)), None);
    }

    #[test]
    fn an_agent_speaks_for_its_own_connection() {
        let mut told = registration("a");
        told.connection_uuid = Some(id(1));
        assert_eq!(told.is_for(&caller(Role::Agent, Some(id(1)))), Ok(()));
        assert_eq!(
            told.is_for(&caller(Role::Agent, Some(id(2)))),
            Err(Refusal::ConnectionNotFound { uuid: id(1) })
        );
        assert_eq!(told.is_for(&Caller::anonymous(None)), Ok(()));
    }
}
