//! The decision about a transfer under the policy of its connection and the rights of the caller.
//!
//! [`decide`](super::decide) knows the transfer alone; what is asked here is who asks, and what the connection allows.

use std::time::Duration;

use uuid::Uuid;

use super::{
    caller::Caller,
    command::Verb,
    connection::{Connection, Usage},
    decide::{Change, decide, standing_against},
    progress::{Imbalance, TotalsRule},
    refusal::Refusal,
    retry,
    rule::Action,
    status::TransferStatus,
    stop::StopOrder,
    time::Timestamp,
    transfer::{NewTransfer, Transfer},
};
use crate::{id::TransferId, validate::Check};
use admit::{first, too_many};

mod admit;

pub(crate) use admit::start as standing_against_start;
pub use admit::{free_runs, from_here, in_use, open_from};

/// What an accepted command does to a transfer and to the budgets of its connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Authorization {
    /// What becomes of the transfer.
    pub change: Change,
    /// What the connection's transfers have used up with it; `None` when nothing is counted.
    pub charged: Option<Usage>,
}

/// A transfer as `caller` may declare it: within the policy, which can ask for an approval that the caller did not.
///
/// # Errors
/// A [`Refusal`]. A connection that the caller may not see is as good as absent.
pub fn create(
    uuid: TransferId,
    mut new: NewTransfer,
    connection: Option<&Connection>,
    caller: &Caller,
    now: Timestamp,
) -> Result<Transfer, Refusal> {
    match new.connection_uuid {
        Some(uuid) if connection.is_none() || !caller.sees(Some(uuid)) => {
            return Err(Refusal::ConnectionNotFound { uuid });
        }
        // An agent that belongs to no connection.
        None if !caller.sees(None) => {
            let mut check = Check::default();
            check.add("connection_uuid", "is required");
            check.finish(())?;
        }
        _ => {}
    }
    new.initiated_by_uuid = caller.person("initiated_by_uuid", new.initiated_by_uuid)?;
    if let Some(identity) = caller
        .identity
        .as_ref()
        .filter(|it| !it.session_code.is_empty())
    {
        new.session_code.clone_from(&identity.session_code);
    }
    keep_order(&new, now)?;
    let (mut self_approval, mut policy_revision) = (false, 0);
    let (mut start_within, mut finish_within) = (None, None);
    if let Some(connection) = connection {
        first(admit::creation(connection, &new, caller, now))?;
        let policy = connection.policy();
        new.requires_approval |= policy.requires_approval(&new.table_name);
        new.conflict_strategy = new.conflict_strategy.or(policy.default_conflict_strategy);
        new.max_attempts = new.max_attempts.or(policy.max_attempts);
        (start_within, finish_within) = (policy.start_within, policy.finish_within);
        self_approval = policy.self_approval;
        policy_revision = connection.revision;
    }
    let mut transfer = Transfer::create(uuid, new, now);
    transfer.acted_by_uuid = caller.credential();
    transfer.observed_ip = caller.address;
    transfer.self_approval = self_approval;
    transfer.policy_revision = policy_revision;
    (transfer.start_within, transfer.finish_within) = (start_within, finish_within);
    if !transfer.requires_approval {
        transfer.await_start(now);
    }
    Ok(transfer)
}

/// Whether there is a time at which it may be started, and one after that at which it may finish.
fn keep_order(new: &NewTransfer, now: Timestamp) -> Result<(), Refusal> {
    let from = new.not_before.map_or(now, |it| it.max(now));
    let mut check = Check::default();
    if new.start_by.is_some_and(|end| end <= from) {
        check.add("start_by", "must lie in the future, and after not_before");
    }
    let from = new.start_by.map_or(from, |it| it.max(from));
    if new.finish_by.is_some_and(|end| end <= from) {
        check.add(
            "finish_by",
            "must lie in the future, and after start_by and not_before",
        );
    }
    check.finish(())
}

/// What holds for runs of which neither the caller nor a policy says anything else.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunDefaults {
    /// How long an agent may stay silent; zero for ever.
    pub heartbeat_timeout: Duration,
    /// How long it has to confirm that it has stopped; zero not at all.
    pub stop_grace: Duration,
}

/// Decides `verb` on `transfer`, which `caller` must be allowed to see.
///
/// `connection` is the transfer's, where it exists.
///
/// # Errors
/// A [`Refusal`]; see also [`on_refused`](super::decide::on_refused).
pub fn authorize(
    transfer: &Transfer,
    connection: Option<&Connection>,
    verb: &Verb,
    caller: &Caller,
    defaults: RunDefaults,
    now: Timestamp,
) -> Result<Authorization, Refusal> {
    let uuid = transfer.uuid;
    if !caller.sees(transfer.declared.connection_uuid) {
        return Err(Refusal::TransferNotFound { uuid });
    }
    holds_lease(transfer, verb, caller)?;
    let by_policy = connection.map(Connection::policy);
    let grace_or = |asked: Option<Duration>| {
        let by_policy = by_policy.and_then(|policy| policy.stop_grace);
        asked.or(by_policy).or(Some(defaults.stop_grace))
    };
    let change = match verb {
        Verb::Start {
            heartbeat_timeout: asked,
            agent_instance,
            ..
        } => {
            let by_policy = by_policy.and_then(|policy| policy.heartbeat_timeout);
            let start = Verb::Start {
                heartbeat_timeout: asked.or(by_policy).or(Some(defaults.heartbeat_timeout)),
                agent_instance: agent_instance.clone(),
                owner_uuid: caller.credential(),
            };
            decide(transfer, &start, now)?
        }
        Verb::EndOverdue { reachable, grace } => {
            let (reachable, grace) = (*reachable, grace_or(*grace));
            decide(transfer, &Verb::EndOverdue { reachable, grace }, now)?
        }
        Verb::Stop(order) => {
            let order = StopOrder {
                grace: grace_or(order.grace),
                by: caller.credential(),
                ..order.clone()
            };
            decide(transfer, &Verb::Stop(order), now)?
        }
        Verb::SubmitReceipt {
            lease_epoch,
            receipt,
            ..
        } => {
            let verb = Verb::SubmitReceipt {
                lease_epoch: *lease_epoch,
                receipt: receipt.clone(),
                by: caller.credential(),
            };
            decide(transfer, &verb, now)?
        }
        _ => decide(transfer, verb, now)?,
    };
    let change = match change {
        Change::Transition(mut after, body) if after.status == TransferStatus::Failed => {
            after.retry_at = retry::retry_at(&after, by_policy, now);
            Change::Transition(after, body)
        }
        change => change,
    };
    let mut charged = None;
    match verb {
        Verb::Approve {
            admin_user_uuid: by,
            ..
        } => {
            caller.person("admin_user_uuid", Some(*by))?;
            keep_apart(transfer, *by, caller)?;
        }
        Verb::Deny {
            admin_user_uuid: by,
            ..
        } => {
            caller.person("admin_user_uuid", Some(*by))?;
        }
        Verb::Start { .. } => charged = charge_start(transfer, connection, caller, now)?,
        Verb::UpdateProgress { .. }
        | Verb::AcknowledgeStop { .. }
        | Verb::Complete { .. }
        | Verb::Fail { .. } => {
            charged = charge_records(transfer, &change, connection)?;
        }
        _ => {}
    }
    Ok(Authorization { change, charged })
}

/// Whether a start of `transfer` by `caller` would be accepted.
pub fn may_start(
    transfer: &Transfer,
    connection: Option<&Connection>,
    caller: &Caller,
    now: Timestamp,
) -> bool {
    let own = standing_against(transfer, Action::Start, now);
    let mut against = own.chain(admit::start(transfer, connection, caller, now));
    against.next().is_none()
}

/// Whether the caller may speak for the run: with the credential that started it, and naming its lease. Nothing need be
/// named where nobody can be mistaken for the holder: under the first lease of an agent that gave itself no name.
fn holds_lease(transfer: &Transfer, verb: &Verb, caller: &Caller) -> Result<(), Refusal> {
    let given = match verb {
        Verb::UpdateProgress { lease_epoch, .. }
        | Verb::AcknowledgeStop { lease_epoch, .. }
        | Verb::SubmitReceipt { lease_epoch, .. }
        | Verb::Complete { lease_epoch, .. }
        | Verb::Fail { lease_epoch, .. } => *lease_epoch,
        _ => return Ok(()),
    };
    let is_held = match (transfer.status, given) {
        (TransferStatus::InProgress, given) => {
            let is_named = given.map_or_else(
                || transfer.lease_epoch == 1 && transfer.agent_instance.is_empty(),
                |epoch| epoch == transfer.lease_epoch,
            );
            let owner = transfer.lease_owner_uuid;
            is_named && (owner.is_none() || owner == caller.credential())
        }
        // It was queued again. Before the first start, and after the end, the status says more.
        (TransferStatus::Pending | TransferStatus::Approved, Some(_)) => transfer.lease_epoch == 0,
        _ => true,
    };
    if is_held {
        return Ok(());
    }
    Err(Refusal::LeaseLost {
        uuid: transfer.uuid,
        given,
        lease: transfer.lease(),
    })
}

/// Approval is a second pair of eyes: neither the person who approves nor the credential that they do it with is the
/// initiator or the credential that declared the transfer, and it is not an agent of the same connection.
fn keep_apart(transfer: &Transfer, by: Uuid, caller: &Caller) -> Result<(), Refusal> {
    if transfer.self_approval || !is_own(transfer, by, caller) {
        return Ok(());
    }
    let uuid = transfer.uuid;
    Err(Refusal::SelfApproval { uuid })
}

/// Whether an approval is no second pair of eyes.
pub(crate) fn is_own(transfer: &Transfer, by: Uuid, caller: &Caller) -> bool {
    let declared_with = transfer.acted_by_uuid.map(Uuid::from);
    let first = [transfer.declared.initiated_by_uuid, declared_with];
    let second = [Some(by), caller.credential().map(Uuid::from)];
    let same_person = first.iter().flatten().any(|it| second.contains(&Some(*it)));
    let own = caller.identity.as_ref().and_then(|it| it.connection_uuid);
    let same_side = own.is_some() && own == transfer.declared.connection_uuid;
    same_person || same_side
}

/// Why `caller` may not approve `transfer`, whatever their role; `None` where nobody knows who they are, since they may
/// name anybody.
pub(crate) fn approval_refusal(transfer: &Transfer, caller: &Caller) -> Option<Refusal> {
    let credential = caller.credential()?;
    keep_apart(transfer, credential.into(), caller).err()
}

/// The usage after one more start.
fn charge_start(
    transfer: &Transfer,
    connection: Option<&Connection>,
    caller: &Caller,
    now: Timestamp,
) -> Result<Option<Usage>, Refusal> {
    first(admit::start(transfer, connection, caller, now))?;
    // The further attempts of a transfer are counted with its first.
    let counts =
        |it: &&Connection| transfer.lease_epoch == 0 && it.policy().max_transfers.is_some();
    Ok(connection.filter(counts).map(|connection| Usage {
        transfers: connection.used.transfers + 1,
        ..connection.used
    }))
}

/// The usage after the records that `change` adds; refused at the first one too many.
fn charge_records(
    before: &Transfer,
    change: &Change,
    connection: Option<&Connection>,
) -> Result<Option<Usage>, Refusal> {
    let (Some(connection), Change::Progress(after) | Change::Transition(after, _)) =
        (connection, change)
    else {
        return Ok(None);
    };
    let (moved, policy) = (after.totals.records_transferred, connection.policy());
    let more = moved - before.totals.records_transferred;
    let requested = before.declared.records_requested;
    if policy.limit_to_requested && requested > 0 && moved > requested && more > 0 {
        let imbalance = Imbalance {
            rule: TotalsRule::TransferredWithinRequested,
            sum: moved,
            limit: requested,
        };
        let uuid = before.uuid;
        return Err(Refusal::TotalsInconsistent { uuid, imbalance });
    }
    if let Some(limit) = policy
        .max_records_per_request
        .filter(|limit| more > 0 && moved > *limit)
    {
        let left = (limit - before.totals.records_transferred).max(0);
        return Err(too_many(
            connection.uuid,
            "max_records_per_request",
            limit,
            left,
        ));
    }
    let Some(limit) = policy.max_records_total.filter(|_| more > 0) else {
        return Ok(None);
    };
    let left = limit.saturating_sub(connection.used.records).max(0);
    if more > left {
        return Err(too_many(connection.uuid, "max_records_total", limit, left));
    }
    Ok(Some(Usage {
        records: connection.used.records + more,
        ..connection.used
    }))
}

#[cfg(test)]
mod tests;
