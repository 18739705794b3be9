//! The other sites that tables are exchanged with, and the rules of their lives.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::{event::EventType, policy::Policy, refusal::Refusal, status::named, time::Timestamp};

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

named! {
    /// A field that can be changed, by its path in an update mask.
    ConnectionField {
        /// What people call it.
        Name = "name",
        /// Address of the other site.
        SiteUrl = "site_url",
        /// The operators' notes.
        Metadata = "metadata",
        /// See [`Policy`].
        ApprovalMode = "policy.approval_mode",
        /// See [`Policy`].
        AllowedTables = "policy.allowed_tables",
        /// See [`Policy`].
        ExcludedTables = "policy.excluded_tables",
        /// See [`Policy`].
        AutoApproveTables = "policy.auto_approve_tables",
        /// See [`Policy`].
        TableCase = "policy.table_case",
        /// See [`Policy`].
        ExpiresAt = "policy.expires_at",
        /// See [`Policy`].
        MaxTransfers = "policy.max_transfers",
        /// See [`Policy`].
        MaxRecordsTotal = "policy.max_records_total",
        /// See [`Policy`].
        MaxRecordsPerRequest = "policy.max_records_per_request",
        /// See [`Policy`].
        RateLimitRequestsPerMinute = "policy.rate_limit_requests_per_minute",
        /// See [`Policy`].
        IpAllowlist = "policy.ip_allowlist",
        /// See [`Policy`].
        AllowedHours = "policy.allowed_hours",
        /// See [`Policy`].
        DefaultConflictStrategy = "policy.default_conflict_strategy",
        /// See [`Policy`].
        HeartbeatTimeout = "policy.heartbeat_timeout",
        /// See [`Policy`].
        SelfApproval = "policy.self_approval",
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
        to: Box<NewConnection>,
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
    pub uuid: Uuid,
    /// The part that the local site plays.
    pub direction: ConnectionDirection,
    /// Address of the other site.
    pub site_url: String,
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
    pub uuid: Uuid,
    /// What was asked for, with what was changed since.
    pub declared: NewConnection,
    /// Where it stands.
    pub status: ConnectionStatus,
    /// Why it was suspended or revoked.
    pub status_reason: String,
    /// What counts against its limits; kept while one is set.
    pub used: Usage,
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
    /// A change, with its event and the reason on it.
    Changed(Box<Connection>, EventType, String),
    /// The row goes, its event stays.
    Removal(EventType),
}

impl Connection {
    /// A connection that was just created: in use at once, unless it is to wait for its approval.
    pub fn create(uuid: Uuid, declared: NewConnection, pending: bool, now: Timestamp) -> Self {
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
    let mut reason = String::new();
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
                    uuid,
                    given,
                    current,
                });
            }
            for field in fields {
                set(&mut after.declared, *field, to);
            }
            if after.declared == connection.declared {
                return Ok(ConnectionChange::Nothing);
            }
            count_from_record(&mut after, connection.policy(), on_record);
            let names: Vec<_> = fields.iter().map(|field| field.name()).collect();
            reason = names.join(", ");
        }
        ConnectionVerb::Reactivate | ConnectionVerb::Approve => {
            if let Some(expires_at) = connection.policy().expires_at.filter(|end| *end <= now) {
                return Err(Refusal::ConnectionExpired {
                    connection_uuid: uuid,
                    expires_at: Some(expires_at),
                });
            }
            after.status_reason.clear();
        }
        ConnectionVerb::Suspend { reason: why } | ConnectionVerb::Revoke { reason: why } => {
            after.status_reason.clone_from(why);
            reason.clone_from(why);
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
        reason,
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

fn set(declared: &mut NewConnection, field: ConnectionField, to: &NewConnection) {
    let (policy, new) = (&mut declared.policy, &to.policy);
    match field {
        ConnectionField::Name => declared.name.clone_from(&to.name),
        ConnectionField::SiteUrl => declared.site_url.clone_from(&to.site_url),
        ConnectionField::Metadata => declared.metadata.clone_from(&to.metadata),
        ConnectionField::ApprovalMode => policy.approval_mode = new.approval_mode,
        ConnectionField::AllowedTables => policy.allowed_tables.clone_from(&new.allowed_tables),
        ConnectionField::ExcludedTables => policy.excluded_tables.clone_from(&new.excluded_tables),
        ConnectionField::AutoApproveTables => {
            policy
                .auto_approve_tables
                .clone_from(&new.auto_approve_tables);
        }
        ConnectionField::TableCase => policy.table_case = new.table_case,
        ConnectionField::ExpiresAt => policy.expires_at = new.expires_at,
        ConnectionField::MaxTransfers => policy.max_transfers = new.max_transfers,
        ConnectionField::MaxRecordsTotal => policy.max_records_total = new.max_records_total,
        ConnectionField::MaxRecordsPerRequest => {
            policy.max_records_per_request = new.max_records_per_request;
        }
        ConnectionField::RateLimitRequestsPerMinute => {
            policy.rate_limit_requests_per_minute = new.rate_limit_requests_per_minute;
        }
        ConnectionField::IpAllowlist => policy.ip_allowlist.clone_from(&new.ip_allowlist),
        ConnectionField::AllowedHours => policy.allowed_hours = new.allowed_hours,
        ConnectionField::DefaultConflictStrategy => {
            policy.default_conflict_strategy = new.default_conflict_strategy;
        }
        ConnectionField::HeartbeatTimeout => policy.heartbeat_timeout = new.heartbeat_timeout,
        ConnectionField::SelfApproval => policy.self_approval = new.self_approval,
    }
}

#[cfg(test)]
mod tests;
