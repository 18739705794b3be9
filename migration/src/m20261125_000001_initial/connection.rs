//! The other sites, and what they let their transfers do. The policy and the notes are JSON.

use sea_orm_migration::{prelude::*, schema::*};

pub(super) async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager.create_table(table()).await?;
    // For the list, newest first.
    let listed = Index::create()
        .name("connection_inserted_at")
        .table("connection")
        .col("inserted_at")
        .col("uuid")
        .take();
    manager.create_index(listed).await
}

fn table() -> TableCreateStatement {
    Table::create()
        .table("connection")
        .col(uuid("uuid").primary_key())
        .col(text("name"))
        .col(text("direction"))
        .col(text("site_url"))
        .col(text("status"))
        .col(text_null("status_reason"))
        .col(text("metadata").default("{}"))
        .col(big_integer("inserted_at"))
        .col(big_integer("updated_at"))
        .col(big_integer("revision"))
        .col(text("policy"))
        // Two facts of the policy that are searched for.
        .col(boolean("has_budget"))
        .col(big_integer_null("expires_at"))
        .col(boolean("settling").default(false))
        .col(big_integer("transfers_used").default(0))
        .col(big_integer("records_used").default(0))
        .check(Expr::cust("direction IN ('SENDER', 'RECEIVER')"))
        .check(Expr::cust(
            "status IN ('PENDING', 'ACTIVE', 'SUSPENDED', 'REVOKED', 'EXPIRED')",
        ))
        .check(Expr::cust("revision >= 1"))
        .take()
}
