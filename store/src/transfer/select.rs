//! The queries of transfers.

use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect, Select,
};
use tidegate_entity::transfer::{Column, Entity};

use crate::{sql::condition, value::from_duration};
use tidegate_domain::{
    caller::ConnectionScope,
    claim::{ClaimFilter, ClaimPosition},
    id::ConnectionId,
    page::Position,
    query::{ApprovalFilter, SortOrder, TransferFilter, Window},
    status::TransferStatus,
    time::Timestamp,
};

/// Transfers of a connection that have not ended, in no particular order.
pub(crate) fn open(connection_uuid: ConnectionId, limit: u32) -> Select<Entity> {
    let open = TransferStatus::ALL
        .iter()
        .copied()
        .filter(|status| !status.is_terminal())
        .collect();
    let filter = TransferFilter {
        status: open,
        connections: ConnectionScope::Only(connection_uuid),
        ..TransferFilter::default()
    };
    Entity::find()
        .select_only()
        .column(Column::Uuid)
        .filter(condition::transfers(&filter))
        .limit(u64::from(limit))
}

pub(crate) fn list(filter: &TransferFilter, order: SortOrder, window: Window) -> Select<Entity> {
    let conditions = condition::transfers(filter).add_option(window.after.map(|position| {
        condition::beyond(
            column(Column::InsertedAt),
            column(Column::Uuid),
            order,
            position,
        )
    }));
    let direction = match order {
        SortOrder::Ascending => Order::Asc,
        SortOrder::Descending => Order::Desc,
    };
    let sorted = Entity::find()
        .filter(conditions)
        .order_by(Column::InsertedAt, direction.clone())
        .order_by(Column::Uuid, direction);
    cut(sorted, window)
}

pub(crate) fn pending_approvals(
    filter: &ApprovalFilter,
    now: Timestamp,
    window: Window,
) -> Select<Entity> {
    let beyond = window.after.map(|position| {
        let key = column(Column::ApprovalExpiresAt);
        condition::beyond(key, column(Column::Uuid), SortOrder::Ascending, position)
    });
    let sorted = Entity::find()
        .filter(condition::approvals(filter).add_option(beyond))
        .filter(Column::ApprovalExpiresAt.gt(now.as_micros()))
        .filter(
            Condition::any()
                .add(Column::StartExpiresAt.is_null())
                .add(Column::StartExpiresAt.gt(now.as_micros())),
        )
        .order_by_asc(Column::ApprovalExpiresAt)
        .order_by_asc(Column::Uuid);
    cut(sorted, window)
}

pub(crate) fn overdue_approvals(now: Timestamp, limit: u32) -> Select<Entity> {
    Entity::find()
        .select_only()
        .column(Column::Uuid)
        .filter(condition::approvals(&ApprovalFilter::default()))
        .filter(Column::ApprovalExpiresAt.lte(now.as_micros()))
        .order_by_asc(Column::ApprovalExpiresAt)
        .order_by_asc(Column::Uuid)
        .limit(u64::from(limit))
}

pub(crate) fn overdue_starts(now: Timestamp, limit: u32) -> Select<Entity> {
    Entity::find()
        .select_only()
        .column(Column::Uuid)
        .filter(Column::CompletedAt.is_null())
        .filter(Column::StartExpiresAt.lte(now.as_micros()))
        .order_by_asc(Column::StartExpiresAt)
        .order_by_asc(Column::Uuid)
        .limit(u64::from(limit))
}

pub(crate) fn due_retries(now: Timestamp, limit: u32) -> Select<Entity> {
    Entity::find()
        .select_only()
        .column(Column::Uuid)
        .filter(Column::RetryAt.lte(now.as_micros()))
        .order_by_asc(Column::RetryAt)
        .order_by_asc(Column::Uuid)
        .limit(u64::from(limit))
}

/// Transfers that may be started at `now` as far as their own state goes, in the order in which they are claimed.
pub(crate) fn startable(
    filter: &ClaimFilter,
    tables: Option<Expr>,
    now: Timestamp,
    after: Option<ClaimPosition>,
    limit: u32,
) -> Select<Entity> {
    let now = now.as_micros();
    let beyond = after.map(|after| {
        let (key, uuid) = (column(Column::InsertedAt), column(Column::Uuid));
        let same = Column::Priority.eq(after.priority);
        let later = condition::beyond(key, uuid, SortOrder::Ascending, after.created);
        Column::Priority.lt(after.priority).or(same.and(later))
    });
    Entity::find()
        .filter(queued(filter, tables))
        .filter(Column::NotBefore.is_null().or(Column::NotBefore.lte(now)))
        .filter(
            Column::StartExpiresAt
                .is_null()
                .or(Column::StartExpiresAt.gt(now)),
        )
        .filter(Condition::all().add_option(beyond))
        // All have the same, but PostgreSQL does not see that where it is NULL.
        .order_by_asc(Column::ConnectionUuid)
        .order_by_desc(Column::Priority)
        .order_by_asc(Column::InsertedAt)
        .order_by_asc(Column::Uuid)
        .limit(u64::from(limit))
}

/// When the next of those that wait for their time may be started.
pub(crate) fn next_start(
    filter: &ClaimFilter,
    tables: Option<Expr>,
    now: Timestamp,
) -> Select<Entity> {
    Entity::find()
        .select_only()
        .column_as(Column::NotBefore.min(), "next")
        .filter(queued(filter, tables))
        .filter(Column::NotBefore.gt(now.as_micros()))
}

/// The transfers of a connection that run, counted by their agents.
pub(crate) fn running(connection_uuid: ConnectionId) -> Select<Entity> {
    Entity::find()
        .select_only()
        .columns([Column::LeaseOwnerUuid, Column::AgentInstance])
        .expr_as(Expr::cust("COUNT(*)"), "count")
        .filter(Column::ConnectionUuid.eq(connection_uuid.0))
        .filter(condition::status(TransferStatus::InProgress))
        .group_by(Column::LeaseOwnerUuid)
        .group_by(Column::AgentInstance)
}

/// What [`ClaimFilter::awaits`] says, in the words of the partial index.
fn queued(filter: &ClaimFilter, tables: Option<Expr>) -> Condition {
    let connection = match filter.connection_uuid {
        Some(uuid) => Column::ConnectionUuid.eq(uuid.0),
        None => Column::ConnectionUuid.is_null(),
    };
    let decided = "(status = 'APPROVED' OR (status = 'PENDING' AND NOT requires_approval))";
    Condition::all()
        .add(connection)
        .add(Expr::cust("stop IS NULL"))
        .add(Expr::cust(decided))
        .add_option(filter.direction.map(|it| Column::Direction.eq(it.name())))
        .add_option(tables)
}

/// No index holds the end: what had ended then was created before then, and of that little is left that is to be kept.
pub(crate) fn ended(before: Timestamp, limit: u32) -> Select<Entity> {
    let before = before.as_micros();
    Entity::find()
        .select_only()
        .column(Column::Uuid)
        .filter(Column::InsertedAt.lt(before))
        .filter(Column::CompletedAt.lt(before))
        .filter(Column::RetryAt.is_null())
        .order_by_asc(Column::InsertedAt)
        .order_by_asc(Column::Uuid)
        .limit(u64::from(limit))
}

/// No index holds the heartbeat, since every report changes it; there are few transfers in progress to look through.
pub(crate) fn overdue_runs(now: Timestamp, since: Timestamp, limit: u32) -> Select<Entity> {
    let could_report = from_duration(now.since(since));
    let ran_out = |end: Column, limit: Column| {
        Condition::all()
            .add(end.lte(now.as_micros()))
            .add(limit.lte(could_report))
    };
    Entity::find()
        .select_only()
        .column(Column::Uuid)
        .filter(condition::status(TransferStatus::InProgress))
        .filter(condition::of_any_connection())
        .filter(
            Condition::any()
                .add(ran_out(
                    Column::HeartbeatExpiresAt,
                    Column::HeartbeatTimeout,
                ))
                .add(ran_out(Column::StopExpiresAt, Column::StopGrace))
                .add(
                    Condition::all()
                        .add(Column::FinishExpiresAt.lte(now.as_micros()))
                        .add(Column::StopExpiresAt.is_null()),
                ),
        )
        .order_by_asc(Column::InsertedAt)
        .order_by_asc(Column::Uuid)
        .limit(u64::from(limit))
}

/// No index holds the time of change, since every report changes it; there are few transfers in progress to look through.
/// They are in the order of an index that finds them, so a page costs no more than what lies in it.
pub(crate) fn moved(since: Timestamp, after: Option<Position>, limit: u32) -> Select<Entity> {
    let beyond = after.map(|position| {
        let (key, uuid) = (column(Column::InsertedAt), column(Column::Uuid));
        condition::beyond(key, uuid, SortOrder::Ascending, position)
    });
    revisions()
        .column(Column::InsertedAt)
        .filter(condition::status(TransferStatus::InProgress))
        .filter(condition::of_any_connection())
        .filter(Condition::all().add_option(beyond))
        .filter(Column::UpdatedAt.gte(since.as_micros()))
        .order_by_asc(Column::InsertedAt)
        .order_by_asc(Column::Uuid)
        .limit(u64::from(limit))
}

/// What tells whether a transfer is still as it was.
pub(crate) fn versions() -> Select<Entity> {
    revisions().column(Column::UpdatedAt)
}

pub(crate) fn revisions() -> Select<Entity> {
    Entity::find()
        .select_only()
        .columns([Column::Uuid, Column::Revision])
}

const fn column(column: Column) -> (Entity, Column) {
    (Entity, column)
}

fn cut(select: Select<Entity>, window: Window) -> Select<Entity> {
    let select = select.limit(u64::from(window.limit));
    if window.skip == 0 {
        select
    } else {
        select.offset(u64::from(window.skip))
    }
}
