//! The queries of agents and their runs.

use sea_orm::{
    ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{Expr, ExprTrait as _},
};

use crate::sql::condition::{self, OF_ANY_CONNECTION};
use tidegate_domain::{
    agent::Registration,
    caller::ConnectionScope,
    id::ConnectionId,
    query::{SortOrder, Window},
    status::TransferStatus,
    time::Timestamp,
};
use tidegate_entity::{
    agent::{Column, Entity},
    transfer,
};

/// When the agent of a run was last heard, where its lease has an end.
const HEARD_AT: &str = "heartbeat_expires_at - heartbeat_timeout";
/// Whether a run is the agent's.
const OWN: &str = "transfer.agent_instance = agent.instance \
    AND (transfer.connection_uuid = agent.connection_uuid \
        OR (transfer.connection_uuid IS NULL AND agent.connection_uuid IS NULL)) \
    AND (transfer.lease_owner_uuid = agent.owner_uuid \
        OR (transfer.lease_owner_uuid IS NULL AND agent.owner_uuid IS NULL))";

pub(crate) fn list(
    connections: ConnectionScope,
    seen_since: Option<Timestamp>,
    window: Window,
) -> Select<Entity> {
    let beyond = window.after.map(|position| {
        let (key, uuid) = ((Entity, Column::RegisteredAt), (Entity, Column::Uuid));
        condition::beyond(key, uuid, SortOrder::Descending, position)
    });
    let conditions = Condition::all()
        .add_option(condition::within(Column::ConnectionUuid, connections))
        .add_option(seen_since.map(seen))
        .add_option(beyond);
    Entity::find()
        .filter(conditions)
        .order_by_desc(Column::RegisteredAt)
        .order_by_desc(Column::Uuid)
        .limit(u64::from(window.limit))
}

/// Those that were heard since then, by themselves or by what they run.
fn seen(since: Timestamp) -> Condition {
    let since = since.as_micros();
    let runs = format!(
        "EXISTS (SELECT 1 FROM transfer WHERE transfer.status = 'IN_PROGRESS' AND {OF_ANY_CONNECTION} AND {OWN} \
         AND {HEARD_AT} >= {since})"
    );
    Condition::any()
        .add(Column::LastBeatAt.gte(since))
        .add(Expr::cust(runs))
}

pub(crate) fn of_connection(connection_uuid: Option<ConnectionId>) -> Select<Entity> {
    Entity::find().filter(match connection_uuid {
        Some(uuid) => Column::ConnectionUuid.eq(uuid.0),
        None => Column::ConnectionUuid.is_null(),
    })
}

/// Those that have said nothing since then, longest ago first.
pub(crate) fn gone(before: Timestamp, limit: u32) -> Select<Entity> {
    Entity::find()
        .select_only()
        .column(Column::Uuid)
        .filter(Column::LastBeatAt.lt(before.as_micros()))
        .order_by_asc(Column::LastBeatAt)
        .limit(u64::from(limit))
}

/// The transfers that run under some names, counted by their agents.
pub(crate) fn counted(names: Expr) -> Select<transfer::Entity> {
    use transfer::Column::{AgentInstance, ConnectionUuid, LeaseOwnerUuid};
    transfer::Entity::find()
        .select_only()
        .columns([ConnectionUuid, LeaseOwnerUuid, AgentInstance])
        .expr_as(Expr::cust("COUNT(*)"), "count")
        .expr_as(Expr::cust(format!("MAX({HEARD_AT})")), "heard_at")
        .filter(names)
        .filter(condition::status(TransferStatus::InProgress))
        .group_by(ConnectionUuid)
        .group_by(LeaseOwnerUuid)
        .group_by(AgentInstance)
}

/// The transfers that one agent runs, the oldest first.
pub(crate) fn runs(agent: &Registration, limit: u32) -> Select<transfer::Entity> {
    use transfer::Column::{AgentInstance, ConnectionUuid, InsertedAt, LeaseOwnerUuid, Uuid};
    let connection = match agent.connection_uuid {
        Some(uuid) => ConnectionUuid.eq(uuid.0),
        None => ConnectionUuid.is_null(),
    };
    let owner = match agent.owner_uuid {
        Some(uuid) => LeaseOwnerUuid.eq(uuid.0),
        None => LeaseOwnerUuid.is_null(),
    };
    transfer::Entity::find()
        .select_only()
        .column(Uuid)
        .filter(connection.and(owner))
        .filter(AgentInstance.eq(agent.instance.as_str()))
        .filter(condition::status(TransferStatus::InProgress))
        .order_by_asc(InsertedAt)
        .order_by_asc(Uuid)
        .limit(u64::from(limit))
}
