//! Filters and places in lists as SQL.
//!
//! Statuses are written into the statement instead of being bound: a planner takes a partial index only when it can see
//! that every row it may answer with is in that index. SQLite would have to plan anew for each value that is bound, and
//! a plan of PostgreSQL's that is good for any value could not use the index at all.

use sea_orm::{
    ColumnTrait, Condition,
    sea_query::{Expr, ExprTrait, IntoColumnRef},
};
use tidegate_entity::transfer::Column;

use tidegate_domain::{
    caller::ConnectionScope,
    page::Position,
    query::{ApprovalFilter, SortOrder, TableStatsFilter, TransferFilter},
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
    Condition::all()
        .add_option(
            filter
                .direction
                .map(|direction| Column::Direction.eq(direction.name())),
        )
        .add_option(any_status(&filter.status))
        .add_option(within(Column::ConnectionUuid, filter.connections))
        .add_option(
            filter
                .table_name
                .as_ref()
                .map(|name| Column::TableName.eq(name.as_str())),
        )
        .add_option(
            filter
                .requires_approval
                .map(|flag| Column::RequiresApproval.eq(flag)),
        )
        .add_option(
            filter
                .from
                .map(|from| Column::InsertedAt.gte(from.as_micros())),
        )
        .add_option(filter.to.map(|to| Column::InsertedAt.lte(to.as_micros())))
}

pub(crate) fn approvals(filter: &ApprovalFilter) -> Condition {
    Condition::all()
        .add(status(TransferStatus::PendingApproval))
        .add_option(within(Column::ConnectionUuid, filter.connections))
        .add_option(
            filter
                .table_name
                .as_ref()
                .map(|name| Column::TableName.eq(name.as_str())),
        )
}

pub(crate) fn completed(filter: &TableStatsFilter) -> Condition {
    transfers(&TransferFilter {
        direction: filter.direction,
        status: vec![TransferStatus::Completed],
        connections: filter.connections,
        from: filter.from,
        to: filter.to,
        ..TransferFilter::default()
    })
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
