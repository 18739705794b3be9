//! What an event says about what it happened to, so that it can be read when the rows are gone.

use serde::{Deserialize, Serialize};

use super::{EventBody, EventDetail, EventType};
use crate::{
    authorize,
    caller::{Caller, SERVER},
    id::CredentialId,
    status::{Direction, TransferStatus},
    transfer::Transfer,
};

/// What was known of it then. It is stored as it is serialized.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct About {
    /// The table of the transfer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table_name: Option<String>,
    /// Its direction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// What the connection was called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_name: Option<String>,
    /// The run that began, went on or ended with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease: Option<EventLease>,
    /// Whether whoever approved would have been refused without the leave of the policy.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub self_approval: bool,
    /// Whether a caller ended somebody else's run without the word of its agent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub overridden: bool,
}

/// Whose run it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventLease {
    /// The number of the lease.
    pub epoch: i64,
    /// The credential that holds it; `None` where callers need none.
    pub owner_uuid: Option<CredentialId>,
    /// What the agent calls itself; may be empty.
    pub agent_instance: String,
}

impl About {
    /// What a transfer was declared as.
    pub fn transfer(transfer: &Transfer) -> Self {
        Self {
            table_name: Some(transfer.declared.table_name.clone()),
            direction: Some(transfer.declared.direction),
            ..Self::default()
        }
    }

    /// What is to be told of a transfer that was `before` and is `after`; `None` for one that is deleted. `caller` is
    /// whoever asked for it, `None` when the rules themselves did it.
    pub fn change(
        before: &Transfer,
        after: Option<&Transfer>,
        body: &EventBody,
        caller: Option<&Caller>,
    ) -> Self {
        let runs = |it: &&Transfer| it.status == TransferStatus::InProgress;
        let lease = Some(before).filter(runs).or(after.filter(runs));
        let lease = lease.map(|it| EventLease {
            epoch: it.lease_epoch,
            owner_uuid: it.lease_owner_uuid,
            agent_instance: it.agent_instance.clone(),
        });
        Self {
            lease,
            self_approval: caller.is_some_and(|it| is_self_approval(before, body, it)),
            overridden: caller.is_some_and(|it| is_override(before, body, it)),
            ..Self::transfer(before)
        }
    }
}

fn is_self_approval(transfer: &Transfer, body: &EventBody, caller: &Caller) -> bool {
    let by = body
        .actor_uuid
        .filter(|_| body.event_type == EventType::Approved);
    by.is_some_and(|by| authorize::is_own(transfer, by, caller))
}

fn is_override(before: &Transfer, body: &EventBody, caller: &Caller) -> bool {
    let is_forced = matches!(body.detail, Some(EventDetail::Stop { forced: true, .. }));
    let ran = before.status == TransferStatus::InProgress;
    let is_holder = caller.credential() == before.lease_owner_uuid;
    is_forced && ran && caller.actor != SERVER && !is_holder
}

#[cfg(test)]
mod tests;
