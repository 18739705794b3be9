//! What an agent speaks for when it reports, completes and fails.

use std::time::Duration;

use uuid::Uuid;

use super::Transfer;

/// A transfer and the lease under which it is run.
///
/// Made from what [`Transfers::start`](crate::Transfers::start) answers: then the server refuses with
/// `LEASE_LOST` whatever is said after the lease was lost. Made from a bare uuid it names no lease, which is enough under
/// the first lease of an agent without an instance name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Run {
    /// The transfer.
    pub uuid: Uuid,
    /// The lease; `None` names none.
    pub lease_epoch: Option<i64>,
    /// How long the agent may stay silent, where that is known.
    pub(crate) heartbeat_timeout: Option<Duration>,
}

impl Run {
    /// The run of a transfer under a lease that was kept from its start.
    #[must_use]
    pub fn of(uuid: Uuid, lease_epoch: i64) -> Self {
        Self {
            lease_epoch: Some(lease_epoch),
            ..Self::from(uuid)
        }
    }

    /// As the wire has it: 0 where none is named.
    pub(crate) fn epoch(self) -> i64 {
        self.lease_epoch.unwrap_or_default()
    }
}

impl From<Uuid> for Run {
    fn from(uuid: Uuid) -> Self {
        Self {
            uuid,
            lease_epoch: None,
            heartbeat_timeout: None,
        }
    }
}

impl From<&Transfer> for Run {
    fn from(transfer: &Transfer) -> Self {
        Self {
            uuid: transfer.uuid,
            lease_epoch: Some(transfer.lease_epoch).filter(|epoch| *epoch > 0),
            heartbeat_timeout: transfer.heartbeat_timeout,
        }
    }
}
