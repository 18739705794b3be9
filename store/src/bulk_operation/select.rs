//! The queries of bulk operations.

use sea_orm::{
    ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::Expr,
};
use tidegate_entity::{bulk_operation, bulk_outcome, stored::StoredId};

use crate::sql::condition;
use tidegate_domain::{
    bulk::{BulkResult, RUNNING_MAX},
    id::BulkOperationId,
    query::{SortOrder, Window},
    time::Timestamp,
};

pub(crate) fn list(window: Window) -> Select<bulk_operation::Entity> {
    use bulk_operation::{
        Column::{InsertedAt, Uuid as Identity},
        Entity,
    };
    let beyond = window.after.map(|position| {
        let (key, uuid) = ((Entity, InsertedAt), (Entity, Identity));
        condition::beyond(key, uuid, SortOrder::Descending, position)
    });
    Entity::find()
        .filter(Condition::all().add_option(beyond))
        .order_by_desc(InsertedAt)
        .order_by_desc(Identity)
        .limit(u64::from(window.limit))
}

/// In the words of the partial index.
pub(crate) fn running() -> Select<bulk_operation::Entity> {
    bulk_operation::Entity::find()
        .filter(Expr::cust("state = 'RUNNING'"))
        .order_by_asc(bulk_operation::Column::InsertedAt)
        .limit(RUNNING_MAX.unsigned_abs())
}

/// The one that ended first, if that was before that time.
pub(crate) fn ended(before: Timestamp) -> Select<bulk_operation::Entity> {
    use bulk_operation::Column::{EndedAt, Uuid as Identity};
    bulk_operation::Entity::find()
        .select_only()
        .column(Identity)
        .filter(EndedAt.lt(before.as_micros()))
        .order_by_asc(EndedAt)
        .limit(1)
}

pub(crate) fn outcomes(
    uuid: BulkOperationId,
    result: Option<BulkResult>,
    after: i64,
    limit: u32,
) -> Select<bulk_outcome::Entity> {
    use bulk_outcome::Column::{Number, OperationUuid, Result};
    bulk_outcome::Entity::find()
        .filter(OperationUuid.eq(StoredId(uuid)))
        .filter(Condition::all().add_option(result.map(|it| Result.eq(it.name()))))
        .filter(Number.gt(after))
        .order_by_asc(Number)
        .limit(u64::from(limit))
}
