//! Reads credentials with their tokens, and sessions.

use std::collections::HashMap;

use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, JoinType, QueryFilter, QueryOrder,
    QuerySelect, Select, SelectTwo,
    sea_query::{LockBehavior, LockType, Query, SelectStatement},
};
use tidegate_entity::{access_token, connection, credential, session};
use uuid::Uuid;

use crate::{
    error::StoreError,
    rows,
    sql::{chunk, condition},
};
use tidegate_domain::{
    caller::Role,
    connection::Connection,
    credential::{Credential, Session},
    query::{CredentialFilter, SortOrder, Window},
};

/// Whether the rows that are read are kept from other writers; those that somebody else has locked are then left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lock {
    None,
    Exclusive,
}

/// A row that may not be there. Of a plain model SeaORM makes nothing when it cannot be read.
type Joined = Option<connection::Model>;

/// The credential that a token belongs to, with the connection of an agent.
///
/// Tokens are read first: whoever is revoked or rotated between the two statements is refused rather than let in.
pub(super) async fn of_token<C: ConnectionTrait>(
    db: &C,
    token_id: &str,
) -> Result<Option<(Credential, Option<Connection>)>, StoreError> {
    let tokens = select_siblings(token_id).all(db).await?;
    let Some(owner) = tokens.first().map(|token| token.credential_uuid) else {
        return Ok(None);
    };
    let found = select_with_connection(owner)
        .into_model::<credential::Model, Joined>()
        .one(db)
        .await?;
    Ok(found.map(|(credential, connection)| {
        (
            rows::to_credential(credential, tokens),
            connection.flatten().map(rows::to_connection),
        )
    }))
}

/// As [`of_token`] for many, by the token's id. Of a credential's tokens only those that were asked for are there.
pub(super) async fn of_tokens<C: ConnectionTrait>(
    db: &C,
    token_ids: &[&str],
) -> Result<HashMap<String, (Credential, Option<Connection>)>, StoreError> {
    let mut tokens = Vec::with_capacity(token_ids.len());
    for ids in chunk::keys(token_ids) {
        let select = access_token::Entity::find().filter(access_token::Column::Id.is_in(ids));
        tokens.extend(select.all(db).await?);
    }
    let mut owners: Vec<Uuid> = tokens.iter().map(|token| token.credential_uuid).collect();
    owners.sort_unstable();
    owners.dedup();
    let mut found = HashMap::with_capacity(owners.len());
    for uuids in chunk::keys(&owners) {
        let select = select_with_connections(uuids).into_model::<credential::Model, Joined>();
        for (credential, connection) in select.all(db).await? {
            found.insert(credential.uuid, (credential, connection.flatten()));
        }
    }
    let mut by_token = HashMap::with_capacity(tokens.len());
    for token in tokens {
        if let Some((credential, connection)) = found.get(&token.credential_uuid).cloned() {
            let id = token.id.clone();
            let credential = rows::to_credential(credential, vec![token]);
            let connection = connection.map(rows::to_connection);
            by_token.insert(id, (credential, connection));
        }
    }
    Ok(by_token)
}

pub(super) async fn one<C: ConnectionTrait>(
    db: &C,
    uuid: Uuid,
) -> Result<Option<Credential>, StoreError> {
    Ok(existing(db, &[uuid], Lock::None).await?.pop())
}

pub(super) async fn list<C: ConnectionTrait>(
    db: &C,
    filter: &CredentialFilter,
    window: Window,
) -> Result<Vec<Credential>, StoreError> {
    let found = select(filter, window).all(db).await?;
    with_tokens(db, found).await
}

/// The credentials among `uuids` that exist, in the order of their uuids where `uuids` are sorted.
pub(super) async fn existing<C: ConnectionTrait>(
    db: &C,
    uuids: &[Uuid],
    lock: Lock,
) -> Result<Vec<Credential>, StoreError> {
    let mut found = Vec::with_capacity(uuids.len());
    for uuids in chunk::keys(uuids) {
        let mut select = credential::Entity::find()
            .filter(credential::Column::Uuid.is_in(uuids))
            .order_by_asc(credential::Column::Uuid);
        if lock == Lock::Exclusive {
            select = select.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
        }
        found.extend(select.all(db).await?);
    }
    with_tokens(db, found).await
}

/// The agents of `connections` that were neither revoked nor made by a session.
pub(super) async fn own_agents<C: ConnectionTrait>(
    db: &C,
    connections: &[Uuid],
) -> Result<Vec<Uuid>, StoreError> {
    use credential::Column::{ConnectionUuid, RevokedAt, SessionCode, Uuid as Identity};
    let mut agents = Vec::new();
    for connections in chunk::keys(connections) {
        let select = credential::Entity::find()
            .select_only()
            .column(Identity)
            .filter(ConnectionUuid.is_in(connections))
            .filter(credential::Column::Role.eq(Role::Agent.name()))
            .filter(SessionCode.is_null())
            .filter(RevokedAt.is_null());
        agents.extend(select.into_tuple::<Uuid>().all(db).await?);
    }
    Ok(agents)
}

/// The sessions whose codes have these digests, in the order of their uuids.
pub(super) async fn sessions<C: ConnectionTrait>(
    db: &C,
    digests: &[Vec<u8>],
    lock: Lock,
) -> Result<Vec<Session>, StoreError> {
    let select = |digests: Vec<Vec<u8>>| {
        session::Entity::find()
            .filter(session::Column::Digest.is_in(digests))
            .order_by_asc(session::Column::Uuid)
    };
    sessions_by(db, digests, lock, select).await
}

/// The sessions among `uuids` that exist.
pub(super) async fn sessions_by_uuid<C: ConnectionTrait>(
    db: &C,
    uuids: &[Uuid],
) -> Result<Vec<Session>, StoreError> {
    let select =
        |uuids: Vec<Uuid>| session::Entity::find().filter(session::Column::Uuid.is_in(uuids));
    sessions_by(db, uuids, Lock::None, select).await
}

async fn sessions_by<C: ConnectionTrait, K: Clone>(
    db: &C,
    keys: &[K],
    lock: Lock,
    select: impl Fn(Vec<K>) -> Select<session::Entity>,
) -> Result<Vec<Session>, StoreError> {
    let mut sessions = Vec::with_capacity(keys.len());
    for keys in chunk::keys(keys) {
        let mut select = select(keys);
        if lock == Lock::Exclusive {
            select = select.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
        }
        for row in select.all(db).await? {
            sessions.push(rows::to_session(row)?);
        }
    }
    Ok(sessions)
}

pub(super) fn select(filter: &CredentialFilter, window: Window) -> Select<credential::Entity> {
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
        .add_option(filter.connection_uuid.map(|uuid| ConnectionUuid.eq(uuid)))
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
pub(super) fn select_siblings(token_id: &str) -> Select<access_token::Entity> {
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

pub(super) fn select_with_connection(
    uuid: Uuid,
) -> SelectTwo<credential::Entity, connection::Entity> {
    select_with_connections(vec![uuid])
}

fn select_with_connections(uuids: Vec<Uuid>) -> SelectTwo<credential::Entity, connection::Entity> {
    let its_connection = credential::Entity::belongs_to(connection::Entity)
        .from(credential::Column::ConnectionUuid)
        .to(connection::Column::Uuid)
        .into();
    credential::Entity::find()
        .filter(credential::Column::Uuid.is_in(uuids))
        .join(JoinType::LeftJoin, its_connection)
        .select_also(connection::Entity)
}

async fn with_tokens<C: ConnectionTrait>(
    db: &C,
    found: Vec<credential::Model>,
) -> Result<Vec<Credential>, StoreError> {
    let uuids: Vec<_> = found.iter().map(|row| row.uuid).collect();
    let mut tokens: HashMap<Uuid, Vec<access_token::Model>> = HashMap::new();
    for uuids in chunk::keys(&uuids) {
        let select =
            access_token::Entity::find().filter(access_token::Column::CredentialUuid.is_in(uuids));
        for token in select.all(db).await? {
            tokens.entry(token.credential_uuid).or_default().push(token);
        }
    }
    let credentials = found.into_iter().map(|row| {
        let own = tokens.remove(&row.uuid).unwrap_or_default();
        rows::to_credential(row, own)
    });
    Ok(credentials.collect())
}
