//! Finds what requests with an id did. The id lives on the event that it caused, and costs no table.

use std::collections::BTreeSet;

use sea_orm::{
    ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, QueryFilter, QuerySelect, Select,
    sea_query::Expr,
};
use uuid::Uuid;

use crate::{WriteTransaction, error::StoreError, event::rows::to_request, sql::chunk};
use tidegate_domain::{
    event::{EventDetail, EventSubject, EventType, IdempotencyKey},
    id::{BulkOperationId, ConnectionId, CredentialId, SessionId, TransferId},
};
use tidegate_entity::{
    event,
    stored::{Stored, StoredId},
};

/// What a request with an id did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriorRequest {
    /// In what role it was asked.
    pub actor: String,
    /// Its id and digest.
    pub request: IdempotencyKey,
    /// What came of it.
    pub effect: Effect,
}

/// What came of an earlier request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It changed a transfer.
    Transfer {
        /// Which one.
        uuid: TransferId,
        /// Whether it deleted the row.
        deleted_by_it: bool,
    },
    /// It started these transfers, as one claim.
    Claim(Vec<TransferId>),
    /// It created or changed a connection.
    Connection {
        /// Which one.
        uuid: ConnectionId,
        /// Whether it deleted the row.
        deleted_by_it: bool,
    },
    /// It created or changed this credential.
    Credential(CredentialId),
    /// It opened this session.
    Session(SessionId),
    /// It started or stopped this bulk operation.
    BulkOperation(BulkOperationId),
}

#[derive(FromQueryResult)]
struct Request {
    actor: String,
    request_id: Option<String>,
    request_digest: Option<Vec<u8>>,
    transfer_uuid: Option<StoredId<TransferId>>,
    connection_uuid: Option<StoredId<ConnectionId>>,
    subject_uuid: Option<Uuid>,
    event_type: Stored<EventType>,
    /// As it is stored: another version may know kinds that this one does not.
    detail: Option<String>,
}

impl Request {
    fn effect(&self) -> Option<Effect> {
        let event_type = self.event_type.0;
        if let Some(claimed) = self.claimed() {
            return Some(Effect::Claim(claimed));
        }
        match event_type.subject() {
            EventSubject::Transfer => self.transfer_uuid.map(|uuid| Effect::Transfer {
                uuid: uuid.0,
                deleted_by_it: event_type == EventType::Deleted,
            }),
            EventSubject::Connection => self.connection_uuid.map(|uuid| Effect::Connection {
                uuid: uuid.0,
                deleted_by_it: event_type == EventType::ConnectionDeleted,
            }),
            EventSubject::Credential => self.subject_uuid.map(CredentialId).map(Effect::Credential),
            EventSubject::Session => self.subject_uuid.map(SessionId).map(Effect::Session),
            EventSubject::BulkOperation => {
                let uuid = self.subject_uuid.map(BulkOperationId);
                uuid.map(Effect::BulkOperation)
            }
            EventSubject::Agent | EventSubject::Nothing => None,
        }
    }

    /// The transfers that it started, if it was a claim of several.
    fn claimed(&self) -> Option<Vec<TransferId>> {
        let detail = self.detail.as_ref();
        let detail = detail.filter(|_| self.event_type.0 == EventType::Started)?;
        let Ok(EventDetail::Claim { claimed_with }) = serde_json::from_str(detail) else {
            return None;
        };
        let first = self.transfer_uuid?.0;
        Some([first].into_iter().chain(claimed_with).collect())
    }

    fn prior(self) -> Option<PriorRequest> {
        Some(PriorRequest {
            effect: self.effect()?,
            request: to_request(self.request_id, self.request_digest)?,
            actor: self.actor,
        })
    }
}

/// The first half of the keys of the locks that keep a request from being carried out twice at once.
const REQUESTS: i32 = 1_919_250_805;

impl WriteTransaction {
    /// Waits until no other batch that asks for these ids is under way, and keeps such away until this one ends. SQLite has
    /// one writer.
    pub async fn lock_requests(&self, request_ids: &[&str]) -> Result<(), StoreError> {
        let db = &self.transaction;
        if request_ids.is_empty() || db.get_database_backend() != DbBackend::Postgres {
            return Ok(());
        }
        let keys: BTreeSet<i32> = request_ids.iter().map(|id| key(id)).collect();
        let locks = keys
            .iter()
            .map(|key| format!("pg_advisory_xact_lock({REQUESTS}, {key})"));
        let locks: Vec<_> = locks.collect();
        let sql = format!("SELECT {}", locks.join(", "));
        db.execute_unprepared(&sql).await?;
        Ok(())
    }

    /// What earlier requests with these ids did, whoever asked.
    pub async fn prior_requests(
        &self,
        request_ids: &[&str],
    ) -> Result<Vec<PriorRequest>, StoreError> {
        let mut earlier = Vec::new();
        let db = &self.transaction;
        let id = event::Column::RequestId;
        for among in chunk::one_of_texts(db.get_database_backend(), id, request_ids) {
            let found = select(among).into_model::<Request>().all(db).await?;
            earlier.extend(found.into_iter().filter_map(Request::prior));
        }
        Ok(earlier)
    }
}

/// Two ids with one key wait for each other, and that is all.
fn key(request_id: &str) -> i32 {
    request_id.bytes().fold(0, |key: i32, byte| {
        key.wrapping_mul(31).wrapping_add(byte.into())
    })
}

pub(crate) fn select(among: Expr) -> Select<event::Entity> {
    use event::Column::{
        Actor, ConnectionUuid, Detail, EventType as Type, RequestDigest, RequestId, SubjectUuid,
        TransferUuid,
    };
    let columns = [
        Actor,
        RequestId,
        RequestDigest,
        TransferUuid,
        ConnectionUuid,
        SubjectUuid,
        Type,
        Detail,
    ];
    event::Entity::find()
        .select_only()
        .columns(columns)
        .filter(among)
}
