//! Another try of a transfer that has ended: a new one, declared as that one was.

use std::time::Duration;

use super::{
    authorize,
    caller::Caller,
    connection::Connection,
    event::{EventBody, EventDetail, EventType},
    movement::Sides,
    policy::Policy,
    refusal::{Named, Refusal},
    status::TransferStatus,
    time::Timestamp,
    transfer::{NewTransfer, Transfer},
};
use crate::id::TransferId;

/// How long the server waits before its first retry unless the policy says otherwise.
pub const BACKOFF: Duration = Duration::from_secs(60);
/// The longest that it waits before any.
pub const LONGEST_BACKOFF: Duration = Duration::from_secs(24 * 3_600);

/// Whether `new` may be another try of `earlier`: the only one, of the same table of the same connection in the same
/// direction and of the same movement, after that one has ended.
///
/// # Errors
/// [`Refusal::RetryNotAllowed`] with the first thing that stands against it.
pub fn admit(earlier: &Transfer, new: &NewTransfer) -> Result<(), Refusal> {
    let before = &earlier.declared;
    let (field, value) = if !earlier.status.is_terminal() {
        ("status", earlier.status.to_string())
    } else if let Some(uuid) = earlier.retried_by_uuid {
        ("retried_by_uuid", uuid.to_string())
    } else if before.table_name != new.table_name {
        ("table_name", before.table_name.clone())
    } else if before.direction != new.direction {
        ("direction", before.direction.to_string())
    } else if before.connection_uuid != new.connection_uuid {
        let connection = before.connection_uuid.map(|uuid| uuid.to_string());
        ("connection_uuid", connection.unwrap_or_default())
    } else if new
        .correlation_uuid
        .is_some_and(|uuid| uuid != earlier.correlation_uuid())
    {
        ("correlation_uuid", earlier.correlation_uuid().to_string())
    } else {
        return Ok(());
    };
    Err(Refusal::RetryNotAllowed {
        uuid: earlier.uuid,
        field,
        value: Named { name: field, value },
    })
}

/// Another try of `earlier` as `caller` may declare it: of the same declaration but for the limits of time, which were for
/// that one, and from its checkpoint unless it is complete.
///
/// # Errors
/// As [`authorize::create`], [`admit`] and [`Transfer::take_side`]. A transfer that the caller may not see is as good as
/// absent.
pub fn again(
    uuid: TransferId,
    earlier: &Transfer,
    connection: Option<&Connection>,
    sides: Sides<'_>,
    caller: &Caller,
    now: Timestamp,
) -> Result<Transfer, Refusal> {
    if !caller.sees(earlier.declared.connection_uuid) {
        let uuid = earlier.uuid;
        return Err(Refusal::TransferNotFound { uuid });
    }
    let mut new = NewTransfer {
        requires_approval: earlier.requires_approval,
        retry_of_uuid: Some(earlier.uuid),
        not_before: None,
        start_by: None,
        finish_by: None,
        ..earlier.declared.clone()
    };
    // Who asks for it is its initiator. The server, and whom nobody knows, ask in the name of who asked before.
    if caller.identity.is_some() {
        new.initiated_by_uuid = None;
    }
    admit(earlier, &new)?;
    let mut transfer = authorize::create(uuid, new, connection, caller, now)?;
    if earlier.status != TransferStatus::Completed {
        transfer.checkpoint.clone_from(&earlier.checkpoint);
    }
    succeed(transfer, earlier).take_side(sides)
}

/// It, as another try of `earlier`, and so of the same movement.
#[must_use]
pub fn succeed(mut transfer: Transfer, earlier: &Transfer) -> Transfer {
    transfer.retry_number = earlier.retry_number + 1;
    transfer.declared.correlation_uuid = Some(earlier.correlation_uuid());
    transfer
}

/// `earlier` once `uuid` tries it again.
#[must_use]
pub fn retried(earlier: &Transfer, uuid: TransferId, now: Timestamp) -> Transfer {
    Transfer {
        retried_by_uuid: Some(uuid),
        retry_at: None,
        updated_at: now,
        revision: earlier.revision + 1,
        ..earlier.clone()
    }
}

/// What the log says of that.
pub fn told(earlier: &Transfer, uuid: TransferId) -> EventBody {
    let detail = EventDetail::Retry {
        retried_by_uuid: uuid,
    };
    body(earlier, EventType::Retried, Some(detail))
}

/// What the log says of `earlier` when it was not tried again, so that watchers hear of its next time.
pub fn told_postponed(earlier: &Transfer) -> EventBody {
    body(earlier, EventType::RetryPostponed, None)
}

fn body(earlier: &Transfer, event_type: EventType, detail: Option<EventDetail>) -> EventBody {
    EventBody {
        event_type,
        from_status: Some(earlier.status),
        to_status: Some(earlier.status),
        actor_uuid: None,
        detail,
    }
}

/// What the server makes by itself of a transfer that has failed.
#[derive(Debug)]
pub enum ByItself {
    /// Nothing: it is not due, or not any more.
    Nothing,
    /// Another try.
    Tried(Transfer),
    /// The failed one, which waits once more for what has refused it, or for ever where nobody wants another try any more.
    Postponed(Transfer, Option<Refusal>),
}

/// Tries `earlier` again, if that is due, as if it were declared from where it was declared before.
pub fn by_itself(
    uuid: TransferId,
    earlier: &Transfer,
    connection: Option<&Connection>,
    sides: Sides<'_>,
    now: Timestamp,
) -> ByItself {
    if earlier.retry_at.is_none_or(|at| at > now) {
        return ByItself::Nothing;
    }
    let policy = connection.map(Connection::policy);
    if retry_at(earlier, policy, now).is_none() {
        return ByItself::Postponed(postponed(earlier, policy, now), None);
    }
    let server = Caller {
        address: earlier.observed_ip,
        ..Caller::server()
    };
    match again(uuid, earlier, connection, sides, &server, now) {
        Ok(transfer) => ByItself::Tried(transfer),
        Err(refusal) => ByItself::Postponed(postponed(earlier, policy, now), Some(refusal)),
    }
}

/// `earlier` when the server was refused to try it again: it waits once more, unless the policy wants no more retries.
fn postponed(earlier: &Transfer, policy: Option<&Policy>, now: Timestamp) -> Transfer {
    Transfer {
        retry_at: retry_at(earlier, policy, now),
        updated_at: now,
        revision: earlier.revision + 1,
        ..earlier.clone()
    }
}

/// When the server tries a failed transfer again by itself: where its failure may pass and the policy of its connection
/// wants it. The wait doubles with each retry.
pub fn retry_at(failed: &Transfer, policy: Option<&Policy>, now: Timestamp) -> Option<Timestamp> {
    let policy = policy?;
    let may_pass = failed.failure.is_some_and(|failure| failure.retryable);
    let is_wanted = failed.retry_number < policy.max_retries?;
    if failed.status != TransferStatus::Failed || !may_pass || !is_wanted {
        return None;
    }
    let first = policy.retry_backoff.unwrap_or(BACKOFF);
    let doublings = u32::try_from(failed.retry_number).unwrap_or(u32::MAX);
    let factor = 2_u32.checked_pow(doublings).unwrap_or(u32::MAX);
    let wait = first.checked_mul(factor).unwrap_or(LONGEST_BACKOFF);
    Some(now.after(wait.min(LONGEST_BACKOFF)))
}

#[cfg(test)]
mod tests;
