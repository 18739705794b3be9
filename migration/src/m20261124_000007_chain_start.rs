//! Where the chain of hashes begins, and what it continues from when retention has removed its first links.
//!
//! A change of its own, after the columns of the events: one that locked both tables could wait in a circle with a
//! replica that writes.

use sea_orm_migration::{prelude::*, schema::*};

/// This change.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in [
            big_integer("chained_after").default(0).take(),
            blob_null("floor_hash").take(),
        ] {
            manager
                .alter_table(Table::alter().table(TABLE).add_column(column).take())
                .await?;
        }
        let here = Query::update()
            .table(TABLE)
            .value("chained_after", Expr::col("last_sequence"))
            .take();
        manager.execute(here).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in ["floor_hash", "chained_after"] {
            manager
                .alter_table(Table::alter().table(TABLE).drop_column(column).take())
                .await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

const TABLE: &str = "event_counter";
