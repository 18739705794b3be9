//! The other sites, and what they let their transfers do. Lists are JSON arrays of text.

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
    let mut table = Table::create();
    table
        .table("connection")
        .col(uuid("uuid").primary_key())
        .col(text("name"))
        .col(text("direction"))
        .col(text("site_url"))
        .col(text("status"))
        .col(text("status_reason").default(""))
        .col(text("metadata").default("{}"))
        .col(big_integer("inserted_at"))
        .col(big_integer("updated_at"))
        .col(big_integer("revision"));
    policy(&mut table);
    table
        .col(big_integer("transfers_used").default(0))
        .col(big_integer("records_used").default(0))
        .check(Expr::cust("direction IN ('SENDER', 'RECEIVER')"))
        .check(Expr::cust(
            "status IN ('PENDING', 'ACTIVE', 'SUSPENDED', 'REVOKED', 'EXPIRED')",
        ))
        .check(Expr::cust("revision >= 1"))
        .take()
}

fn policy(table: &mut TableCreateStatement) {
    table
        .col(text("approval_mode").default("AUTO_APPROVE"))
        .col(text("allowed_tables").default("[]"))
        .col(text("excluded_tables").default("[]"))
        .col(text("auto_approve_tables").default("[]"))
        .col(text_null("table_case"))
        .col(big_integer_null("expires_at"))
        .col(big_integer_null("max_transfers"))
        .col(big_integer_null("max_records_total"))
        .col(big_integer_null("max_records_per_request"))
        .col(integer_null("rate_limit_requests_per_minute"))
        .col(text("ip_allowlist").default("[]"))
        .col(text_null("allowed_hours"))
        .col(text_null("default_conflict_strategy"))
        .col(big_integer_null("heartbeat_timeout"))
        .col(boolean("self_approval").default(false));
}
