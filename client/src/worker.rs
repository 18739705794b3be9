//! The worker: an agent that claims whatever there is to run, as much at once as it has slots.
//!
//! `claims` is the task that claims, `beats` the one that says that the agent is there.

mod beats;
mod claims;

use std::{fmt, sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use uuid::Uuid;

use self::claims::Claims;
use crate::{
    Agents, ClaimTransfers, Client, Direction, Error, ProgressReporter, RegisterAgent, Transfer,
};

/// Most transfers that one claim may ask for.
const CLAIM_MAX: u32 = 100;

/// What an agent says about itself and wants to run; made by [`Agents::work`].
#[derive(Clone, Debug)]
#[must_use = "nothing is claimed before `start`"]
pub struct Work {
    client: Client,
    register: RegisterAgent,
    claim: ClaimTransfers,
    slots: u32,
}

/// An agent at work; made by [`Work::start`].
///
/// While it has free slots it claims transfers in a task of its own, and over any outage, as long as it takes. Each is
/// handed out by [`next`](Self::next) with a reporter that keeps its lease alive from the moment it is claimed; its slot
/// is free again when the [`ClaimedRun`] is dropped. Another task says to the server that the agent is there.
///
/// Call [`stop`](Self::stop) before the end of the program, and go on with `next` until it gives nothing more: then no run
/// was claimed that nobody has been given. Dropping the worker ends its tasks at once; what it has claimed and not handed
/// out ends with its leases.
#[must_use = "dropping a worker ends it"]
pub struct Worker {
    runs: mpsc::Receiver<Result<ClaimedRun, Error>>,
    stop: CancellationToken,
    _tasks: [AbortOnDropHandle<()>; 2],
}

/// A transfer that was claimed: it is this agent's to run.
#[derive(Debug)]
#[non_exhaustive]
pub struct ClaimedRun {
    /// The transfer as it was claimed, with the checkpoint to go on from.
    pub transfer: Transfer,
    /// Reports for it, and ends it.
    pub reporter: ProgressReporter,
    /// Keeps the slot taken until this is dropped.
    pub slot: RunSlot,
}

/// A slot of a [`Worker`] that is taken.
#[derive(Debug)]
pub struct RunSlot {
    _permit: OwnedSemaphorePermit,
}

impl Agents {
    /// Prepares to run whatever there is to run, under this name: one transfer at once unless [`slots`](Work::slots) says
    /// otherwise. A name that stays the same when the agent starts anew, such as that of its host, is best.
    pub fn work(&self, agent_instance: impl Into<String>) -> Work {
        let agent_instance = agent_instance.into();
        Work {
            client: self.client.clone(),
            register: self.register(agent_instance.clone()).slots(1),
            claim: self
                .client
                .transfers()
                .claim()
                .agent_instance(agent_instance),
            slots: 1,
        }
    }
}

impl Work {
    /// Only transfers of this connection. By default an agent's own, and for others those that belong to none.
    pub fn connection_uuid(mut self, uuid: Uuid) -> Self {
        self.register = self.register.connection_uuid(uuid);
        self.claim = self.claim.connection_uuid(uuid);
        self
    }

    /// The most transfers to run at once, from 1 to 1,000: 1 by default.
    pub fn slots(mut self, transfers: u32) -> Self {
        self.slots = transfers.clamp(1, 1_000);
        self.register = self.register.slots(self.slots);
        self
    }

    /// The agent's version.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.register = self.register.version(version);
        self
    }

    /// The machine that it runs on.
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.register = self.register.host(host);
        self
    }

    /// Something that it can copy between, with its version.
    pub fn engine(mut self, name: impl Into<String>, version: impl Into<String>) -> Self {
        self.register = self.register.engine(name, version);
        self
    }

    /// Something else that operators want to know.
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.register = self.register.label(name, value);
        self
    }

    /// Only this direction; any by default.
    pub fn direction(mut self, direction: Direction) -> Self {
        self.claim = self.claim.direction(direction);
        self
    }

    /// Only these tables, by exact name, at most 100; any by default.
    pub fn table_names(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.claim = self.claim.table_names(names);
        self
    }

    /// Ends each lease when the agent is silent for so long; as the policy or the server says by default.
    pub fn heartbeat_timeout(mut self, timeout: Duration) -> Self {
        self.claim = self.claim.heartbeat_timeout(timeout);
        self
    }

    /// Begins to claim.
    pub fn start(self) -> Worker {
        let Self {
            client,
            register,
            claim,
            slots,
        } = self;
        let stop = CancellationToken::new();
        let (sender, runs) = mpsc::channel(slots as usize);
        let claims = Claims {
            client: client.clone(),
            claim,
            slots: Arc::new(Semaphore::new(slots as usize)),
            runs: sender,
            stop: stop.clone(),
        };
        let beats = beats::run(client.clone(), register);
        let runtime = client.runtime();
        let tasks = [runtime.spawn(claims.run()), runtime.spawn(beats)];
        Worker {
            runs,
            stop,
            _tasks: tasks.map(AbortOnDropHandle::new),
        }
    }
}

impl Worker {
    /// The next run, as soon as there is one and a slot is free; `None` once the worker was stopped and has handed out all
    /// that it has claimed. Nothing is lost when the future is dropped.
    ///
    /// # Errors
    /// What the server refuses for good, such as a connection that does not exist or a token that has ended. Then there is
    /// nothing more to come.
    pub async fn next(&mut self) -> Result<Option<ClaimedRun>, Error> {
        self.runs.recv().await.transpose()
    }

    /// Claims no more. What is under way is told of by [`next`](Self::next): it takes a second or, where the server cannot be
    /// reached, the client's timeout to know.
    pub fn stop(&self) {
        self.stop.cancel();
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("stopped", &self.stop.is_cancelled())
            .finish_non_exhaustive()
    }
}
