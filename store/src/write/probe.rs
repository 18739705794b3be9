//! Finds out whether changes can be made, and leaves no trace.

use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, ExprTrait},
};
use tidegate_entity::event_counter::{Column, Entity};

use super::{
    super::{
        error::{Inconsistency, StoreError},
        events,
    },
    WriteTransaction,
};

impl WriteTransaction {
    /// Takes the lock that every change takes last. `durably`: changes something there and back, and commits it.
    pub(crate) async fn probe(self, durably: bool) -> Result<(), StoreError> {
        let counter = events::counter().lock_exclusive();
        let counter = counter.one(&self.transaction).await?;
        let counter = counter.ok_or(Inconsistency::NoCounter)?;
        if !durably {
            return Ok(self.transaction.rollback().await?);
        }
        for step in [1, -1] {
            Entity::update_many()
                .col_expr(
                    Column::FloorSequence,
                    Expr::col(Column::FloorSequence).add(step),
                )
                .filter(Column::LastSequence.eq(counter.last_sequence))
                .exec(&self.transaction)
                .await?;
        }
        self.commit().await
    }
}
