//! Between an event and its row.

use tidegate_entity::{
    event::Model,
    event_counter,
    stored::{JsonText, Stored, StoredId},
};

use crate::error::{Inconsistency, StoreError};
use tidegate_domain::{
    chain::{Books, Found, Hash},
    event::{About, Event, EventBody, IdempotencyKey},
    time::Timestamp,
};

pub(crate) fn to_row(event: &Event) -> Model {
    let (request_id, request_digest) = from_request(event.request.as_ref());
    let body = &event.body;
    Model {
        sequence: event.sequence,
        transfer_uuid: event.transfer_uuid.map(StoredId),
        subject_uuid: event.subject_uuid,
        connection_uuid: event.connection_uuid.map(StoredId),
        about: Some(event.about.clone())
            .filter(|about| *about != About::default())
            .map(JsonText),
        event_type: Stored(body.event_type),
        from_status: body.from_status.map(Stored),
        to_status: body.to_status.map(Stored),
        actor_uuid: body.actor_uuid,
        actor: event.actor.clone(),
        detail: body.detail.clone().map(JsonText),
        request_id,
        request_digest,
        revision: event.revision,
        occurred_at: event.occurred_at.as_micros(),
        hash: event.hash.map(Vec::from).unwrap_or_default(),
        address: event.address.map(Stored),
    }
}

pub(crate) fn from_row(row: Model) -> Result<Event, StoreError> {
    Ok(Event {
        sequence: row.sequence,
        subject_uuid: row.subject_uuid,
        transfer_uuid: row.transfer_uuid.map(|stored| stored.0),
        connection_uuid: row.connection_uuid.map(|stored| stored.0),
        about: row.about.map(|stored| stored.0).unwrap_or_default(),
        body: EventBody {
            event_type: row.event_type.0,
            from_status: row.from_status.map(|stored| stored.0),
            to_status: row.to_status.map(|stored| stored.0),
            actor_uuid: row.actor_uuid,
            detail: row.detail.map(|stored| stored.0),
        },
        actor: row.actor,
        request: to_request(row.request_id, row.request_digest),
        revision: row.revision,
        occurred_at: Timestamp::from_micros(row.occurred_at),
        address: row.address.map(|stored| stored.0),
        hash: Some(to_hash(row.hash)?),
    })
}

/// The row as an audit takes it: it counts only as the server would have written it.
pub(crate) fn found(row: &Model) -> Found {
    let event = from_row(row.clone()).ok();
    Found {
        sequence: row.sequence,
        event: event.filter(|event| to_row(event) == *row),
    }
}

pub(crate) fn books(counter: event_counter::Model) -> Result<Books, StoreError> {
    Ok(Books {
        last: counter.last_sequence,
        floor: counter.floor_sequence,
        floor_hash: counter.floor_hash.map(to_hash).transpose()?,
    })
}

pub(crate) fn to_hash(bytes: Vec<u8>) -> Result<Hash, StoreError> {
    Hash::try_from(bytes).map_err(|bytes| {
        Inconsistency::Value {
            column: "event.hash",
            value: format!("{} bytes", bytes.len()),
        }
        .into()
    })
}

pub(crate) fn to_request(id: Option<String>, digest: Option<Vec<u8>>) -> Option<IdempotencyKey> {
    Some(IdempotencyKey {
        request_id: id?,
        digest: digest?,
    })
}

fn from_request(request: Option<&IdempotencyKey>) -> (Option<String>, Option<Vec<u8>>) {
    request
        .map(|mark| (mark.request_id.clone(), mark.digest.clone()))
        .unzip()
}
