//! The one row that hands out the positions of `event`.

use sea_orm::entity::prelude::*;

/// The row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "event_counter")]
pub struct Model {
    /// Always 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// The newest position; 0 when nothing happened yet.
    pub last_sequence: i64,
    /// Everything up to this position was deleted by retention; 0 when nothing was.
    pub floor_sequence: i64,
    /// Hash of the event at `floor_sequence`; none when nothing was deleted.
    pub floor_hash: Option<Vec<u8>>,
}

/// No relations.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
