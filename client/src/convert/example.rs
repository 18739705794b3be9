//! Things that no server knows, for tests of what is made of them.

use chrono::{DateTime, Utc};
use tidegate_proto::v1;
use uuid::Uuid;

use super::present_transfer;
use crate::{Direction, Transfer, TransferStatus, model::Wire as _};

impl Transfer {
    /// A transfer without a server, for tests of programs that show or decide about transfers: what is not given is as it
    /// would be had nobody set it. All other fields can be set afterwards.
    ///
    /// # Panics
    /// When the time is beyond the year 9999.
    #[must_use]
    pub fn example(
        uuid: Uuid,
        direction: Direction,
        table_name: impl Into<String>,
        status: TransferStatus,
        inserted_at: DateTime<Utc>,
    ) -> Self {
        let time = Some(prost_types::Timestamp {
            seconds: inserted_at.timestamp(),
            nanos: 0,
        });
        let wire = v1::Transfer {
            uuid: uuid.to_string(),
            direction: direction.to_wire(),
            table_name: table_name.into(),
            status: status.to_wire(),
            progress: Some(v1::Progress::default()),
            inserted_at: time,
            updated_at: time,
            revision: 1,
            ..v1::Transfer::default()
        };
        present_transfer(wire).expect("it is as a server would send it")
    }
}
