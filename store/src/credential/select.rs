//! The queries of credentials and their tokens.

use sea_orm::{
    ColumnTrait, Condition, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect, Select,
    SelectTwo,
    sea_query::{Expr, Query, SelectStatement},
};
use tidegate_entity::{access_token, connection, credential};

use crate::sql::condition;
use tidegate_domain::{
    id::CredentialId,
    query::{CredentialFilter, SortOrder, Window},
};

pub(crate) fn list(filter: &CredentialFilter, window: Window) -> Select<credential::Entity> {
    use credential::{
        Column::{ConnectionUuid, InsertedAt, Role, Uuid as Identity},
        Entity,
    };
    let beyond = window.after.map(|position| {
        let (key, uuid) = ((Entity, InsertedAt), (Entity, Identity));
        condition::beyond(key, uuid, SortOrder::Descending, position)
    });
    let conditions = Condition::all()
        .add_option(filter.role.map(|role| Role.eq(role.name())))
        .add_option(filter.connection_uuid.map(|uuid| ConnectionUuid.eq(uuid.0)))
        .add_option(beyond);
    let select = Entity::find()
        .filter(conditions)
        .order_by_desc(InsertedAt)
        .order_by_desc(Identity)
        .limit(u64::from(window.limit));
    if window.skip == 0 {
        select
    } else {
        select.offset(u64::from(window.skip))
    }
}

/// All tokens of the credential that the token belongs to.
pub(crate) fn siblings(token_id: &str) -> Select<access_token::Entity> {
    use access_token::{
        Column::{CredentialUuid, Id},
        Entity,
    };
    let owner: SelectStatement = Query::select()
        .column(CredentialUuid)
        .from(Entity)
        .and_where(Id.eq(token_id))
        .take();
    Entity::find().filter(CredentialUuid.in_subquery(owner))
}

pub(crate) fn with_connection(
    CredentialId(uuid): CredentialId,
) -> SelectTwo<credential::Entity, connection::Entity> {
    with_connections(credential::Column::Uuid.eq(uuid))
}

pub(crate) fn with_connections(among: Expr) -> SelectTwo<credential::Entity, connection::Entity> {
    let its_connection = credential::Entity::belongs_to(connection::Entity)
        .from(credential::Column::ConnectionUuid)
        .to(connection::Column::Uuid)
        .into();
    credential::Entity::find()
        .filter(among)
        .join(JoinType::LeftJoin, its_connection)
        .select_also(connection::Entity)
}
