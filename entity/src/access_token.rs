//! What is kept of a token. One that ended is deleted with the next change of its credential.

use sea_orm::entity::prelude::*;
use tidegate_domain::id::CredentialId;

use crate::stored::StoredId;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "access_token")]
pub struct Model {
    /// The public part of the token.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// Whose it is.
    pub credential_uuid: StoredId<CredentialId>,
    /// Digest of its secret, 32 bytes.
    pub digest: Vec<u8>,
    /// From when on it is good.
    pub inserted_at: i64,
    /// From when on it is not.
    pub expires_at: i64,
}

/// No relations: its credential is loaded with it on purpose.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
