//! The other sites that tables are exchanged with, and the rules of their lives.

use serde_json::{Map, Value};

use super::{
    event::{EventDetail, EventType},
    policy::{Policy, PolicyField},
    refusal::Refusal,
    status::named,
    time::Timestamp,
    transfer::Agent,
};
use crate::id::ConnectionId;

mod follow;

named! {
    /// The part that the local site plays.
    ConnectionDirection {
        /// It gives tables.
        Sender = "SENDER",
        /// It takes tables.
        Receiver = "RECEIVER",
    }
}

named! {
    /// Where a connection stands.
    ConnectionStatus {
        /// Proposed.
        Pending = "PENDING",
        /// In use.
        Active = "ACTIVE",
        /// Paused.
        Suspended = "SUSPENDED",
        /// Ended.
        Revoked = "REVOKED",
        /// Past its end.
        Expired = "EXPIRED",
    }
}

named! {
    /// What can be done to an existing connection.
    ConnectionAction {
        /// Change its fields or its policy.
        Update = "UPDATE",
        /// Put it into use.
        Approve = "APPROVE",
        /// Pause it.
        Suspend = "SUSPEND",
        /// Put it into use again.
        Reactivate = "REACTIVATE",
        /// End it.
        Revoke = "REVOKE",
        /// Note that its end has passed.
        Expire = "EXPIRE",
        /// Remove the row.
        Delete = "DELETE",
    }
}

/// One line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionRule {
    /// The statuses that the action may leave.
    pub from: &'static [ConnectionStatus],
    /// The status that it enters; `None` when it stays where it is or removes the row.
    pub to: Option<ConnectionStatus>,
}

impl ConnectionAction {
    /// The life of a connection. It is the only place that says so.
    pub const fn rule(self) -> ConnectionRule {
        use ConnectionStatus::{Active, Expired, Pending, Revoked, Suspended};
        let (from, to): (&'static [ConnectionStatus], _) = match self {
            Self::Update => (&[Pending, Active, Suspended, Expired], None),
            Self::Approve => (&[Pending], Some(Active)),
            Self::Suspend => (&[Active], Some(Suspended)),
            Self::Reactivate => (&[Suspended, Expired], Some(Active)),
            Self::Revoke => (&[Pending, Active, Suspended, Expired], Some(Revoked)),
            Self::Expire => (&[Active, Suspended], Some(Expired)),
            Self::Delete => (&[Pending, Revoked, Expired], None),
        };
        ConnectionRule { from, to }
    }

    /// Whether the table lets this action leave `status`.
    pub fn may_leave(self, status: ConnectionStatus) -> bool {
        self.rule().from.contains(&status)
    }
}

/// The table as a Mermaid state diagram, as `ARCHITECTURE.md` shows it; an update leaves a connection where it is.
pub fn diagram() -> String {
    let mut lines = vec![
        "stateDiagram-v2".to_owned(),
        format!("    [*] --> {}: CREATE", ConnectionStatus::Active),
        format!("    [*] --> {}: CREATE", ConnectionStatus::Pending),
    ];
    for action in ConnectionAction::ALL {
        let rule = action.rule();
        if let Some(to) = rule.to {
            for from in rule.from {
                lines.push(format!("    {from} --> {to}: {action}"));
            }
        }
    }
    for status in ConnectionAction::Delete.rule().from {
        lines.push(format!(
            "    {status} --> [*]: {}",
            ConnectionAction::Delete
        ));
    }
    lines.join("\n")
}

/// What a caller asks for; every field is checked.
#[derive(Clone, Debug, PartialEq)]
pub struct NewConnection {
    /// What people call it.
    pub name: String,
    /// The part that the local site plays.
    pub direction: ConnectionDirection,
    /// Address of the other site.
    pub site_url: String,
    /// What its transfers may do.
    pub policy: Policy,
    /// The operators' notes.
    pub metadata: Map<String, Value>,
}

/// New values of what can be changed about a connection.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectionValues {
    /// What people call it.
    pub name: String,
    /// Address of the other site.
    pub site_url: String,
    /// What its transfers may do.
    pub policy: Policy,
    /// The operators' notes.
    pub metadata: Map<String, Value>,
}

impl From<NewConnection> for ConnectionValues {
    /// All but the direction, which stays.
    fn from(new: NewConnection) -> Self {
        Self {
            name: new.name,
            site_url: new.site_url,
            policy: new.policy,
            metadata: new.metadata,
        }
    }
}

/// A field that can be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConnectionField {
    /// What people call it.
    Name,
    /// Address of the other site.
    SiteUrl,
    /// The operators' notes.
    Metadata,
    /// One of its policy.
    Policy(PolicyField),
}

impl ConnectionField {
    /// Its path in an update mask.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::SiteUrl => "site_url",
            Self::Metadata => "metadata",
            Self::Policy(field) => field.path(),
        }
    }

    /// The fields that a path of an update mask names: one, all of the policy, or none.
    pub fn at(path: &str) -> Vec<Self> {
        let own = [Self::Name, Self::SiteUrl, Self::Metadata];
        let policy = PolicyField::ALL.iter().copied().map(Self::Policy);
        let mut fields: Vec<_> = own.into_iter().chain(policy).collect();
        fields.retain(|field| match field {
            Self::Policy(_) if path == "policy" => true,
            field => field.path() == path,
        });
        fields
    }

    fn set(self, connection: &mut NewConnection, from: &ConnectionValues) {
        match self {
            Self::Name => connection.name.clone_from(&from.name),
            Self::SiteUrl => connection.site_url.clone_from(&from.site_url),
            Self::Metadata => connection.metadata.clone_from(&from.metadata),
            Self::Policy(field) => field.set(&mut connection.policy, &from.policy),
        }
    }
}

/// Something to do to one existing connection, with what it takes.
#[derive(Clone, Debug, PartialEq)]
pub enum ConnectionVerb {
    /// Change fields.
    Update {
        /// Which ones.
        fields: Vec<ConnectionField>,
        /// Their values; the rest of it is not looked at.
        to: Box<ConnectionValues>,
        /// The revision that the change is meant for; `None` for whichever is current.
        revision: Option<i64>,
        /// Whether there may be another one to the same site.
        allow_duplicate: bool,
    },
    /// Put it into use.
    Approve,
    /// Pause it.
    Suspend {
        /// Why.
        reason: String,
    },
    /// Put it into use again.
    Reactivate,
    /// End it.
    Revoke {
        /// Why.
        reason: String,
    },
    /// Note that its end has passed. Does nothing to a connection whose end has not.
    Expire,
    /// Remove the row.
    Delete,
}

impl ConnectionVerb {
    /// Its line in the rule table.
    pub const fn action(&self) -> ConnectionAction {
        match self {
            Self::Update { .. } => ConnectionAction::Update,
            Self::Approve => ConnectionAction::Approve,
            Self::Suspend { .. } => ConnectionAction::Suspend,
            Self::Reactivate => ConnectionAction::Reactivate,
            Self::Revoke { .. } => ConnectionAction::Revoke,
            Self::Expire => ConnectionAction::Expire,
            Self::Delete => ConnectionAction::Delete,
        }
    }

    const fn event(&self) -> EventType {
        match self {
            Self::Update { .. } => EventType::ConnectionUpdated,
            Self::Approve => EventType::ConnectionApproved,
            Self::Suspend { .. } => EventType::ConnectionSuspended,
            Self::Reactivate => EventType::ConnectionReactivated,
            Self::Revoke { .. } => EventType::ConnectionRevoked,
            Self::Expire => EventType::ConnectionExpired,
            Self::Delete => EventType::ConnectionDeleted,
        }
    }
}

/// What two addresses of one site have in common: scheme, host, port, path and query, without what is only written
/// differently.
pub fn site(url: &str) -> String {
    let Ok(url) = url::Url::parse(url) else {
        return url.to_owned();
    };
    format!(
        "{}://{}:{}{}?{}",
        url.scheme(),
        url.host_str().unwrap_or_default().trim_end_matches('.'),
        url.port_or_known_default().unwrap_or_default(),
        url.path().trim_end_matches('/'),
        url.query().unwrap_or_default(),
    )
}

/// One of the connections that exist, as far as it matters to another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuplicateCandidate {
    /// Which one.
    pub uuid: ConnectionId,
    /// The part that the local site plays.
    pub direction: ConnectionDirection,
    /// Address of the other site.
    pub site_url: String,
}

/// Transfers that run now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Running {
    /// All of the connection.
    pub all: i64,
    /// Those of the agent that wants to start another one.
    pub of_agent: i64,
}

impl Running {
    /// The sum of what each agent runs, for `agent`.
    pub fn of<'a>(counts: impl IntoIterator<Item = (&'a Agent, i64)>, agent: &Agent) -> Self {
        let mut running = Self::default();
        for (its, count) in counts {
            running.all += count;
            running.of_agent += if its == agent { count } else { 0 };
        }
        running
    }
}

/// What a connection's transfers have used up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Transfers that were started.
    pub transfers: i64,
    /// Records that were moved.
    pub records: i64,
}

/// A connection as the ledger holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Connection {
    /// Identity.
    pub uuid: ConnectionId,
    /// What was asked for, with what was changed since.
    pub declared: NewConnection,
    /// Where it stands.
    pub status: ConnectionStatus,
    /// Why it was suspended or revoked.
    pub status_reason: String,
    /// What counts against its limits; kept while one is set.
    pub used: Usage,
    /// How many of its transfers run, where that was counted for a start; never stored.
    pub running: Running,
    /// Whether its transfers have yet to follow a change of its status.
    pub settling: bool,
    /// When it was created.
    pub inserted_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// 1 when created, one more with every change but those of `used`.
    pub revision: i64,
}

/// What an accepted command does to a connection.
#[derive(Clone, Debug, PartialEq)]
pub enum ConnectionChange {
    /// Nothing: it already is as asked.
    Nothing,
    /// A change, with its event and what that tells.
    Changed(Box<Connection>, EventType, Option<EventDetail>),
    /// The row goes, its event stays.
    Removal(EventType),
}

impl Connection {
    /// A connection that was just created: in use at once, unless it is to wait for its approval.
    pub fn create(
        uuid: ConnectionId,
        declared: NewConnection,
        pending: bool,
        now: Timestamp,
    ) -> Self {
        let status = if pending {
            ConnectionStatus::Pending
        } else {
            ConnectionStatus::Active
        };
        Self {
            uuid,
            declared,
            status,
            status_reason: String::new(),
            used: Usage::default(),
            running: Running::default(),
            settling: false,
            inserted_at: now,
            updated_at: now,
            revision: 1,
        }
    }

    /// What its transfers may do.
    pub const fn policy(&self) -> &Policy {
        &self.declared.policy
    }
}

/// Decides `verb` on `connection` at `now`.
///
/// `on_record` is what its transfers have used up so far, counted from their rows: needed when an update sets a limit.
/// `in_use` says whether it has transfers that could still change: needed for a deletion.
///
/// # Errors
/// A [`Refusal`].
pub fn decide_connection(
    connection: &Connection,
    verb: &ConnectionVerb,
    on_record: Usage,
    in_use: bool,
    now: Timestamp,
) -> Result<ConnectionChange, Refusal> {
    let (uuid, action) = (connection.uuid, verb.action());
    if !action.may_leave(connection.status) {
        let status = connection.status;
        return Err(Refusal::IllegalConnectionTransition {
            connection_uuid: uuid,
            status,
            action,
        });
    }
    let mut after = connection.clone();
    let mut detail = None;
    match verb {
        ConnectionVerb::Update {
            fields,
            to,
            revision,
            allow_duplicate: _,
        } => {
            if let Some(given) = revision.filter(|given| *given != connection.revision) {
                let current = connection.revision;
                return Err(Refusal::StaleRevision {
                    uuid: uuid.into(),
                    given,
                    current,
                });
            }
            for field in fields {
                field.set(&mut after.declared, to);
            }
            if after.declared == connection.declared {
                return Ok(ConnectionChange::Nothing);
            }
            count_from_record(&mut after, connection.policy(), on_record);
            let fields = fields.iter().map(|field| field.path().to_owned());
            let fields = fields.collect();
            detail = Some(EventDetail::ConnectionUpdate { fields });
        }
        ConnectionVerb::Reactivate | ConnectionVerb::Approve => {
            if let Some(expires_at) = connection.policy().expires_at.filter(|end| *end <= now) {
                return Err(Refusal::ConnectionExpired {
                    connection_uuid: uuid,
                    expires_at: Some(expires_at),
                });
            }
            after.status_reason.clear();
            after.settling = action == ConnectionAction::Reactivate;
        }
        ConnectionVerb::Suspend { reason } | ConnectionVerb::Revoke { reason } => {
            after.status_reason.clone_from(reason);
            after.settling = true;
            detail = EventDetail::comment(reason);
        }
        ConnectionVerb::Expire if !connection.policy().is_over(now) => {
            return Ok(ConnectionChange::Nothing);
        }
        ConnectionVerb::Expire => {}
        ConnectionVerb::Delete if in_use => {
            return Err(Refusal::ConnectionInUse {
                connection_uuid: uuid,
            });
        }
        ConnectionVerb::Delete => return Ok(ConnectionChange::Removal(verb.event())),
    }
    after.status = action.rule().to.unwrap_or(connection.status);
    after.updated_at = now;
    after.revision += 1;
    Ok(ConnectionChange::Changed(
        Box::new(after),
        verb.event(),
        detail,
    ))
}

/// A limit that is set from now on has been used up by what is on record already.
fn count_from_record(after: &mut Connection, before: &Policy, on_record: Usage) {
    let policy = &after.declared.policy;
    if policy.max_transfers.is_some() && before.max_transfers.is_none() {
        after.used.transfers = on_record.transfers;
    }
    if policy.max_records_total.is_some() && before.max_records_total.is_none() {
        after.used.records = on_record.records;
    }
}

#[cfg(test)]
mod tests;
