//! The queries of credentials and their tokens.

use sea_orm::{
    ColumnTrait, Condition, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect, Select,
    SelectTwo,
    sea_query::{Expr, ExprTrait as _, Query, SelectStatement},
};
use tidegate_entity::{access_token, connection, credential, session};

use crate::sql::condition;
use tidegate_domain::{
    credential::SESSION_LIFE,
    id::CredentialId,
    query::{CredentialFilter, SortOrder, Window},
    time::Timestamp,
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

/// Credentials that were revoked before that time.
pub(crate) fn revoked(before: Timestamp, limit: u32) -> Select<credential::Entity> {
    use credential::{
        Column::{RevokedAt, Uuid as Identity},
        Entity,
    };
    Entity::find()
        .select_only()
        .column(Identity)
        .filter(RevokedAt.lt(before.as_micros()))
        .order_by_asc(RevokedAt)
        .limit(u64::from(limit))
}

/// Agents of sessions that were not revoked and whose tokens had all ended before that time. Those that are too young for
/// that are not looked at.
pub(crate) fn spent_agents(before: Timestamp, limit: u32) -> Select<credential::Entity> {
    use credential::{
        Column::{InsertedAt, RevokedAt, SessionCode, Uuid as Identity},
        Entity,
    };
    let live: SelectStatement = Query::select()
        .expr(Expr::cust("1"))
        .from(access_token::Entity)
        .and_where(
            Expr::col((access_token::Entity, access_token::Column::CredentialUuid))
                .equals((Entity, Identity)),
        )
        .and_where(access_token::Column::ExpiresAt.gte(before.as_micros()))
        .take();
    Entity::find()
        .select_only()
        .column(Identity)
        .filter(SessionCode.is_not_null())
        .filter(RevokedAt.is_null())
        .filter(InsertedAt.lt(before.before(SESSION_LIFE.1).as_micros()))
        .filter(Expr::exists(live).not())
        .order_by_asc(InsertedAt)
        .limit(u64::from(limit))
}

/// The digests of the codes of sessions that were over before that time.
pub(crate) fn ended_sessions(before: Timestamp, limit: u32) -> Select<session::Entity> {
    use session::{
        Column::{Digest, ExpiresAt},
        Entity,
    };
    Entity::find()
        .select_only()
        .column(Digest)
        .filter(ExpiresAt.lt(before.as_micros()))
        .order_by_asc(ExpiresAt)
        .limit(u64::from(limit))
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
