//! What a batch needs to know, read under the locks that keep it true until the commit. Rows that somebody else has locked
//! are left out and named: see [`held`](super::held).
//!
//! The order of the locks is the same in every batch of every replica, so that none waits for another in a circle:
//! requests by id, movements by correlation, connections by uuid, transfers by uuid, credentials by uuid, sessions by uuid,
//! bulk operations by uuid, agents by uuid, the event counter last.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use super::{
    batch::{BatchInputs, OPEN_ENOUGH},
    held::{Held, missing},
};
use crate::time::Time;
use tidegate_domain::{
    bulk::BulkOperation,
    connection::{Connection, ConnectionField, Usage},
    id::{ConnectionId, TransferId},
    movement::Side,
    policy::{Policy, PolicyField},
    transfer::{Agent, Transfer},
};
use tidegate_store::{Effect, StoreError, WriteTransaction};

mod agent;
mod credential;
mod plan;

pub(crate) use plan::LockPlan;

/// Runs of connections that are locked alike, each with a statement of its own. Above it all are locked
/// exclusively, which is right as well, with one.
const RUNS_MAX: usize = 8;

/// Whether to wait for connections: writers take turns on those that they count on, and a change gets its turn only if those
/// who look wait behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// For a moment, which keeps the whole batch waiting.
    Short,
    None,
}

/// Everything that the decisions will look at.
///
/// What was asked before and the time are read under the locks: while this batch waited for them, another replica may have
/// carried out the same request, or a deadline may have passed.
pub(super) async fn load(
    transaction: &WriteTransaction,
    mut plan: LockPlan<'_>,
    time: &Time,
    patience: Patience,
) -> Result<BatchInputs, StoreError> {
    // Before anything else is locked: whoever waits here holds nothing that the other could wait for.
    let candidates = if plan.seeks_duplicates {
        transaction.lock_candidates().await?
    } else {
        Vec::new()
    };
    let bulk_running = if plan.starts_bulk {
        transaction.lock_bulk_starts().await?
    } else {
        0
    };
    transaction.lock_requests(&listed(&plan.alone)).await?;
    let sides = lock_sides(transaction, &mut plan).await?;
    // A transfer never moves to another connection, so that this can be asked without a lock.
    let governed = listed(&plan.governed);
    for its in transaction.peek_connections(&governed).await? {
        plan.connection(its.uuid, its.has_budget);
    }
    for uuid in plan.access.connections(transaction).await? {
        plan.connection(uuid, false);
    }
    let mut connections = lock_connections(transaction, &plan.connections, patience).await?;
    let planned = listed(&plan.transfers);
    let mut transfers = transaction.lock_transfers(&planned).await?;
    plan.still_holds(&connections, &transfers)?;
    let mut held = find_held(&plan, transaction, &connections, &transfers).await?;
    let mut access = plan.access.lock(transaction, &mut held).await?;
    let mut bulk = lock_bulk(transaction, &plan, &mut held).await?;
    let agents = plan.agents.lock(transaction, &mut held).await?;
    let prior_requests = transaction
        .prior_requests(&listed(&plan.request_ids))
        .await?;
    let (mut of_transfers, mut of_connections) = (BTreeSet::new(), BTreeSet::new());
    let mut of_bulk = BTreeSet::new();
    for earlier in &prior_requests {
        match &earlier.effect {
            Effect::Transfer { uuid, .. } => _ = of_transfers.insert(*uuid),
            Effect::Claim(claimed) => of_transfers.extend(claimed),
            Effect::Connection { uuid, .. } => _ = of_connections.insert(*uuid),
            Effect::BulkOperation(uuid) => _ = of_bulk.insert(*uuid),
            Effect::Credential(_) | Effect::Session(_) => {}
        }
    }
    of_transfers.retain(|uuid| !plan.transfers.contains(uuid));
    of_connections.retain(|uuid| !plan.connections.contains_key(uuid));
    of_bulk.retain(|uuid| !plan.bulk_operations.contains(uuid));
    let of_bulk = listed(&of_bulk);
    bulk.extend(transaction.existing_bulk_operations(&of_bulk).await?);
    let of_transfers = listed(&of_transfers);
    transfers.extend(transaction.existing_transfers(&of_transfers).await?);
    let of_connections = listed(&of_connections);
    connections.extend(transaction.existing_connections(&of_connections).await?);
    let again = plan.access.answers(transaction, &prior_requests).await?;
    access.extend(again);
    let mut inputs = BatchInputs::at(time.now_in(transaction).await?);
    inputs.held = held;
    inputs.on_record = usage_on_record(transaction, &plan.updates, &connections).await?;
    if plan.starts {
        inputs.running = running(transaction, &connections).await?;
    }
    inputs.open = open_transfers(transaction, &plan.deletions).await?;
    inputs.bulk_operations = bulk;
    inputs.bulk_running = bulk_running;
    inputs.candidates = candidates;
    inputs.sides = sides;
    inputs.transfers = transfers;
    inputs.connections = connections;
    inputs.prior_requests = prior_requests;
    inputs.credentials = access.credentials;
    inputs.sessions = access.sessions;
    inputs.agents = agents.known;
    inputs.agent_counts = agents.counts;
    let unnamed = listed(&unnamed(&plan, &inputs));
    inputs.connection_names = transaction.connection_names(&unnamed).await?;
    Ok(inputs)
}

/// The connections that events will name and that are not loaded, since they have no say. Nobody has to keep them as they
/// are.
fn unnamed(plan: &LockPlan<'_>, inputs: &BatchInputs) -> BTreeSet<ConnectionId> {
    let transfers = inputs.transfers.iter();
    let transfers = transfers
        .filter(|transfer| plan.transfers.contains(&transfer.uuid))
        .filter_map(|transfer| transfer.declared.connection_uuid);
    let credentials = inputs.credentials.iter();
    let credentials = credentials
        .filter(|_| plan.tells_access)
        .filter_map(|credential| credential.declared.connection_uuid);
    let sessions = inputs.sessions.iter();
    let sessions = sessions.map(|session| session.declared.connection_uuid);
    let mut wanted: BTreeSet<_> = transfers.chain(credentials).chain(sessions).collect();
    wanted.extend(&plan.named);
    for connection in &inputs.connections {
        wanted.remove(&connection.uuid);
    }
    wanted
}

fn listed<T: Clone>(set: &BTreeSet<T>) -> Vec<T> {
    set.iter().cloned().collect()
}

/// Finds the newest transfers of the movements that others are to join, and plans to lock them.
async fn lock_sides(
    transaction: &WriteTransaction,
    plan: &mut LockPlan<'_>,
) -> Result<HashMap<Side, TransferId>, StoreError> {
    // A transfer never moves to another movement.
    let of = transaction
        .peek_movements(&listed(&plan.movements_of))
        .await?;
    plan.movements.extend(of);
    let sides = transaction.lock_movements(&plan.movements).await?;
    plan.transfers.extend(sides.values());
    Ok(sides)
}

/// Locks connections by uuid, each as it says: exclusively where it is changed or counted on.
async fn lock_connections(
    transaction: &WriteTransaction,
    plan: &BTreeMap<ConnectionId, bool>,
    patience: Patience,
) -> Result<Vec<Connection>, StoreError> {
    let plan: Vec<_> = plan.iter().collect();
    let runs: Vec<_> = plan.chunk_by(|one, other| one.1 == other.1).collect();
    let runs = if runs.len() > RUNS_MAX {
        vec![plan.as_slice()]
    } else {
        runs
    };
    let mut connections = Vec::with_capacity(plan.len());
    for run in runs {
        let uuids: Vec<_> = run.iter().map(|(uuid, _)| **uuid).collect();
        let exclusive = run.iter().any(|(_, exclusive)| **exclusive);
        let locked = match patience {
            Patience::Short => transaction.await_connections(&uuids, exclusive).await?,
            Patience::None => transaction.lock_connections(&uuids, exclusive).await?,
        };
        connections.extend(locked);
    }
    Ok(connections)
}

/// What exists and could not be locked.
async fn find_held(
    plan: &LockPlan<'_>,
    transaction: &WriteTransaction,
    connections: &[Connection],
    transfers: &[Arc<Transfer>],
) -> Result<Held, StoreError> {
    let planned: Vec<_> = plan.connections.keys().copied().collect();
    let connections = missing(&planned, connections.iter().map(|it| it.uuid));
    let transfers = missing(&listed(&plan.transfers), transfers.iter().map(|it| it.uuid));
    let connections = transaction.existing_connections(&connections).await?;
    let transfers = transaction.existing_transfers(&transfers).await?;
    Ok(Held {
        connections: connections.into_iter().map(|it| it.uuid).collect(),
        transfers: transfers.into_iter().map(|it| it.uuid).collect(),
        ..Held::default()
    })
}

/// The bulk operations that commands are about.
async fn lock_bulk(
    transaction: &WriteTransaction,
    plan: &LockPlan<'_>,
    held: &mut Held,
) -> Result<Vec<BulkOperation>, StoreError> {
    let planned = listed(&plan.bulk_operations);
    let locked = transaction.lock_bulk_operations(&planned).await?;
    let missing = missing(&planned, locked.iter().map(|it| it.uuid));
    let existing = transaction.existing_bulk_operations(&missing).await?;
    held.bulk_operations = existing.into_iter().map(|it| it.uuid).collect();
    Ok(locked)
}

/// For every connection that gets a limit: what counts against it already.
async fn usage_on_record(
    transaction: &WriteTransaction,
    updates: &HashMap<ConnectionId, Vec<(&[ConnectionField], &Policy)>>,
    connections: &[Connection],
) -> Result<HashMap<ConnectionId, Usage>, StoreError> {
    let mut usage = HashMap::new();
    for connection in connections {
        let updates = updates.get(&connection.uuid).map_or(&[][..], Vec::as_slice);
        // Where several come together, an earlier one may lift the limit that a later one sets.
        let is_known = |(fields, to): &(&[ConnectionField], &Policy)| {
            updates.len() == 1 && !sets_limit(connection.policy(), fields, to)
        };
        if !updates.iter().all(is_known) {
            let used = transaction.usage_on_record(connection.uuid).await?;
            usage.insert(connection.uuid, used);
        }
    }
    Ok(usage)
}

/// For every connection that limits it: how many of its transfers run, by their agents.
async fn running(
    transaction: &WriteTransaction,
    connections: &[Connection],
) -> Result<HashMap<ConnectionId, Vec<(Agent, i64)>>, StoreError> {
    let mut running = HashMap::new();
    for connection in connections.iter().filter(|it| it.policy().limits_runs()) {
        let uuid = connection.uuid;
        running.insert(uuid, transaction.running(uuid).await?);
    }
    Ok(running)
}

/// Whether an update sets a limit where there is none.
fn sets_limit(before: &Policy, fields: &[ConnectionField], to: &Policy) -> bool {
    fields.iter().any(|field| match field {
        ConnectionField::Policy(PolicyField::MaxTransfers) => {
            to.max_transfers.is_some() && before.max_transfers.is_none()
        }
        ConnectionField::Policy(PolicyField::MaxRecordsTotal) => {
            to.max_records_total.is_some() && before.max_records_total.is_none()
        }
        _ => false,
    })
}

/// For every connection that is to be deleted: its transfers that could still change.
async fn open_transfers(
    transaction: &WriteTransaction,
    deletions: &BTreeSet<ConnectionId>,
) -> Result<HashMap<ConnectionId, Vec<TransferId>>, StoreError> {
    let mut open = HashMap::new();
    for uuid in deletions {
        open.insert(*uuid, transaction.open_transfers(*uuid, OPEN_ENOUGH).await?);
    }
    Ok(open)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_record_is_counted_where_a_limit_is_new() {
        let transfers = ConnectionField::Policy(PolicyField::MaxTransfers);
        let records = ConnectionField::Policy(PolicyField::MaxRecordsTotal);
        let policy = |max_transfers, max_records_total| Policy {
            max_transfers,
            max_records_total,
            ..Policy::default()
        };
        let none = policy(None, None);
        let both = policy(Some(1), Some(2));
        for (before, fields, to, expected) in [
            (&none, vec![transfers], &both, true),
            (&none, vec![records], &both, true),
            (&none, vec![ConnectionField::Name, records], &both, true),
            (&none, vec![ConnectionField::Name], &both, false),
            (&none, vec![transfers, records], &none, false),
            (&both, vec![transfers, records], &both, false),
            (&both, vec![transfers, records], &none, false),
            (
                &policy(Some(1), None),
                vec![transfers, records],
                &both,
                true,
            ),
            (
                &policy(None, Some(1)),
                vec![transfers, records],
                &both,
                true,
            ),
            (&policy(None, Some(1)), vec![records], &both, false),
        ] {
            assert_eq!(
                sets_limit(before, &fields, to),
                expected,
                "{before:?} {fields:?}"
            );
        }
    }
}
