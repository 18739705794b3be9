//! The log of what happened, and the counter that numbers it.
//!
//! The log's table does not list what may happen and between which states: the lists grow with the releases, and changing
//! one on SQLite would copy the log. The server checks what it reads.

use sea_orm_migration::{prelude::*, schema::*, sea_orm::DbBackend};

pub(super) async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager.create_table(log()).await?;
    for index in indexes() {
        manager.create_index(index).await?;
    }
    manager.create_table(counter()).await?;
    if manager.get_database_backend() == DbBackend::Postgres {
        find_by_number(manager).await?;
    }
    let row = Query::insert()
        .into_table("event_counter")
        .columns(["id", "last_sequence"])
        .values_panic([1.into(), 0.into()])
        .take();
    manager.execute(row).await
}

fn log() -> TableCreateStatement {
    Table::create()
        .table("event")
        .col(big_integer("sequence").primary_key())
        .col(uuid_null("transfer_uuid"))
        .col(uuid_null("connection_uuid"))
        .col(uuid_null("subject_uuid"))
        .col(text_null("about"))
        .col(text("event_type"))
        .col(text_null("from_status"))
        .col(text_null("to_status"))
        .col(uuid_null("actor_uuid"))
        .col(text("actor"))
        .col(text_null("detail"))
        .col(text_null("request_id"))
        .col(blob_null("request_digest"))
        // 0 for an event that concerns no transfer.
        .col(big_integer("revision"))
        .col(big_integer("occurred_at"))
        .col(text_null("address"))
        .col(blob("hash"))
        .check(Expr::cust("sequence >= 1"))
        .check(Expr::cust(
            "(request_id IS NULL) = (request_digest IS NULL)",
        ))
        .check(Expr::cust("revision >= 0"))
        .take()
}

fn indexes() -> [IndexCreateStatement; 3] {
    [
        Index::create()
            .name("event_transfer")
            .table("event")
            .col("transfer_uuid")
            .col("sequence")
            .and_where(Expr::cust("transfer_uuid IS NOT NULL"))
            .take(),
        Index::create()
            .name("event_connection")
            .table("event")
            .col("connection_uuid")
            .col("sequence")
            .and_where(Expr::cust("connection_uuid IS NOT NULL"))
            .take(),
        // A request is recognised when it is repeated.
        Index::create()
            .name("event_request_key")
            .table("event")
            .col("request_id")
            .col("actor")
            .unique()
            .and_where(Expr::cust("request_id IS NOT NULL"))
            .take(),
    ]
}

/// Its row is locked by each write until that commits, which is what makes the numbers gapless and puts them into the order
/// of the commits; a sequence of the database would do neither. What retention deleted stands beside it, so that both ends
/// of the log are read, and the lock is taken, at once.
fn counter() -> TableCreateStatement {
    Table::create()
        .table("event_counter")
        .col(big_integer("id").primary_key())
        .col(big_integer("last_sequence"))
        .col(big_integer("floor_sequence").default(0))
        .col(blob_null("floor_hash"))
        .check(Expr::cust("id = 1"))
        .check(Expr::cust("last_sequence >= 0"))
        .take()
}

/// Finds the counter's row by its number alone, the newest version first.
///
/// Versions of a row that a long snapshot still sees, such as that of a dump, stay in every index of the table. By a key
/// that never changes each change would go through all of them, slower and slower until the snapshot ends.
async fn find_by_number(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    for statement in [
        "CREATE UNIQUE INDEX event_counter_last_sequence ON event_counter (last_sequence)",
        // Only the migrations make and delete the row.
        "ALTER TABLE event_counter DROP CONSTRAINT event_counter_pkey",
        // Versions that nobody sees any more are cleared away before there are many.
        "ALTER TABLE event_counter SET (autovacuum_vacuum_threshold = 1000, \
         autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 0)",
    ] {
        manager
            .get_connection()
            .execute_unprepared(statement)
            .await?;
    }
    Ok(())
}
