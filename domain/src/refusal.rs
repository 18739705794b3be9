//! Why a command was not carried out, in words and in names that programs can rely on.

use uuid::Uuid;

use super::{
    access::AccessRefusal, limit::ConnectionRefusal, progress::Regression, rule::Action,
    status::TransferStatus, time::Timestamp, validate::Violation,
};

/// A well-explained no. It changed nothing, and asking again without a change elsewhere gives the same answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Fields outside their limits; all of them.
    Invalid(Vec<Violation>),
    /// No such transfer.
    TransferNotFound {
        /// The one asked for.
        uuid: Uuid,
    },
    /// No such connection.
    ConnectionNotFound {
        /// The one asked for.
        uuid: Uuid,
    },
    /// The rule table does not let the action leave the status.
    IllegalTransition {
        /// The transfer.
        uuid: Uuid,
        /// Where it stands.
        status: TransferStatus,
        /// What was asked.
        action: Action,
    },
    /// It may start only after an approval.
    ApprovalRequired {
        /// The transfer.
        uuid: Uuid,
        /// Where it stands.
        status: TransferStatus,
    },
    /// The decision came too late.
    ApprovalExpired {
        /// The transfer.
        uuid: Uuid,
        /// What was asked.
        action: Action,
        /// The deadline; `None` when the row does not know one.
        deadline: Option<Timestamp>,
    },
    /// A counter would go down.
    ProgressRegressed {
        /// The transfer.
        uuid: Uuid,
        /// Which one, and by how much.
        regression: Regression,
    },
    /// It is no second try of what it names.
    RetryNotAllowed {
        /// The transfer that it names.
        uuid: Uuid,
        /// What of it stands against it.
        field: &'static str,
        /// Its value.
        value: String,
    },
    /// The request id belongs to another request.
    RequestIdReused {
        /// The id.
        request_id: String,
    },
    /// The change was meant for another revision than the current one.
    StaleRevision {
        /// The transfer or connection.
        uuid: Uuid,
        /// The revision that the caller has seen.
        given: i64,
        /// The current one.
        current: i64,
    },
    /// A connection says no.
    Connection(ConnectionRefusal),
    /// Whoever asks may not.
    Access(AccessRefusal),
}

impl From<ConnectionRefusal> for Refusal {
    fn from(refusal: ConnectionRefusal) -> Self {
        Self::Connection(refusal)
    }
}

impl From<AccessRefusal> for Refusal {
    fn from(refusal: AccessRefusal) -> Self {
        Self::Access(refusal)
    }
}

impl Refusal {
    /// The name of the case: UPPER_SNAKE, part of the contract.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "INVALID_FIELDS",
            Self::TransferNotFound { .. } => "TRANSFER_NOT_FOUND",
            Self::ConnectionNotFound { .. } => "CONNECTION_NOT_FOUND",
            Self::IllegalTransition { .. } => "ILLEGAL_TRANSITION",
            Self::ApprovalRequired { .. } => "APPROVAL_REQUIRED",
            Self::ApprovalExpired { .. } => "APPROVAL_EXPIRED",
            Self::ProgressRegressed { .. } => "PROGRESS_REGRESSED",
            Self::RetryNotAllowed { .. } => "RETRY_NOT_ALLOWED",
            Self::RequestIdReused { .. } => "REQUEST_ID_REUSED",
            Self::StaleRevision { .. } => "STALE_REVISION",
            Self::Connection(refusal) => refusal.reason(),
            Self::Access(refusal) => refusal.reason(),
        }
    }

    /// Every value that the text mentions, by name.
    pub fn metadata(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Invalid(violations) => {
                let fields: Vec<_> = violations.iter().map(|each| each.field.as_str()).collect();
                vec![("fields", fields.join(", "))]
            }
            Self::TransferNotFound { uuid } | Self::ConnectionNotFound { uuid } => {
                vec![("uuid", uuid.to_string())]
            }
            Self::IllegalTransition {
                uuid,
                status,
                action,
            } => transition(*uuid, *status, *action),
            Self::ApprovalRequired { uuid, status } => transition(*uuid, *status, Action::Start),
            Self::ApprovalExpired {
                uuid,
                action,
                deadline,
            } => {
                let mut pairs = transition(*uuid, TransferStatus::Expired, *action);
                if let Some(deadline) = deadline {
                    pairs.push(("approval_expires_at", deadline.to_string()));
                }
                pairs
            }
            Self::ProgressRegressed { uuid, regression } => vec![
                ("uuid", uuid.to_string()),
                ("field", regression.field.to_owned()),
                ("stored", regression.stored.to_string()),
                ("reported", regression.reported.to_string()),
            ],
            Self::RetryNotAllowed { uuid, field, value } => vec![
                ("uuid", uuid.to_string()),
                ("field", (*field).to_owned()),
                (*field, value.clone()),
            ],
            Self::RequestIdReused { request_id } => vec![("request_id", request_id.clone())],
            Self::StaleRevision {
                uuid,
                given,
                current,
            } => vec![
                ("uuid", uuid.to_string()),
                ("given", given.to_string()),
                ("current", current.to_string()),
            ],
            Self::Connection(refusal) => refusal.metadata(),
            Self::Access(refusal) => refusal.metadata(),
        }
    }
}

fn transition(uuid: Uuid, status: TransferStatus, action: Action) -> Vec<(&'static str, String)> {
    vec![
        ("uuid", uuid.to_string()),
        ("status", status.to_string()),
        ("action", action.to_string()),
        ("allowed_from", allowed_from(action)),
    ]
}

fn allowed_from(action: Action) -> String {
    let names: Vec<_> = action
        .rule()
        .from
        .iter()
        .map(|status| status.name())
        .collect();
    names.join(", ")
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Invalid(violations) => {
                f.write_str("invalid request: ")?;
                for (index, violation) in violations.iter().enumerate() {
                    let separator = if index == 0 { "" } else { "; " };
                    write!(
                        f,
                        "{separator}{} {}",
                        violation.field, violation.description
                    )?;
                }
                Ok(())
            }
            Self::TransferNotFound { uuid } => write!(f, "there is no transfer {uuid}"),
            Self::ConnectionNotFound { uuid } => write!(f, "there is no connection {uuid}"),
            Self::IllegalTransition {
                uuid,
                status,
                action,
            } => write!(
                f,
                "transfer {uuid} is {status}; {action} is possible from {}",
                allowed_from(*action)
            ),
            Self::ApprovalRequired { uuid, .. } => {
                write!(
                    f,
                    "transfer {uuid} may start only after it was approved; request approval first"
                )
            }
            Self::ApprovalExpired {
                uuid,
                deadline: Some(deadline),
                ..
            } => {
                write!(
                    f,
                    "the time to decide on transfer {uuid} ended at {deadline}"
                )
            }
            Self::ApprovalExpired {
                uuid,
                deadline: None,
                ..
            } => {
                write!(f, "the time to decide on transfer {uuid} has ended")
            }
            Self::ProgressRegressed { uuid, regression } => write!(
                f,
                "{} of transfer {uuid} stands at {} and cannot go down to {}",
                regression.field, regression.stored, regression.reported
            ),
            Self::RetryNotAllowed { uuid, field, value } => write!(
                f,
                "transfer {uuid} cannot be tried again like this: its {field} is {value:?}"
            ),
            Self::RequestIdReused { request_id } => {
                write!(f, "request_id {request_id} was used for another request")
            }
            Self::StaleRevision {
                uuid,
                given,
                current,
            } => write!(
                f,
                "{uuid} is at revision {current}, not {given}: look again"
            ),
            Self::Connection(refusal) => refusal.fmt(f),
            Self::Access(refusal) => refusal.fmt(f),
        }
    }
}
