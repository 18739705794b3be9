//! Between an agent and its row.

use std::collections::BTreeMap;

use crate::value::optional;
use tidegate_domain::{
    agent::{KnownAgent, Registration},
    time::Timestamp,
};
use tidegate_entity::{
    agent::Model,
    stored::{JsonText, StoredId},
};

pub(crate) fn to_row(agent: &KnownAgent) -> Model {
    let told = &agent.told;
    Model {
        uuid: agent.uuid.into(),
        connection_uuid: told.connection_uuid.map(StoredId),
        owner_uuid: told.owner_uuid.map(StoredId),
        instance: told.instance.clone(),
        version: optional(&told.version),
        host: optional(&told.host),
        engines: tags(&told.engines),
        slots: told.slots,
        labels: tags(&told.labels),
        registered_at: agent.registered_at.as_micros(),
        last_beat_at: agent.last_beat_at.as_micros(),
    }
}

pub(crate) fn from_row(row: Model) -> KnownAgent {
    KnownAgent {
        uuid: row.uuid.0,
        told: Registration {
            connection_uuid: row.connection_uuid.map(|stored| stored.0),
            owner_uuid: row.owner_uuid.map(|stored| stored.0),
            instance: row.instance,
            version: row.version.unwrap_or_default(),
            host: row.host.unwrap_or_default(),
            engines: row.engines.map(|stored| stored.0).unwrap_or_default(),
            slots: row.slots,
            labels: row.labels.map(|stored| stored.0).unwrap_or_default(),
        },
        registered_at: Timestamp::from_micros(row.registered_at),
        last_beat_at: Timestamp::from_micros(row.last_beat_at),
    }
}

/// No names at all are absent ones.
fn tags(tags: &BTreeMap<String, String>) -> Option<JsonText<BTreeMap<String, String>>> {
    (!tags.is_empty()).then(|| JsonText(tags.clone()))
}
