//! Finds what requests with an id did. The id lives on what it caused, an event or a connection, and costs no table.

use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QuerySelect, Select,
};
use tidegate_entity::{connection, transfer_event};
use uuid::Uuid;

use super::{Effect, Remembered, error::StoreError, rows};
use crate::domain::event::{EventType, Subject};

#[derive(FromQueryResult)]
struct OfEvent {
    actor: String,
    request_id: Option<String>,
    request_digest: Option<Vec<u8>>,
    transfer_uuid: Uuid,
    connection_uuid: Option<Uuid>,
    subject_uuid: Option<Uuid>,
    action: String,
}

impl OfEvent {
    fn effect(&self) -> Result<Option<Effect>, StoreError> {
        let event_type = rows::parse("transfer_event.action", &self.action, EventType::parse)?;
        Ok(match event_type.subject() {
            Subject::Transfer => Some(Effect::Transfer {
                uuid: self.transfer_uuid,
                deleted_by_it: event_type == EventType::Deleted,
            }),
            Subject::Connection => self.connection_uuid.map(|uuid| Effect::Connection {
                uuid,
                deleted_by_it: event_type == EventType::ConnectionDeleted,
            }),
            Subject::Credential => self.subject_uuid.map(Effect::Credential),
            Subject::Session => self.subject_uuid.map(Effect::Session),
            Subject::Nothing => None,
        })
    }
}

#[derive(FromQueryResult)]
struct OfConnection {
    actor: String,
    request_id: Option<String>,
    request_digest: Option<Vec<u8>>,
    uuid: Uuid,
}

pub(super) async fn of_events<C: ConnectionTrait>(
    db: &C,
    request_ids: &[&str],
) -> Result<Vec<Remembered>, StoreError> {
    let found: Vec<OfEvent> = select_events(request_ids).into_model().all(db).await?;
    let mut remembered = Vec::with_capacity(found.len());
    for row in found {
        let effect = row.effect()?;
        let request = rows::to_request(row.request_id, row.request_digest);
        remembered.extend(effect.zip(request).map(|(effect, request)| Remembered {
            actor: row.actor,
            request,
            effect,
        }));
    }
    Ok(remembered)
}

/// Connections that were created before their creation was an event.
pub(super) async fn of_connections<C: ConnectionTrait>(
    db: &C,
    request_ids: &[&str],
) -> Result<Vec<Remembered>, StoreError> {
    let found: Vec<OfConnection> = select_connections(request_ids).into_model().all(db).await?;
    let remembered = found.into_iter().filter_map(|row| {
        let request = rows::to_request(row.request_id, row.request_digest)?;
        Some(Remembered {
            actor: row.actor,
            request,
            effect: Effect::Connection {
                uuid: row.uuid,
                deleted_by_it: false,
            },
        })
    });
    Ok(remembered.collect())
}

pub(super) fn select_events(request_ids: &[&str]) -> Select<transfer_event::Entity> {
    use transfer_event::Column::{
        Action, Actor, ConnectionUuid, RequestDigest, RequestId, SubjectUuid, TransferUuid,
    };
    let columns = [
        Actor,
        RequestId,
        RequestDigest,
        TransferUuid,
        ConnectionUuid,
        SubjectUuid,
        Action,
    ];
    transfer_event::Entity::find()
        .select_only()
        .columns(columns)
        .filter(RequestId.is_in(request_ids.iter().copied()))
}

pub(super) fn select_connections(request_ids: &[&str]) -> Select<connection::Entity> {
    use connection::Column::{Actor, RequestDigest, RequestId};
    connection::Entity::find()
        .select_only()
        .columns([Actor, RequestId, RequestDigest, connection::Column::Uuid])
        .filter(RequestId.is_in(request_ids.iter().copied()))
}
