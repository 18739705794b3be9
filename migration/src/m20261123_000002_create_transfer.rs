//! The transfers as they stand.
//!
//! Nothing here or in the log is a foreign key. The history must outlive the rows that it names, a retry may name a
//! transfer that was deleted, and on PostgreSQL every insert would take a row lock on what it refers to.

use sea_orm_migration::{prelude::*, schema::*, sea_orm::DbBackend};

/// This change.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let postgres = manager.get_database_backend() == DbBackend::Postgres;
        manager.create_table(table(postgres)).await?;
        for index in indexes() {
            manager.create_index(index).await?;
        }
        if postgres {
            // Progress rewrites rows over and over; with room left in each page the indexes need not follow.
            manager
                .get_connection()
                .execute_unprepared("ALTER TABLE transfer SET (fillfactor = 80)")
                .await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("transfer").take())
            .await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

fn table(postgres: bool) -> TableCreateStatement {
    let mut table = Table::create();
    table.table("transfer");
    declared(&mut table, postgres);
    standing(&mut table);
    checks(&mut table);
    table
}

fn declared(table: &mut TableCreateStatement, postgres: bool) {
    let mut table_name = text("table_name");
    if postgres {
        // Names sort by their bytes, as they do on SQLite.
        table_name.extra("COLLATE \"C\"");
    }
    table
        .col(uuid("uuid").primary_key())
        .col(text("direction"))
        .col(uuid_null("connection_uuid"))
        .col(text("session_code").default(""))
        .col(text("remote_site_url").default(""))
        .col(table_name)
        .col(big_integer("records_requested").default(0))
        .col(text_null("conflict_strategy"))
        .col(text("requester_ip").default(""))
        .col(text("requester_user_agent").default(""))
        .col(uuid_null("initiated_by_uuid"))
        .col(text("metadata").default("{}"))
        .col(uuid_null("retry_of_uuid"))
        .col(big_integer("inserted_at"));
}

fn standing(table: &mut TableCreateStatement) {
    table
        .col(text("status"))
        .col(boolean("requires_approval"))
        .col(big_integer("records_transferred").default(0))
        .col(big_integer("records_created").default(0))
        .col(big_integer("records_updated").default(0))
        .col(big_integer("records_skipped").default(0))
        .col(big_integer("records_failed").default(0))
        .col(big_integer("bytes_transferred").default(0))
        .col(big_integer_null("approved_at"))
        .col(uuid_null("approved_by_uuid"))
        .col(big_integer_null("denied_at"))
        .col(uuid_null("denied_by_uuid"))
        .col(text("denial_reason").default(""))
        .col(big_integer_null("approval_expires_at"))
        .col(text("error_message").default(""))
        .col(text("cancel_reason").default(""))
        .col(big_integer_null("started_at"))
        .col(big_integer_null("completed_at"))
        .col(big_integer("updated_at"))
        .col(blob("checkpoint"))
        .col(big_integer_null("heartbeat_timeout"))
        .col(big_integer_null("heartbeat_expires_at"))
        .col(big_integer("revision"));
}

fn checks(table: &mut TableCreateStatement) {
    table
        .check(Expr::cust("direction IN ('SEND', 'RECEIVE')"))
        .check(Expr::cust(
            "conflict_strategy IN ('SKIP', 'OVERWRITE', 'MERGE', 'APPEND')",
        ))
        .check(Expr::cust(
            "status IN ('PENDING', 'PENDING_APPROVAL', 'APPROVED', 'DENIED', 'IN_PROGRESS', \
             'COMPLETED', 'FAILED', 'CANCELLED', 'EXPIRED')",
        ))
        .check(Expr::cust(
            "(approved_at IS NULL) = (approved_by_uuid IS NULL)",
        ))
        .check(Expr::cust("(denied_at IS NULL) = (denied_by_uuid IS NULL)"))
        .check(Expr::cust("heartbeat_timeout >= 0"))
        .check(Expr::cust("revision >= 1"));
    for counter in [
        "records_requested",
        "records_transferred",
        "records_created",
        "records_updated",
        "records_skipped",
        "records_failed",
        "bytes_transferred",
    ] {
        table.check(Expr::cust(format!("{counter} >= 0")));
    }
}

/// One for each way to look, and none on what progress changes.
fn indexes() -> [IndexCreateStatement; 4] {
    // Chained by OR, since SQLite's planner sees that one status implies the chain, but not that it implies an IN.
    let active = "status = 'PENDING' OR status = 'PENDING_APPROVAL' OR status = 'APPROVED' \
                  OR status = 'IN_PROGRESS'";
    [
        Index::create()
            .name("transfer_inserted_at")
            .table("transfer")
            .col("inserted_at")
            .col("uuid")
            .take(),
        Index::create()
            .name("transfer_connection")
            .table("transfer")
            .col("connection_uuid")
            .col("inserted_at")
            .col("uuid")
            .and_where(Expr::cust("connection_uuid IS NOT NULL"))
            .take(),
        Index::create()
            .name("transfer_active")
            .table("transfer")
            .col("status")
            .col("inserted_at")
            .col("uuid")
            .and_where(Expr::cust(active))
            .take(),
        Index::create()
            .name("transfer_pending_approval")
            .table("transfer")
            // Always the same, but without it SQLite's planner thinks better of the index above, and sorts.
            .col("status")
            .col("approval_expires_at")
            .col("uuid")
            .and_where(Expr::cust("status = 'PENDING_APPROVAL'"))
            .take(),
    ]
}
