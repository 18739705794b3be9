//! What a batch needs to know, read under the locks that keep it true until the commit. Rows that somebody else has locked
//! are left out and named: see [`held`](super::held).
//!
//! The order of the locks is the same in every batch of every replica, so that none waits for another in a circle:
//! connections by uuid, transfers by uuid, credentials by uuid, sessions by uuid, the event counter last.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use uuid::Uuid;

use super::{
    batch::{BatchInputs, OPEN_ENOUGH},
    held::{Held, missing},
    time::Time,
};
use tidegate_domain::{
    command::{Command, Submission, Verb},
    connection::{Connection, ConnectionField, ConnectionVerb, Usage},
    policy::Policy,
    transfer::Transfer,
};
use tidegate_store::{Effect, StoreError, WriteTransaction};

mod credentials;

use credentials::WantedAccess;

/// Stretches of connections that are locked alike, each with a statement of its own. Above it all are locked
/// exclusively, which is right as well, with one.
const STRETCHES: usize = 8;

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
/// What is remembered and the time are read under the locks: while this batch waited for them, another replica may have
/// carried out the same request, or a deadline may have passed.
pub(super) async fn load(
    transaction: &WriteTransaction,
    orders: &[&Submission],
    time: &Time,
    patience: Patience,
) -> Result<BatchInputs, StoreError> {
    let mut plan = LockPlan::by(orders);
    // Before anything else is locked: whoever waits here holds nothing that the other could wait for.
    let candidates = if orders
        .iter()
        .any(|submission| looks_round(&submission.command))
    {
        transaction.lock_candidates().await?
    } else {
        Vec::new()
    };
    // A transfer never moves to another connection, so that this can be asked without a lock.
    for its in transaction.glimpse_connections(&plan.governed).await? {
        plan.connection(its.uuid, its.has_budget);
    }
    for uuid in plan.access.connections(transaction).await? {
        plan.connection(uuid, false);
    }
    let mut connections = lock_connections(transaction, &plan.connections, patience).await?;
    let mut transfers = transaction.lock_transfers(&plan.transfers).await?;
    plan.still_holds(&connections, &transfers)?;
    let mut held = plan.held(transaction, &connections, &transfers).await?;
    let mut access = plan.access.lock(transaction, &mut held).await?;
    let remembered = transaction.remembered(&plan.request_ids).await?;
    let (mut of_transfers, mut of_connections) = (BTreeSet::new(), BTreeSet::new());
    for earlier in &remembered {
        match earlier.effect {
            Effect::Transfer { uuid, .. } => _ = of_transfers.insert(uuid),
            Effect::Connection { uuid, .. } => _ = of_connections.insert(uuid),
            Effect::Credential(_) | Effect::Session(_) => {}
        }
    }
    of_transfers.retain(|uuid| plan.transfers.binary_search(uuid).is_err());
    of_connections.retain(|uuid| !plan.connections.contains_key(uuid));
    let of_transfers: Vec<_> = of_transfers.into_iter().collect();
    transfers.extend(transaction.existing_transfers(&of_transfers).await?);
    let of_connections: Vec<_> = of_connections.into_iter().collect();
    connections.extend(transaction.existing_connections(&of_connections).await?);
    let again = plan.access.answers(transaction, &remembered).await?;
    access.extend(again);
    let mut inputs = BatchInputs::at(time.now_in(transaction).await?);
    inputs.held = held;
    inputs.on_record = usage_on_record(transaction, orders, &connections).await?;
    inputs.open = open_transfers(transaction, orders).await?;
    inputs.candidates = candidates;
    inputs.transfers = transfers;
    inputs.connections = connections;
    inputs.remembered = remembered;
    inputs.credentials = access.credentials;
    inputs.sessions = access.sessions;
    Ok(inputs)
}

/// Locks connections by uuid, each as it says: exclusively where it is changed or counted on.
async fn lock_connections(
    transaction: &WriteTransaction,
    plan: &BTreeMap<Uuid, bool>,
    patience: Patience,
) -> Result<Vec<Connection>, StoreError> {
    let plan: Vec<_> = plan.iter().collect();
    let stretches: Vec<_> = plan.chunk_by(|one, other| one.1 == other.1).collect();
    let stretches = if stretches.len() > STRETCHES {
        vec![plan.as_slice()]
    } else {
        stretches
    };
    let mut connections = Vec::with_capacity(plan.len());
    for stretch in stretches {
        let uuids: Vec<_> = stretch.iter().map(|(uuid, _)| **uuid).collect();
        let exclusive = stretch.iter().any(|(_, exclusive)| **exclusive);
        let locked = match patience {
            Patience::Short => transaction.await_connections(&uuids, exclusive).await?,
            Patience::None => transaction.lock_connections(&uuids, exclusive).await?,
        };
        connections.extend(locked);
    }
    Ok(connections)
}

/// For every connection that gets a limit: what counts against it already.
async fn usage_on_record(
    transaction: &WriteTransaction,
    orders: &[&Submission],
    connections: &[Connection],
) -> Result<HashMap<Uuid, Usage>, StoreError> {
    let mut updates: HashMap<Uuid, Vec<_>> = HashMap::new();
    for submission in orders {
        if let Command::ChangeConnection {
            uuid,
            verb: ConnectionVerb::Update { fields, to, .. },
        } = &submission.command
        {
            updates.entry(*uuid).or_default().push((fields, &to.policy));
        }
    }
    let mut usage = HashMap::new();
    for connection in connections {
        let updates = updates.get(&connection.uuid).map_or(&[][..], Vec::as_slice);
        // Where several come together, an earlier one may lift the limit that a later one sets.
        let is_known = |(fields, to): &(&Vec<ConnectionField>, &Policy)| {
            updates.len() == 1 && !sets_limit(connection.policy(), fields, to)
        };
        if !updates.iter().all(is_known) {
            let used = transaction.usage_on_record(connection.uuid).await?;
            usage.insert(connection.uuid, used);
        }
    }
    Ok(usage)
}

/// Whether a command may add a second way to one site.
fn looks_round(command: &Command) -> bool {
    match command {
        Command::CreateConnection {
            allow_duplicate, ..
        } => !allow_duplicate,
        Command::ChangeConnection {
            verb:
                ConnectionVerb::Update {
                    fields,
                    allow_duplicate,
                    ..
                },
            ..
        } => !allow_duplicate && fields.contains(&ConnectionField::SiteUrl),
        _ => false,
    }
}

/// Whether an update sets a limit where there is none.
fn sets_limit(before: &Policy, fields: &[ConnectionField], to: &Policy) -> bool {
    fields.iter().any(|field| match field {
        ConnectionField::MaxTransfers => {
            to.max_transfers.is_some() && before.max_transfers.is_none()
        }
        ConnectionField::MaxRecordsTotal => {
            to.max_records_total.is_some() && before.max_records_total.is_none()
        }
        _ => false,
    })
}

/// For every connection that is to be deleted: its transfers that could still change.
async fn open_transfers(
    transaction: &WriteTransaction,
    orders: &[&Submission],
) -> Result<HashMap<Uuid, Vec<Uuid>>, StoreError> {
    let mut open = HashMap::new();
    for submission in orders {
        if let Command::ChangeConnection {
            uuid,
            verb: ConnectionVerb::Delete,
        } = &submission.command
        {
            open.insert(*uuid, transaction.open_transfers(*uuid, OPEN_ENOUGH).await?);
        }
    }
    Ok(open)
}

/// What the commands of a batch name, each once and sorted.
struct LockPlan<'a> {
    transfers: Vec<Uuid>,
    /// Those of the transfers whose connection has a say in what is to be done.
    governed: Vec<Uuid>,
    /// Whether each is changed or counted on; the others are only looked at.
    connections: BTreeMap<Uuid, bool>,
    access: WantedAccess,
    request_ids: Vec<&'a str>,
}

impl<'a> LockPlan<'a> {
    fn by(orders: &[&'a Submission]) -> Self {
        let (mut transfers, mut governed) = (BTreeSet::new(), BTreeSet::new());
        let mut request_ids = BTreeSet::new();
        let mut plan = Self {
            transfers: Vec::new(),
            governed: Vec::new(),
            connections: BTreeMap::new(),
            access: WantedAccess::default(),
            request_ids: Vec::new(),
        };
        for submission in orders {
            request_ids.extend(submission.request.as_ref().map(|it| it.request_id.as_str()));
            match &submission.command {
                Command::CreateTransfer(new) => {
                    transfers.extend(new.retry_of_uuid);
                    if let Some(uuid) = new.connection_uuid {
                        plan.connection(uuid, false);
                    }
                }
                Command::ChangeTransfer { uuid, verb } => {
                    transfers.insert(*uuid);
                    if is_governed(verb) {
                        governed.insert(*uuid);
                    }
                }
                Command::ChangeConnection { uuid, .. } => plan.connection(*uuid, true),
                _ => {
                    if let Some((uuid, exclusive)) = plan.access.note(submission) {
                        plan.connection(uuid, exclusive);
                    }
                }
            }
        }
        plan.transfers = transfers.into_iter().collect();
        plan.governed = governed.into_iter().collect();
        plan.request_ids = request_ids.into_iter().collect();
        plan
    }

    /// What exists and could not be locked.
    async fn held(
        &self,
        transaction: &WriteTransaction,
        connections: &[Connection],
        transfers: &[Transfer],
    ) -> Result<Held, StoreError> {
        let plan: Vec<_> = self.connections.keys().copied().collect();
        let connections = missing(&plan, connections.iter().map(|it| it.uuid));
        let transfers = missing(&self.transfers, transfers.iter().map(|it| it.uuid));
        let connections = transaction.existing_connections(&connections).await?;
        let transfers = transaction.existing_transfers(&transfers).await?;
        Ok(Held {
            connections: connections.into_iter().map(|it| it.uuid).collect(),
            transfers: transfers.into_iter().map(|it| it.uuid).collect(),
            ..Held::default()
        })
    }

    fn connection(&mut self, uuid: Uuid, exclusive: bool) {
        *self.connections.entry(uuid).or_default() |= exclusive;
    }

    /// Whether the right connections were locked in the right way; between the glimpse and the locks, a transfer may have
    /// come into being, or a connection may have got a limit.
    fn still_holds(
        &self,
        connections: &[Connection],
        transfers: &[Transfer],
    ) -> Result<(), StoreError> {
        let counting: BTreeSet<Uuid> = connections
            .iter()
            .filter(|connection| connection.policy().has_budget())
            .map(|connection| connection.uuid)
            .collect();
        let is_as_seen = |uuid: Uuid| match self.connections.get(&uuid) {
            Some(exclusive) => *exclusive || !counting.contains(&uuid),
            None => false,
        };
        let mut governed = transfers
            .iter()
            .filter(|transfer| self.governed.binary_search(&transfer.uuid).is_ok())
            .filter_map(|transfer| transfer.declared.connection_uuid);
        if governed.all(is_as_seen) {
            Ok(())
        } else {
            Err(StoreError::conflict("a connection changed meanwhile"))
        }
    }
}

/// Whether the connection of a transfer has a say.
pub(super) const fn is_governed(verb: &Verb) -> bool {
    matches!(
        verb,
        Verb::Start { .. }
            | Verb::UpdateProgress { .. }
            | Verb::Complete { .. }
            | Verb::Fail { .. }
    )
}
