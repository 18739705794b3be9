//! Finds what requests with an id did. The id lives on the event that it caused, and costs no table.

use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QuerySelect, Select,
};
use tidegate_entity::{event, stored::Stored};
use uuid::Uuid;

use crate::{Effect, PriorRequest, error::StoreError, rows};
use tidegate_domain::event::{EventSubject, EventType};

#[derive(FromQueryResult)]
struct Request {
    actor: String,
    request_id: Option<String>,
    request_digest: Option<Vec<u8>>,
    transfer_uuid: Option<Uuid>,
    connection_uuid: Option<Uuid>,
    subject_uuid: Option<Uuid>,
    event_type: Stored<EventType>,
}

impl Request {
    fn effect(&self) -> Option<Effect> {
        let event_type = self.event_type.0;
        match event_type.subject() {
            EventSubject::Transfer => self.transfer_uuid.map(|uuid| Effect::Transfer {
                uuid,
                deleted_by_it: event_type == EventType::Deleted,
            }),
            EventSubject::Connection => self.connection_uuid.map(|uuid| Effect::Connection {
                uuid,
                deleted_by_it: event_type == EventType::ConnectionDeleted,
            }),
            EventSubject::Credential => self.subject_uuid.map(Effect::Credential),
            EventSubject::Session => self.subject_uuid.map(Effect::Session),
            EventSubject::Nothing => None,
        }
    }
}

pub(super) async fn remembered<C: ConnectionTrait>(
    db: &C,
    request_ids: &[&str],
) -> Result<Vec<PriorRequest>, StoreError> {
    let found: Vec<Request> = select(request_ids).into_model().all(db).await?;
    let mut remembered = Vec::with_capacity(found.len());
    for row in found {
        let effect = row.effect();
        let request = rows::to_request(row.request_id, row.request_digest);
        remembered.extend(effect.zip(request).map(|(effect, request)| PriorRequest {
            actor: row.actor,
            request,
            effect,
        }));
    }
    Ok(remembered)
}

pub(super) fn select(request_ids: &[&str]) -> Select<event::Entity> {
    use event::Column::{
        Actor, ConnectionUuid, EventType as Type, RequestDigest, RequestId, SubjectUuid,
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
    ];
    event::Entity::find()
        .select_only()
        .columns(columns)
        .filter(RequestId.is_in(request_ids.iter().copied()))
}
