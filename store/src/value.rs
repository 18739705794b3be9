//! Values that several tables keep in the same way.

use std::time::Duration;

use sea_orm::{ConnectionTrait, EntityTrait, Select};
use uuid::Uuid;

use crate::error::{Inconsistency, StoreError};

/// What a query for identities alone finds.
pub(crate) async fn ids<E, T, C>(select: Select<E>, db: &C) -> Result<Vec<T>, StoreError>
where
    E: EntityTrait,
    T: From<Uuid>,
    C: ConnectionTrait,
{
    let found: Vec<Uuid> = select.into_tuple().all(db).await?;
    Ok(found.into_iter().map(T::from).collect())
}

/// An empty text is an absent one.
pub(crate) fn optional(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

pub(crate) fn from_duration(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

pub(crate) fn to_duration(micros: i64) -> Result<Duration, StoreError> {
    u64::try_from(micros)
        .map(Duration::from_micros)
        .map_err(|_| {
            Inconsistency::Value {
                column: "a duration",
                value: micros.to_string(),
            }
            .into()
        })
}
