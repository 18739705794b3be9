//! Finds out whether changes can be made, and leaves no trace.

use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter,
    sea_query::{Expr, ExprTrait},
};
use tidegate_entity::event_counter::{Column, Entity};

use super::{super::error::StoreError, Batch};

impl Batch {
    /// Takes the lock that every change takes last. `durably`: changes something there and back, and commits it.
    pub(in crate::store) async fn probe(self, durably: bool) -> Result<(), StoreError> {
        self.lock_counter().await?;
        if !durably {
            return Ok(self.transaction.rollback().await?);
        }
        for step in [1, -1] {
            Entity::update_many()
                .col_expr(
                    Column::FloorSequence,
                    Expr::col(Column::FloorSequence).add(step),
                )
                .filter(Column::Id.eq(1))
                .exec(&self.transaction)
                .await?;
        }
        self.commit().await
    }
}
