//! The log of what happened to the transfers.

use sea_orm_migration::{prelude::*, schema::*};

/// This change.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(table()).await?;
        for index in indexes() {
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("transfer_event").take())
            .await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

fn table() -> TableCreateStatement {
    let statuses = "('PENDING', 'PENDING_APPROVAL', 'APPROVED', 'DENIED', 'IN_PROGRESS', \
                    'COMPLETED', 'FAILED', 'CANCELLED', 'EXPIRED')";
    Table::create()
        .table("transfer_event")
        .col(big_integer("sequence").primary_key())
        .col(uuid("transfer_uuid"))
        .col(uuid_null("connection_uuid"))
        .col(text("action"))
        .col(text_null("from_status"))
        .col(text("to_status"))
        .col(uuid_null("actor_uuid"))
        .col(text("actor"))
        .col(text("reason").default(""))
        .col(text_null("request_id"))
        .col(blob_null("request_digest"))
        .col(big_integer("revision"))
        .col(big_integer("occurred_at"))
        .check(Expr::cust("sequence >= 1"))
        .check(Expr::cust(
            "action IN ('CREATED', 'APPROVAL_REQUESTED', 'APPROVED', 'DENIED', 'EXPIRED', \
             'STARTED', 'COMPLETED', 'FAILED', 'CANCELLED', 'DELETED')",
        ))
        .check(Expr::cust(format!("from_status IN {statuses}")))
        .check(Expr::cust(format!("to_status IN {statuses}")))
        .check(Expr::cust(
            "(request_id IS NULL) = (request_digest IS NULL)",
        ))
        .check(Expr::cust("revision >= 1"))
        .take()
}

fn indexes() -> [IndexCreateStatement; 3] {
    [
        Index::create()
            .name("transfer_event_transfer")
            .table("transfer_event")
            .col("transfer_uuid")
            .col("sequence")
            .take(),
        Index::create()
            .name("transfer_event_connection")
            .table("transfer_event")
            .col("connection_uuid")
            .col("sequence")
            .and_where(Expr::cust("connection_uuid IS NOT NULL"))
            .take(),
        // A request is recognised when it is repeated.
        Index::create()
            .name("transfer_event_request_key")
            .table("transfer_event")
            .col("request_id")
            .col("actor")
            .unique()
            .and_where(Expr::cust("request_id IS NOT NULL"))
            .take(),
    ]
}
