//! Filters and places in lists as SQL.
//!
//! Statuses are written into the statement instead of being bound: a planner takes a partial index only when it can see
//! that every row it may answer with is in that index. SQLite would have to plan anew for each value that is bound, and
//! a plan of PostgreSQL's that is good for any value could not use the index at all.

use sea_orm::{
    ColumnTrait, Condition,
    sea_query::{Expr, ExprTrait, Func, IntoColumnRef},
};
use tidegate_entity::transfer::Column;

use tidegate_domain::{
    caller::ConnectionScope,
    page::Position,
    query::{ApprovalFilter, SortOrder, TimeRange, TransferFilter},
    reconcile::ReconciliationState,
    status::TransferStatus,
};

/// The rows whose `column` is one of these connections'; `None` for all.
pub(crate) fn within(column: impl ColumnTrait, connections: ConnectionScope) -> Option<Expr> {
    match connections {
        ConnectionScope::All => None,
        ConnectionScope::Only(only) => Some(column.eq(only.0)),
        ConnectionScope::Nothing => Some(Expr::val(false)),
    }
}

/// The same rows as [`TransferFilter::matches`].
pub(crate) fn transfers(filter: &TransferFilter) -> Condition {
    let created = TimeRange {
        from: filter.from,
        to: filter.to,
    };
    Condition::all()
        .add_option(
            filter
                .direction
                .map(|direction| Column::Direction.eq(direction.name())),
        )
        .add_option(any_status(&filter.status))
        .add_option(is_of_any_connection(filter).then(of_any_connection))
        .add_option(within(Column::ConnectionUuid, filter.connections))
        .add_option(any_table(&filter.tables))
        .add_option(filter.table_prefix.as_deref().map(table_prefix))
        .add_option(
            filter
                .requires_approval
                .map(|flag| Column::RequiresApproval.eq(flag)),
        )
        .add_option(filter.partial.map(|flag| match flag {
            true => Column::RecordsFailed.gt(0),
            false => Column::RecordsFailed.eq(0),
        }))
        .add_option(
            filter
                .initiated_by_uuid
                .map(|uuid| Column::InitiatedByUuid.eq(uuid)),
        )
        .add_option(filter.decided_by_uuid.map(|uuid| {
            Column::ApprovedByUuid
                .eq(uuid)
                .or(Column::DeniedByUuid.eq(uuid))
        }))
        .add_option(
            filter
                .lease_owner_uuid
                .map(|uuid| Column::LeaseOwnerUuid.eq(uuid.0)),
        )
        .add_option(
            filter
                .correlation_uuid
                .map(|uuid| Column::CorrelationUuid.eq(uuid)),
        )
        .add_option(filter.plan_uuid.map(|uuid| Column::PlanUuid.eq(uuid)))
        .add_option(filter.reconciliation.map(reconciliation))
        .add(range(Column::InsertedAt, created))
        .add(range(Column::StartedAt, filter.started))
        .add(range(Column::CompletedAt, filter.ended))
        .add(range(Column::UpdatedAt, filter.updated))
}

fn is_of_any_connection(filter: &TransferFilter) -> bool {
    !filter.status.is_empty() && filter.connections == ConnectionScope::All
}

/// Always true, and part of the indexes that have the open transfers of all connections. Without it PostgreSQL would look
/// there for those of one connection, too, as long as it believes that few are open.
pub(crate) const OF_ANY_CONNECTION: &str = "LENGTH(status) > 0";

pub(crate) fn of_any_connection() -> Expr {
    Expr::cust(OF_ANY_CONNECTION)
}

fn range(column: Column, range: TimeRange) -> Condition {
    Condition::all()
        .add_option(range.from.map(|from| column.gte(from.as_micros())))
        .add_option(range.to.map(|to| column.lte(to.as_micros())))
}

fn any_table(tables: &[String]) -> Option<Expr> {
    match tables {
        [] => None,
        [one] => Some(Column::TableName.eq(one.as_str())),
        several => Some(Column::TableName.is_in(several.iter().map(String::as_str))),
    }
}

/// Not LIKE, whose signs would have to be escaped, and which ignores case on SQLite.
fn table_prefix(prefix: &str) -> Expr {
    let length = i32::try_from(prefix.chars().count()).unwrap_or(i32::MAX);
    let name = Column::TableName.into_expr();
    let start = Func::cust("substr").args([name, Expr::val(1), Expr::val(length)]);
    Expr::from(start).eq(prefix)
}

fn reconciliation(state: ReconciliationState) -> Expr {
    match state {
        ReconciliationState::Pending => Column::Reconciliation.is_null(),
        state => Column::Reconciliation.eq(state.name()),
    }
}

pub(crate) fn approvals(filter: &ApprovalFilter) -> Condition {
    Condition::all()
        .add(status(TransferStatus::PendingApproval))
        // In the order of when they expire there is no other index.
        .add(of_any_connection())
        .add_option(within(Column::ConnectionUuid, filter.connections))
        .add_option(
            filter
                .table_name
                .as_ref()
                .map(|name| Column::TableName.eq(name.as_str())),
        )
}

/// Exactly this status.
pub(crate) fn status(status: TransferStatus) -> Expr {
    Column::Status.into_expr().eq(literal(status))
}

/// What comes after `position` in a list that is sorted by `key`, then `uuid`.
pub(crate) fn beyond(
    key: impl IntoColumnRef,
    uuid: impl IntoColumnRef,
    order: SortOrder,
    position: Position,
) -> Expr {
    let row = Expr::tuple([Expr::col(key), Expr::col(uuid)]);
    let place = Expr::tuple([Expr::val(position.micros), Expr::val(position.uuid)]);
    match order {
        SortOrder::Ascending => row.gt(place),
        SortOrder::Descending => row.lt(place),
    }
}

fn any_status(statuses: &[TransferStatus]) -> Option<Expr> {
    let mut statuses = statuses.to_vec();
    statuses.sort_unstable();
    statuses.dedup();
    match statuses.as_slice() {
        [] => None,
        [one] => Some(status(*one)),
        _ => Some(
            Column::Status
                .into_expr()
                .is_in(statuses.into_iter().map(literal)),
        ),
    }
}

fn literal(status: TransferStatus) -> Expr {
    Expr::Constant(status.name().into())
}
