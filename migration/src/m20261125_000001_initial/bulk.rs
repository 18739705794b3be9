//! Bulk operations, and what came of their transfers.

use sea_orm_migration::{prelude::*, schema::*};

pub(super) async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager.create_table(operation()).await?;
    manager.create_table(outcome()).await?;
    // For the list, newest first.
    let listed = Index::create()
        .name("bulk_operation_inserted_at")
        .table("bulk_operation")
        .col("inserted_at")
        .col("uuid")
        .take();
    let running = Index::create()
        .name("bulk_operation_running")
        .table("bulk_operation")
        .col("inserted_at")
        .and_where(Expr::cust("state = 'RUNNING'"))
        .take();
    // What retention deletes.
    let ended = Index::create()
        .name("bulk_operation_ended_at")
        .table("bulk_operation")
        .col("ended_at")
        .and_where(Expr::cust("ended_at IS NOT NULL"))
        .take();
    // Those of one result, of which there may be few among very many.
    let results = Index::create()
        .name("bulk_outcome_result")
        .table("bulk_outcome")
        .col("operation_uuid")
        .col("result")
        .col("number")
        .take();
    for index in [listed, running, ended, results] {
        manager.create_index(index).await?;
    }
    Ok(())
}

fn operation() -> TableCreateStatement {
    Table::create()
        .table("bulk_operation")
        .col(uuid("uuid").primary_key())
        .col(text("verb"))
        .col(text("filter"))
        .col(text_null("reason"))
        .col(big_integer_null("grace"))
        .col(text("state"))
        .col(big_integer("matched"))
        .col(big_integer("succeeded"))
        .col(big_integer("refused"))
        .col(big_integer_null("after_inserted_at"))
        .col(uuid_null("after_uuid"))
        .col(text("actor"))
        .col(uuid_null("created_by_uuid"))
        .col(text_null("address"))
        .col(big_integer("inserted_at"))
        .col(big_integer("updated_at"))
        .col(big_integer_null("ended_at"))
        .col(big_integer("revision"))
        .check(Expr::cust("verb IN ('CANCEL', 'RETRY', 'DELETE')"))
        .check(Expr::cust("state IN ('RUNNING', 'COMPLETED', 'STOPPED')"))
        .check(Expr::cust("(state = 'RUNNING') = (ended_at IS NULL)"))
        .check(Expr::cust(
            "(after_inserted_at IS NULL) = (after_uuid IS NULL)",
        ))
        .check(Expr::cust(
            "matched >= 0 AND succeeded >= 0 AND refused >= 0",
        ))
        .check(Expr::cust("revision >= 1"))
        .take()
}

fn outcome() -> TableCreateStatement {
    Table::create()
        .table("bulk_outcome")
        .col(uuid("operation_uuid"))
        .col(big_integer("number"))
        .col(uuid("transfer_uuid"))
        .col(text("result"))
        .col(text_null("reason"))
        .col(uuid_null("retried_by_uuid"))
        .primary_key(Index::create().col("operation_uuid").col("number"))
        .check(Expr::cust("result IN ('SUCCEEDED', 'REFUSED')"))
        .check(Expr::cust("(result = 'REFUSED') = (reason IS NOT NULL)"))
        .check(Expr::cust("number >= 1"))
        .take()
}
