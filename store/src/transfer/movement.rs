//! The sides of movements, as a batch finds them that is to add one.

use std::{
    collections::{BTreeSet, HashMap},
    fmt::Write as _,
};

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QuerySelect, Select,
    sea_query::Expr,
};
use tidegate_entity::{
    stored::{Stored, StoredId},
    transfer::{Column, Entity},
};
use uuid::Uuid;

use crate::{WriteTransaction, error::StoreError, sql::chunk};
use tidegate_domain::{
    id::{ConnectionId, TransferId},
    movement::{Movement, Side},
    status::Direction,
};

/// The first half of the keys of the locks that keep others from adding to a movement.
const MOVEMENTS: i32 = 1_836_018_294;

/// The newest transfers, of those of all connections or of those of none.
pub(crate) fn newest(among: Expr, linked: bool) -> Select<Entity> {
    let connection = Column::ConnectionUuid;
    Entity::find()
        .select_only()
        .columns([
            Column::Uuid,
            Column::CorrelationUuid,
            connection,
            Column::Direction,
        ])
        .filter(among)
        .filter(Expr::cust("NOT superseded"))
        .filter(if linked {
            connection.is_not_null()
        } else {
            connection.is_null()
        })
}

impl WriteTransaction {
    /// The movements that `transfers` are of, without a lock.
    pub async fn peek_movements(
        &self,
        transfers: &[TransferId],
    ) -> Result<Vec<Movement>, StoreError> {
        let db = &self.transaction;
        let mut movements = Vec::with_capacity(transfers.len());
        for among in chunk::one_of_ids(db.get_database_backend(), Column::Uuid, transfers) {
            let found: Vec<(Uuid, Option<StoredId<ConnectionId>>)> = Entity::find()
                .select_only()
                .columns([Column::CorrelationUuid, Column::ConnectionUuid])
                .filter(among)
                .into_tuple()
                .all(db)
                .await?;
            movements.extend(
                found
                    .into_iter()
                    .map(|(correlation_uuid, connection)| Movement {
                        correlation_uuid,
                        connection_uuid: connection.map(|stored| stored.0),
                    }),
            );
        }
        Ok(movements)
    }

    /// The newest transfers of `movements`, to which no other batch that asks for them adds one before this one ends.
    pub async fn lock_movements(
        &self,
        movements: &BTreeSet<Movement>,
    ) -> Result<HashMap<Side, TransferId>, StoreError> {
        self.keep_others_from(movements).await?;
        let db = &self.transaction;
        let mut sides = HashMap::new();
        for linked in [true, false] {
            let of_kind = movements
                .iter()
                .filter(|it| it.connection_uuid.is_some() == linked);
            let mut correlations: Vec<Uuid> = of_kind.map(|it| it.correlation_uuid).collect();
            correlations.dedup();
            let column = Column::CorrelationUuid;
            for among in chunk::one_of_ids(db.get_database_backend(), column, &correlations) {
                type Found = (
                    StoredId<TransferId>,
                    Uuid,
                    Option<StoredId<ConnectionId>>,
                    Stored<Direction>,
                );
                let found: Vec<Found> = newest(among, linked).into_tuple().all(db).await?;
                sides.extend(found.into_iter().map(
                    |(uuid, correlation_uuid, connection, direction)| {
                        let connection_uuid = connection.map(|stored| stored.0);
                        let movement = Movement {
                            correlation_uuid,
                            connection_uuid,
                        };
                        ((movement, direction.0), uuid.0)
                    },
                ));
            }
        }
        // Others that use the same correlation have nothing to do with it.
        sides.retain(|(movement, _), _| movements.contains(movement));
        Ok(sides)
    }

    /// SQLite has one writer.
    async fn keep_others_from(&self, movements: &BTreeSet<Movement>) -> Result<(), StoreError> {
        let db = &self.transaction;
        if movements.is_empty() || db.get_database_backend() != DbBackend::Postgres {
            return Ok(());
        }
        let keys: BTreeSet<i32> = movements
            .iter()
            .map(|it| key(it.correlation_uuid))
            .collect();
        let mut sql = String::from("SELECT ");
        for (place, key) in keys.iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            // Writing to a string cannot fail.
            let _ = write!(sql, "{comma}pg_advisory_xact_lock({MOVEMENTS}, {key})");
        }
        db.execute_unprepared(&sql).await?;
        Ok(())
    }
}

/// The last bytes are those that differ, also where the first ones are a time.
fn key(correlation_uuid: Uuid) -> i32 {
    let [.., a, b, c, d] = correlation_uuid.into_bytes();
    i32::from_be_bytes([a, b, c, d])
}
