//! What the policy of a connection has against a transfer: all of it, in the order in which it is told.

use crate::{
    caller::Caller,
    connection::{Connection, ConnectionStatus},
    id::ConnectionId,
    refusal::{Named, Refusal},
    time::Timestamp,
    transfer::{NewTransfer, Transfer},
};

/// Nothing stands against it, or else what is told first.
pub(super) fn first(against: impl IntoIterator<Item = Refusal>) -> Result<(), Refusal> {
    against.into_iter().next().map_or(Ok(()), Err)
}

/// What stands against the creation of `new` by `caller`.
pub(super) fn creation(
    connection: &Connection,
    new: &NewTransfer,
    caller: &Caller,
    now: Timestamp,
) -> impl Iterator<Item = Refusal> {
    site(connection, &new.table_name, caller, now)
        .chain(usage(connection, true))
        .chain(request(connection, new.records_requested))
}

/// What stands against a start of `transfer` by `caller`, but for its own state. A connection that is gone cannot allow one.
pub(crate) fn start(
    transfer: &Transfer,
    connection: Option<&Connection>,
    caller: &Caller,
    now: Timestamp,
) -> impl Iterator<Item = Refusal> {
    let declared = &transfer.declared;
    let missing = declared.connection_uuid.filter(|_| connection.is_none());
    let gone = missing.map(|uuid| Refusal::ConnectionNotFound { uuid });
    let is_first = transfer.lease_epoch == 0;
    gone.into_iter()
        .chain(connection.into_iter().flat_map(move |connection| {
            site(connection, &declared.table_name, caller, now)
                .chain(usage(connection, is_first))
                .chain(request(connection, declared.records_requested))
                .chain(runs(connection))
        }))
}

/// Whether the connection is in use at `now`, for transfers and sessions alike.
///
/// # Errors
/// [`Refusal::ConnectionExpired`] after its end, otherwise [`Refusal::ConnectionNotActive`].
pub fn in_use(connection: &Connection, now: Timestamp) -> Result<(), Refusal> {
    let (connection_uuid, policy) = (connection.uuid, connection.policy());
    let expires_at = policy.expires_at;
    match connection.status {
        ConnectionStatus::Expired => Err(Refusal::ConnectionExpired {
            connection_uuid,
            expires_at,
        }),
        ConnectionStatus::Active if policy.is_over(now) => Err(Refusal::ConnectionExpired {
            connection_uuid,
            expires_at,
        }),
        ConnectionStatus::Active => Ok(()),
        status => Err(Refusal::ConnectionNotActive {
            connection_uuid,
            status,
        }),
    }
}

/// Whether transfers may be started from where `caller` is.
///
/// # Errors
/// [`Refusal::IpNotAllowed`].
pub fn from_here(connection: &Connection, caller: &Caller) -> Result<(), Refusal> {
    let address = caller.address;
    if connection.policy().admits_address(address) {
        return Ok(());
    }
    let connection_uuid = connection.uuid;
    Err(Refusal::IpNotAllowed {
        connection_uuid,
        address,
    })
}

/// How many more may run beside those that do; `None` for any number.
pub fn free_runs(connection: &Connection) -> Option<i64> {
    let (policy, running) = (connection.policy(), connection.running);
    let all = policy.max_running.map(|most| most - running.all);
    let agent = policy.max_running_per_agent;
    let agent = agent.map(|most| most - running.of_agent);
    all.into_iter().chain(agent).min().map(|free| free.max(0))
}

/// When transfers may be started: at once, from a time on, or `None` until the connection changes.
pub fn open_from(connection: &Connection, now: Timestamp) -> Option<Timestamp> {
    in_use(connection, now).ok()?;
    let policy = connection.policy();
    let closed = policy.allowed_hours.filter(|_| !policy.admits_time(now));
    Some(match closed {
        Some(hours) => hours.next_start(now),
        None => now,
    })
}

/// Whether a transfer of `table` may be created or started now, by this caller.
fn site(
    connection: &Connection,
    table: &str,
    caller: &Caller,
    now: Timestamp,
) -> impl Iterator<Item = Refusal> {
    let (connection_uuid, policy) = (connection.uuid, connection.policy());
    let closed = |allowed_hours| Refusal::OutsideAllowedHours {
        connection_uuid,
        allowed_hours,
        now,
    };
    let of_others = || Refusal::TableNotAllowed {
        connection_uuid,
        table_name: table.to_owned(),
    };
    let hours = policy.allowed_hours.filter(|_| !policy.admits_time(now));
    let against = [
        in_use(connection, now).err(),
        from_here(connection, caller).err(),
        hours.map(closed),
        (!policy.admits_table(table)).then(of_others),
    ];
    against.into_iter().flatten()
}

/// Whether the budgets of the connection leave anything; `more` is whether one more transfer is to be counted.
fn usage(connection: &Connection, more: bool) -> impl Iterator<Item = Refusal> {
    let (connection_uuid, policy, used) = (connection.uuid, connection.policy(), connection.used);
    let transfers = policy
        .max_transfers
        .filter(|limit| more && used.transfers >= *limit)
        .map(|max_transfers| Refusal::TransferLimitReached {
            connection_uuid,
            max_transfers,
        });
    let records = policy
        .max_records_total
        .filter(|limit| used.records >= *limit)
        .map(|limit| too_many(connection_uuid, "max_records_total", limit, 0));
    [transfers, records].into_iter().flatten()
}

/// Whether one more may run beside those that do.
fn runs(connection: &Connection) -> impl Iterator<Item = Refusal> {
    let (connection_uuid, policy) = (connection.uuid, connection.policy());
    let reached = |name, limit: Option<i64>, running| {
        let value = limit.filter(|limit| running >= *limit)?;
        let limit = Named { name, value };
        Some(Refusal::RunLimitReached {
            connection_uuid,
            limit,
        })
    };
    let (all, of_agent) = (connection.running.all, connection.running.of_agent);
    let all = reached("max_running", policy.max_running, all);
    let agent = policy.max_running_per_agent;
    let agent = reached("max_running_per_agent", agent, of_agent);
    [all, agent].into_iter().flatten()
}

fn request(connection: &Connection, records: i64) -> Option<Refusal> {
    let limit = connection.policy().max_records_per_request?;
    let name = "max_records_per_request";
    (records > limit).then(|| too_many(connection.uuid, name, limit, limit))
}

pub(super) const fn too_many(
    connection_uuid: ConnectionId,
    name: &'static str,
    value: i64,
    remaining: i64,
) -> Refusal {
    Refusal::RecordLimitReached {
        connection_uuid,
        limit: Named { name, value },
        remaining,
    }
}
