//! The transfers as they stand.

use sea_orm_migration::{prelude::*, schema::*, sea_orm::DbBackend};

pub(super) async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let postgres = manager.get_database_backend() == DbBackend::Postgres;
    manager.create_table(table(postgres)).await?;
    manager.create_table(attempts()).await?;
    for index in indexes() {
        manager.create_index(index).await?;
    }
    if postgres {
        // Progress rewrites rows over and over; with room left in each page the indexes need not follow.
        let room = "ALTER TABLE transfer SET (fillfactor = 80)";
        manager.get_connection().execute_unprepared(room).await?;
    }
    Ok(())
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
        .col(text_null("session_code"))
        .col(text_null("remote_site_url"))
        .col(table_name)
        .col(big_integer("records_requested").default(0))
        .col(text_null("conflict_strategy"))
        .col(text_null("requester_ip"))
        .col(text_null("observed_ip"))
        .col(text_null("requester_user_agent"))
        .col(uuid_null("initiated_by_uuid"))
        .col(uuid_null("acted_by_uuid"))
        .col(text("metadata").default("{}"))
        .col(uuid("correlation_uuid"))
        .col(uuid_null("plan_uuid"))
        .col(uuid_null("retry_of_uuid"))
        .col(big_integer("retry_number").default(0))
        .col(big_integer_null("max_attempts"))
        .col(big_integer("priority").default(0))
        .col(big_integer_null("not_before"))
        .col(big_integer_null("start_by"))
        .col(big_integer_null("start_within"))
        .col(big_integer_null("finish_within"))
        .col(big_integer("inserted_at"));
}

fn standing(table: &mut TableCreateStatement) {
    table
        .col(text("status"))
        .col(boolean("requires_approval"))
        .col(boolean("self_approval").default(false))
        .col(big_integer("policy_revision").default(0))
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
        .col(text_null("denial_reason"))
        .col(big_integer_null("approval_expires_at"))
        .col(big_integer_null("start_expires_at"))
        .col(big_integer_null("finish_expires_at"))
        .col(text_null("error_message"))
        .col(text_null("failure_code"))
        .col(boolean_null("failure_retryable"))
        .col(text("phases").default("[]"))
        .col(text("problems").default("[]"))
        .col(text_null("pace"))
        .col(text_null("cancel_reason"))
        .col(big_integer_null("started_at"))
        .col(big_integer_null("completed_at"))
        .col(big_integer("updated_at"))
        .col(blob("checkpoint"))
        .col(big_integer_null("heartbeat_timeout"))
        .col(big_integer_null("heartbeat_expires_at"))
        .col(big_integer("lease_epoch").default(0))
        .col(uuid_null("lease_owner_uuid"))
        .col(text_null("agent_instance"))
        .col(text_null("stop"))
        .col(big_integer_null("stop_grace"))
        .col(big_integer_null("stop_expires_at"))
        .col(big_integer("pauses").default(0))
        .col(uuid_null("retried_by_uuid"))
        .col(big_integer_null("retry_at"))
        .col(uuid_null("counterpart_uuid"))
        .col(boolean("superseded").default(false))
        .col(text_null("receipt"))
        .col(text_null("reconciliation"))
        .col(text("diverged").default("[]"))
        .col(big_integer("revision"));
}

fn checks(table: &mut TableCreateStatement) {
    for check in [
        "direction IN ('SEND', 'RECEIVE')",
        "conflict_strategy IN ('SKIP', 'OVERWRITE', 'MERGE', 'APPEND')",
        "status IN ('PENDING', 'PENDING_APPROVAL', 'APPROVED', 'DENIED', 'IN_PROGRESS', \
         'COMPLETED', 'FAILED', 'CANCELLED', 'EXPIRED')",
        "(approved_at IS NULL) = (approved_by_uuid IS NULL)",
        "(denied_at IS NULL) = (denied_by_uuid IS NULL)",
        // Neither who initiated a transfer nor who declared it has approved it, unless its policy said that they may.
        "self_approval OR approved_by_uuid IS NULL OR initiated_by_uuid IS NULL \
         OR approved_by_uuid <> initiated_by_uuid",
        "self_approval OR approved_by_uuid IS NULL OR acted_by_uuid IS NULL \
         OR approved_by_uuid <> acted_by_uuid",
        // So that the unique indexes below hold for what has not ended.
        "completed_at IS NOT NULL OR NOT superseded",
        // NULL is PENDING.
        "reconciliation IN ('ONE_SIDED', 'MATCHED', 'DIVERGED')",
        "heartbeat_timeout >= 0",
        "max_attempts >= 1",
        "priority BETWEEN -100 AND 100",
        "start_within > 0",
        "finish_within > 0",
        "lease_epoch >= 0",
        "pauses >= 0",
        "retry_number >= 0",
        "stop_grace >= 0",
        "revision >= 1",
        "records_requested >= 0",
        "records_transferred >= 0",
        "records_created >= 0",
        "records_updated >= 0",
        "records_skipped >= 0",
        "records_failed >= 0",
        "bytes_transferred >= 0",
    ] {
        table.check(Expr::cust(check));
    }
}

/// Attempts that ended while their transfer went on.
fn attempts() -> TableCreateStatement {
    Table::create()
        .table("attempt")
        .col(uuid("transfer_uuid"))
        .col(big_integer("epoch"))
        .col(uuid_null("owner_uuid"))
        .col(text_null("agent_instance"))
        .col(big_integer("started_at"))
        .col(big_integer("ended_at"))
        .col(text("outcome"))
        .col(text_null("error_message"))
        .col(big_integer("records_transferred"))
        .col(big_integer("records_created"))
        .col(big_integer("records_updated"))
        .col(big_integer("records_skipped"))
        .col(big_integer("records_failed"))
        .col(big_integer("bytes_transferred"))
        .col(blob("checkpoint"))
        .primary_key(Index::create().col("transfer_uuid").col("epoch"))
        .check(Expr::cust("epoch >= 1"))
        .take()
}

/// One for each way to look, and none on what progress changes.
fn indexes() -> [IndexCreateStatement; 14] {
    // Chained by OR, since SQLite's planner sees that one status implies the chain, but not that it implies an IN.
    let active = "status = 'PENDING' OR status = 'PENDING_APPROVAL' OR status = 'APPROVED' \
                  OR status = 'IN_PROGRESS'";
    // Always true. Only those who ask for all connections say it, so that PostgreSQL looks nowhere else for those of one.
    let any_connection = "LENGTH(status) > 0";
    // As the query has it.
    let queued =
        "stop IS NULL AND (status = 'APPROVED' OR (status = 'PENDING' AND NOT requires_approval))";
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
            .and_where(Expr::cust(any_connection))
            .take(),
        Index::create()
            .name("transfer_queued")
            .table("transfer")
            .col("connection_uuid")
            .col(("priority", IndexOrder::Desc))
            .col("inserted_at")
            .col("uuid")
            .and_where(Expr::cust(queued))
            .take(),
        Index::create()
            .name("transfer_active_of_connection")
            .table("transfer")
            .col("connection_uuid")
            .col("status")
            .col("inserted_at")
            .col("uuid")
            .and_where(Expr::cust(active))
            .take(),
        Index::create()
            .name("transfer_running")
            .table("transfer")
            .col("connection_uuid")
            .col("lease_owner_uuid")
            .col("agent_instance")
            .and_where(Expr::cust("status = 'IN_PROGRESS'"))
            .take(),
        Index::create()
            .name("transfer_pending_approval")
            .table("transfer")
            // Always the same, but without it SQLite's planner thinks better of the index above, and sorts.
            .col("status")
            .col("approval_expires_at")
            .col("uuid")
            .and_where(Expr::cust("status = 'PENDING_APPROVAL'"))
            .and_where(Expr::cust(any_connection))
            .take(),
        Index::create()
            .name("transfer_start_expires_at")
            .table("transfer")
            .col("start_expires_at")
            .col("uuid")
            .and_where(Expr::cust(
                "start_expires_at IS NOT NULL AND completed_at IS NULL",
            ))
            .take(),
        Index::create()
            .name("transfer_retry_at")
            .table("transfer")
            .col("retry_at")
            .col("uuid")
            .and_where(Expr::cust("retry_at IS NOT NULL"))
            .take(),
        Index::create()
            .name("transfer_correlation")
            .table("transfer")
            .col("correlation_uuid")
            .col("inserted_at")
            .col("uuid")
            .take(),
        Index::create()
            .name("transfer_plan")
            .table("transfer")
            .col("plan_uuid")
            .col("inserted_at")
            .col("uuid")
            .and_where(Expr::cust("plan_uuid IS NOT NULL"))
            .take(),
        Index::create()
            .name("transfer_reconciliation")
            .table("transfer")
            .col("reconciliation")
            .col("inserted_at")
            .col("uuid")
            .and_where(Expr::cust("reconciliation IS NOT NULL"))
            .take(),
        side("transfer_side")
            .col("connection_uuid")
            .and_where(Expr::cust("connection_uuid IS NOT NULL"))
            .take(),
        // NULLs would all differ.
        side("transfer_side_alone")
            .and_where(Expr::cust("connection_uuid IS NULL"))
            .take(),
    ]
}

/// The newest transfer of each side of a movement.
fn side(name: &'static str) -> IndexCreateStatement {
    Index::create()
        .name(name)
        .table("transfer")
        .unique()
        .col("correlation_uuid")
        .col("direction")
        .and_where(Expr::cust("NOT superseded"))
        .take()
}
