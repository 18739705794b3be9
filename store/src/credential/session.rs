//! The sessions that agents redeem for a credential.

use std::sync::Arc;

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, LockBehavior, LockType},
};
use tidegate_entity::session::{ActiveModel, Column, Entity};

use super::{Lock, rows};
use crate::{WriteTransaction, error::StoreError, sql::chunk, write::expect_rows};
use tidegate_domain::{credential::Session, id::SessionId};

impl WriteTransaction {
    /// The sessions whose codes have these digests, without a lock.
    pub async fn sessions(&self, digests: &[Vec<u8>]) -> Result<Vec<Session>, StoreError> {
        self.sessions_by_digest(digests, Lock::None).await
    }

    /// The same, in the order of their uuids and kept from other writers.
    pub async fn lock_sessions(&self, digests: &[Vec<u8>]) -> Result<Vec<Session>, StoreError> {
        self.sessions_by_digest(digests, Lock::Exclusive).await
    }

    /// The sessions among `uuids` that exist, without a lock.
    pub async fn existing_sessions(&self, uuids: &[SessionId]) -> Result<Vec<Session>, StoreError> {
        let backend = self.transaction.get_database_backend();
        let among = chunk::one_of_ids(backend, Column::Uuid, uuids);
        self.sessions_among(among, Lock::None).await
    }

    /// Inserts sessions.
    pub async fn insert_sessions(&self, sessions: &[Arc<Session>]) -> Result<(), StoreError> {
        self.insert(sessions, |each| rows::from_session(each)).await
    }

    /// Stores when sessions that were locked before were redeemed.
    pub async fn update_sessions(&self, sessions: &[Arc<Session>]) -> Result<(), StoreError> {
        for session in sessions {
            let row = rows::from_session(session);
            let change = ActiveModel {
                redeemed_at: Set(row.redeemed_at),
                ..ActiveModel::default()
            };
            let result = Entity::update_many()
                .set(change)
                .filter(Column::Uuid.eq(row.uuid))
                .exec(&self.transaction)
                .await?;
            expect_rows("updated", 1, result.rows_affected)?;
        }
        Ok(())
    }

    /// Deletes sessions that were locked before.
    pub async fn delete_sessions(&self, uuids: &[SessionId]) -> Result<(), StoreError> {
        let backend = self.transaction.get_database_backend();
        let mut deleted = 0;
        for among in chunk::one_of_ids(backend, Column::Uuid, uuids) {
            let rows = Entity::delete_many().filter(among);
            deleted += rows.exec(&self.transaction).await?.rows_affected;
        }
        expect_rows("deleted", uuids.len(), deleted)
    }

    async fn sessions_by_digest(
        &self,
        digests: &[Vec<u8>],
        lock: Lock,
    ) -> Result<Vec<Session>, StoreError> {
        let backend = self.transaction.get_database_backend();
        let among = chunk::one_of(backend, Column::Digest, digests);
        self.sessions_among(among, lock).await
    }

    async fn sessions_among(
        &self,
        among: Vec<Expr>,
        lock: Lock,
    ) -> Result<Vec<Session>, StoreError> {
        let mut sessions = Vec::new();
        for among in among {
            let mut select = Entity::find().filter(among).order_by_asc(Column::Uuid);
            if lock == Lock::Exclusive {
                select = select.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
            }
            for row in select.all(&self.transaction).await? {
                sessions.push(rows::to_session(row)?);
            }
        }
        Ok(sessions)
    }
}
