//! Loads and stores credentials, their tokens and sessions.
//!
//! Rows are changed one by one: nobody makes or rotates hundreds of credentials at once, and a use is noted once a
//! minute.

use std::sync::Arc;

use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};
use tidegate_entity::{access_token, credential, session};
use uuid::Uuid;

use super::{StoreError, WriteTransaction, chunk, expect_rows, rows};
use crate::credentials::{self, Lock};
use tidegate_domain::credential::{Credential, Session};

impl WriteTransaction {
    /// Loads credentials for a change, in the order of their uuids, and keeps other writers away from them. `uuids` must
    /// be sorted; those that do not exist are left out.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn lock_credentials(&self, uuids: &[Uuid]) -> Result<Vec<Credential>, StoreError> {
        credentials::existing(&self.transaction, uuids, Lock::Exclusive).await
    }

    /// The credentials among `uuids` that exist, without a lock.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn existing_credentials(
        &self,
        uuids: &[Uuid],
    ) -> Result<Vec<Credential>, StoreError> {
        credentials::existing(&self.transaction, uuids, Lock::None).await
    }

    /// The agents of `connections` that were neither revoked nor made by a session, without a lock.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn own_agents(&self, connections: &[Uuid]) -> Result<Vec<Uuid>, StoreError> {
        credentials::own_agents(&self.transaction, connections).await
    }

    /// The sessions whose codes have these digests, without a lock.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn sessions(&self, digests: &[Vec<u8>]) -> Result<Vec<Session>, StoreError> {
        credentials::sessions(&self.transaction, digests, Lock::None).await
    }

    /// The same, in the order of their uuids and kept from other writers.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn lock_sessions(&self, digests: &[Vec<u8>]) -> Result<Vec<Session>, StoreError> {
        credentials::sessions(&self.transaction, digests, Lock::Exclusive).await
    }

    /// The sessions among `uuids` that exist, without a lock.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn existing_sessions(&self, uuids: &[Uuid]) -> Result<Vec<Session>, StoreError> {
        credentials::sessions_by_uuid(&self.transaction, uuids).await
    }

    /// Inserts credentials with their tokens.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn insert_credentials(
        &self,
        credentials: &[Arc<Credential>],
    ) -> Result<(), StoreError> {
        for piece in chunk::rows(credentials) {
            self.insert(piece.iter().map(|each| rows::from_credential(each)))
                .await?;
        }
        self.insert_tokens(credentials).await
    }

    /// Stores what can change about credentials that were locked before, but not their tokens.
    ///
    /// # Errors
    /// See [`StoreError`].
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
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn replace_tokens(&self, credentials: &[Arc<Credential>]) -> Result<(), StoreError> {
        let owners: Vec<_> = credentials.iter().map(|each| each.uuid).collect();
        for owners in chunk::keys(&owners) {
            access_token::Entity::delete_many()
                .filter(access_token::Column::CredentialUuid.is_in(owners))
                .exec(&self.transaction)
                .await?;
        }
        self.insert_tokens(credentials).await
    }

    /// Inserts sessions.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn insert_sessions(&self, sessions: &[Arc<Session>]) -> Result<(), StoreError> {
        for piece in chunk::rows(sessions) {
            self.insert(piece.iter().map(|each| rows::from_session(each)))
                .await?;
        }
        Ok(())
    }

    /// Stores when sessions that were locked before were redeemed.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn update_sessions(&self, sessions: &[Arc<Session>]) -> Result<(), StoreError> {
        for session in sessions {
            let row = rows::from_session(session);
            let change = session::ActiveModel {
                redeemed_at: Set(row.redeemed_at),
                ..session::ActiveModel::default()
            };
            let result = session::Entity::update_many()
                .set(change)
                .filter(session::Column::Uuid.eq(row.uuid))
                .exec(&self.transaction)
                .await?;
            expect_rows("updated", 1, result.rows_affected)?;
        }
        Ok(())
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
        for piece in chunk::rows(&tokens) {
            self.insert(piece.iter().cloned()).await?;
        }
        Ok(())
    }
}
