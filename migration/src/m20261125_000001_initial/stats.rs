//! Sums of the transfers that have ended, and what is kept of those that were deleted.

use sea_orm_migration::{prelude::*, schema::*, sea_orm::DbBackend};

pub(super) async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let postgres = manager.get_database_backend() == DbBackend::Postgres;
    manager.create_table(deleted(postgres)).await?;
    let by_time = Index::create()
        .name("deleted_transfer_inserted_at")
        .table("deleted_transfer")
        .col("inserted_at")
        .take();
    manager.create_index(by_time).await?;
    manager.create_table(sums(postgres)).await?;
    if postgres {
        // A time belongs to one period, as a rule. Taken by themselves, both make PostgreSQL expect a few rows where there are
        // hundreds, fewer the longer the history is, and it sorts them instead of hashing.
        let together = "CREATE STATISTICS transfer_stats_period (dependencies) ON period, starts_at FROM transfer_stats";
        manager
            .get_connection()
            .execute_unprepared(together)
            .await?;
    }
    Ok(())
}

/// Names sort by their bytes, as in the table of transfers, with which these are read together.
fn table_name(postgres: bool) -> ColumnDef {
    let mut table_name = text("table_name");
    if postgres {
        table_name.extra("COLLATE \"C\"");
    }
    table_name
}

fn deleted(postgres: bool) -> TableCreateStatement {
    Table::create()
        .table("deleted_transfer")
        .col(uuid("uuid").primary_key())
        .col(text("direction"))
        .col(uuid_null("connection_uuid"))
        .col(table_name(postgres))
        .col(text("status"))
        .col(big_integer("records_transferred"))
        .col(big_integer("bytes_transferred"))
        .col(big_integer_null("started_at"))
        .col(big_integer_null("completed_at"))
        .col(big_integer("inserted_at"))
        .take()
}

fn sums(postgres: bool) -> TableCreateStatement {
    let mut table = Table::create();
    table
        .table("transfer_stats")
        .col(text("period"))
        .col(big_integer("starts_at"))
        .col(uuid("connection_uuid"))
        .col(table_name(postgres))
        .col(text("direction"))
        .col(text("status"))
        .col(big_integer("duration_class"))
        .primary_key(
            Index::create()
                .col("period")
                .col("starts_at")
                .col("connection_uuid")
                .col("table_name")
                .col("direction")
                .col("status")
                .col("duration_class"),
        )
        .check(Expr::cust("period IN ('ALL', 'DAY', 'HOUR')"))
        .check(Expr::cust("transfers > 0"));
    for sum in [
        "transfers",
        "records_high",
        "records_low",
        "bytes_high",
        "bytes_low",
        "duration_high",
        "duration_low",
    ] {
        table.col(big_integer(sum));
    }
    if !postgres {
        // The key is most of a row: without this it would be kept twice.
        table.extra("WITHOUT ROWID");
    }
    table.col(big_integer_null("last_completed_at")).take()
}
