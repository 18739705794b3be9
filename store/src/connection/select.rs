//! The queries of connections.

use sea_orm::{
    ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{Expr, ExprTrait, JoinType, Query, SelectStatement},
};
use tidegate_entity::{
    connection::{Column, Entity},
    stored::StoredId,
    transfer,
};

use crate::sql::condition;
use tidegate_domain::{
    connection::ConnectionStatus,
    id::ConnectionId,
    query::{ConnectionFilter, SortOrder, Window},
    time::Timestamp,
};

pub(crate) fn peeks(transfers: Expr) -> SelectStatement {
    let its_connection = (transfer::Entity, transfer::Column::ConnectionUuid);
    Query::select()
        .distinct()
        .column(its_connection)
        .column((Entity, Column::HasBudget))
        .from(transfer::Entity)
        .join(
            JoinType::LeftJoin,
            Entity,
            Expr::col((Entity, Column::Uuid)).equals(its_connection),
        )
        .and_where(transfers)
        .and_where(Expr::col(its_connection).is_not_null())
        .to_owned()
}

/// No index holds that; there are few connections to look through.
pub(crate) fn due(now: Timestamp, after: Option<ConnectionId>, limit: u32) -> Select<Entity> {
    let in_use = [ConnectionStatus::Active, ConnectionStatus::Suspended];
    let is_over = Column::Status
        .is_in(in_use.map(ConnectionStatus::name))
        .and(Column::ExpiresAt.lte(now.as_micros()));
    let beyond = after.map(|after| Column::Uuid.gt(StoredId(after)));
    Entity::find()
        .filter(Condition::any().add(is_over).add(Column::Settling.eq(true)))
        .filter(Condition::all().add_option(beyond))
        .order_by_asc(Column::Uuid)
        .limit(u64::from(limit))
}

pub(crate) fn list(filter: &ConnectionFilter, window: Window) -> Select<Entity> {
    let beyond = window.after.map(|position| {
        let (key, uuid) = ((Entity, Column::InsertedAt), (Entity, Column::Uuid));
        condition::beyond(key, uuid, SortOrder::Descending, position)
    });
    let conditions = Condition::all()
        .add_option(
            filter
                .direction
                .map(|direction| Column::Direction.eq(direction.name())),
        )
        .add_option((!filter.status.is_empty()).then(|| {
            let names = filter.status.iter().map(|status| status.name());
            Column::Status.is_in(names)
        }))
        .add_option(beyond);
    let select = Entity::find()
        .filter(conditions)
        .order_by_desc(Column::InsertedAt)
        .order_by_desc(Column::Uuid)
        .limit(u64::from(window.limit));
    if window.skip == 0 {
        select
    } else {
        select.offset(u64::from(window.skip))
    }
}
