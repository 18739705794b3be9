//! Asking who runs a transfer to stop: for good, or until it is resumed. They confirm, or the end of a grace stops it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{reachable::Reachable, status::named, time::Timestamp};
use crate::id::CredentialId;

/// What is kept of the longest grace.
pub const GRACE: (Duration, Duration) = (Duration::ZERO, Duration::from_secs(24 * 3_600));

named! {
    /// What a stop is for.
    StopKind {
        /// The transfer is called off.
        Cancel = "CANCEL",
        /// The transfer waits until it is resumed.
        Pause = "PAUSE",
    }
}

named! {
    /// What led to a stop.
    StopCause {
        /// Somebody asked for it.
        Request = "REQUEST",
        /// The transfer's connection was suspended.
        ConnectionSuspended = "CONNECTION_SUSPENDED",
        /// The transfer's connection was revoked.
        ConnectionRevoked = "CONNECTION_REVOKED",
        /// The transfer's time to finish was over.
        FinishBy = "FINISH_BY",
    }
}

/// A stop, asked for or done. It is stored as it is serialized.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// What it is for.
    pub kind: StopKind,
    /// What led to it.
    pub cause: StopCause,
    /// Why; may be empty.
    pub reason: String,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// The credential that asked for it; `None` where callers need none, and for the server itself.
    pub requested_by_uuid: Option<CredentialId>,
    /// How long whoever runs the transfer has to confirm; `None` where nobody ran it.
    pub grace: Option<Duration>,
    /// When the transfer stopped; `None` while it runs on.
    pub stopped_at: Option<Timestamp>,
    /// Whether it was stopped without the word of whoever ran it.
    pub forced: bool,
}

impl Stop {
    /// Until when whoever runs the transfer has to confirm.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.grace.map(|grace| self.requested_at.after(grace))
    }

    /// Whether the grace is over, and was long enough to hear of the stop and to confirm it.
    pub(crate) fn is_due(&self, reachable: Reachable, now: Timestamp) -> bool {
        self.grace.is_some_and(|grace| {
            now >= self.requested_at.after(grace) && reachable.has_been_for(grace, now)
        })
    }
}

/// The wish that a transfer stops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopOrder {
    /// What for.
    pub kind: StopKind,
    /// What leads to it.
    pub cause: StopCause,
    /// Why; may be empty.
    pub reason: String,
    /// How long whoever runs it has to confirm, zero for not at all; `None` as the policy or the server says.
    pub grace: Option<Duration>,
    /// The credential that asks: the caller's, whatever is said here.
    pub by: Option<CredentialId>,
}
