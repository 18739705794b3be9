//! Finds what requests with an id did. The id lives on what it caused, an event or a connection, and costs no table.

use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QuerySelect, Select,
};
use tidegate_entity::{connection, transfer_event};
use uuid::Uuid;

use super::{Effect, Remembered, error::StoreError, rows};
use crate::domain::event::EventAction;

#[derive(FromQueryResult)]
struct OfEvent {
    actor: String,
    request_id: Option<String>,
    request_digest: Option<Vec<u8>>,
    transfer_uuid: Uuid,
    action: String,
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
    let remembered = found.into_iter().filter_map(|row| {
        let request = rows::to_request(row.request_id, row.request_digest)?;
        let deleted_by_it = row.action == EventAction::Deleted.name();
        let effect = Effect::Transfer {
            uuid: row.transfer_uuid,
            deleted_by_it,
        };
        Some(Remembered {
            actor: row.actor,
            request,
            effect,
        })
    });
    Ok(remembered.collect())
}

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
            effect: Effect::Connection(row.uuid),
        })
    });
    Ok(remembered.collect())
}

pub(super) fn select_events(request_ids: &[&str]) -> Select<transfer_event::Entity> {
    use transfer_event::Column::{Action, Actor, RequestDigest, RequestId, TransferUuid};
    transfer_event::Entity::find()
        .select_only()
        .columns([Actor, RequestId, RequestDigest, TransferUuid, Action])
        .filter(RequestId.is_in(request_ids.iter().copied()))
}

pub(super) fn select_connections(request_ids: &[&str]) -> Select<connection::Entity> {
    use connection::Column::{Actor, RequestDigest, RequestId};
    connection::Entity::find()
        .select_only()
        .columns([Actor, RequestId, RequestDigest, connection::Column::Uuid])
        .filter(RequestId.is_in(request_ids.iter().copied()))
}
