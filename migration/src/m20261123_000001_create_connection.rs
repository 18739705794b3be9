//! The other sites.

use sea_orm_migration::{prelude::*, schema::*};

/// This change.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(table()).await?;
        // For the list, newest first.
        manager
            .create_index(
                Index::create()
                    .name("connection_inserted_at")
                    .table("connection")
                    .col("inserted_at")
                    .col("uuid")
                    .take(),
            )
            .await?;
        // A request is recognised when it is repeated.
        manager
            .create_index(
                Index::create()
                    .name("connection_request_key")
                    .table("connection")
                    .col("request_id")
                    .col("actor")
                    .unique()
                    .and_where(Expr::cust("request_id IS NOT NULL"))
                    .take(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("connection").take())
            .await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

fn table() -> TableCreateStatement {
    Table::create()
        .table("connection")
        .col(uuid("uuid").primary_key())
        .col(text("name"))
        .col(text("direction"))
        .col(text("site_url"))
        .col(text("status"))
        .col(big_integer("inserted_at"))
        .col(big_integer("updated_at"))
        .col(big_integer("revision"))
        .col(text("actor"))
        .col(text_null("request_id"))
        .col(blob_null("request_digest"))
        .check(Expr::cust("direction IN ('SENDER', 'RECEIVER')"))
        .check(Expr::cust(
            "status IN ('PENDING', 'ACTIVE', 'SUSPENDED', 'REVOKED', 'EXPIRED')",
        ))
        .check(Expr::cust("revision >= 1"))
        .check(Expr::cust(
            "(request_id IS NULL) = (request_digest IS NULL)",
        ))
        .take()
}
