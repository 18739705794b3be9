//! Between a connection and its row.

use tidegate_entity::{
    connection::Model,
    stored::{JsonText, Stored},
};

use crate::value::optional;
use tidegate_domain::{
    connection::{Connection, NewConnection, Running, Usage},
    time::Timestamp,
};

pub(crate) fn to_row(connection: &Connection) -> Model {
    let (declared, policy) = (&connection.declared, connection.policy());
    Model {
        uuid: connection.uuid.into(),
        name: declared.name.clone(),
        direction: Stored(declared.direction),
        site_url: declared.site_url.clone(),
        status: Stored(connection.status),
        inserted_at: connection.inserted_at.as_micros(),
        updated_at: connection.updated_at.as_micros(),
        revision: connection.revision,
        has_budget: policy.has_budget(),
        expires_at: policy.expires_at.map(Timestamp::as_micros),
        policy: JsonText(policy.clone()),
        settling: connection.settling,
        metadata: JsonText(declared.metadata.clone()),
        status_reason: optional(&connection.status_reason),
        transfers_used: connection.used.transfers,
        records_used: connection.used.records,
    }
}

pub(crate) fn from_row(row: Model) -> Connection {
    Connection {
        uuid: row.uuid.0,
        status: row.status.0,
        inserted_at: Timestamp::from_micros(row.inserted_at),
        updated_at: Timestamp::from_micros(row.updated_at),
        revision: row.revision,
        used: Usage {
            transfers: row.transfers_used,
            records: row.records_used,
        },
        declared: NewConnection {
            name: row.name,
            direction: row.direction.0,
            site_url: row.site_url,
            policy: row.policy.0,
            metadata: row.metadata.0,
        },
        running: Running::default(),
        settling: row.settling,
        status_reason: row.status_reason.unwrap_or_default(),
    }
}
