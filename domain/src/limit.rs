//! Why a connection does not allow something: refusals that are about its status, its policy and its budgets.

use std::net::IpAddr;

use uuid::Uuid;

use super::{
    connection::{ConnectionAction, ConnectionStatus},
    policy::AllowedHours,
    time::Timestamp,
};

/// A no that comes from a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionRefusal {
    /// The rule table does not let the action leave the status.
    IllegalTransition {
        /// The connection.
        uuid: Uuid,
        /// Where it stands.
        status: ConnectionStatus,
        /// What was asked.
        action: ConnectionAction,
    },
    /// It has transfers that could still change.
    InUse {
        /// The connection.
        uuid: Uuid,
    },
    /// It leads to the same site in the same direction.
    Duplicate {
        /// The connection.
        uuid: Uuid,
    },
    /// It is not in use.
    NotActive {
        /// The connection.
        uuid: Uuid,
        /// Where it stands.
        status: ConnectionStatus,
    },
    /// Its end has passed.
    Expired {
        /// The connection.
        uuid: Uuid,
        /// Its end; `None` when the policy does not hold it any more.
        expires_at: Option<Timestamp>,
    },
    /// The table may not be moved.
    TableNotAllowed {
        /// The connection.
        uuid: Uuid,
        /// The table.
        table_name: String,
    },
    /// The caller's address is not on the list.
    IpNotAllowed {
        /// The connection.
        uuid: Uuid,
        /// The address, where it is known.
        address: Option<IpAddr>,
    },
    /// It is not the time of day.
    OutsideAllowedHours {
        /// The connection.
        uuid: Uuid,
        /// The hours.
        allowed_hours: AllowedHours,
        /// What time it is.
        now: Timestamp,
    },
    /// No more transfers may be started.
    TransferLimitReached {
        /// The connection.
        uuid: Uuid,
        /// `max_transfers`.
        limit: i64,
    },
    /// More records than are left.
    RecordLimitReached {
        /// The connection.
        uuid: Uuid,
        /// Which limit.
        field: &'static str,
        /// Its value.
        limit: i64,
        /// How many records may still be moved under it.
        remaining: i64,
    },
}

impl ConnectionRefusal {
    /// The name of the case: UPPER_SNAKE, part of the contract.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::IllegalTransition { .. } => "ILLEGAL_TRANSITION",
            Self::InUse { .. } => "CONNECTION_IN_USE",
            Self::Duplicate { .. } => "DUPLICATE_CONNECTION",
            Self::NotActive { .. } => "CONNECTION_NOT_ACTIVE",
            Self::Expired { .. } => "CONNECTION_EXPIRED",
            Self::TableNotAllowed { .. } => "TABLE_NOT_ALLOWED",
            Self::IpNotAllowed { .. } => "IP_NOT_ALLOWED",
            Self::OutsideAllowedHours { .. } => "OUTSIDE_ALLOWED_HOURS",
            Self::TransferLimitReached { .. } => "TRANSFER_LIMIT_REACHED",
            Self::RecordLimitReached { .. } => "RECORD_LIMIT_REACHED",
        }
    }

    /// The connection that says no.
    pub const fn connection(&self) -> Uuid {
        match self {
            Self::IllegalTransition { uuid, .. }
            | Self::InUse { uuid }
            | Self::Duplicate { uuid }
            | Self::NotActive { uuid, .. }
            | Self::Expired { uuid, .. }
            | Self::TableNotAllowed { uuid, .. }
            | Self::IpNotAllowed { uuid, .. }
            | Self::OutsideAllowedHours { uuid, .. }
            | Self::TransferLimitReached { uuid, .. }
            | Self::RecordLimitReached { uuid, .. } => *uuid,
        }
    }

    /// The values of the message, by name.
    pub fn metadata(&self) -> Vec<(&'static str, String)> {
        let mut pairs = vec![("connection_uuid", self.connection().to_string())];
        match self {
            Self::InUse { .. } | Self::Duplicate { .. } => {}
            Self::IllegalTransition { status, action, .. } => pairs.extend([
                ("status", status.to_string()),
                ("action", action.to_string()),
                ("allowed_from", allowed_from(*action)),
            ]),
            Self::NotActive { status, .. } => pairs.push(("status", status.to_string())),
            Self::Expired { expires_at, .. } => {
                pairs.extend(expires_at.map(|end| ("expires_at", end.to_string())));
            }
            Self::TableNotAllowed { table_name, .. } => {
                pairs.push(("table_name", table_name.clone()));
            }
            Self::IpNotAllowed { address, .. } => {
                pairs.extend(address.map(|address| ("address", address.to_string())));
            }
            Self::OutsideAllowedHours {
                allowed_hours, now, ..
            } => pairs.extend([
                ("allowed_hours", allowed_hours.to_string()),
                ("now", now.to_string()),
            ]),
            Self::TransferLimitReached { limit, .. } => {
                pairs.push(("max_transfers", limit.to_string()));
            }
            Self::RecordLimitReached {
                field,
                limit,
                remaining,
                ..
            } => pairs.extend([
                (*field, limit.to_string()),
                ("remaining", remaining.to_string()),
            ]),
        }
        pairs
    }
}

fn allowed_from(action: ConnectionAction) -> String {
    let names: Vec<_> = action
        .rule()
        .from
        .iter()
        .map(|status| status.name())
        .collect();
    names.join(", ")
}

impl std::fmt::Display for ConnectionRefusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::IllegalTransition {
                uuid,
                status,
                action,
            } => write!(
                f,
                "connection {uuid} is {status}; {action} is possible from {}",
                allowed_from(*action)
            ),
            Self::InUse { uuid } => write!(
                f,
                "connection {uuid} has transfers that have not ended; cancel them first"
            ),
            Self::Duplicate { uuid } => write!(
                f,
                "connection {uuid} leads to the same site in the same direction; ask for a duplicate if it is meant"
            ),
            Self::NotActive { uuid, status } => {
                write!(f, "connection {uuid} is {status}, not ACTIVE")
            }
            Self::Expired {
                uuid,
                expires_at: Some(expires_at),
            } => write!(f, "connection {uuid} ended at {expires_at}"),
            Self::Expired { uuid, .. } => write!(f, "connection {uuid} has ended"),
            Self::TableNotAllowed { uuid, table_name } => write!(
                f,
                "connection {uuid} does not allow the table {table_name:?}"
            ),
            Self::IpNotAllowed {
                uuid,
                address: Some(address),
            } => write!(f, "connection {uuid} does not allow the address {address}"),
            Self::IpNotAllowed { uuid, .. } => {
                write!(f, "connection {uuid} allows known addresses only")
            }
            Self::OutsideAllowedHours {
                uuid,
                allowed_hours,
                now,
            } => write!(
                f,
                "connection {uuid} is open {allowed_hours} UTC, and it is {now}"
            ),
            Self::TransferLimitReached { uuid, limit } => {
                write!(f, "connection {uuid} has used up its {limit} transfers")
            }
            Self::RecordLimitReached {
                uuid,
                field,
                limit,
                remaining,
            } => write!(
                f,
                "connection {uuid} has {remaining} records left of {field} {limit}"
            ),
        }
    }
}
