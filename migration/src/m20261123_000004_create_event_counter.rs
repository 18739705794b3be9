//! The counter that numbers the log. Its row is locked by each write until that commits, which is what makes the
//! numbers gapless and puts them into the order of the commits; a sequence of the database would do neither.

use sea_orm_migration::{prelude::*, schema::*};

/// This change.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("event_counter")
                    .col(big_integer("id").primary_key())
                    .col(big_integer("last_sequence"))
                    .check(Expr::cust("id = 1"))
                    .check(Expr::cust("last_sequence >= 0"))
                    .take(),
            )
            .await?;
        let row = Query::insert()
            .into_table("event_counter")
            .columns(["id", "last_sequence"])
            .values_panic([1.into(), 0.into()])
            .take();
        manager.execute(row).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("event_counter").take())
            .await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
