//! Connections in a batch, with what their transfers use up.

use std::sync::Arc;

use uuid::Uuid;

use super::{BatchState, Cause, ChangeSet, EventRefs, Row, credential::happened};
use crate::ledger::{
    execute::{Execute, Identities},
    load::LockPlan,
};
use tidegate_domain::{
    command::{ConnectionCommand, Submission, Target, Verb},
    connection::{
        Connection, ConnectionChange, ConnectionDirection, ConnectionField, ConnectionStatus,
        ConnectionVerb, NewConnection, Running, Usage, decide_connection, site,
    },
    event::{About, EventDetail, EventType},
    id::ConnectionId,
    refusal::Refusal,
    transfer::{Agent, Transfer},
};
use tidegate_store::{Effect, StoreError, WriteTransaction};

impl Execute for ConnectionCommand {
    fn subject(&self) -> Option<Uuid> {
        match self {
            Self::Create { .. } => None,
            Self::Change { uuid, .. } | Self::Settle { uuid, .. } => Some(uuid.0),
        }
    }

    fn plan<'a>(&'a self, plan: &mut LockPlan<'a>) {
        match self {
            Self::Create {
                allow_duplicate, ..
            } => {
                if !allow_duplicate {
                    plan.duplicates();
                }
            }
            Self::Settle { uuid, .. } => plan.connection(*uuid, true),
            Self::Change { uuid, verb } => {
                plan.connection(*uuid, true);
                match verb {
                    ConnectionVerb::Update {
                        fields,
                        to,
                        allow_duplicate,
                        ..
                    } => {
                        plan.update(*uuid, fields, &to.policy);
                        if !allow_duplicate && fields.contains(&ConnectionField::SiteUrl) {
                            plan.duplicates();
                        }
                    }
                    ConnectionVerb::Delete => plan.deletion(*uuid),
                    _ => {}
                }
            }
        }
    }

    fn is_held(&self, state: &BatchState) -> bool {
        state.held.has_connection(self.subject().map(ConnectionId))
    }

    fn decide(
        submission: &Submission<Self>,
        state: &mut BatchState,
        identities: Identities<'_>,
    ) -> Result<Self::Answer, Refusal> {
        match &submission.command {
            Self::Create {
                new,
                pending,
                allow_duplicate,
            } => {
                if !allow_duplicate {
                    state.is_first_to(None, new.direction, &new.site_url)?;
                }
                Ok(Some(state.connect(
                    submission,
                    new,
                    *pending,
                    identities().into(),
                )))
            }
            Self::Settle { uuid, revision } => state.settle(*uuid, *revision).map(Some),
            Self::Change { uuid, verb } => state.manage(submission, *uuid, verb),
        }
    }

    fn target(&self, state: &BatchState) -> Target {
        Target {
            named: self.subject(),
            connection_uuid: state.existing(self.subject().map(ConnectionId)),
            ..Target::default()
        }
    }

    fn repeated(state: &BatchState, effect: &Effect) -> Option<Result<Self::Answer, Refusal>> {
        match effect {
            Effect::Connection {
                deleted_by_it: true,
                ..
            } => Some(Ok(None)),
            Effect::Connection { uuid, .. } => Some(state.connection(*uuid).cloned().map(Some)),
            _ => None,
        }
    }
}

impl BatchState {
    fn connect(
        &mut self,
        submission: &Submission<ConnectionCommand>,
        new: &NewConnection,
        pending: bool,
        uuid: ConnectionId,
    ) -> Arc<Connection> {
        let connection = Connection::create(uuid, new.clone(), pending, self.now);
        let connection = Arc::new(connection);
        self.log_connection(
            &connection,
            EventType::ConnectionCreated,
            None,
            Cause::of(submission),
        );
        self.connections
            .insert(uuid, Row::created(Arc::clone(&connection)));
        connection
    }

    fn manage(
        &mut self,
        submission: &Submission<ConnectionCommand>,
        uuid: ConnectionId,
        verb: &ConnectionVerb,
    ) -> Result<Option<Arc<Connection>>, Refusal> {
        let cause = Cause::of(submission);
        let connection = Arc::clone(self.connection(uuid)?);
        if let ConnectionVerb::Update {
            fields,
            to,
            allow_duplicate: false,
            ..
        } = verb
            && fields.contains(&ConnectionField::SiteUrl)
            && site(&to.site_url) != site(&connection.declared.site_url)
        {
            self.is_first_to(Some(uuid), connection.declared.direction, &to.site_url)?;
        }
        let (used, in_use) = (self.usage_on_record(uuid), self.is_in_use(uuid));
        let after = match decide_connection(&connection, verb, used, in_use, self.now)? {
            ConnectionChange::Nothing => return Ok(Some(connection)),
            ConnectionChange::Changed(after, event_type, detail) => {
                self.log_connection(&after, event_type, detail, cause);
                Some(Arc::from(after))
            }
            ConnectionChange::Removal(event_type) => {
                self.log_connection(&connection, event_type, None, cause);
                None
            }
        };
        if let Some(row) = self.connections.get_mut(&uuid) {
            row.after.clone_from(&after);
            row.transitioned = true;
        }
        Ok(after)
    }

    /// Notes that the transfers of a connection have followed it.
    fn settle(&mut self, uuid: ConnectionId, revision: i64) -> Result<Arc<Connection>, Refusal> {
        let connection = Arc::clone(self.connection(uuid)?);
        let Some(settled) = connection.settled(revision) else {
            return Ok(connection);
        };
        let settled = Arc::new(settled);
        if let Some(row) = self.connections.get_mut(&uuid) {
            row.after = Some(Arc::clone(&settled));
        }
        Ok(settled)
    }

    /// Whether no other connection leads to that site in that direction, but for those that were ended for good.
    fn is_first_to(
        &self,
        but: Option<ConnectionId>,
        direction: ConnectionDirection,
        site_url: &str,
    ) -> Result<(), Refusal> {
        let plan = site(site_url);
        let is_same = |its: ConnectionDirection, url: &str| its == direction && site(url) == plan;
        let here = self.connections.iter().filter(|(_, row)| {
            row.after.as_ref().is_some_and(|it| {
                it.status != ConnectionStatus::Revoked
                    && is_same(it.declared.direction, &it.declared.site_url)
            })
        });
        let elsewhere = self.candidates.iter().filter(|it| {
            !self.connections.contains_key(&it.uuid) && is_same(it.direction, &it.site_url)
        });
        let mut found = here
            .map(|(uuid, _)| *uuid)
            .chain(elsewhere.map(|it| it.uuid));
        match found.find(|uuid| Some(*uuid) != but) {
            Some(connection_uuid) => Err(Refusal::DuplicateConnection { connection_uuid }),
            None => Ok(()),
        }
    }

    /// Notes what the transfers of a connection have used up from here on.
    pub(super) fn charge(&mut self, uuid: ConnectionId, used: Usage) {
        if let Some(after) = self
            .connections
            .get_mut(&uuid)
            .and_then(|row| row.after.as_mut())
        {
            Arc::make_mut(after).used = used;
        }
    }

    pub(super) fn connection(&self, uuid: ConnectionId) -> Result<&Arc<Connection>, Refusal> {
        self.connections
            .get(&uuid)
            .and_then(|row| row.after.as_ref())
            .ok_or(Refusal::ConnectionNotFound { uuid })
    }

    /// What a connection is called, as far as it was looked up.
    pub(super) fn connection_name(&self, uuid: ConnectionId) -> Option<String> {
        let loaded = self.connection(uuid).ok();
        let loaded = loaded.map(|connection| &connection.declared.name);
        loaded.or_else(|| self.connection_names.get(&uuid)).cloned()
    }

    /// The connection, if there is one.
    pub(super) fn existing(&self, uuid: Option<ConnectionId>) -> Option<ConnectionId> {
        uuid.filter(|uuid| self.connection(*uuid).is_ok())
    }

    /// What the rows of the transfers say, with what this batch made of them.
    fn usage_on_record(&self, uuid: ConnectionId) -> Usage {
        let Some(mut usage) = self.on_record.get(&uuid).copied() else {
            return Usage::default();
        };
        for row in self.rows.values() {
            let side = |side: &Option<Arc<Transfer>>| {
                side.as_ref()
                    .filter(|it| it.declared.connection_uuid == Some(uuid))
                    .map_or((0, 0), |it| {
                        let started = i64::from(it.started_at.is_some());
                        (started, it.totals.records_transferred)
                    })
            };
            let (before, after) = (side(&row.before), side(&row.after));
            usage.transfers += after.0 - before.0;
            usage.records = usage.records.saturating_add(after.1 - before.1);
        }
        usage
    }

    /// The connection with the number of its transfers that run, where `verb` starts another one and that is limited.
    pub(super) fn counted(
        &self,
        connection: &Arc<Connection>,
        verb: &Verb,
        cause: Cause<'_>,
    ) -> Arc<Connection> {
        let (Verb::Start { agent_instance, .. }, true) = (verb, connection.policy().limits_runs())
        else {
            return Arc::clone(connection);
        };
        let agent = Agent {
            owner_uuid: cause.caller.credential(),
            instance: agent_instance.clone(),
        };
        let stored = self.running.get(&connection.uuid).into_iter().flatten();
        let stored = stored.map(|(agent, count)| (agent.clone(), *count));
        let own = |side: &Option<Arc<Transfer>>| {
            let own = side
                .as_ref()
                .filter(|it| it.declared.connection_uuid == Some(connection.uuid));
            own.and_then(|it| it.runner())
        };
        // What this batch has started and ended.
        let here = self.rows.values().flat_map(|row| {
            let before = own(&row.before).map(|agent| (agent, -1));
            before
                .into_iter()
                .chain(own(&row.after).map(|agent| (agent, 1)))
        });
        let counts: Vec<(Agent, i64)> = stored.chain(here).collect();
        let counts = counts.iter().map(|(agent, count)| (agent, *count));
        Arc::new(Connection {
            running: Running::of(counts, &agent),
            ..Connection::clone(connection)
        })
    }

    /// Whether the connection has transfers that could still change.
    fn is_in_use(&self, uuid: ConnectionId) -> bool {
        let elsewhere = self.open.get(&uuid).is_some_and(|open| {
            open.iter()
                .any(|transfer| !self.rows.contains_key(transfer))
        });
        let mut here = self.rows.values().filter_map(|row| row.after.as_ref());
        elsewhere
            || here.any(|transfer| {
                transfer.declared.connection_uuid == Some(uuid) && !transfer.status.is_terminal()
            })
    }

    fn log_connection(
        &mut self,
        connection: &Connection,
        event_type: EventType,
        detail: Option<EventDetail>,
        cause: Cause<'_>,
    ) {
        let effect = Effect::Connection {
            uuid: connection.uuid,
            deleted_by_it: event_type == EventType::ConnectionDeleted,
        };
        self.remember(Some(cause), effect);
        let refs = EventRefs {
            connection_uuid: Some(connection.uuid),
            revision: connection.revision,
            about: About {
                connection_name: Some(connection.declared.name.clone()),
                ..About::default()
            },
            ..EventRefs::default()
        };
        self.log(refs, happened(event_type, detail), Some(cause));
    }

    pub(super) async fn write_connections(
        &self,
        transaction: &WriteTransaction,
    ) -> Result<(), StoreError> {
        let changes = ChangeSet::of(&self.connections);
        if !changes.created.is_empty() {
            transaction.insert_connections(&changes.created).await?;
        }
        if !changes.changed.is_empty() {
            transaction.update_connections(&changes.changed).await?;
        }
        if !changes.touched.is_empty() {
            transaction.update_usage(&changes.touched).await?;
        }
        if !changes.deleted.is_empty() {
            transaction.delete_connections(&changes.deleted).await?;
        }
        Ok(())
    }
}
