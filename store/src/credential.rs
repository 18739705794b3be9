//! Credentials with their tokens: rows, reads and changes.
//!
//! Rows are changed one by one: nobody makes or rotates hundreds of credentials at once, and a use is noted once a
//! minute.

use std::{collections::HashMap, sync::Arc};

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{LockBehavior, LockType},
};
use tidegate_entity::{access_token, connection::Model as ConnectionRow, credential};

use crate::{
    Readers, Store, WriteTransaction, connection, error::StoreError, sql::chunk, value::ids,
    write::expect_rows,
};
use tidegate_domain::{
    caller::Role,
    connection::Connection,
    credential::Credential,
    id::{ConnectionId, CredentialId},
    query::{CredentialFilter, Window},
    time::Timestamp,
};

pub(crate) mod rows;
pub(crate) mod select;
mod session;

/// Whether the rows that are read are kept from other writers; those that somebody else has locked are then left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lock {
    None,
    Exclusive,
}

/// A row that may not be there. Of a plain model SeaORM makes nothing when it cannot be read.
type Joined = Option<ConnectionRow>;

impl Store {
    /// The credential that the token with this id belongs to, with its tokens, and the connection of an agent as far as
    /// it exists. Whether the token is good is for [`Credential::good_until`] to say.
    ///
    /// Tokens are read first: whoever is revoked or rotated between the two statements is refused rather than let in.
    pub async fn credential_of_token(
        &self,
        token_id: &str,
    ) -> Result<Option<(Credential, Option<Connection>)>, StoreError> {
        let tokens = select::siblings(token_id).all(&self.reads()).await?;
        let Some(owner) = tokens.first().map(|token| token.credential_uuid.0) else {
            return Ok(None);
        };
        let found = select::with_connection(owner)
            .into_model::<credential::Model, Joined>()
            .one(&self.reads())
            .await?;
        Ok(found.map(|(credential, connection)| {
            (
                rows::to_credential(credential, tokens),
                connection.flatten().map(connection::rows::from_row),
            )
        }))
    }

    /// As [`credential_of_token`](Self::credential_of_token) for many, by the token's id. Of a credential's tokens only
    /// those that were asked for are there.
    pub async fn credentials_of_tokens(
        &self,
        token_ids: &[&str],
    ) -> Result<HashMap<String, (Credential, Option<Connection>)>, StoreError> {
        let mut tokens = Vec::with_capacity(token_ids.len());
        let (reads, id) = (self.reads(), access_token::Column::Id);
        let backend = reads.get_database_backend();
        for among in chunk::one_of_texts(backend, id, token_ids) {
            let select = access_token::Entity::find().filter(among);
            tokens.extend(select.all(&reads).await?);
        }
        let mut owners: Vec<CredentialId> =
            tokens.iter().map(|token| token.credential_uuid.0).collect();
        owners.sort_unstable();
        owners.dedup();
        let mut found = HashMap::with_capacity(owners.len());
        for among in chunk::one_of_ids(backend, credential::Column::Uuid, &owners) {
            let select = select::with_connections(among).into_model::<credential::Model, Joined>();
            for (credential, connection) in select.all(&self.reads()).await? {
                found.insert(credential.uuid, (credential, connection.flatten()));
            }
        }
        let mut by_token = HashMap::with_capacity(tokens.len());
        for token in tokens {
            if let Some((credential, connection)) = found.get(&token.credential_uuid).cloned() {
                let id = token.id.clone();
                let credential = rows::to_credential(credential, vec![token]);
                let connection = connection.map(connection::rows::from_row);
                by_token.insert(id, (credential, connection));
            }
        }
        Ok(by_token)
    }

    /// One credential, if it exists.
    pub async fn credential(&self, uuid: CredentialId) -> Result<Option<Credential>, StoreError> {
        Ok(existing(&self.reads(), &[uuid], Lock::None).await?.pop())
    }

    /// Credentials, newest first, then by uuid downwards.
    pub async fn credentials(
        &self,
        filter: &CredentialFilter,
        window: Window,
    ) -> Result<Vec<Credential>, StoreError> {
        let db = &self.reads();
        let found = select::list(filter, window).all(db).await?;
        with_tokens(db, found).await
    }
}

impl Store {
    /// Credentials that had ended before that time, as far as a token can tell: [`Credential::ends_at`] has the last word.
    /// First those that were revoked longest ago, then agents of the oldest sessions; at most `limit` of either.
    pub async fn ended_credentials(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<CredentialId>, StoreError> {
        let db = &self.reads();
        let mut ended: Vec<CredentialId> = ids(select::revoked(before, limit), db).await?;
        let spent: Vec<CredentialId> = ids(select::spent_agents(before, limit), db).await?;
        ended.extend(spent);
        Ok(ended)
    }

    /// The digests of the codes of sessions that were over before that time, the oldest first; at most `limit`.
    pub async fn ended_sessions(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let select = select::ended_sessions(before, limit);
        Ok(select.into_tuple().all(&self.reads()).await?)
    }
}

impl Readers {
    /// One credential, if it exists. Who may ask is settled by the method that is called: no agent may.
    pub async fn credential(&self, uuid: CredentialId) -> Result<Option<Credential>, StoreError> {
        self.0.credential(uuid).await
    }

    /// Credentials, newest first, then by uuid downwards. As for [`credential`](Self::credential), no agent may ask.
    pub async fn credentials(
        &self,
        filter: &CredentialFilter,
        window: Window,
    ) -> Result<Vec<Credential>, StoreError> {
        self.0.credentials(filter, window).await
    }
}

impl WriteTransaction {
    /// Loads credentials for a change, in the order of their uuids, and keeps other writers away from them. `uuids` must
    /// be sorted; those that do not exist are left out.
    pub async fn lock_credentials(
        &self,
        uuids: &[CredentialId],
    ) -> Result<Vec<Credential>, StoreError> {
        existing(&self.transaction, uuids, Lock::Exclusive).await
    }

    /// The credentials among `uuids` that exist, without a lock.
    pub async fn existing_credentials(
        &self,
        uuids: &[CredentialId],
    ) -> Result<Vec<Credential>, StoreError> {
        existing(&self.transaction, uuids, Lock::None).await
    }

    /// The agents of `connections` that were neither revoked nor made by a session, without a lock.
    pub async fn own_agents(
        &self,
        connections: &[ConnectionId],
    ) -> Result<Vec<CredentialId>, StoreError> {
        use credential::Column::{ConnectionUuid, RevokedAt, SessionCode, Uuid as Identity};
        let mut agents = Vec::new();
        let backend = self.transaction.get_database_backend();
        for among in chunk::one_of_ids(backend, ConnectionUuid, connections) {
            let select = credential::Entity::find()
                .select_only()
                .column(Identity)
                .filter(among)
                .filter(credential::Column::Role.eq(Role::Agent.name()))
                .filter(SessionCode.is_null())
                .filter(RevokedAt.is_null());
            agents.extend(ids::<_, CredentialId, _>(select, &self.transaction).await?);
        }
        Ok(agents)
    }

    /// Inserts credentials with their tokens.
    pub async fn insert_credentials(
        &self,
        credentials: &[Arc<Credential>],
    ) -> Result<(), StoreError> {
        self.insert(credentials, |each| rows::from_credential(each))
            .await?;
        self.insert_tokens(credentials).await
    }

    /// Stores what can change about credentials that were locked before, but not their tokens.
    pub async fn update_credentials(
        &self,
        credentials: &[Arc<Credential>],
    ) -> Result<(), StoreError> {
        for credential in credentials {
            let row = rows::from_credential(credential);
            let change = credential::ActiveModel {
                revoked_at: Set(row.revoked_at),
                last_used_at: Set(row.last_used_at),
                last_used_address: Set(row.last_used_address),
                revision: Set(row.revision),
                ..credential::ActiveModel::default()
            };
            let result = credential::Entity::update_many()
                .set(change)
                .filter(credential::Column::Uuid.eq(row.uuid))
                .exec(&self.transaction)
                .await?;
            expect_rows("updated", 1, result.rows_affected)?;
        }
        Ok(())
    }

    /// Makes the tokens of credentials that were locked before those that they have now.
    pub async fn replace_tokens(&self, credentials: &[Arc<Credential>]) -> Result<(), StoreError> {
        let owners: Vec<_> = credentials.iter().map(|each| each.uuid).collect();
        let owner = access_token::Column::CredentialUuid;
        let backend = self.transaction.get_database_backend();
        for among in chunk::one_of_ids(backend, owner, &owners) {
            access_token::Entity::delete_many()
                .filter(among)
                .exec(&self.transaction)
                .await?;
        }
        self.insert_tokens(credentials).await
    }

    /// Deletes credentials that were locked before, with their tokens.
    pub async fn delete_credentials(&self, uuids: &[CredentialId]) -> Result<(), StoreError> {
        let backend = self.transaction.get_database_backend();
        let owner = access_token::Column::CredentialUuid;
        for among in chunk::one_of_ids(backend, owner, uuids) {
            let tokens = access_token::Entity::delete_many().filter(among);
            tokens.exec(&self.transaction).await?;
        }
        let mut deleted = 0;
        for among in chunk::one_of_ids(backend, credential::Column::Uuid, uuids) {
            let rows = credential::Entity::delete_many().filter(among);
            deleted += rows.exec(&self.transaction).await?.rows_affected;
        }
        expect_rows("deleted", uuids.len(), deleted)
    }

    async fn insert_tokens(&self, credentials: &[Arc<Credential>]) -> Result<(), StoreError> {
        let tokens: Vec<_> = credentials
            .iter()
            .flat_map(|credential| {
                let owner = credential.uuid;
                let tokens = credential.tokens.iter();
                tokens.map(move |token| rows::from_token(owner, token))
            })
            .collect();
        self.insert(&tokens, Clone::clone).await
    }
}

/// The credentials among `uuids` that exist, in the order of their uuids where `uuids` are sorted.
async fn existing<C: ConnectionTrait>(
    db: &C,
    uuids: &[CredentialId],
    lock: Lock,
) -> Result<Vec<Credential>, StoreError> {
    let mut found = Vec::with_capacity(uuids.len());
    for among in chunk::one_of_ids(db.get_database_backend(), credential::Column::Uuid, uuids) {
        let mut select = credential::Entity::find()
            .filter(among)
            .order_by_asc(credential::Column::Uuid);
        if lock == Lock::Exclusive {
            select = select.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
        }
        found.extend(select.all(db).await?);
    }
    with_tokens(db, found).await
}

async fn with_tokens<C: ConnectionTrait>(
    db: &C,
    found: Vec<credential::Model>,
) -> Result<Vec<Credential>, StoreError> {
    let uuids: Vec<_> = found.iter().map(|row| row.uuid.0).collect();
    let mut tokens: HashMap<CredentialId, Vec<access_token::Model>> = HashMap::new();
    let owner = access_token::Column::CredentialUuid;
    for among in chunk::one_of_ids(db.get_database_backend(), owner, &uuids) {
        let select = access_token::Entity::find().filter(among);
        for token in select.all(db).await? {
            tokens
                .entry(token.credential_uuid.0)
                .or_default()
                .push(token);
        }
    }
    let credentials = found.into_iter().map(|row| {
        let own = tokens.remove(&row.uuid.0).unwrap_or_default();
        rows::to_credential(row, own)
    });
    Ok(credentials.collect())
}
