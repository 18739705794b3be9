//! How the transfers of a connection follow a change of its status.

use super::{Connection, ConnectionStatus};
use crate::{
    command::Verb,
    status::TransferStatus,
    stop::{StopCause, StopKind, StopOrder},
    transfer::Transfer,
};

impl Connection {
    /// It, once its transfers have followed the change that made `revision`; `None` where there is nothing to note, or it
    /// has changed since.
    #[must_use]
    pub fn settled(&self, revision: i64) -> Option<Self> {
        (self.settling && self.revision == revision).then(|| Self {
            settling: false,
            ..self.clone()
        })
    }

    /// What `transfer`, one of its own, has yet to do to follow its status.
    pub fn follow_up(&self, transfer: &Transfer) -> Option<Verb> {
        let order = |kind, cause| {
            Verb::Stop(StopOrder {
                kind,
                cause,
                reason: self.status_reason.clone(),
                grace: None,
                by: None,
            })
        };
        let running = transfer.status == TransferStatus::InProgress;
        let asked = transfer.stop.as_ref();
        match self.status {
            _ if transfer.status.is_terminal() => None,
            ConnectionStatus::Revoked => {
                let is_told = asked.is_some_and(|stop| stop.kind == StopKind::Cancel);
                (!is_told).then(|| order(StopKind::Cancel, StopCause::ConnectionRevoked))
            }
            ConnectionStatus::Suspended => (running && asked.is_none())
                .then(|| order(StopKind::Pause, StopCause::ConnectionSuspended)),
            ConnectionStatus::Active => {
                let cause = StopCause::ConnectionSuspended;
                let waits =
                    asked.is_some_and(|stop| stop.cause == cause && stop.kind == StopKind::Pause);
                waits.then_some(Verb::Resume { only: Some(cause) })
            }
            ConnectionStatus::Pending | ConnectionStatus::Expired => None,
        }
    }
}
